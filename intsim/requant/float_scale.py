"""The field's requantisers with a float32 scale, by name.

Here float32 is the specification. This file is the one place of the package where operators meet floats, and they
meet them as bit patterns only: the operators behind it (:mod:`intsim.requant.significand`) take scales apart into
integers, and compute every float32 operation that a project performs by :mod:`intsim.requant.binary32`. So no
result depends on the host's rounding mode, flush-to-zero setting, fused multiply-add or compiler.

Called as ``FLOAT[name](acc, scale, zero_point, lo, hi)``:

====================  ====================================================================  ======================
name                  value before zero point and clamp                                     documented scales
====================  ====================================================================  ======================
``xnnpack_fp32``      ``lrintf((float)acc * scale)``, ``TIES_TO_EVEN``                      2**-32 to below 256
``xnnpack_rndnu``     ``acc`` times the 24-bit significand, one rounding ``TIES_TO_POS``    2**-32 to below 256
``xnnpack_rndnu16``   ``acc`` brought to 16 bits, times a 15-bit significand                2**-32 to below 256
``qnnpack_q31``       two roundings, ``TIES_TO_POS`` at 31 bits, then ``TIES_AWAY``         2**-32 to below 1
``qnnpack_precise``   24-bit significand, one rounding ``TIES_AWAY``                        2**-32 to below 1
``qnnpack_fp32``      as ``xnnpack_fp32``                                                   2**-32 to below 1
``qnnpack_gemmlowp``  as ``qnnpack_q31``; adding the zero point wraps at 32 bits            2**-32 to below 1
``fbgemm_float``      as ``xnnpack_fp32``                                                   all normal float32
``fbgemm_fixed``      as ``xnnpack_rndnu``, from a 31-bit multiplier                        2**-33 to below 2**30
``onnx``              as ``xnnpack_fp32``: ONNX Runtime's QLinearMatMul and QLinearConv     all normal float32
====================  ====================================================================  ======================

Clamping to ``[lo - zero_point, hi - zero_point]`` and then adding the zero point, as some of them do, is the same
as adding it first; only where that addition wraps or saturates it is not, and there it is computed so.

Sources: the named projects' scalar reference code, restated; checked against outputs of that code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import run
from intsim.formats import Int
from intsim.parameters import Parameters
from intsim.requant.binary32 import FRACTION
from intsim.requant.significand import Method, narrow, requantize_by_float

__all__ = ["FLOAT", "FloatConvention", "codes_of", "columns_of", "floats_of"]


@dataclass(frozen=True)
class FloatConvention(Parameters):
    """A requantiser with a float32 scale. Call it on integers and scales.

    Parameters
    ----------
    name : of the convention
    method : how the accumulator meets the scale
    scales : documented binary exponents ``(lowest, end)``: ``2**lowest <= scale < 2**end``
    strict : refuse scales outside
    """

    name: str
    method: Method
    scales: tuple[int, int]
    strict: bool = False

    def __call__(
        self, acc: Any, scale: Any, zero_point: Any = 0, lo: Any = -128, hi: Any = 127, *, strict: bool | None = None
    ) -> np.ndarray:
        """Requantise.

        Parameters
        ----------
        acc : 32-bit integers
        scale : float32, positive (a float64 is rounded to the closest float32)
        zero_point, lo, hi : integers of at most 16 bits; the zero point may lie outside ``[lo, hi]``
        strict : refuse scales that the project's documentation excludes; the instance's own setting where None

        Returns
        -------
        int32 array of the shape that all arguments broadcast to

        Raises
        ------
        DtypeError, IntsimError
            An argument of the wrong kind or outside its range, ``lo > hi``, or shapes that do not fit together.
        """
        ports = Int(32).check(acc, "acc"), codes_of(scale, "scale")
        (acc, scale, zero_point, lo, hi), shape = columns_of(*ports, zero_point, lo, hi)
        self._check_scales(scale, self.strict if strict is None else strict)
        if np.any(lo > hi):
            raise IntsimError("the clamp is empty: lo > hi; give lo <= hi")
        out = np.empty(acc.size, dtype=np.int32)
        run(requantize_by_float, acc, scale, zero_point, lo, hi, int(self.method), out)
        return out.reshape(shape)[()]

    def _check_scales(self, codes: np.ndarray, strict: bool) -> None:
        least, end = ((e + 127) << FRACTION for e in self.scales)
        if np.any((codes <= 0) | (codes >= 255 << FRACTION)):
            raise IntsimError(f"{self.name}: a scale must be positive and finite; fold its sign into the weights")
        if strict and np.any((codes < least) | (codes >= end)):
            raise IntsimError(
                f"{self.name} documents scales from 2**{self.scales[0]} to below 2**{self.scales[1]}; "
                "call with strict=False for others"
            )


_METHODS = {
    "xnnpack_fp32": (Method.FLOAT, (-32, 8)),
    "xnnpack_rndnu": (Method.FIXED_TO_POS, (-32, 8)),
    "xnnpack_rndnu16": (Method.SIXTEEN_BITS, (-32, 8)),
    "qnnpack_q31": (Method.TWO_ROUNDINGS, (-32, 0)),
    "qnnpack_precise": (Method.FIXED_AWAY, (-32, 0)),
    "qnnpack_fp32": (Method.FLOAT, (-32, 0)),
    "qnnpack_gemmlowp": (Method.TWO_ROUNDINGS_WRAPPING, (-32, 0)),
    "fbgemm_float": (Method.FLOAT, (-126, 128)),
    "fbgemm_fixed": (Method.FIXED_TO_POS, (-33, 30)),
    "onnx": (Method.FLOAT, (-126, 128)),
}

FLOAT: Mapping[str, FloatConvention] = MappingProxyType(
    {name: FloatConvention(name, method, scales) for name, (method, scales) in _METHODS.items()}
)
"""Conventions with a float32 scale."""


def columns_of(
    values: np.ndarray, scale: np.ndarray, zero_point: Any, lo: Any, hi: Any
) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Five flat int64 columns, broadcast against each other, and the shape they had then.

    Raises
    ------
    DtypeError, IntsimError
        Zero point and clamp are no integers of at most 16 bits, or shapes that do not fit together.
    """
    small = (Int(17).check(v, port) for port, v in (("zero_point", zero_point), ("lo", lo), ("hi", hi)))
    given = (values, scale, *small)
    try:
        columns = np.broadcast_arrays(*given)
    except ValueError:
        raise IntsimError(f"shapes do not fit together: {[np.shape(p) for p in given]}") from None
    return [np.ascontiguousarray(c).reshape(-1).astype(np.int64) for c in columns], columns[0].shape


def codes_of(values: Any, port: str) -> np.ndarray:
    """float32 bit patterns, int64, of real numbers; wider ones are rounded to the closest float32.

    Raises
    ------
    DtypeError
        Not real numbers.
    IntsimError
        Not a number, or empty.
    """
    array: np.ndarray = np.asarray(values)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise DtypeError(f"{port}: expected real numbers, got dtype {array.dtype}; give float32")
    if array.size == 0:
        raise IntsimError(f"{port}: empty array of shape {array.shape}; give at least one value")
    if array.dtype == np.float32:
        codes = np.ascontiguousarray(array).view(np.uint32).astype(np.int64).reshape(array.shape)
    else:
        patterns = np.ascontiguousarray(array, dtype=np.float64).view(np.int64).reshape(-1)
        if np.any((patterns & _MAGNITUDE) > 2047 << 52):
            raise IntsimError(f"{port} holds NaN; remove it first")
        narrowed = np.empty(patterns.size, dtype=np.int64)
        run(narrow, patterns, narrowed)
        codes = narrowed.reshape(array.shape)
    if np.any((codes & 0x7FFFFFFF) > 255 << FRACTION):
        raise IntsimError(f"{port} holds NaN; remove it first")
    return codes


_MAGNITUDE = np.int64((1 << 63) - 1)


def floats_of(codes: Any) -> np.ndarray:
    """The float32 numbers with the given bit patterns."""
    return np.asarray(codes).astype(np.uint32).view(np.float32)
