"""Integers and fixed point: a code ``q`` stands for ``q * 2**-frac``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats.base import Format
from intsim.rounding import TIES_TO_EVEN, Rounding

__all__ = ["Fixed", "Int", "round_real"]


@dataclass(frozen=True)
class Fixed(Format):
    """A fixed-point number of `bits` bits of which `frac` lie behind the binary point.

    Parameters
    ----------
    bits : 1 to 64
    frac : fraction bits; may be negative or exceed `bits`
    signed : two's complement (default) or unsigned

    Examples
    --------
    >>> Fixed(16, 12).encode(1.5)
    array(6144, dtype=int16)
    >>> str(Fixed(16, 12)), Fixed(16, 12).hi
    ('s16.12', 32767)
    """

    frac: int
    signed: bool = True

    def __post_init__(self) -> None:
        _check_shape(self.bits, self.frac, self.signed)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}.{self.frac}"

    def encode(self, values: Any, rounding: Rounding = TIES_TO_EVEN, saturate: bool = False) -> np.ndarray:
        """Codes for real values, rounded by `rounding`.

        Raises
        ------
        IntsimError
            A value is not finite, or out of range and `saturate` is not set.
        """
        try:
            real, rounding = np.asarray(values, dtype=np.float64), Rounding(rounding)
        except (TypeError, ValueError) as error:
            raise IntsimError(f"{error}; give real numbers, and a mode of intsim.rounding") from None
        if not np.all(np.isfinite(real)):
            raise IntsimError(f"{self} holds no NaN or infinity; remove them before encoding")
        scaled = round_real(np.ldexp(real, self.frac), rounding)
        outside = (scaled < self.lo) | (scaled > self.hi)
        if np.any(outside) and not saturate:
            first = float(real[outside].flat[0] if real.ndim else real)
            raise IntsimError(
                f"{first!r} is outside {self} = [{self.decode(self.lo)}, {self.decode(self.hi)}]; "
                "pass saturate=True or use a format with fewer fraction bits"
            )
        inside = np.clip(scaled, self.lo, self.hi)
        if self.bits < 54:
            return inside.astype(self.dtype)
        # float64 rounds hi of the widest formats up to 2**63 or 2**64: clip again as integers
        exactly = [min(max(int(v), self.lo), self.hi) for v in inside.reshape(-1)]
        return np.array(exactly, dtype=self.dtype).reshape(inside.shape)

    def decode(self, codes: Any) -> np.ndarray:
        return np.ldexp(np.asarray(codes).astype(np.float64), -self.frac)


@dataclass(frozen=True)
class Int(Fixed):
    """An integer of `bits` bits: fixed point without fraction bits.

    Examples
    --------
    >>> str(Int(8)), Int(8).lo, Int(8, signed=False).hi
    ('s8', -128, 255)
    """

    frac: int = 0
    signed: bool = True

    def __init__(self, bits: int, signed: bool = True, frac: int = 0) -> None:
        if frac != 0:
            raise IntsimError(f"Int has no fraction bits, got frac={frac}; use Fixed({bits}, {frac})")
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "frac", 0)
        object.__setattr__(self, "signed", signed)
        _check_shape(bits, 0, signed)

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}"


def _check_shape(bits: Any, frac: Any, signed: Any) -> None:
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= 64:
        raise IntsimError(f"a format has 1 to 64 bits, got {bits!r}; choose a width in that range")
    if not isinstance(frac, int) or isinstance(frac, bool) or abs(frac) > 1000:
        raise IntsimError(f"frac must be an integer between -1000 and 1000, got {frac!r}")
    if not isinstance(signed, bool):
        raise IntsimError(f"signed must be True or False, got {signed!r}")


def round_real(values: np.ndarray, mode: Rounding) -> np.ndarray:
    """Real values rounded to whole numbers by `mode`; exact in float64. For encoding, never inside an operator."""
    floor = np.floor(values)
    rest = values - floor  # exact: both have the same exponent or rest is below one
    if mode == Rounding.TO_NEG:
        return floor
    if mode == Rounding.TO_ZERO:
        return np.trunc(values)
    if mode == Rounding.TIES_TO_EVEN:
        return np.rint(values)
    up = rest >= 0.5 if mode == Rounding.TIES_TO_POS else (rest > 0.5) | ((rest == 0.5) & (values >= 0))
    return floor + up
