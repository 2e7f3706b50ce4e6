"""Real numbers to integers, as the tools do it: the step in front of an integer network.

Called as ``QUANTIZERS[name](x, scale, zero_point, lo, hi)``. With all operations on float32 and ``rint`` ties to
even:

===========  ==============================================  =======================
name         before the clamp                                used by
===========  ==============================================  =======================
``onnx``     ``rint(x / scale) + zero_point``                ONNX QuantizeLinear
``fbgemm``   ``rint(x * (1 / scale)) + zero_point``          FBGEMM, PyTorch
``xnnpack``  ``rint(x / scale + zero_point)``                XNNPACK
===========  ==============================================  =======================

The three differ: a reciprocal is rounded once more than a quotient, and a zero point added first moves ties to
other neighbours. :func:`dynamic_quantize` is ONNX DynamicQuantizeLinear, which finds scale and zero point itself.

Each float32 operation is computed on bit patterns (:mod:`intsim.requant.binary32`), so the host's float settings
do not matter. Infinities saturate; NaN is refused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats.minifloat import order
from intsim.parameters import Parameters
from intsim.requant.binary32 import (
    BITS,
    FRACTION,
    add_integer,
    divide,
    from_integer,
    multiply,
    subtract,
    to_integer,
)
from intsim.requant.float_scale import codes_of, columns_of, floats_of
from intsim.rounding import saturate

__all__ = ["QUANTIZERS", "Order", "Quantizer", "dynamic_quantize"]

ONE = 127 << FRACTION  # the float32 1
INFINITY = 255 << FRACTION
MAGNITUDE = (1 << (BITS - 1)) - 1
LARGE = 1 << 40  # beyond every clamp


class Order(enum.IntEnum):
    """The order of division, rounding and zero point."""

    DIVIDE = 0
    RECIPROCAL = 1
    ZERO_FIRST = 2


@dataclass(frozen=True)
class Quantizer(Parameters):
    """A quantiser of real numbers to integers, by one tool's order of operations. Call it on numbers and scales.

    Parameters
    ----------
    name : of the tool
    order : of division, rounding and zero point
    """

    name: str
    order: Order

    def __call__(self, x: Any, scale: Any, zero_point: Any = 0, lo: Any = -128, hi: Any = 127) -> np.ndarray:
        """Quantise.

        Parameters
        ----------
        x : real numbers, float32 (wider ones are rounded to the closest float32)
        scale : float32, positive and finite
        zero_point, lo, hi : integers of at most 16 bits

        Returns
        -------
        int32 array of the shape that all arguments broadcast to

        Raises
        ------
        DtypeError, IntsimError
            NaN, a scale that is not positive and finite, or whose reciprocal is not finite where that is used.
        """
        flat, shape = columns_of(codes_of(x, "x"), codes_of(scale, "scale"), zero_point, lo, hi)
        if np.any((flat[1] <= 0) | (flat[1] >= INFINITY)):
            raise IntsimError(f"{self.name}: a scale must be positive and finite")
        if self.order is Order.RECIPROCAL and np.any(flat[1] <= 1 << 21):
            raise IntsimError(
                f"{self.name}: the reciprocal of a scale of 2**-128 or less is no float32; use a larger one"
            )
        out = np.empty(flat[0].size, dtype=np.int32)
        run(quantize, *flat, int(self.order), out)
        return out.reshape(shape)[()]


QUANTIZERS: Mapping[str, Quantizer] = MappingProxyType(
    {
        "onnx": Quantizer("onnx", Order.DIVIDE),
        "fbgemm": Quantizer("fbgemm", Order.RECIPROCAL),
        "xnnpack": Quantizer("xnnpack", Order.ZERO_FIRST),
    }
)
"""Quantisers by the name of the tool that works so."""


def dynamic_quantize(x: Any) -> tuple[np.ndarray, np.floating, np.unsignedinteger]:
    """ONNX DynamicQuantizeLinear: unsigned 8-bit codes over the range of `x` with zero.

    ``scale = (max(x, 0) - min(x, 0)) / 255``, ``zero_point = clamp(rint(-min(x, 0) / scale))``, then as ``onnx``.
    Where every element is zero the scale is 1 and the zero point 0, as in ONNX Runtime.

    Returns
    -------
    y : uint8 array of the shape of `x`
    scale : float32
    zero_point : uint8
    """
    codes = codes_of(x, "x").reshape(-1)
    if np.any((codes & MAGNITUDE) >= INFINITY):
        raise IntsimError("x holds an infinity: there is no finite range to quantise; clip it first")
    range_ = np.empty(2, dtype=np.int64)
    run(dynamic_range, codes, range_)
    scale, zero_point = floats_of(range_[:1])[0], np.uint8(range_[1])
    y = QUANTIZERS["onnx"](np.asarray(x), scale, int(zero_point), 0, 255)
    return np.asarray(y).astype(np.uint8)[()], scale, zero_point


@exact
def quantize(x, scale, zero_point, lo, hi, kind, out):
    """Every float32 bit pattern of `x` as an integer in ``[lo, hi]``."""
    for k in range(x.size):
        if x[k] & MAGNITUDE == INFINITY:
            value = -LARGE if x[k] >> (BITS - 1) else LARGE
        elif kind == Order.DIVIDE:
            value = to_integer(divide(x[k], scale[k])) + zero_point[k]
        elif kind == Order.RECIPROCAL:
            value = to_integer(multiply(x[k], divide(ONE, scale[k]))) + zero_point[k]
        else:
            value = to_integer(add_integer(divide(x[k], scale[k]), zero_point[k]))
        out[k] = saturate(value, lo[k], hi[k])


@exact
def dynamic_range(x, out):
    """Bit pattern of the scale, and the zero point, that cover float32 numbers and zero."""
    most = least = x[0] * 0
    for k in range(x.size):
        if order(x[k], BITS) > order(most, BITS):
            most = x[k]
        if order(x[k], BITS) < order(least, BITS):
            least = x[k]
    out[0] = divide(subtract(most, least), from_integer(255))
    out[1] = 0
    if out[0] == 0:
        out[0] = ONE
    else:
        out[1] = saturate(-to_integer(divide(least, out[0])), 0, 255)
