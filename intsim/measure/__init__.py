"""How far a unit is from the real function it approximates. Floats are allowed here: nothing runs in hardware."""

from intsim.measure.errors import Accuracy, error
from intsim.measure.picture import picture

__all__ = ["Accuracy", "error", "picture"]
