"""Integers of a narrower range than their width, such as a multiplier of at most 2**31 in 32 bits."""

from __future__ import annotations

from dataclasses import dataclass

from intsim.errors import IntsimError
from intsim.formats.fixed import Fixed

__all__ = ["Span"]


@dataclass(frozen=True)
class Span(Fixed):
    """The integers ``low .. high``, carried in `bits` bits.

    Parameters
    ----------
    bits, signed : the code that carries them
    low, high : the smallest and the largest value

    Examples
    --------
    >>> str(Span(32, 0, 1 << 31, signed=False))
    'u32[0..2147483648]'
    """

    frac: int = 0
    signed: bool = True
    low: int = 0
    high: int = 0

    def __init__(self, bits: int, low: int, high: int, signed: bool = True, frac: int = 0) -> None:
        for name, value in (("bits", bits), ("frac", frac), ("signed", signed), ("low", low), ("high", high)):
            object.__setattr__(self, name, value)
        super().__post_init__()
        if frac != 0:
            raise IntsimError(f"Span has no fraction bits, got frac={frac}; use Fixed({bits}, {frac})")
        if not super().lo <= low <= high <= super().hi:
            raise IntsimError(
                f"{low}..{high} is no part of {super().lo}..{super().hi}; give low <= high inside, or more bits"
            )

    @property
    def lo(self) -> int:
        return self.low

    @property
    def hi(self) -> int:
        return self.high

    def __str__(self) -> str:
        return f"{'s' if self.signed else 'u'}{self.bits}[{self.low}..{self.high}]"
