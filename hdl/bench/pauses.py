"""Seeded pauses: when a sender idles, when a receiver stalls."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

__all__ = ["gaps", "never", "stalls"]

Pauses = Iterator[int]
"""Cycles to pause before each transfer (sender) or before each cycle of readiness (receiver)."""


def never() -> Pauses:
    """No pause at all."""
    return itertools.repeat(0)


def stalls(probability: float, seed: int) -> Pauses:
    """A pause in every cycle with `probability`, independently: their lengths are geometric.

    Parameters
    ----------
    probability : 0 to below 1
    seed : of the generator; give each side its own
    """
    if not 0 <= probability < 1:
        raise ValueError(f"a stall probability lies between 0 and 1 (exclusive), got {probability}")
    if probability == 0:
        return never()
    rng = random.Random(seed)
    scale = 1 / math.log(probability)
    return (int(math.log(1 - rng.random()) * scale) for _ in itertools.count())


def gaps(burst: int, longest: int, seed: int) -> Pauses:
    """Bursts of 1 to `burst` transfers back to back, then an idle gap of 1 to `longest` cycles."""
    rng = random.Random(seed)
    while True:
        yield rng.randint(1, longest)
        yield from itertools.repeat(0, rng.randint(1, burst) - 1)
