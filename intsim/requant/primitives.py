"""The two building blocks of two-stage requantisation, and the reduced multiplier, under their projects' names.

All take NumPy integers, broadcast them against each other and return int32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.requant.arithmetic import divide_by_power_of_two, doubling_high_multiply, shift_left_limited
from intsim.requant.arithmetic import reduced_multiplier as reduce_one
from intsim.rounding import saturate

__all__ = ["reduced_multiplier", "rounding_divide_by_pot", "saturating_left_shift", "srdhm", "srdhm_no_saturation"]

INT32 = Int(32)


def srdhm(a: Any, b: Any) -> np.ndarray:
    """gemmlowp's SaturatingRoundingDoublingHighMul: ``a * b / 2**31``, ``TIES_TO_POS``, on int32.

    The same as NEON's VQRDMULH. The one product that does not fit, -2**31 squared, gives 2**31 - 1.
    """
    return _apply(multiply_high_saturating, INT32.check(a, "a"), INT32.check(b, "b"))


def srdhm_no_saturation(a: Any, b: Any) -> np.ndarray:
    """CMSIS-NN's arm_nn_doubling_high_mult_no_sat: :func:`srdhm` without the saturation.

    Raises
    ------
    IntsimError
        Both arguments are -2**31: there CMSIS-NN's result is wrong by its own documentation.
    """
    a, b = INT32.check(a, "a"), INT32.check(b, "b")
    if np.any((np.asarray(a) == INT32.lo) & (np.asarray(b) == INT32.lo)):
        raise IntsimError("-2**31 squared does not fit 32 bits; use srdhm, which saturates")
    return _apply(multiply_high_saturating, a, b)


def rounding_divide_by_pot(x: Any, exponent: Any) -> np.ndarray:
    """gemmlowp's RoundingDivideByPOT: ``x / 2**exponent``, ``TIES_AWAY``, on int32; `exponent` >= 0."""
    exponent = _count(exponent)
    return _apply(divide_each, INT32.check(x, "x"), exponent)


def saturating_left_shift(x: Any, exponent: Any) -> np.ndarray:
    """gemmlowp's SaturatingRoundingMultiplyByPOT upwards: ``x * 2**exponent`` limited to int32; `exponent` >= 0."""
    exponent = _count(exponent)
    return _apply(shift_each, INT32.check(x, "x"), exponent)


def reduced_multiplier(multiplier: Any) -> np.ndarray:
    """A 31-bit multiplier in 15 bits, as TFLite's and CMSIS-NN's 64-bit paths take it: the upper half,
    ``TIES_TO_POS``, limited to 2**15 - 1."""
    return _apply(reduce_each, Int(31, signed=False).check(multiplier, "multiplier"))


def _count(exponent: Any) -> np.ndarray:
    fmt: Format = Int(32, signed=False)
    return np.minimum(fmt.check(exponent, "exponent"), 64)  # beyond that nothing changes


def _apply(fn: Any, *arrays: Any) -> np.ndarray:
    """An elementwise operator on broadcast arrays."""
    try:
        arrays = np.broadcast_arrays(*arrays)
    except ValueError:
        raise IntsimError(f"shapes {[np.shape(a) for a in arrays]} do not fit together") from None
    columns = [np.ascontiguousarray(a).reshape(-1).astype(np.int64) for a in arrays]
    out = np.empty(columns[0].size, dtype=np.int32)
    run(fn, *columns, out)
    return out.reshape(arrays[0].shape)[()]


@exact
def multiply_high_saturating(a, b, out):
    """:func:`srdhm` of every pair."""
    for k in range(a.size):
        out[k] = min(doubling_high_multiply(a[k], b[k]), (1 << 31) - 1)


@exact
def divide_each(x, exponent, out):
    """:func:`rounding_divide_by_pot` of every pair."""
    for k in range(x.size):
        out[k] = divide_by_power_of_two(x[k], exponent[k])


@exact
def shift_each(x, exponent, out):
    """:func:`saturating_left_shift` of every pair."""
    for k in range(x.size):
        out[k] = saturate(shift_left_limited(x[k], exponent[k]), -(1 << 31), (1 << 31) - 1)


@exact
def reduce_each(multiplier, out):
    """:func:`reduced_multiplier` of every element."""
    for k in range(multiplier.size):
        out[k] = reduce_one(multiplier[k])
