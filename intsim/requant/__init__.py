"""Requantisation: one requantiser, and the field's conventions by name."""

from intsim.requant.conventions import CONVENTIONS
from intsim.requant.difference import Difference, compare
from intsim.requant.documented import Documented
from intsim.requant.float_scale import FloatConvention
from intsim.requant.primitives import (
    reduced_multiplier,
    rounding_divide_by_pot,
    saturating_left_shift,
    srdhm,
    srdhm_no_saturation,
)
from intsim.requant.quantizers import QUANTIZERS, Quantizer, dynamic_quantize
from intsim.requant.requantizer import Requantizer
from intsim.requant.residual import ResidualAdd

__all__ = [
    "CONVENTIONS",
    "QUANTIZERS",
    "Difference",
    "Documented",
    "FloatConvention",
    "Quantizer",
    "Requantizer",
    "ResidualAdd",
    "compare",
    "dynamic_quantize",
    "reduced_multiplier",
    "rounding_divide_by_pot",
    "saturating_left_shift",
    "srdhm",
    "srdhm_no_saturation",
]
