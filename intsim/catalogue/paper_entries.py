"""Tables of the papers' own kinds: NLI on FP16 and its anchors, DULUT with 32 + 32 words, the exponential of QANS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from intsim.formats import Fixed, Float16
from intsim.tables.dulut import DULUT
from intsim.tables.exponent import ExponentTable
from intsim.tables.nli_float import FloatNLI
from intsim.tables.pwl_float import FloatPWL
from intsim.tables.range_reduced import RangeReduced
from intsim.unit import Unit

__all__ = ["PAPER_ENTRIES"]

F16 = Float16()

# Significant bits inside: 18 reach the accuracy of exact arithmetic on FP16 words, but for tanh around 0.
_WIDTHS = {
    "exp": 18,
    "gelu": 18,
    "hardswish": 18,
    "mish": 18,
    "reciprocal": 18,
    "rsqrt": 18,
    "sigmoid": 18,
    "silu": 18,
    "tanh": 20,
}
_DULUTS = ("gelu", "sigmoid", "silu", "tanh")


def exp20(v: np.ndarray) -> np.ndarray:
    """``exp(20 v)``: the exponential of QANS with beta = 20, of the share of the range."""
    return np.exp(20.0 * v)


PAPER_ENTRIES: dict[str, Callable[[], Unit]] = {
    **{f"nli_{fn}_f16": partial(FloatNLI.design, fn, F16, F16, width=w) for fn, w in _WIDTHS.items()},
    **{f"pwl{n}_{fn}_f16": partial(FloatPWL.design, fn, F16, F16, segments=n) for fn in _WIDTHS for n in (16, 256)},
    **{f"exponent_{fn}_f16": partial(ExponentTable.design, fn, F16, F16) for fn in _WIDTHS},
    **{f"range_reduced_{fn}_f16": partial(RangeReduced.design, fn, F16, F16) for fn in ("reciprocal", "rsqrt")},
    **{f"dulut_{fn}": partial(DULUT.design, fn, Fixed(16, 12), Fixed(16, 12)) for fn in _DULUTS},
    # 8-bit distances: 0 to 256 steps of beta / 256
    "dulut_exp20": partial(DULUT.design, exp20, Fixed(9, 8), Fixed(17, 15), n2=64, domain=(-1.0, 0.0)),
}
