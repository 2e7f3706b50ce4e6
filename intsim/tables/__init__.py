"""Functions as tables of integers."""

from intsim.tables.dhlut import DHLUT
from intsim.tables.direct import Direct
from intsim.tables.dulut import DULUT
from intsim.tables.exponent import ExponentTable
from intsim.tables.nli import NLI
from intsim.tables.nli_float import FloatNLI
from intsim.tables.pwl_float import FloatPWL
from intsim.tables.range_reduced import NormalReciprocal, RangeReduced
from intsim.tables.scaled import ScaledTable
from intsim.tables.uniform import Uniform

__all__ = [
    "DHLUT",
    "DULUT",
    "NLI",
    "Direct",
    "ExponentTable",
    "FloatNLI",
    "FloatPWL",
    "NormalReciprocal",
    "RangeReduced",
    "ScaledTable",
    "Uniform",
]
