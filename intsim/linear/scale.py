"""The scale and the codes of a row whose range is known: shared by dynamic requantisation and the clipped softmax.

A module without imports from the operators, so that both packages can use it.
"""

from __future__ import annotations

from intsim.exact import exact
from intsim.rounding import TIES_TO_POS, divide_round

__all__ = ["dynamic_code", "dynamic_scale", "leading_one"]


@exact
def leading_one(value):
    """Position of the highest set bit of ``1 <= value < 2**63``."""
    position = 0
    rest = value
    for step in (32, 16, 8, 4, 2, 1):
        high = rest >> step
        if high > 0:
            position += step
            rest = high
    return position


@exact
def dynamic_scale(reach, k, bits, mantissa_bits, rounding):
    """The dyadic scale ``m / 2**ky`` of codes 0 .. 2**bits - 1 that span ``reach / 2**k``.

    ``ky`` is the largest with ``floor(reach 2**ky / (Q 2**k)) < 2**mantissa_bits``, ``Q = 2**bits - 1``: a leading-one
    detector, a shift and a division by the constant Q. ``reach >= 1``.
    """
    full = (1 << bits) - 1
    largest = (1 << mantissa_bits) - 1
    shift = bits + mantissa_bits - 1 - leading_one(reach)
    if (reach << max(shift, 0)) // (full << max(-shift, 0)) > largest:
        shift -= 1
    m = divide_round(reach << max(shift, 0), full << max(-shift, 0), rounding)
    return min(m, largest), k + shift


@exact
def dynamic_code(value, least, span, bits):
    """The code of `value` on ``2**bits`` levels from `least` to ``least + span``, a tie upwards."""
    return divide_round((value - least) * ((1 << bits) - 1), span, TIES_TO_POS)
