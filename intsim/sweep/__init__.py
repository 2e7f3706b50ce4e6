"""Many variants of one unit: how far each is from the real function, what it costs, and which are worth having.

>>> from intsim.sweep import Sweep, TableOf
>>> sweep = Sweep(TableOf("silu"), {"bins": (8, 16, 32), ("x", "y"): ("s12.8", "s16.12")})  # doctest: +SKIP
>>> sweep.run("silu-sweep").front(["error", "words"])  # doctest: +SKIP

Floats are allowed here: nothing runs in hardware.
"""

from intsim.sweep.pareto import front
from intsim.sweep.recipes import Fields, Made, Recipe, TableOf
from intsim.sweep.results import Point, Results
from intsim.sweep.sweep import Sweep
from intsim.sweep.values import read, read_list

__all__ = ["Fields", "Made", "Point", "Recipe", "Results", "Sweep", "TableOf", "front", "read", "read_list"]
