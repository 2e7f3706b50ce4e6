"""What every integer requantiser computes: product, one or two roundings, zero point, clamp.

Left shifts are exact: a project that shifts the accumulator left before multiplying computes the same as one that
shifts less to the right afterwards, wherever its own 32-bit shift does not overflow.
"""

from __future__ import annotations

from intsim.exact import exact
from intsim.rounding import TIES_AWAY, TIES_TO_POS, saturate, shift_round

__all__ = [
    "LIMIT",
    "ONE_ROUNDING",
    "divide_by_power_of_two",
    "doubling_high_multiply",
    "finish",
    "reduced_multiplier",
    "requantize",
    "requantize_traced",
    "rescale",
    "shift_left_limited",
    "stages",
]

ONE_ROUNDING = -1  # in place of the first of two rounding modes
LIMIT = 48  # results are exact within +-2**48 and limited to that beyond


@exact
def doubling_high_multiply(a, b):
    """``a * b / 2**31``, ``TIES_TO_POS``, before saturation: -2**31 squared gives 2**31."""
    return shift_round(a * b, 31, TIES_TO_POS)


@exact
def divide_by_power_of_two(x, exponent):
    """``x / 2**exponent``, ``TIES_AWAY``."""
    return shift_round(x, exponent, TIES_AWAY)


@exact
def reduced_multiplier(multiplier):
    """A 31-bit multiplier in 15 bits, as the 64-bit accumulator paths of TFLite and CMSIS-NN take it.

    The upper half, ``TIES_TO_POS``; what would round up to 2**15 is limited to 2**15 - 1.
    """
    return min((multiplier + (1 << 15)) >> 16, 0x7FFF)


@exact
def shift_left_limited(value, count):
    """``value * 2**count``, limited to +-2**48 (`count` >= 0)."""
    room = min(count, LIMIT)
    most = 1 << (LIMIT - room)
    return saturate(value, -most, most) << room


@exact
def rescale(product, shift, point, first, rounding):
    """``product / 2**shift`` rounded to an integer.

    Parameters
    ----------
    product : int64
    shift : bits to the right; negative is to the left
    point : where the first of two roundings stands
    first : its Rounding, which is also the only one for shifts up to `point`; ``ONE_ROUNDING`` for none
    rounding : the Rounding of the rest, or of everything
    """
    if shift < 0:
        return shift_left_limited(product, -shift)
    if first == ONE_ROUNDING:
        return shift_round(product, shift, rounding)
    if shift <= point:
        return shift_round(product, shift, first)
    return shift_round(shift_round(product, point, first), shift - point, rounding)


@exact
def finish(value, zero_point, zero_first, lo, hi):
    """Zero point and clamp, in either order."""
    if zero_first:
        return saturate(value + zero_point, lo, hi)
    return saturate(value, lo, hi) + zero_point


@exact
def requantize(
    acc, index, multipliers, shifts, addends, reduced, right, pre_shift, point, first, rounding,
    zero_point, zero_first, lo, hi, out,
):  # fmt: skip
    """Every element of `acc` with the multiplier, shift and addend at its `index`.

    The other parameters are those of :class:`intsim.requant.Requantizer`.
    """
    for k in range(acc.size):
        _, _, _, value = stages(
            acc[k], index[k], multipliers, shifts, addends, reduced, right, pre_shift, point, first, rounding
        )
        out[k] = finish(value, zero_point, zero_first, lo, hi)


@exact
def requantize_traced(
    acc, index, multipliers, shifts, addends, reduced, right, pre_shift, point, first, rounding,
    zero_point, zero_first, lo, hi, out_nets, out,
):  # fmt: skip
    """As :func:`requantize`, keeping the intermediates in the rows of `out_nets`."""
    for k in range(acc.size):
        factor, amount, product, value = stages(
            acc[k], index[k], multipliers, shifts, addends, reduced, right, pre_shift, point, first, rounding
        )
        out_nets[0, k] = factor
        out_nets[1, k] = amount
        out_nets[2, k] = product
        out_nets[3, k] = value
        out[k] = finish(value, zero_point, zero_first, lo, hi)


@exact
def stages(acc, index, multipliers, shifts, addends, reduced, right, pre_shift, point, first, rounding):
    """Factor, bits to the right, product and rounded value of one element."""
    factor = reduced_multiplier(multipliers[index]) if reduced else multipliers[index]
    amount = shifts[index] if right else point - shifts[index]
    product = (acc << pre_shift) * factor + addends[index]
    return factor, amount, product, rescale(product, amount, point, first, rounding)
