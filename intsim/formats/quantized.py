"""A quantised tensor: integers together with the dyadic scale and zero point that give them a meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.formats.base import smallest_dtype
from intsim.formats.dyadic import illm
from intsim.rounding import TIES_TO_EVEN, Rounding

__all__ = ["GRANULARITIES", "Quantized"]

GRANULARITIES = ("tensor", "token", "channel")


@dataclass(frozen=True, eq=False)
class Quantized:
    """Integers `data` that stand for ``(data - zero_point) * m * 2**-k``.

    Parameters
    ----------
    data : integer array (..., n); tokens are its rows, channels its last axis
    m, k : integers that broadcast against `data`: one per tensor (scalar), per token (..., 1) or per channel (n,);
        ``k >= 0``, m may be negative (a folded sign)
    zero_point : the same; the code of the real zero

    Raises
    ------
    DtypeError, IntsimError
        Not integers, shapes that do not broadcast to that of `data`, or k outside 0 .. 255.
    """

    data: np.ndarray
    m: Any = 1
    k: Any = 0
    zero_point: Any = 0

    def __post_init__(self) -> None:
        for name in ("data", "m", "k", "zero_point"):
            try:
                array = np.asarray(getattr(self, name))
            except ValueError as error:  # nested lists of unequal length
                raise DtypeError(f"{name}: {error}; give rows of equal length") from None
            if array.dtype.kind not in "iu":
                raise DtypeError(
                    f"{name}: expected integers, got {array.dtype}; Quantized.from_real encodes real values"
                )
            if name != "data":
                array = array.astype(np.int64)
                shape = (1,) * (self.data.ndim - array.ndim) + array.shape
                if len(shape) > self.data.ndim or any(
                    a not in (1, b) for a, b in zip(shape, self.data.shape, strict=True)
                ):
                    raise IntsimError(f"{name} of shape {array.shape} does not broadcast to data {self.data.shape}")
            object.__setattr__(self, name, array)
        if self.k.size and (int(self.k.min()) < 0 or int(self.k.max()) > 255):
            raise IntsimError(f"k must lie in [0, 255], got {int(self.k.min())}..{int(self.k.max())}; rescale m")

    @classmethod
    def from_real(
        cls,
        values: Any,
        bits: int = 8,
        per: str = "tensor",
        *,
        symmetric: bool = False,
        mantissa_bits: int = 8,
        rounding: Rounding = TIES_TO_EVEN,
    ) -> Quantized:
        """Min-max quantisation of real values.

        Parameters
        ----------
        values : real array (..., n)
        bits : width of the codes: unsigned ``0 .. 2**bits - 1``, or with `symmetric` signed and without zero point
        per : ``tensor``, ``token`` (each row of the last axis) or ``channel`` (each place on it)
        mantissa_bits : bits of m
        rounding : of the codes

        Returns
        -------
        Quantized
            The range always includes zero, so that the zero point is one of the codes.

        Raises
        ------
        IntsimError
            No values, a value that is not finite, or a range whose scale passes 255 (k would be negative).
        """
        from intsim.formats.fixed import round_real

        try:
            real = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DtypeError(f"expected real values: {error}") from None
        if real.size == 0 or not np.all(np.isfinite(real)):
            what = f"shape {real.shape}" if real.size == 0 else "NaN or infinity"
            raise IntsimError(f"values to quantise are finite and at least one, got {what}; remove what is no number")
        if not isinstance(bits, (int, np.integer)) or not 2 <= bits <= 32:
            raise IntsimError(f"bits must be an integer in [2, 32], got {bits!r}; 8 is usual")
        axes = {"tensor": None, "token": -1, "channel": tuple(range(real.ndim - 1))}
        if per not in axes:
            raise UnknownName("granularity", per, GRANULARITIES)
        high = np.maximum(real.max(axis=axes[per], keepdims=True), 0.0)
        low = np.minimum(real.min(axis=axes[per], keepdims=True), 0.0)
        full = 2**bits - 1
        span = 2 * np.maximum(high, -low) * full / (full - 1) if symmetric else high - low
        m, k = illm(mantissa_bits)(np.where(span > 0, span, 1.0) / full)
        if np.any(np.asarray(k) < 0):
            raise IntsimError(
                f"a range of {float(span.max())!r} needs a scale above 255; divide the values or use more bits"
            )
        # far below every scale that k = 255 can name: one step of the finest scale, codes 0
        m, k = np.maximum(np.asarray(m) >> np.minimum(np.maximum(k - 255, 0), 63), 1), np.minimum(k, 255)
        scale = np.ldexp(m.astype(np.float64), -k)
        zero = np.zeros_like(m) if symmetric else np.clip(np.rint(-low / scale), 0, full).astype(np.int64)
        least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if symmetric else (0, full)
        codes = np.clip(round_real(real / scale, rounding) + zero, least, most)
        if per == "tensor":
            m, k, zero = (np.asarray(v).reshape(()) for v in (m, k, zero))
        return cls(codes.astype(smallest_dtype(least, most)), m, k, zero)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def granularity(self) -> str:
        """``tensor``, ``token``, ``channel``, or ``element`` where scales vary along both."""
        shape = np.broadcast_shapes(self.m.shape, self.k.shape, self.zero_point.shape)
        varies = [n > 1 for n in shape]
        if not any(varies):
            return "tensor"
        if not varies[-1]:
            return "token"
        return "element" if any(varies[:-1]) else "channel"

    @property
    def centred(self) -> np.ndarray:
        """``data - zero_point``, int64: the integers that the scale multiplies."""
        return self.data.astype(np.int64) - self.zero_point

    @property
    def narrow_centred(self) -> np.ndarray:
        """:attr:`centred` in a type as narrow as any codes of this dtype allow; the codes where no zero point is."""
        ends = np.iinfo(self.data.dtype)
        least, most = int(ends.min) - int(self.zero_point.max()), int(ends.max) - int(self.zero_point.min())
        if least < -(1 << 31) or most >= 1 << 31:
            return self.centred
        if not self.zero_point.any():
            return self.data
        dtype = np.int16 if least >= -(1 << 15) and most < 1 << 15 else np.int32
        return np.subtract(self.data, self.zero_point.astype(dtype), dtype=dtype)

    def decode(self) -> np.ndarray:
        """The real values, float64."""
        return np.ldexp(self.centred.astype(np.float64) * self.m, -np.broadcast_to(self.k, self.shape))
