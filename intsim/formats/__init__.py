"""What a stored number means."""

from intsim.formats.base import Format
from intsim.formats.fixed import Fixed, Int
from intsim.formats.parse import parse

__all__ = ["Fixed", "Format", "Int", "parse"]
