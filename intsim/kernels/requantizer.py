"""How a :class:`~intsim.requant.Requantizer` reaches the machine code: per tensor, or per column of a matrix."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from intsim.exact import compiled
from intsim.kernels.dots import LANES
from intsim.kernels.memory import aligned
from intsim.kernels.requantize import TWO_ROUNDINGS, requantize_rows
from intsim.kernels.threads import in_parts
from intsim.rounding import TIES_AWAY, TIES_TO_POS

__all__ = ["Constants", "by_column", "constants", "whole"]

_PARALLEL = 1 << 19  # elements from which threads pay
_WIDTH = 1 << 10  # a tensor is computed as rows of this length, several side by side


@dataclass(frozen=True, eq=False)
class Constants:
    """A requantiser's parameters as :func:`requantize_rows` takes them, between `acc` and `out`."""

    mode: int
    high: bool
    multipliers: np.ndarray
    shifts: np.ndarray
    point: int
    before: int
    lo: int
    hi: int
    after: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (
            self.mode, self.high, self.multipliers, self.shifts, self.point, self.before, self.lo, self.hi, self.after,
        )  # fmt: skip

    def for_columns(self, columns: int) -> Constants:
        """The same with a multiplier and a shift for each of `columns`."""
        if self.multipliers.size == columns:
            return self
        return replace(self, multipliers=np.full(columns, self.multipliers[0]), shifts=np.full(columns, self.shifts[0]))


_known: dict[tuple[int, bytes], tuple[weakref.ref, Constants | None]] = {}


def constants(unit: Any, channels: np.ndarray | None = None) -> Constants | None:
    """The constants of `unit`, in the order of `channels` (all by default); None where the kernel has no such form.

    They are kept as long as the unit: a unit does not change, and a thousand channels take as long as the work.
    """
    key = id(unit), b"" if channels is None else channels.tobytes()
    known = _known.get(key)
    if known is None or known[0]() is not unit:
        owner = weakref.ref(unit, lambda _: _known.pop(key, None))
        known = _known[key] = owner, _constants(unit, channels)
    return known[1]


def _constants(unit: Any, channels: np.ndarray | None) -> Constants | None:
    if unit.pre_shift or not unit.channels or unit.acc.bits > 32 or not unit.acc.signed:
        return None
    table = np.array(unit.constants, dtype=np.int64)
    factors, amounts, addends = (table if channels is None else table[channels]).T
    even = factors == 1 << 31  # half of it, shifted by one bit less, is the same
    factors, amounts = np.where(even, 1 << 30, factors), np.where(even, amounts - 1, amounts)
    if addends.any() or int(factors.max()) >> 31 or int(amounts.min()) < 0 or int(amounts.max()) > 62:
        return None
    mode, point = int(unit.rounding), unit.binary_point
    if unit.first is not None:
        if unit.first != TIES_TO_POS or unit.rounding != TIES_AWAY or even.any():
            return None
        mode = TWO_ROUNDINGS
    lo, hi = unit.bounds
    before, after = (unit.zero_point, 0) if unit.zero_first else (0, unit.zero_point)
    if min(lo - before, lo) < -(1 << 31) or max(hi - before, hi) >= 1 << 31:
        return None
    high = int(amounts.min()) >= 32 and (mode != TWO_ROUNDINGS or point == 31)
    shapes = factors.astype(np.int32), amounts.astype(np.uint8)
    return Constants(mode, high, *shapes, point, before, lo, hi, after)


def whole(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """Per tensor."""
    if len(columns) != 1 or columns[0].dtype != np.int32 or columns[0].size < LANES:
        return None
    form = constants(unit)
    if form is None:
        return None
    out = given.get("y")
    if out is None:
        out = aligned(columns[0].shape, unit.y.dtype)
    acc, done = columns[0], columns[0].size // _WIDTH * _WIDTH
    if done:
        _apply(form, acc[:done].reshape(-1, _WIDTH), out[:done].reshape(-1, _WIDTH))
    if done < acc.size:
        rest = min(done, acc.size - LANES)  # at least a vector, part of which may be computed again
        _apply(form, acc[rest:].reshape(1, -1), out[rest:].reshape(1, -1))
    return {"y": out}


def by_column(unit: Any, acc: np.ndarray, channel: np.ndarray, out: np.ndarray | None) -> np.ndarray | None:
    """Per channel, where the last axis of `acc` decides it: `acc` (..., C), `channel` (C,), both checked."""
    if acc.dtype != np.int32 or channel.size < LANES:
        return None
    form = constants(unit, channel)
    if form is None:
        return None
    if out is None:
        out = aligned(acc.shape, unit.y.dtype)
    rows = np.ascontiguousarray(acc).reshape(-1, channel.size)
    _apply(form, rows, out.reshape(rows.shape))
    return out


def _apply(form: Constants, acc: np.ndarray, out: np.ndarray) -> None:
    run = compiled(requantize_rows)
    in_parts(lambda a, b: run(acc[a:b], *form.arguments, out[a:b]), len(acc), 1, acc.size > _PARALLEL)
