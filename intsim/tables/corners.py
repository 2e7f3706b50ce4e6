"""Inputs that tell a table unit from every unit that differs from it in one parameter.

For each table word, scale, cut point and so on, changed by one, the codes that the change can reach are searched
for one where the output differs. What is not found in the search changes nothing there: with an input of at most
16 bits every code is searched, so no such change can hide from the corners.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from intsim.errors import IntsimError
from intsim.rounding import Rounding

if TYPE_CHECKING:
    from intsim.tables.dulut import DULUT
    from intsim.tables.nli import NLI
    from intsim.tables.uniform import Uniform

__all__ = ["dulut_corners", "nli_corners", "uniform_corners"]

_SEARCHED = 1 << 16  # codes searched per change


@functools.lru_cache(maxsize=64)
def nli_corners(unit: NLI) -> np.ndarray:
    """Range ends, both sides of every cut point and knot, middles of segments, and the witnesses."""
    points = {0}
    knots = [
        unit.cuts[I] + (unit.cuts[I + 1] - unit.cuts[I]) * k // (2 * n)
        for I, n in enumerate(unit.segments)
        for k in range(2 * n)
    ]
    for near in [*knots, unit.cuts[-1]]:
        points.update(range(near - 1, near + 3))
    lo, hi = unit.x.lo, unit.x.hi
    # edges[g + 1]: where segment g begins, or somewhat before (scales are rounded down)
    edges = [lo, *knots[::2], hi]
    changes: list[tuple[dict[str, Any], int, int]] = []
    for g in range(len(unit.table)):
        reach = edges[max(g, 1)] - 1 if g else lo, edges[min(g + 3, len(edges) - 1)]
        changes += [({"table": table}, *reach) for table in nudged(unit.table, g)]
    for I in range(unit.intervals):
        reach = unit.cuts[I], (*unit.cuts[1:-1], hi)[I]
        changes += [({"mantissas": mantissas}, *reach) for mantissas in nudged(unit.mantissas, I)]
        changes += [({"shifts": shifts}, *reach) for shifts in nudged(unit.shifts, I)]
    for i in range(unit.intervals + 1):
        reach = unit.cuts[i - 1] if i else lo, unit.cuts[i + 1] if i < unit.intervals else hi
        changes += [({"cuts": cuts}, *reach) for cuts in nudged(unit.cuts, i)]
    changes += [({"rounding": mode}, lo, hi) for mode in Rounding if mode != unit.rounding]
    return collect(unit, points, changes)


@functools.lru_cache(maxsize=64)
def uniform_corners(unit: Uniform) -> np.ndarray:
    """Range ends, both sides of every knot, middles of segments, and the witnesses."""
    lo, hi = unit.x.lo, unit.x.hi
    points, reaches = _around_knots(unit)
    changes: list[tuple[dict[str, Any], int, int]] = []
    for g, reach in enumerate(reaches):
        changes += [({"table": table}, *reach) for table in nudged(unit.table, g)]
    changes += [({"first": first}, lo, hi) for (first,) in nudged((unit.first,), 0)]
    changes += [({"rounding": mode}, lo, hi) for mode in Rounding if mode != unit.rounding]
    return collect(unit, points, changes)


@functools.lru_cache(maxsize=64)
def dulut_corners(unit: DULUT) -> np.ndarray:
    """Range ends, both sides of every knot of the first table, and the witnesses for the words of both."""
    lo, hi = unit.x.lo, unit.x.hi
    mapper, values = unit.mapper, unit.values
    points, reaches = _around_knots(mapper)
    changes: list[tuple[dict[str, Any], int, int]] = []
    for g, reach in enumerate(reaches):
        changes += [({"mapper": other}, *reach) for other in _other_words(mapper, g)]
    for g in range(len(values.table)):
        changes += [({"values": other}, lo, hi) for other in _other_words(values, g)]
    return collect(unit, points, changes)


def _around_knots(table: Uniform) -> tuple[set[int], list[tuple[int, int]]]:
    """Zero, both sides of every knot and the middles of segments; and for each word the codes that it can reach."""
    size = 1 << table.step_bits
    knots = [table.first + g * size for g in range(table.segments + 1)]
    points = {0}
    for near in [*knots, *(knot + size // 2 for knot in knots)]:
        points.update(range(near - 1, near + 2))
    reaches = [(knot - size, knot + size) for knot in knots]
    reaches[0], reaches[-1] = (table.x.lo, reaches[0][1]), (reaches[-1][0], table.x.hi)
    return points, reaches


def _other_words(table: Uniform, at: int) -> list[Uniform]:
    """The table with one word one higher, and one lower, where its format holds that."""
    return [replace(table, table=t) for t in nudged(table.table, at) if table.y.lo <= t[at] <= table.y.hi]


def nudged(values: tuple[int, ...], at: int) -> Iterator[tuple[int, ...]]:
    """`values` with one of them one higher, then one lower."""
    for change in (1, -1):
        yield (*values[:at], values[at] + change, *values[at + 1 :])


def collect(
    unit: DULUT | NLI | Uniform, points: set[int], changes: list[tuple[dict[str, Any], int, int]]
) -> np.ndarray:
    """`points`, the range ends, and a witness for every change ``(fields, from, to)`` that has one; ascending."""
    lo, hi = unit.x.lo, unit.x.hi
    points.update((lo, lo + 1, hi - 1, hi))
    structure = np.array(sorted(p for p in points if lo <= p <= hi), dtype=unit.x.dtype)
    known = unit(structure)
    found: set[int] = set(structure.tolist())
    for fields, first, last in changes:
        try:
            other = replace(unit, **fields)
        except IntsimError:
            continue  # no such unit
        first, last = max(first, lo), min(last, hi)
        inside = slice(*np.searchsorted(structure, [first, last + 1]))
        if inside.start < inside.stop and np.any(other(structure[inside]) != known[inside]):
            continue
        codes = between(first, last).astype(unit.x.dtype)
        differs = np.flatnonzero(other(codes) != unit(codes))
        if differs.size:
            found.add(int(codes[differs[0]]))
    return np.array(sorted(found), dtype=unit.x.dtype)


def between(first: int, last: int) -> np.ndarray:
    """Codes from `first` to `last`: all of them, or as many as are searched at equal steps."""
    stride = -(-(last - first + 1) // _SEARCHED)
    return np.arange(first, last + 1, stride, dtype=np.int64)
