"""What the documentation or the assertions of a project demand of a requantiser's inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Int
from intsim.parameters import Parameters

if TYPE_CHECKING:
    from intsim.requant.requantizer import Requantizer

__all__ = ["Documented"]


@dataclass(frozen=True)
class Documented(Parameters):
    """Ranges outside which a project promises nothing.

    Parameters
    ----------
    shift : lowest and highest, in TFLite's convention; None for no limit
    multiplier : lowest and highest, besides 0; None for no limit beyond the port
    shifted_bits : ``acc << max(shift, 0)`` fits that many bits; None where no left shift happens
    product_bits : ``acc * multiplier`` fits that many bits; None for no limit
    below_half : ``-2**(amount-1) <= acc < 2**(amount-1)``, with ``amount = 31 - shift``
    result_bits : the result before zero point and clamp fits that many bits
    """

    shift: tuple[int, int] | None = None
    multiplier: tuple[int, int] | None = None
    shifted_bits: int | None = None
    product_bits: int | None = None
    below_half: bool = False
    result_bits: int = 32

    def check(self, unit: Requantizer, acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> None:
        """Raise :class:`IntsimError` where an input, or the result, is outside the ranges."""
        acc, multiplier, shift = np.broadcast_arrays(*(a.astype(np.int64) for a in (acc, multiplier, shift)))
        name = unit.name
        if self.shift is not None:
            _demand((shift >= self.shift[0]) & (shift <= self.shift[1]), shift, f"{name}: shift", self.shift)
        if self.multiplier is not None:
            lo, hi = self.multiplier
            inside = (multiplier == 0) | ((multiplier >= lo) & (multiplier <= hi))
            _demand(inside, multiplier, f"{name}: multiplier", self.multiplier)
        if self.shifted_bits is not None:
            room = _half_range(self.shifted_bits) >> np.maximum(shift, 0)
            _demand((acc >= -room) & (acc < room), acc, f"{name}: acc << shift, {self.shifted_bits} bits, acc")
        if self.below_half:
            room = np.int64(1) << np.clip(30 - shift, 0, 62)
            _demand((acc >= -room) & (acc < room), acc, f"{name}: acc within +-2**(30 - shift), acc")
        if self.product_bits is not None:
            room = _half_range(self.product_bits)
            product = acc * multiplier
            _demand((product >= -room) & (product < room), product, f"{name}: {self.product_bits}-bit product")
        room = _half_range(self.result_bits)
        wide = dataclasses.replace(
            unit, y=Int(47), lo=None, hi=None, zero_point=0, zero_first=True, strict=False, documented=None
        )
        result = wide(acc, multiplier, shift)
        _demand((result >= -room) & (result < room), result, f"{name}: {self.result_bits}-bit result")


def _half_range(bits: int) -> np.int64:
    return np.int64(1) << (bits - 1)


def _demand(inside: np.ndarray, values: np.ndarray, what: str, limits: tuple[int, int] | None = None) -> None:
    if np.all(inside):
        return
    value = int(np.asarray(values)[~np.asarray(inside)].flat[0])
    allowed = f"allowed is {limits[0]}..{limits[1]}" if limits else "it does not fit"
    raise IntsimError(f"{what} {value} is outside what the project documents ({allowed}); call with strict=False")
