"""float32 arithmetic on bit patterns, with integers only.

Where a project defines its result by float32 operations, these compute it: rounded once, ties to even, subnormal
numbers kept, whatever the host's rounding mode or flush-to-zero setting. Codes are as in
:mod:`intsim.formats.minifloat`; an infinity behaves as the number 2**128.
"""

from __future__ import annotations

from intsim.exact import exact
from intsim.formats.minifloat import bit_length, exponent_of, pack, significand
from intsim.requant.arithmetic import shift_left_limited
from intsim.rounding import TIES_TO_EVEN, saturate, shift_round

__all__ = ["add_integer", "divide", "from_double", "from_integer", "multiply", "subtract", "to_integer"]

BITS, FRACTION = 32, 23


@exact
def from_integer(value):
    """The float32 closest to an integer below 2**62."""
    return pack(value, 0, BITS, FRACTION)


@exact
def from_double(code):
    """The float32 closest to a float64, whose bit pattern is given as a signed 64-bit integer."""
    magnitude = code & ((1 << 63) - 1)
    field = magnitude >> 52
    m = (magnitude & ((1 << 52) - 1)) + ((field != 0) << 52)
    return pack(m - 2 * m * (code < 0), max(field, 1) - 1075, BITS, FRACTION)


@exact
def multiply(a, b):
    """``a * b``."""
    m = significand(a, BITS, FRACTION) * significand(b, BITS, FRACTION)
    return pack(m, exponent_of(a, BITS, FRACTION) + exponent_of(b, BITS, FRACTION), BITS, FRACTION)


@exact
def divide(a, b):
    """``a / b``; `b` is not zero."""
    m, n = significand(a, BITS, FRACTION), significand(b, BITS, FRACTION)
    up = 61 - bit_length(abs(m))  # as many quotient bits as fit: at least 37
    quotient = (abs(m) << up) // abs(n)
    inexact = quotient * abs(n) != abs(m) << up
    signed = (quotient | inexact) * (1 - 2 * ((m < 0) ^ (n < 0)))
    return pack(signed, exponent_of(a, BITS, FRACTION) - exponent_of(b, BITS, FRACTION) - up, BITS, FRACTION)


@exact
def add_integer(a, value):
    """``a + value`` for an integer of at most 16 bits."""
    m, e = significand(a, BITS, FRACTION), exponent_of(a, BITS, FRACTION)
    if e >= 0:  # beyond 2**38 the integer is below half a unit
        return pack((m << e) + value, 0, BITS, FRACTION) if e <= 37 else a
    if e >= -44:
        return pack(m + (value << -e), e, BITS, FRACTION)
    if value == 0:
        return a
    below = shift_floor(m, -44 - e)
    inexact = m != below << min(-44 - e, 62)
    return pack(2 * (below + (value << 44)) + inexact, -45, BITS, FRACTION)


@exact
def shift_floor(value, count):
    """``value >> count`` for any `count` >= 0."""
    return value >> min(count, 62)


@exact
def subtract(a, b):
    """``a - b`` for ``a >= 0 >= b``."""
    m, e = significand(a, BITS, FRACTION), exponent_of(a, BITS, FRACTION)
    n, f = -significand(b, BITS, FRACTION), exponent_of(b, BITS, FRACTION)
    if e < f:
        m, e, n, f = n, f, m, e
    apart = min(e - f, 36)  # 36 bits apart the smaller one only shows that the sum is not exact
    small = n >> min(e - f - apart, 62)
    inexact = n != small << min(e - f - apart, 62)
    return pack(2 * ((m << apart) + small) + inexact, e - apart - 1, BITS, FRACTION)


@exact
def to_integer(a):
    """The closest integer, ties to even, limited to +-2**48."""
    m, e = significand(a, BITS, FRACTION), exponent_of(a, BITS, FRACTION)
    if e >= 0:
        return shift_left_limited(m, e)
    return shift_round(m, -e, TIES_TO_EVEN)


@exact
def rounded_product(value, factor):
    """An integer times a float32, as C computes ``lrintf((float)value * factor)``."""
    return to_integer(multiply(from_integer(value), factor))


@exact
def saturate16(value):
    """`value` limited to 16 bits."""
    return saturate(value, -(1 << 15), (1 << 15) - 1)
