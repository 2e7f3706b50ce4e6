"""Design time: how the cut points and words of a table are found. Floats are allowed here and nowhere else.

Nothing in this package runs when a unit is evaluated; units hold the integers it finds.
"""

from intsim.tables.design.problem import Problem
from intsim.tables.design.scales import position_bits, scale, scales

__all__ = ["Problem", "position_bits", "scale", "scales"]
