"""Residual addition: two integers of different scales, each brought to the output's scale, then added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int
from intsim.requant.requantizer import Requantizer
from intsim.rounding import saturate as limit
from intsim.unit import Hazard, Unit

__all__ = ["ResidualAdd"]

S8 = Int(8)


@dataclass(frozen=True)
class ResidualAdd(Unit):
    """``y = left(a) + right(b)``: each term rounded on its own, then added.

    How the projects differ: HAWQ-V3 does not saturate after the sum (its nominally 16-bit stream is seen to reach
    94,325), so `y` must hold every sum; I-BERT and I-ViT saturate to the width of the stream; TFLite's ADD shifts
    both inputs 20 bits to the left, rescales each, adds, and requantises the sum (`output`, with ``pre_shift=20``
    in `left` and `right`).

    Parameters
    ----------
    left, right : requantisers with constants (per tensor, or per channel with as many channels as each other)
    y : format of the sum
    saturating : limit the sum to `y`; without, `y` must hold every possible sum
    output : requantiser of the sum; then `y` is its output format

    Raises
    ------
    IntsimError
        A requantiser without constants, channels that differ in number, or a `y` too narrow.
    """

    left: Requantizer
    right: Requantizer
    y: Fixed = S8
    saturating: bool = True
    output: Requantizer | None = None

    def __post_init__(self) -> None:
        counts = len(self.left.channels), len(self.right.channels)
        if min(counts) == 0 or counts[0] != counts[1]:
            raise IntsimError(f"left and right need the same number of constants, got {counts[0]} and {counts[1]}")
        if self.output is not None:
            if len(self.output.channels) != 1:
                raise IntsimError("the requantiser of the sum is per tensor: give it one pair of constants")
            if self.output.y != self.y:
                raise IntsimError(f"y is {self.y}, the requantiser of the sum gives {self.output.y}; make them equal")
        lo, hi = self.range
        holder = self.output.acc if self.output is not None else self.y
        if (self.output is not None or not self.saturating) and (lo < holder.lo or hi > holder.hi):
            raise IntsimError(
                f"sums reach [{lo}, {hi}], {holder} holds [{holder.lo}, {holder.hi}]; "
                "widen it, clamp the terms, or saturate"
            )

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest sum, from the clamps of the terms."""
        ends = [
            (lo + offset, hi + offset)
            for term in (self.left, self.right)
            for (lo, hi), offset in [(term.bounds, 0 if term.zero_first else term.zero_point)]
        ]
        return ends[0][0] + ends[1][0], ends[0][1] + ends[1][1]

    @property
    def inputs(self) -> Mapping[str, Format]:
        ports: dict[str, Format] = {"a": self.left.acc, "b": self.right.acc}
        if len(self.left.channels) > 1:
            ports["channel"] = self.left.channel_format
        return ports

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": self.y}

    @property
    def name(self) -> str:
        return "residual_add"

    def real(self, *values: Any) -> Any:
        """The sum of the scaled terms within the range of `y`, float64."""
        a, b, *channel = values
        total = self.left.real(a, *channel) + self.right.real(b, *channel)
        return self.output.real(total) if self.output is not None else np.clip(total, self.y.lo, self.y.hi)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Every corner of each term, against two placings of the other's corners and against its ends."""
        columns = self.left.corners(), self.right.corners()
        rows = max(c[0].size for c in columns)
        a, b = (np.resize(c[0], rows) for c in columns)
        ends = np.resize([self.right.acc.lo, self.right.acc.hi, 0], rows)
        ports = [np.concatenate([a, a, a]), np.concatenate([b, np.roll(b[::-1], 7), ends.astype(b.dtype)])]
        if len(self.left.channels) > 1:
            ports.append(np.tile(np.resize(columns[0][1], rows), 3))
        return tuple(ports)

    def hazards(self) -> tuple[Hazard, ...]:
        lo, hi = self.range
        found = self.left.hazards() + self.right.hazards()
        if self.output is None and (lo < self.y.lo or hi > self.y.hi):
            found += (Hazard(f"sums reach [{lo}, {hi}], {self.y} saturates them", "widen y where that matters"),)
        return found

    def _terms(self, columns: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        a, b, *channel = columns
        return self.left._evaluate(a, *channel)["y"], self.right._evaluate(b, *channel)["y"]

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        return {"y": self._trace(*columns)["y"]}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        left, right = self._terms(columns)
        holder = self.output.acc if self.output is not None else self.y
        total = np.empty(left.shape, dtype=holder.dtype)
        run(add, left, right, holder.lo, holder.hi, total)
        y = self.output._evaluate(total)["y"] if self.output is not None else total
        return {"left": left, "right": right, "total": total, "y": y}


@exact
def add(a, b, lo, hi, out):
    """``a + b`` limited to ``[lo, hi]``, element by element."""
    for k in range(a.size):
        out[k] = limit(a[k] + b[k], lo, hi)
