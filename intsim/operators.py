"""What the integer operators share: an input format, the real scale they were designed for, and their checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.formats import Format, Int
from intsim.formats.span import Span
from intsim.parameters import note
from intsim.rounding import Rounding
from intsim.unit import Unit

__all__ = [
    "Elementwise",
    "Row",
    "check_kinds",
    "check_products",
    "from_scale",
    "non_positive",
    "require_int",
    "require_ints",
    "signed_port",
]

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
        """The scale that the integer constants imply; used where no exact one is noted.

        Raises
        ------
        IntsimError
            The operator's constants imply none, as those of a norm.
        """
        raise IntsimError(f"{self.name}: its integer constants imply no scale; give scale=(m, k)")

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
        for i, (port, fmt) in enumerate(self.inputs.items()):
            if fmt.bits > _WIDEST:
                worst = max(int(columns[i].max()), -int(columns[i].min()))
                if worst >> _WIDEST:
                    raise IntsimError(f"{port}: {worst} needs more than {_WIDEST} bits; shift the codes to the right")
                columns[i] = columns[i].astype(np.int64, copy=False)  # uint64 and int64 make floats together
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
        check_kinds(self)
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


def require_ints(unit: Unit, name: str) -> None:
    """Field `name` must be an integer, or a sequence or array of them; it becomes a tuple of Python integers.

    Raises
    ------
    DtypeError
        Something else, such as floats.
    """
    given = getattr(unit, name)
    try:
        values = np.asarray(given, dtype=object).reshape(-1).tolist()
    except ValueError:
        values = [given]
    if not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        bad = next(v for v in values if not isinstance(v, (int, np.integer)) or isinstance(v, bool))
        raise DtypeError(f"{name} holds integers, found {bad!r}; design() computes them from real values")
    object.__setattr__(unit, name, tuple(int(v) for v in values))


def check_kinds(unit: Unit) -> None:
    """Formats must be formats, rounding modes modes and switches booleans; a mode may be given by number or name.

    Raises
    ------
    IntsimError
        A field of another kind.
    """
    for field in dataclasses.fields(unit):
        value = getattr(unit, field.name)
        if field.type == "Rounding" and not isinstance(value, Rounding):
            try:
                mode = Rounding[value] if isinstance(value, str) else Rounding(value)
            except (KeyError, ValueError):
                raise UnknownName("rounding mode", str(value), Rounding.__members__) from None
            object.__setattr__(unit, field.name, mode)
        elif field.type == "bool" and not isinstance(value, bool):
            if not isinstance(value, np.bool_) and value not in (0, 1):
                raise IntsimError(f"{field.name} must be True or False, got {value!r}")
            object.__setattr__(unit, field.name, bool(value))
        elif field.type == "Format" and not isinstance(value, Format):
            raise IntsimError(f"{field.name} must be a number format such as Int(8), got {value!r}")


def from_scale(scale: float) -> tuple[int, int]:
    """A positive finite float as ``(m, k)`` with ``scale == m * 2**-k`` exactly.

    Raises
    ------
    IntsimError
        Not a number, not positive, or not finite.
    """
    try:
        value = float(scale)
    except (TypeError, ValueError):
        raise IntsimError(f"a scale is one positive number, got {scale!r}; give the real value of one code") from None
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
