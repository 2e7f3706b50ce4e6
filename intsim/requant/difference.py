"""On which inputs two conventions differ, how often, and by how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.requant.conventions import lookup, scale_rule
from intsim.requant.corners import near_ties
from intsim.requant.float_scale import FloatConvention, codes_of
from intsim.requant.requantizer import Requantizer

__all__ = ["Difference", "compare"]

Convention = Requantizer | FloatConvention
Inputs = tuple[np.ndarray, ...]

SMALL = 1 << 16  # every accumulator up to here is tried when a counter-example is made smaller
ACC = np.arange(-SMALL, SMALL + 1, dtype=np.int32)


@dataclass(frozen=True)
class Difference:
    """What :func:`compare` found.

    Attributes
    ----------
    a, b : names of the conventions
    ports : names of the inputs: ``acc, multiplier, shift``, or ``acc, scale`` where one of them takes a scale
    compared : inputs compared
    differing : those with different results
    largest : the largest difference of the results
    smallest : the differing input with the smallest accumulator that was found, both results behind it; None if none
    by_shift : right shift in bits -> (compared, differing)
    inputs : the differing inputs, one array per port, with the results of `a` and of `b` at the end
    sides : the two as functions of the ports
    """

    a: str
    b: str
    ports: tuple[str, ...]
    compared: int
    differing: int
    largest: int
    smallest: tuple[Any, ...] | None
    by_shift: dict[int, tuple[int, int]]
    inputs: Inputs = field(repr=False, compare=False)
    sides: tuple[Callable[..., np.ndarray], ...] = field(repr=False, compare=False)

    @property
    def share(self) -> float:
        """The part of the compared inputs with different results."""
        return self.differing / self.compared

    def __str__(self) -> str:
        text = f"{self.a} and {self.b} differ on {self.differing} of {self.compared} inputs ({self.share:.3%})"
        if self.smallest is None:
            return text
        *values, ya, yb = self.smallest
        where = ", ".join(f"{port} {value}" for port, value in zip(self.ports, values, strict=True))
        return f"{text}, by at most {self.largest}; smallest: {where} gives {ya} and {yb}"

    def picture(self, path: str | Path) -> None:
        """Draw where the two differ: the share by shift, and both results around the smallest counter-example."""
        from intsim.requant.picture import draw

        draw(self, path)


def compare(
    a: str | Convention,
    b: str | Convention,
    *,
    acc: Any = None,
    multiplier: Any = None,
    shift: Any = None,
    scale: Any = None,
    zero_point: int = 0,
    lo: int | None = None,
    hi: int | None = None,
    count: int = 1 << 18,
    seed: int = 0,
) -> Difference:
    """Compare two conventions.

    Two integer conventions are compared on ``acc, multiplier, shift``. Where one takes a float scale, both are
    given ``acc, scale``, and an integer one gets the multiplier and the shift its project makes of that scale.

    Parameters
    ----------
    a, b : names, or instances
    acc : accumulators, as from a real layer: the share is then that of this distribution. Without it, half the
        inputs lie at and beside ties and half are random, so the share means nothing in itself
    multiplier, shift, scale : what goes with `acc`, broadcast against it; drawn at random where not given
    zero_point, lo, hi : of the output; by default none and 32 bits, or 8 bits where a scale is a float
    count : inputs drawn where `acc` is not given
    seed : of the generator

    Raises
    ------
    IntsimError, UnknownName
        Inputs that do not go with the conventions.
    """
    left, right = (lookup(c) if isinstance(c, str) else c for c in (a, b))
    by_scale = isinstance(left, FloatConvention) or isinstance(right, FloatConvention)
    if by_scale and (multiplier is not None or shift is not None):
        raise IntsimError("one of the conventions takes a float scale: give scale=, not multiplier= and shift=")
    if not by_scale and scale is not None:
        multiplier, shift = _dyadic(left, scale)
    if by_scale:
        lo, hi = -128 if lo is None else lo, 127 if hi is None else hi
        inputs = _scale_inputs(acc, scale, count, seed)
    else:
        inputs = _integer_inputs((left, right), acc, multiplier, shift, count, seed)
    sides = [_Side(c, by_scale, zero_point, lo, hi) for c in (left, right)]
    ya, yb = (side(*inputs).astype(np.int64) for side in sides)
    differs = ya != yb
    found = (*(v[differs] for v in inputs), ya[differs], yb[differs])
    gaps = np.abs(found[-1] - found[-2])
    amount = _amounts(inputs)
    by_shift = {int(s): (int(np.sum(amount == s)), int(np.sum(differs & (amount == s)))) for s in np.unique(amount)}
    return Difference(
        a=left.name,
        b=right.name,
        ports=("acc", "scale") if by_scale else ("acc", "multiplier", "shift"),
        compared=int(differs.size),
        differing=int(differs.sum()),
        largest=int(gaps.max()) if gaps.size else 0,
        smallest=_smallest(sides, found),
        by_shift=by_shift,
        inputs=found,
        sides=tuple(sides),
    )


class _Side:
    """A convention that takes the inputs of the comparison, whatever its own are."""

    def __init__(self, convention: Convention, by_scale: bool, zero_point: int, lo: int | None, hi: int | None):
        self.by_scale = by_scale
        self.clamp: tuple[Any, Any, Any] = (zero_point, lo, hi)
        self.convention: Convention = convention
        if isinstance(convention, Requantizer):
            if convention.channels:
                raise IntsimError(f"{convention.name} has its constants built in; compare it without channels")
            self.convention = dataclasses.replace(convention, zero_point=zero_point, lo=lo, hi=hi)

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        if isinstance(self.convention, FloatConvention):
            acc, scale = inputs
            return self.convention(acc, scale, *self.clamp)
        if not self.by_scale:
            return self.convention(*inputs)
        acc, scale = inputs
        return self.convention(acc, *_dyadic(self.convention, scale))


def _dyadic(convention: Convention, scale: Any) -> tuple[np.ndarray, np.ndarray]:
    m, k = scale_rule(convention.name)(scale)
    return m, 31 - k


def _integer_inputs(sides: tuple[Any, Any], acc: Any, multiplier: Any, shift: Any, count: int, seed: int) -> Inputs:
    """Columns of accumulator, multiplier and shift that both conventions take."""
    a, b = sides
    rng = np.random.default_rng(seed)
    narrow = min(a.acc.bits, b.acc.bits), min(a.multiplier.hi, b.multiplier.hi), min(a.shift.hi, b.shift.hi, 30)
    half = 1 << (narrow[0] - 1)
    size = count if acc is None else np.asarray(acc).size
    drawn: Inputs = (
        rng.integers(-half, half, size) >> rng.integers(0, narrow[0] - 1, size),
        rng.integers((narrow[1] + 1) // 2, narrow[1], size, endpoint=True),
        rng.integers(-31, min(narrow[2], 0), size, endpoint=True),
    )
    if acc is None:
        ties = near_ties(
            dataclasses.replace(a, acc=a.acc if a.acc.bits <= b.acc.bits else b.acc), size - size // 2, seed
        )
        drawn = tuple(np.concatenate([column[: size // 2], tie]) for column, tie in zip(drawn, ties, strict=True))
        drawn = drawn[0], np.minimum(drawn[1], narrow[1]), np.minimum(drawn[2], narrow[2])
    given = (acc, multiplier, shift)
    return _columns([d if g is None else np.asarray(g) for d, g in zip(drawn, given, strict=True)])


def _scale_inputs(acc: Any, scale: Any, count: int, seed: int) -> Inputs:
    """Columns of accumulator and float32 scale; results mostly within 8 bits, near ties among them."""
    rng = np.random.default_rng(seed)
    size = count if acc is None else np.asarray(acc).size
    drawn_scale = np.ldexp(rng.uniform(0.5, 1.0, size), rng.integers(-24, 0, size)).astype(np.float32)
    if scale is None:
        scale = drawn_scale
    if acc is None:
        real = np.resize(np.asarray(scale, dtype=np.float64), size)
        ties = np.rint((rng.integers(-130, 130, size) + 0.5) / real) + rng.integers(-1, 2, size)
        limits = np.iinfo(np.int32)
        acc = np.clip(ties, limits.min, limits.max).astype(np.int64)
    return _columns([np.asarray(acc), np.asarray(scale, dtype=np.float32)])


def _columns(arrays: list[np.ndarray]) -> Inputs:
    try:
        return tuple(np.ascontiguousarray(v).reshape(-1) for v in np.broadcast_arrays(*arrays))
    except ValueError:
        raise IntsimError(f"shapes do not fit together: {[v.shape for v in arrays]}") from None


def _amounts(inputs: Inputs) -> np.ndarray:
    """Bits each input is shifted to the right, for sorting the differences."""
    if len(inputs) == 3:
        return 31 - inputs[2].astype(np.int64)
    return 127 + 31 - (codes_of(inputs[1], "scale") >> 23) - 1


def _smallest(sides: list[_Side], found: Inputs) -> tuple[Any, ...] | None:
    """The counter-example with the smallest accumulator, over every small accumulator and plain constants too."""
    if found[0].size == 0:
        return None
    order = np.lexsort((*(np.abs(v) for v in found[1:-2]), np.abs(found[0])))
    best = tuple(v[order[0]] for v in found)
    pairs: list[tuple[Any, ...]] = [tuple(v[k] for v in found[1:-2]) for k in order[:16]]
    if len(found) == 5:
        plain: list[tuple[Any, ...]] = [(m, s) for s in range(0, -9, -1) for m in (1 << 30, 3 << 29, 5 << 28)]
    else:
        plain = [(np.float32(2.0**-k),) for k in range(1, 9)]
    for constants in pairs + plain[::-1]:  # at equal accumulators the plainest constants win
        try:
            ya, yb = (side(ACC, *constants).astype(np.int64) for side in sides)
        except IntsimError:
            continue  # plain constants that one of the two does not take
        where = ACC[ya != yb]
        if where.size:
            acc = where[np.lexsort((-where, np.abs(where)))[0]]
            if abs(int(acc)) <= abs(int(best[0])):
                best = (acc, *constants, ya[acc + SMALL], yb[acc + SMALL])
    return tuple(v.item() if isinstance(v, np.generic) else v for v in best)
