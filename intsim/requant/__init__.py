"""Requantisation: one requantiser, and the field's conventions by name."""

from intsim.requant.conventions import INTEGER
from intsim.requant.documented import Documented
from intsim.requant.requantizer import Requantizer

CONVENTIONS = INTEGER
__all__ = ["CONVENTIONS", "Documented", "Requantizer"]
