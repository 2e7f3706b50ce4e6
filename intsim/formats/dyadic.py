"""Dyadic scales: a positive real factor as ``m * 2**-k``, by the rule each project uses.

An integer network multiplies by ``m`` and shifts by ``k`` in place of a real factor. How ``m`` and ``k`` are found
differs between projects in the width of ``m``, in the tie, and in what happens when rounding carries out of the
top. All rules here take the fraction ``f`` in [1/2, 1) with ``scale = f * 2**x`` and give ``m`` close to
``f * 2**bits`` with ``k = bits - x``:

===================  ====  =====================================  =================================
rule                 bits  ``m`` from ``f * 2**bits``             when that is ``2**bits``
===================  ====  =====================================  =================================
``hawq``             31    ``TIES_TO_POS``                        kept: ``m = 2**31`` needs 32 bits
``tflite_double``    31    ``TIES_AWAY``                          halved, ``k - 1``
``tflite_single``    31    as above; scales >= 2**30 are limited  halved, ``k - 1``
``fbgemm``           31    exact (the scale is a float32)         cannot happen
``xnnpack``          24    exact (the scale is a float32)         cannot happen
``xnnpack_rndnu16``  15    ``TIES_TO_POS`` of the float32         limited to ``2**15 - 1``
``illm``             8     ``TIES_TO_POS``: ``m`` in [128, 255]   halved, ``k - 1``
===================  ====  =====================================  =================================

``hawq`` is also I-BERT's and I-ViT's rule; ``fbgemm`` is QNNPACK's as well. Both builds of TFLite give 0 for
scales whose shift would pass 31 bits to the right.

Sources: HAWQ-V3 ``batch_frexp``; TensorFlow Lite ``QuantizeMultiplier`` (with and without
``TFLITE_SINGLE_ROUNDING``); FBGEMM ``ChooseRequantizationMultiplier``; XNNPACK's rndnu and rndnu16 parameters;
I-LLM (arXiv 2405.17849), which says 8 bits for ``m`` and ``k`` and leaves the search open: taking the fraction's
leading bits is our reading, and the width is a parameter (``illm(16)``).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.parameters import Parameters
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, Rounding

__all__ = ["RULES", "Carry", "ScaleRule", "decode", "illm"]

_DOUBLE_BITS = 53  # significand of a float64


class Carry(enum.Enum):
    """What a rule does when the mantissa rounds up to ``2**bits``."""

    KEEP = "keep"  # the mantissa has one more bit
    HALVE = "halve"  # renormalise: 2**(bits-1) and one less in the exponent
    LIMIT = "limit"  # 2**bits - 1


@dataclass(frozen=True)
class ScaleRule(Parameters):
    """One published way from a real scale to ``m * 2**-k``. Call it on scales.

    Parameters
    ----------
    bits : width of the mantissa, 2 to 31
    rounding : of the fraction
    carry : when rounding reaches ``2**bits``
    single : the scale is a float32; a float64 is rounded to one first (``TIES_TO_EVEN``)
    k_max : larger ``k`` give ``m = 0`` and ``k = bits``; None for no limit
    k_min : smaller ``k`` give the largest mantissa and ``k_min``; None for no limit
    """

    bits: int
    rounding: Rounding
    carry: Carry
    single: bool = False
    k_max: int | None = None
    k_min: int | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 31:
            raise IntsimError(f"a mantissa has 2 to 31 bits, got {self.bits}; choose a width in that range")

    def __call__(self, scale: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mantissas and exponents: ``scale`` is close to ``m * 2**-k``.

        Parameters
        ----------
        scale : real scales >= 0, any shape

        Returns
        -------
        m, k : int64 arrays of the same shape. A scale of 0 gives ``m = 0``, ``k = bits``.

        Raises
        ------
        IntsimError
            A scale that is negative, infinite or not a number.
        """
        fraction, exponent = _from_real(scale, self.single)
        m = _shift_right(fraction, _DOUBLE_BITS - self.bits, self.rounding)
        k = self.bits - exponent
        over = m >> self.bits != 0
        if self.carry is Carry.HALVE:
            m, k = np.where(over, m >> 1, m), np.where(over, k - 1, k)
        elif self.carry is Carry.LIMIT:
            m = np.where(over, (1 << self.bits) - 1, m)
        if self.k_min is not None:
            beyond = k < self.k_min
            m, k = np.where(beyond, (1 << self.bits) - 1, m), np.where(beyond, self.k_min, k)
        flushed = m == 0 if self.k_max is None else (m == 0) | (k > self.k_max)
        return np.where(flushed, 0, m)[()], np.where(flushed, self.bits, k)[()]

    def error_bound(self, scale: Any) -> np.ndarray:
        """The largest possible ``|m * 2**-k - scale|`` of this rule at each scale, float64.

        Half a unit of the last mantissa bit, so at most ``scale * 2**-bits``; with a float32 in between
        ``scale * 2**-24`` more. A scale beyond ``k_max`` or ``k_min`` is lost or limited: there the bound is the
        error itself.
        """
        real = np.asarray(scale, dtype=np.float64)
        m, k = self(real)
        relative = 2.0**-self.bits + (2.0**-24 if self.single else 0.0)
        limited = (m == 0) | ((k == self.k_min) if self.k_min is not None else np.zeros(np.shape(k), dtype=bool))
        return np.where(limited, np.abs(decode(m, k) - real), real * relative)[()]


def decode(m: Any, k: Any) -> np.ndarray:
    """The real value ``m * 2**-k``, float64 (exact for mantissas up to 53 bits)."""
    return np.ldexp(np.asarray(m, dtype=np.float64), -np.asarray(k))


def illm(bits: int = 8) -> ScaleRule:
    """I-LLM's dyadic scale with a mantissa of `bits` bits, in ``[2**(bits-1), 2**bits - 1]``."""
    return ScaleRule(bits, TIES_TO_POS, Carry.HALVE)


_TFLITE = ScaleRule(31, TIES_AWAY, Carry.HALVE, k_max=62)

RULES: Mapping[str, ScaleRule] = MappingProxyType(
    {
        "hawq": ScaleRule(31, TIES_TO_POS, Carry.KEEP),
        "ibert": ScaleRule(31, TIES_TO_POS, Carry.KEEP),
        "ivit": ScaleRule(31, TIES_TO_POS, Carry.KEEP),
        "tflite_double": _TFLITE,
        "tflite_single": dataclasses.replace(_TFLITE, k_min=1),
        "fbgemm": ScaleRule(31, TIES_TO_EVEN, Carry.KEEP, single=True),
        "qnnpack": ScaleRule(31, TIES_TO_EVEN, Carry.KEEP, single=True),
        "xnnpack": ScaleRule(24, TIES_TO_EVEN, Carry.KEEP, single=True),
        "xnnpack_rndnu16": ScaleRule(15, TIES_TO_POS, Carry.LIMIT, single=True),
        "illm": illm(),
    }
)
"""Every rule by the name of the project that uses it."""


def _from_real(scale: Any, single: bool) -> tuple[np.ndarray, np.ndarray]:
    """Fraction as an integer of 53 bits and binary exponent: ``scale = fraction * 2**(exponent - 53)``, exactly."""
    real = np.asarray(scale, dtype=np.float64)
    if not np.all(np.isfinite(real)) or np.any(real < 0):
        bad = real[~(np.isfinite(real) & (real >= 0))].flat[0] if real.ndim else real[()]
        raise IntsimError(f"a scale must be finite and not negative, got {bad!r}; fold its sign into the weights")
    fraction, exponent = np.frexp(real)
    whole = np.ldexp(fraction, _DOUBLE_BITS).astype(np.int64)
    exponent = exponent.astype(np.int64)
    if single:
        # 24 bits, or fewer below the smallest normal float32
        drop = _DOUBLE_BITS - np.clip(exponent + 149, 0, 24)
        whole = _shift_right(whole, drop, TIES_TO_EVEN) << drop
        carried = whole >> _DOUBLE_BITS != 0
        whole, exponent = np.where(carried, whole >> 1, whole), np.where(carried, exponent + 1, exponent)
        if np.any(exponent > 128):
            raise IntsimError(f"the scale {np.max(real)!r} is beyond float32; use a smaller scale")
    return whole, exponent


def _shift_right(values: np.ndarray, count: Any, mode: Rounding) -> np.ndarray:
    """Non-negative `values` shifted right by `count` in 1 .. 53, closest, ties by `mode`."""
    below = values >> (count - 1)
    floor, half = below >> 1, below & 1
    if mode == TIES_TO_EVEN:
        rest = (values != below << (count - 1)).astype(np.int64)
        return floor + (half & ((floor & 1) | rest))
    return floor + half  # above zero, away from zero and towards plus are the same
