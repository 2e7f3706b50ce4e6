"""The field's requantisers, by name.

Those with a float32 scale are in :mod:`intsim.requant.float_scale`; here are those with an integer multiplier,
called as ``CONVENTIONS[name](acc, multiplier, shift)`` with TFLite's shift: the real scale is
``multiplier * 2**(shift - 31)``. What each project computes, checked against outputs of its own code:

* one rounding of ``acc * multiplier / 2**(31 - shift)``: ``TIES_TO_POS`` in TFLite built with
  ``TFLITE_SINGLE_ROUNDING``, CMSIS-NN built with ``CMSIS_NN_USE_SINGLE_ROUNDING``, ruy, TVM's default (UPWARD,
  per-axis form) and TOSA; ``TIES_AWAY`` in TVM's TONEAREST; ``TO_NEG`` in TVM's TRUNCATE (what HAWQ-V3 deploys)
  and PULP's requantisation step; ``TIES_TO_EVEN`` in HAWQ-V3, I-BERT and I-ViT, whose multiplier can be 2**31;
* two roundings, ``TIES_TO_POS`` at 31 bits and ``TIES_AWAY`` of the rest: gemmlowp's pair of primitives, TFLite's
  default build, CMSIS-NN's default build and TOSA's DOUBLE_ROUND (written differently there and equal to it);
* with a 64-bit accumulator the multiplier is reduced to 15 bits first and there is one rounding, ``TIES_TO_POS``,
  in either build of TFLite.

PULP's step adds a constant to the product; that is the third value of a channel of :class:`Requantizer`. Deeploy's
kernels round the same step ``TIES_TO_POS`` by a flag: ``dataclasses.replace(..., rounding=TIES_TO_POS)``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from intsim.errors import UnknownName
from intsim.formats import Int, dyadic
from intsim.formats.span import Span
from intsim.requant.documented import Documented
from intsim.requant.float_scale import FLOAT, FloatConvention
from intsim.requant.requantizer import Requantizer
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG

__all__ = ["CONVENTIONS", "INTEGER", "from_scales", "lookup", "scale_rule"]

_single = Requantizer(rounding=TIES_TO_POS)
_double = Requantizer(first=TIES_TO_POS, rounding=TIES_AWAY)
_int64 = Requantizer(acc=Int(48), reduced=True, rounding=TIES_TO_POS)
_hawq = Requantizer(multiplier=Span(32, 0, 1 << 31, signed=False), rounding=TIES_TO_EVEN)

_TFLITE_SHIFTS = (-31, 30)
_TOSA = Documented(shift=(-31, 29), below_half=True)
_NORMALISED = Documented(multiplier=(1 << 30, 1 << 31))


def _named(unit: Requantizer, documented: Documented, **changes) -> tuple[Requantizer, Documented]:
    return dataclasses.replace(unit, **changes), documented


_TABLE = {
    "tflite_double": _named(_double, Documented(shift=_TFLITE_SHIFTS, shifted_bits=32)),
    "tflite_single": _named(_single, Documented(shift=_TFLITE_SHIFTS)),
    "tflite_int64": _named(_int64, Documented(shift=(-31, 7))),
    "cmsis_double": _named(_double, Documented(shift=_TFLITE_SHIFTS, shifted_bits=32)),
    "cmsis_single": _named(_single, Documented(shift=_TFLITE_SHIFTS)),
    "cmsis_int64": _named(_int64, Documented(shift=(-31, 7), result_bits=31)),
    "ruy": _named(_single, Documented(shift=(-31, 7))),
    "tvm_upward": _named(_single, Documented()),
    "tvm_tonearest": _named(_single, Documented(), rounding=TIES_AWAY),
    "tvm_truncate": _named(_single, Documented(), rounding=TO_NEG),
    "tosa_single": _named(_single, _TOSA),
    "tosa_double": _named(_double, _TOSA),
    "tosa_scale16": _named(
        _single,
        dataclasses.replace(_TOSA, multiplier=(0, (1 << 15) - 1)),
        acc=Int(48),
        multiplier=Int(15, signed=False),
    ),
    "hawq": _named(_hawq, _NORMALISED),
    "ibert": _named(_hawq, _NORMALISED),
    "ivit": _named(_hawq, _NORMALISED),
    "gemmlowp": _named(_double, Documented(shift=(-31, 0)), shift=Span(8, -128, 0)),
    "pulp_rqs": _named(_single, Documented(shift=(0, 31), product_bits=32), rounding=TO_NEG),
}

INTEGER: Mapping[str, Requantizer] = MappingProxyType(
    {
        name: dataclasses.replace(unit, convention=name, documented=documented)
        for name, (unit, documented) in _TABLE.items()
    }
)
"""Conventions with an integer multiplier: ports ``acc``, ``multiplier`` and ``shift``, a 32-bit result."""

CONVENTIONS: Mapping[str, Requantizer | FloatConvention] = MappingProxyType({**INTEGER, **FLOAT})
"""Every convention by name: integer multipliers ``(acc, multiplier, shift)``, then float32 scales
``(acc, scale, zero_point, lo, hi)``."""


def lookup(name: str) -> Requantizer | FloatConvention:
    """The convention called `name`; an unknown one raises :class:`UnknownName` with the nearest."""
    if name not in CONVENTIONS:
        raise UnknownName("convention", name, CONVENTIONS)
    return CONVENTIONS[name]


def scale_rule(name: str) -> dyadic.ScaleRule:
    """How the project of an integer convention turns a real scale into multiplier and shift."""
    if name in ("hawq", "ibert", "ivit"):
        return dyadic.RULES["hawq"]
    if name == "tosa_scale16":
        return dataclasses.replace(dyadic.RULES["tflite_double"], bits=15, k_max=None)
    return dyadic.RULES["tflite_single" if name.endswith("_single") or name == "ruy" else "tflite_double"]


def from_scales(name: str, scales: Any, **changes: Any) -> Requantizer:
    """The integer convention `name` with the multipliers and shifts of real scales, one per channel.

    Parameters
    ----------
    scales : one real scale (per tensor), or several (per channel)
    **changes : other parameters of :class:`Requantizer`, such as ``y``, ``zero_point``, ``lo``, ``hi``

    Examples
    --------
    >>> unit = from_scales("tflite_double", 0.0123, y=Int(8), zero_point=-3)
    >>> unit([1000, -1000])
    array([  9, -15], dtype=int8)
    """
    if name not in INTEGER:
        raise UnknownName("integer convention", name, INTEGER)
    m, k = scale_rule(name)(np.atleast_1d(scales))
    channels = tuple((int(multiplier), 31 - int(shift)) for multiplier, shift in zip(m, k, strict=True))
    return dataclasses.replace(INTEGER[name], channels=channels, **changes)
