"""Functions as tables of integers."""

from intsim.tables.dulut import DULUT
from intsim.tables.nli import NLI
from intsim.tables.nli_float import FloatNLI
from intsim.tables.uniform import Uniform

__all__ = ["DULUT", "NLI", "FloatNLI", "Uniform"]
