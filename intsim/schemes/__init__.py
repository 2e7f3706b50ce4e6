"""One paper's whole choice of operators, as one argument of a network.

>>> from intsim.schemes import ivit
>>> ivit.softmax.unit, ivit.bits.residual
('Shiftmax', 16)
"""

from intsim.schemes.dynamic import DynamicScheme
from intsim.schemes.papers import SCHEMES, db_attn, fq_petr, hawq, ibert, illm, ivit, nli
from intsim.schemes.scheme import Bits, Layer, Operator, Scheme
from intsim.schemes.static import StaticScheme
from intsim.schemes.step import Step

__all__ = [
    "SCHEMES",
    "Bits",
    "DynamicScheme",
    "Layer",
    "Operator",
    "Scheme",
    "StaticScheme",
    "Step",
    "db_attn",
    "fq_petr",
    "hawq",
    "ibert",
    "illm",
    "ivit",
    "nli",
]
