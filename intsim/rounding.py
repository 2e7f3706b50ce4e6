"""The five rounding modes, by name, and the operations units end with: shift, divide, saturate.

Rounding a value ``v / 2**shift`` to an integer, the modes differ only in these cases:

=================  ==========================================  =====  =====  =====  =====
mode               rule                                        -2.5   -1.5    1.5    2.5
=================  ==========================================  =====  =====  =====  =====
``TO_NEG``         largest integer not above                     -3     -2      1      2
``TO_ZERO``        drop the fraction                             -2     -1      1      2
``TIES_TO_POS``    closest; a tie goes up                        -2     -1      2      3
``TIES_AWAY``      closest; a tie goes away from zero            -3     -2      2      3
``TIES_TO_EVEN``   closest; a tie goes to the even neighbour     -2     -2      2      2
=================  ==========================================  =====  =====  =====  =====
"""

from __future__ import annotations

import enum

from intsim.exact import exact

__all__ = [
    "TIES_AWAY",
    "TIES_TO_EVEN",
    "TIES_TO_POS",
    "TO_NEG",
    "TO_ZERO",
    "Rounding",
    "divide_round",
    "saturate",
    "shift_round",
]


class Rounding(enum.IntEnum):
    """How the fraction is dropped. The integer values are part of the JSON format."""

    TO_NEG = 0
    TO_ZERO = 1
    TIES_TO_POS = 2
    TIES_AWAY = 3
    TIES_TO_EVEN = 4

    def __str__(self) -> str:
        return self.name


TO_NEG = Rounding.TO_NEG
TO_ZERO = Rounding.TO_ZERO
TIES_TO_POS = Rounding.TIES_TO_POS
TIES_AWAY = Rounding.TIES_AWAY
TIES_TO_EVEN = Rounding.TIES_TO_EVEN


@exact
def saturate(value, lo, hi):
    """`value` limited to ``[lo, hi]``."""
    return min(max(value, lo), hi)


@exact
def shift_round(value, shift, mode):
    """``value / 2**shift`` rounded to an integer by `mode`.

    Parameters
    ----------
    value : int64
    shift : int, any; negative shifts to the left (the caller proves that the result fits)
    mode : Rounding

    Notes
    -----
    The bit below the result and the OR of all bits under it decide every mode, so no rounding constant
    is added and nothing can overflow. Counts above 64 equal 64 for every int64: the value is then less
    than half a unit, or exactly half for -2**63 at 64, and 65 settles that.
    """
    if shift <= 0:
        return value << min(-shift, 63)
    if shift > 64:
        value = -(value < 0) if mode == TO_NEG else value * 0
        return value
    below = value >> (shift - 1)  # the result with one fraction bit left
    half = below & 1
    floor = below >> 1
    rest = value != (below << (shift - 1))
    if mode == TO_NEG:
        return floor
    if mode == TO_ZERO:
        return floor + ((value < 0) & ((half != 0) | rest))
    if mode == TIES_TO_POS:
        return floor + half
    if mode == TIES_AWAY:
        return floor + (half & ((value >= 0) | rest))
    return floor + (half & ((floor & 1) | rest))


@exact
def divide_round(numerator, denominator, mode):
    """``numerator / denominator`` rounded to an integer by `mode`; `denominator` > 0, below 2**62."""
    floor = numerator // denominator
    rest = numerator - floor * denominator
    if mode == TO_NEG:
        return floor
    if mode == TO_ZERO:
        return floor + ((numerator < 0) & (rest != 0))
    twice = 2 * rest
    if mode == TIES_TO_POS:
        return floor + (twice >= denominator)
    if mode == TIES_AWAY:
        return floor + ((twice > denominator) | ((twice == denominator) & (numerator >= 0)))
    return floor + ((twice > denominator) | ((twice == denominator) & ((floor & 1) != 0)))
