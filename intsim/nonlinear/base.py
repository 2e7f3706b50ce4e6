"""What the integer operators share: an input format, the real scale they were designed for, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Format, Int
from intsim.formats.span import Span
from intsim.parameters import note
from intsim.unit import Unit

__all__ = ["Elementwise", "Row", "check_products", "from_scale", "non_positive", "require_int", "signed_port"]

INT32 = Int(32)
_WIDEST = 60  # bits of an input that leave room for a difference and a multiplication by 1.4375


@dataclass(frozen=True)
class Elementwise(Unit):
    """An operator on integers ``q`` that stand for ``q * scale``; the scale itself is never stored in hardware.

    Parameters
    ----------
    x : Format
        Format of the input codes.
    scale : (m, k), the real scale ``m * 2**-k`` the constants were designed for (a note, not part of identity)
    """

    _: KW_ONLY
    x: Format = INT32
    scale: tuple[int, int] | None = note()

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def implied_scale(self) -> Fraction:
        """The scale that the integer constants imply; used where no exact one is noted."""
        raise NotImplementedError

    @property
    def step(self) -> Fraction:
        """The real scale of one code: as noted, else as the constants imply."""
        return Fraction(self.scale[0], 1 << self.scale[1]) if self.scale else self.implied_scale

    def _from_port(self, decoded: Any) -> np.ndarray:
        """Real arguments of the function from decoded port values (a port without fraction bits carries codes)."""
        frac = getattr(self.x, "frac", 0)
        unit = self.step * (Fraction(2) ** frac)
        return np.asarray(decoded, dtype=np.float64) * float(unit)

    def _admit(self, arrays: tuple[Any, ...]) -> tuple[list[np.ndarray], tuple[int, ...]]:
        columns, shape = super()._admit(arrays)
        for (port, fmt), column in zip(self.inputs.items(), columns, strict=True):
            if fmt.bits > _WIDEST:
                worst = max(int(column.max()), -int(column.min()))
                if worst >> _WIDEST:
                    raise IntsimError(f"{port}: {worst} needs more than {_WIDEST} bits; shift the codes to the right")
        return columns, shape


@dataclass(frozen=True)
class Row(Elementwise):
    """An operator on rows (last axis); any leading shape.

    Parameters
    ----------
    max_row : the longest row that the hardware holds. The golden model takes every row whose values cannot
        overflow, also longer ones.
    """

    _: KW_ONLY
    max_row: int = 4096

    @property
    def row_length(self) -> int | None:
        """The only length a row may have, where there are constants per channel."""
        return None

    def _check_row(self) -> None:
        require_int(self, "max_row", 1, 1 << 24, "choose the longest row you need")


def require_int(unit: Unit, name: str, lo: int, hi: int, remedy: str) -> None:
    """Field `name` must be an integer in ``[lo, hi]``; NumPy integers become Python's.

    Raises
    ------
    IntsimError
        Not an integer, or outside.
    """
    value = getattr(unit, name)
    if isinstance(value, np.integer):
        value = int(value)
        object.__setattr__(unit, name, value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise IntsimError(f"{name} must be an integer, got {value!r}; design(scale=...) computes it from a real scale")
    if not lo <= value <= hi:
        raise IntsimError(f"{name} must lie in [{lo}, {hi}], got {value}; {remedy}")


def from_scale(scale: float) -> tuple[int, int]:
    """A positive finite float as ``(m, k)`` with ``scale == m * 2**-k`` exactly.

    Raises
    ------
    IntsimError
        Not positive, or not finite.
    """
    value = float(scale)
    if not (np.isfinite(value) and value > 0):
        raise IntsimError(f"a scale is positive and finite, got {scale!r}; give the real value of one code")
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


def non_positive(bits: int) -> Span:
    """The format of what is left of a row when its maximum is subtracted: ``-2**(bits-1) .. 0``."""
    return Span(bits, -(1 << (bits - 1)), 0)


def signed_port(lo: int, hi: int) -> Int:
    """The narrowest signed integer format for ``[lo, hi]``; 64 bits at most (callers check values beyond)."""
    bits = max(hi.bit_length(), (-lo - 1).bit_length() if lo < 0 else 0) + 1
    return Int(min(bits, 64))


def check_products(what: str, factor: int, *factors: np.ndarray) -> None:
    """The product of the arrays, element by element, times `factor` must fit int64.

    A bound from the arrays' extremes settles most calls; only where it does not are the products computed.

    Raises
    ------
    IntsimError
        A product needs more than 63 bits.
    """
    bound = abs(factor)
    for array in factors:
        bound *= max(int(array.max()), -int(array.min()))
    if bound >> 63 == 0:
        return
    worst = abs(factor) * np.abs(np.prod([array.astype(object) for array in factors], axis=0)).max()
    if worst >> 63:
        raise IntsimError(f"{what} reaches {worst}, {worst.bit_length() + 1} bits of 64; use narrower inputs")
