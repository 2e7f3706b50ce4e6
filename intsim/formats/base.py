"""What every number format offers: a range of integer codes and what they stand for."""

from __future__ import annotations

import abc
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.parameters import Parameters
from intsim.rounding import TIES_TO_EVEN, Rounding

__all__ = ["Format", "smallest_dtype"]


@dataclass(frozen=True)
class Format(Parameters, abc.ABC):
    """A set of integer codes. Concrete formats say which real number each code stands for.

    Attributes
    ----------
    bits : width of a code
    signed : whether a code is two's complement
    lo, hi : the smallest and the largest code
    dtype : the smallest NumPy integer type that holds every code
    """

    bits: int

    @property
    @abc.abstractmethod
    def signed(self) -> bool: ...

    @property
    def lo(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def hi(self) -> int:
        return (1 << (self.bits - self.signed)) - 1

    @property
    def dtype(self) -> np.dtype:
        return smallest_dtype(self.lo, self.hi)

    def codes(self) -> np.ndarray:
        """Every code, ascending by real value where the format is ordered so. Only for formats up to 24 bits."""
        if self.bits > 24:
            raise IntsimError(f"{self} has 2**{self.bits} codes; list them only up to 24 bits")
        return np.arange(self.lo, self.hi + 1, dtype=self.dtype)

    @abc.abstractmethod
    def encode(self, values: Any, rounding: Rounding = TIES_TO_EVEN, saturate: bool = False) -> np.ndarray:
        """Codes for real values. Out of range raises :class:`IntsimError` unless `saturate`."""

    @abc.abstractmethod
    def decode(self, codes: Any) -> np.ndarray:
        """The real values, float64, that integer codes stand for."""

    def check(self, codes: Any, port: str = "value") -> np.ndarray:
        """`codes` as an integer array, refused if any is not a code of this format.

        Costs a pass over the data only where the dtype does not imply the range.

        Raises
        ------
        DtypeError
            Not an integer array.
        IntsimError
            A code outside ``[lo, hi]``, or an empty array.
        """
        try:
            array = np.asarray(codes)
        except ValueError as error:  # nested lists of unequal length
            raise DtypeError(f"{port}: {error}; give rows of equal length") from None
        if array.size == 0:
            raise IntsimError(f"{port}: empty array of shape {array.shape}; give at least one value")
        if array.dtype.kind not in "iu":
            raise DtypeError(
                f"{port}: expected integer codes of {self}, got dtype {array.dtype}; {_remedy(array, self)}"
            )
        bottom, top = _range(array.dtype)
        if bottom < self.lo or top > self.hi:
            least, most = int(array.min()), int(array.max())
            if least < self.lo or most > self.hi:
                bad = least if least < self.lo else most
                raise IntsimError(
                    f"{port}: {bad} is outside {self} = [{self.lo}, {self.hi}]; saturate it or use a wider format"
                )
        return array


def _remedy(array: np.ndarray, fmt: Format) -> str:
    if array.dtype.kind == "f":
        return "encode real values first: fmt.encode(values)"
    if array.dtype.kind == "b":
        return "convert with .astype(np.uint8)"
    return f"integers must fit int64; {fmt} needs {fmt.dtype}"


@functools.cache
def _range(dtype: np.dtype) -> tuple[int, int]:
    bound = np.iinfo(dtype)
    return int(bound.min), int(bound.max)


@functools.lru_cache(maxsize=1 << 12)
def smallest_dtype(lo: int, hi: int) -> np.dtype:
    """The smallest NumPy integer type whose range contains ``[lo, hi]``."""
    kinds = ("int8", "int16", "int32", "int64") if lo < 0 else ("uint8", "uint16", "uint32", "uint64")
    for kind in kinds:
        bound = np.iinfo(kind)
        if bound.min <= lo and hi <= bound.max:
            return np.dtype(kind)
    raise IntsimError(f"range [{lo}, {hi}] does not fit 64 bits; use narrower formats")
