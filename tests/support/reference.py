"""Rounding and requantisation written from the definitions, with fractions: slow, and independent of the package."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from intsim.rounding import Rounding

__all__ = ["clamp", "requantize_exactly", "round_fraction"]


def round_fraction(value: Fraction, mode: Rounding) -> int:
    """`value` rounded to an integer by `mode`."""
    below = floor(value)
    rest = value - below
    if rest == 0:
        return below
    match mode:
        case Rounding.TO_NEG:
            return below
        case Rounding.TO_ZERO:
            return below if value > 0 else below + 1
    if rest != Fraction(1, 2):
        return below + (rest > Fraction(1, 2))
    match mode:
        case Rounding.TIES_TO_POS:
            return below + 1
        case Rounding.TIES_AWAY:
            return below + 1 if value > 0 else below
    return below + below % 2


def clamp(value: int, lo: int, hi: int) -> int:
    return min(max(value, lo), hi)


def requantize_exactly(product: int, amount: int, rounding: Rounding, first: Rounding | None = None) -> int:
    """``product / 2**amount`` in one rounding, or with `first` in two, the first one at 31 bits."""
    if first is None or amount <= 31:
        return round_fraction(Fraction(product) / Fraction(2) ** amount, rounding if first is None else first)
    middle = round_fraction(Fraction(product, 1 << 31), first)
    return round_fraction(Fraction(middle, 1 << (amount - 31)), rounding)
