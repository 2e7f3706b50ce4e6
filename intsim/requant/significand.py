"""Accumulators times float32 scales, on the scales' bit patterns: the operators behind the float conventions."""

from __future__ import annotations

import enum

from intsim.exact import exact
from intsim.formats.minifloat import bit_length, exponent_of, significand
from intsim.requant.arithmetic import ONE_ROUNDING, rescale
from intsim.requant.binary32 import BITS, FRACTION, from_double, rounded_product, saturate16
from intsim.rounding import TIES_AWAY, TIES_TO_POS, saturate, shift_round

__all__ = ["Method", "narrow", "requantize_by_float", "scaled", "sixteen_bit_product"]


class Method(enum.IntEnum):
    """How the accumulator meets the scale."""

    FLOAT = 0  # a float32 product
    FIXED_TO_POS = 1  # 24-bit significand, one rounding
    FIXED_AWAY = 2
    TWO_ROUNDINGS = 3
    TWO_ROUNDINGS_WRAPPING = 4  # and a zero point added in 32 bits
    SIXTEEN_BITS = 5

    @property
    def description(self) -> str:
        """In words, for tables."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    Method.FLOAT: "float32(acc) times scale in float32, to an integer `TIES_TO_EVEN`",
    Method.FIXED_TO_POS: "acc times the significand, one rounding: `TIES_TO_POS`",
    Method.FIXED_AWAY: "acc times the significand, one rounding: `TIES_AWAY`",
    Method.TWO_ROUNDINGS: "two roundings: `TIES_TO_POS` at 31 bits, `TIES_AWAY` of the rest",
    Method.TWO_ROUNDINGS_WRAPPING: "the same, and the sum with the zero point wraps at 32 bits",
    Method.SIXTEEN_BITS: "acc brought to 16 bits, times 15 bits of the significand, each `TIES_TO_POS`",
}


@exact
def narrow(patterns, out):
    """float64 bit patterns to the closest float32's."""
    for k in range(patterns.size):
        out[k] = from_double(patterns[k])


@exact
def requantize_by_float(acc, scale, zero_point, lo, hi, method, out):
    """Every accumulator with the scale, whose float32 bit pattern is given, zero point and clamp beside it."""
    for k in range(acc.size):
        value = scaled(acc[k], scale[k], method) + zero_point[k]
        if method == Method.TWO_ROUNDINGS_WRAPPING:
            value = ((value + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31)
        if method == Method.SIXTEEN_BITS:
            value = saturate16(value)
        out[k] = saturate(value, lo[k], hi[k])


@exact
def scaled(acc, code, method):
    """An accumulator times a scale as an integer, by one of the methods."""
    if method == Method.FLOAT:
        return rounded_product(acc, code)
    m, e = significand(code, BITS, FRACTION), exponent_of(code, BITS, FRACTION)
    if method == Method.FIXED_TO_POS:
        return rescale(acc * m, -e, 0, ONE_ROUNDING, TIES_TO_POS)
    if method == Method.FIXED_AWAY:
        return rescale(acc * m, -e, 0, ONE_ROUNDING, TIES_AWAY)
    if method == Method.SIXTEEN_BITS:
        return sixteen_bit_product(acc, m, e)
    return rescale(acc * (m << 7), 7 - e, 31, TIES_TO_POS, TIES_AWAY)


@exact
def sixteen_bit_product(acc, m, e):
    """XNNPACK's rndnu16: the accumulator brought to 16 bits by the scale's exponent, times its upper 15 bits.

    With ``scale = m * 2**e`` and `m` of 24 bits: ``2**(e + 24)`` times the accumulator, ``TIES_TO_POS`` and limited
    to 16 bits; then times ``m * 2**-24`` in 15 bits, ``TIES_TO_POS`` again.
    """
    missing = 24 - bit_length(m)  # a subnormal scale: as if it were normal
    multiplier = min(shift_round(m << missing, 9, TIES_TO_POS), (1 << 15) - 1)
    near = saturate16(rescale(acc, missing - e - 24, 0, ONE_ROUNDING, TIES_TO_POS))
    return shift_round(near * multiplier, 15, TIES_TO_POS)
