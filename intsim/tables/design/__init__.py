"""Design time: how the cut points and words of a table are found. Floats are allowed here and nowhere else.

Nothing in this package runs when a unit is evaluated; units hold the integers it finds.
"""

from intsim.tables.design.problem import Problem
from intsim.tables.design.scales import position_bits, scale, scales
from intsim.tables.design.search import Found, evaluate, search
from intsim.tables.design.target import Target, function_and_name, target_for

__all__ = [
    "Found",
    "Problem",
    "Target",
    "evaluate",
    "function_and_name",
    "position_bits",
    "scale",
    "scales",
    "search",
    "target_for",
]
