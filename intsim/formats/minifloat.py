"""Small binary floating-point numbers, stored as their bit patterns: IEEE binary16 and bfloat16.

A code is the pattern ``sign | exponent | fraction`` as an unsigned integer. With exponent field ``E``, fraction
field ``F`` of `fraction` bits and ``bias = 2**(exponent - 1) - 1`` it stands for::

    (-1)**sign * (F + (2**fraction if E else 0)) * 2**(max(E, 1) - bias - fraction)

and for infinity (``F == 0``) or NaN where `E` is all ones. The functions below the class work on such codes with
integers only; every operator on these formats is built from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact
from intsim.formats.base import Format
from intsim.formats.fixed import round_real
from intsim.rounding import TIES_TO_EVEN, Rounding, shift_round

__all__ = ["BFloat16", "Float16", "Minifloat", "bit_length", "exponent_of", "infinity", "order", "pack", "significand"]


@dataclass(frozen=True)
class Minifloat(Format):
    """A binary float of `bits` bits with `exponent` exponent bits, laid out and read as IEEE 754 does.

    Parameters
    ----------
    bits : 3 to 16, one of them the sign
    exponent : 2 to 8

    Examples
    --------
    >>> Float16().encode([1.0, -2.5])
    array([15360, 49408], dtype=uint16)
    >>> str(BFloat16()), BFloat16().max
    ('bf16', 3.3895313892515355e+38)
    """

    exponent: int

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (self.bits, self.exponent))
        if not whole or not 2 <= self.exponent <= 8 or not self.exponent + 2 <= self.bits <= 16:
            raise IntsimError(
                f"a minifloat has 2 to 8 exponent bits and up to 16 bits with a sign and a fraction, "
                f"got bits={self.bits!r}, exponent={self.exponent!r}; use Float16() or BFloat16()"
            )

    def __str__(self) -> str:
        return f"float{self.bits}e{self.exponent}"

    @property
    def signed(self) -> bool:
        """False: codes are bit patterns, whatever the sign of the number."""
        return False

    @property
    def fraction(self) -> int:
        """Bits of the fraction field."""
        return self.bits - 1 - self.exponent

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1

    @property
    def infinity(self) -> int:
        """The code of plus infinity."""
        return ((1 << self.exponent) - 1) << self.fraction

    @property
    def nan(self) -> int:
        """The code of the quiet NaN that operators return: positive, fraction 100...0."""
        return self.infinity | 1 << (self.fraction - 1)

    @property
    def largest(self) -> int:
        """The code of the largest finite number."""
        return self.infinity - 1

    @property
    def max(self) -> float:
        """The largest finite number."""
        return self.decode(self.largest).item()

    def codes(self) -> np.ndarray:
        """Every code, ascending: negative NaNs, -infinity ... -0, +0 ... infinity, NaNs."""
        negative = np.arange(self.hi, self.hi >> 1, -1)
        return np.concatenate([negative, np.arange(0, (self.hi >> 1) + 1)]).astype(self.dtype)

    def finite_codes(self) -> np.ndarray:
        """The codes of all finite numbers, ascending, -0 left out."""
        negative = np.arange(self.largest, 0, -1) | 1 << (self.bits - 1)
        return np.concatenate([negative, np.arange(0, self.infinity)]).astype(self.dtype)

    def encode(self, values: Any, rounding: Rounding = TIES_TO_EVEN, saturate: bool = False) -> np.ndarray:
        """Codes for real values, rounded by `rounding`; NaN becomes the quiet NaN.

        Beyond the largest finite number the result is infinity, or the largest number where the mode rounds
        towards it (as IEEE 754 has it) or `saturate` is set. Infinities stay infinite unless `saturate`.
        """
        real = np.asarray(values, dtype=np.float64)
        nan, infinite = np.isnan(real), np.isinf(real)
        finite = np.where(nan | infinite, 0.0, real)
        exponent = np.maximum(np.frexp(finite)[1] - 1, 1 - self.bias)
        steps = np.abs(round_real(np.ldexp(finite, self.fraction - exponent), rounding)).astype(np.int64)
        # A carry out of the fraction runs into the exponent field and is right there, up to infinity.
        code = ((exponent + self.bias - 1).astype(np.int64) << self.fraction) + steps
        code = np.where(finite == 0, 0, code)
        positive = ~np.signbit(real)
        inward = (rounding == Rounding.TO_ZERO) | (positive & (rounding == Rounding.TO_NEG))
        code = np.where((code >= self.infinity) & (inward | saturate), self.largest, np.minimum(code, self.infinity))
        code = np.where(infinite, self.largest if saturate else self.infinity, code)
        code = np.where(positive, code, code | 1 << (self.bits - 1))
        return np.where(nan, self.nan, code).astype(self.dtype)

    def decode(self, codes: Any) -> np.ndarray:
        code = np.asarray(codes).astype(np.int64)
        magnitude = code & (self.hi >> 1)
        field, fraction = magnitude >> self.fraction, magnitude & ((1 << self.fraction) - 1)
        steps = fraction + np.where(field > 0, 1 << self.fraction, 0)
        value = np.ldexp(steps.astype(np.float64), np.maximum(field, 1) - self.bias - self.fraction)
        value = np.where(magnitude == self.infinity, np.inf, np.where(magnitude > self.infinity, np.nan, value))
        return np.where(code > self.hi >> 1, -value, value)


@dataclass(frozen=True)
class Float16(Minifloat):
    """IEEE 754 binary16: 5 exponent bits, 10 fraction bits."""

    bits: int = 16
    exponent: int = 5

    def __post_init__(self) -> None:
        _check_fixed(self, 16, 5)

    def __str__(self) -> str:
        return "f16"


@dataclass(frozen=True)
class BFloat16(Minifloat):
    """bfloat16: 8 exponent bits, 7 fraction bits."""

    bits: int = 16
    exponent: int = 8

    def __post_init__(self) -> None:
        _check_fixed(self, 16, 8)

    def __str__(self) -> str:
        return "bf16"


def _check_fixed(fmt: Minifloat, bits: int, exponent: int) -> None:
    if (fmt.bits, fmt.exponent) != (bits, exponent):
        raise IntsimError(
            f"{type(fmt).__name__} has {bits} bits and {exponent} exponent bits, got {fmt.bits} and {fmt.exponent}; "
            "use Minifloat for other shapes"
        )


@exact
def bit_length(value):
    """Bits of a non-negative integer below 2**63, 0 for 0: the leading-one position plus one."""
    length = 0
    for step in (32, 16, 8, 4, 2, 1):
        above = value >> step != 0
        length += step * above
        value >>= step * above
    return length + (value != 0)


@exact
def infinity(bits, fraction):
    """The code of plus infinity: one below it is the largest number, codes above are not numbers."""
    return ((1 << (bits - 1 - fraction)) - 1) << fraction


@exact
def order(code, bits):
    """An integer that orders codes as their values: minus the magnitude for negative ones, so -0 equals +0."""
    magnitude = code & ((1 << (bits - 1)) - 1)
    return magnitude - 2 * magnitude * (code >> (bits - 1))


@exact
def significand(code, bits, fraction):
    """The signed integer `m` of a finite code, whose value is ``m * 2**exponent_of(code)``."""
    magnitude = code & ((1 << (bits - 1)) - 1)
    m = (magnitude & ((1 << fraction) - 1)) + ((magnitude >> fraction != 0) << fraction)
    return m - 2 * m * (code >> (bits - 1))


@exact
def exponent_of(code, bits, fraction):
    """The exponent of the last fraction bit of a finite code."""
    field = (code & ((1 << (bits - 1)) - 1)) >> fraction
    bias = (1 << (bits - 2 - fraction)) - 1
    return max(field, 1) - bias - fraction


@exact
def pack(m, exponent, bits, fraction):
    """The code nearest to ``m * 2**exponent``, ties to even; 0 gives +0, overflow gives infinity.

    Parameters
    ----------
    m : int, ``|m| < 2**62``
    """
    magnitude = abs(m)
    bias = (1 << (bits - 2 - fraction)) - 1
    # the exponent field if normal; numbers below the smallest normal one, and 0, share the lowest exponent
    field = max((bit_length(magnitude) - 1 + exponent + bias) * (magnitude != 0), 1)
    steps = shift_round(magnitude, field - bias - fraction - exponent, TIES_TO_EVEN)
    code = min(((field - 1) << fraction) + steps, infinity(bits, fraction))
    return code + ((m < 0) << (bits - 1))
