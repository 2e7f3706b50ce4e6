"""From a function to a :class:`~intsim.tables.dulut.DULUT` unit: the plan, by dynamic programming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed
from intsim.rounding import Rounding
from intsim.tables.design.target import Target, function_and_name, target_for
from intsim.tables.dulut import DULUT
from intsim.tables.uniform import Uniform

__all__ = ["OBJECTIVES", "Bins", "Group", "design", "plan"]

OBJECTIVES = ("mean_squared", "max_absolute")

_POINTS = 1 << 14  # codes at which a plan is judged; wider domains are sampled at equal steps


@dataclass(frozen=True)
class Group:
    """`bins` neighbouring bins of the first table that own `segments` of the second: one of both is 1."""

    bins: int
    segments: int

    def __str__(self) -> str:
        return f"({self.bins})" if self.bins > 1 else str(self.segments)


@dataclass(frozen=True, eq=False)
class Bins:
    """The equal bins of the first table over a target's domain.

    Attributes
    ----------
    step_bits : a bin is ``2**step_bits`` codes wide
    count : bins, the last of which may reach beyond the domain
    frac : fraction bits of the index
    """

    target: Target
    step_bits: int
    count: int
    frac: int

    @classmethod
    def over(cls, target: Target, at_most: int, frac: int) -> Bins:
        span, step_bits = target.last - target.first, 0
        while span > at_most << step_bits:
            step_bits += 1
        return cls(target, step_bits, -(-span >> step_bits), frac)

    def knots(self, first: int, group: Group) -> tuple[np.ndarray, np.ndarray]:
        """Positions (codes) of the group's knots, if it begins at bin `first`, and the table words there.

        A last knot beyond the domain gets the word with which the line to it passes through the function at the
        domain's end.
        """
        target = self.target
        left = target.first + (first << self.step_bits)
        places = left + np.arange(group.segments + 1) * ((group.bins << self.step_bits) / group.segments)
        values = target.values(np.minimum(places, target.last))
        for k in np.flatnonzero(places > target.last):
            before = target.last if places[k - 1] >= target.last else places[k - 1]
            if before < target.last:
                rise = (values[k] - values[k - 1]) / (target.last - before)
                values[k] = values[k - 1] + rise * (places[k] - before)
        return places, np.rint(np.clip(values, target.y.lo, target.y.hi))

    def steps(self, used: int, group: Group) -> np.ndarray:
        """Index words at the ends of the group's bins, if `used` segments lie left of it: an end more than bins."""
        whole = used << self.frac
        return np.array([whole + round((k * group.segments << self.frac) / group.bins) for k in range(group.bins + 1)])

    def cost(self, first: int, group: Group, objective: str) -> float:
        """Error of one group over the codes of its bins, with the index rounded where bins share a segment."""
        target = self.target
        left = target.first + (first << self.step_bits)
        right = min(left + (group.bins << self.step_bits) - 1, target.last)
        stride = max(1, (target.last - target.first) // _POINTS)
        codes = np.arange(left, right + 1, stride, dtype=np.int64)
        places, words = self.knots(first, group)
        if group.bins > 1:
            places = left + (np.arange(group.bins + 1) << self.step_bits)
            words = words[0] + (words[1] - words[0]) * np.ldexp(self.steps(0, group), -self.frac)
        error = np.interp(codes, places, words) - target.values(codes)
        return float(np.sum(error**2) if objective == "mean_squared" else np.max(np.abs(error)))


def plan(bins: Bins, segments: int, objective: str) -> list[Group]:
    """The groups, left to right, that own at most `segments` segments together and have the least error.

    Raises
    ------
    UnknownName
        `objective` is neither ``"mean_squared"`` nor ``"max_absolute"``.
    """
    if objective not in OBJECTIVES:
        raise UnknownName("objective", str(objective), OBJECTIVES)
    join = float.__add__ if objective == "mean_squared" else max
    best: list[dict[int, tuple[float, Group | None]]] = [{0: (0.0, None)}]  # per bin: segments used -> cost, last group
    splits = [[bins.cost(b, Group(1, n), objective) for n in range(1, segments + 1)] for b in range(bins.count)]
    merges = {
        (b, r): bins.cost(b, Group(r, 1), objective) for b in range(bins.count) for r in range(2, bins.count - b + 1)
    }
    for end in range(1, bins.count + 1):
        reached: dict[int, tuple[float, Group | None]] = {}

        def offer(used: int, cost: float, group: Group, reached: dict = reached) -> None:
            if used <= segments and (used not in reached or cost < reached[used][0]):
                reached[used] = (cost, group)

        for used, (cost, _) in best[end - 1].items():
            for n in range(1, segments - used + 1):
                offer(used + n, join(cost, splits[end - 1][n - 1]), Group(1, n))
        for r in range(2, end + 1):
            for used, (cost, _) in best[end - r].items():
                offer(used + 1, join(cost, merges[end - r, r]), Group(r, 1))
        best.append(reached)
    used = min(best[-1], key=lambda m: (best[-1][m][0], m))
    groups: list[Group] = []
    end = bins.count
    while end:
        group = best[end][used][1]
        assert group is not None
        groups.append(group)
        end, used = end - group.bins, used - group.segments
    return groups[::-1]


def design(
    fn: str | Callable[[np.ndarray], Any],
    x: Fixed,
    y: Fixed,
    *,
    n1: int,
    n2: int,
    index: Fixed | None,
    objective: str,
    saturate: bool,
    domain: tuple[float, float] | None,
    rounding: Rounding,
) -> DULUT:
    """The unit; parameters as :meth:`intsim.tables.dulut.DULUT.design`."""
    if n1 < 1 or n2 < 1:
        raise IntsimError(f"both tables have at least 1 segment, got {n1} and {n2}")
    if index is None:
        index = Fixed(11 + n2.bit_length(), 11, signed=False)
    if not isinstance(index, Fixed) or index.signed or index.frac < 0 or index.hi < (n2 << index.frac) - 1:
        raise IntsimError(f"the index holds {n2} steps without a sign: use Fixed({11 + n2.bit_length()}, 11, False)")
    function, name = function_and_name(fn)
    target = target_for(function, x, y, domain, saturate)
    target.sweep()
    bins = Bins.over(target, n1, index.frac)
    groups = plan(bins, n2, objective)
    indices, words = [0], []
    at = used = 0
    for group in groups:
        words += bins.knots(at, group)[1][:-1].tolist()
        indices += np.minimum(bins.steps(used, group)[1:], index.hi).tolist()
        at, used = at + group.bins, used + group.segments
    words.append(bins.knots(at - groups[-1].bins, groups[-1])[1][-1])
    mapper = Uniform(x, index, target.first, bins.step_bits, tuple(indices), rounding, domain=target.domain)
    values = Uniform(index, y, 0, index.frac, tuple(int(w) for w in words), rounding)
    return DULUT(mapper, values, fn=name, origin="plan " + " ".join(map(str, groups)))
