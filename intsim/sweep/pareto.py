"""Which points are worth having: those that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["LARGER_IS_BETTER", "front"]

LARGER_IS_BETTER = frozenset({"correctly_rounded", "fmax", "rate"})
"""The figures of which more is better; of all others, less."""


def front(figures: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> list[int]:
    """The Pareto front: positions of the points that no other point beats.

    A point beats another where it is no worse on any axis and better on one. Equal points do not beat each other.

    Parameters
    ----------
    figures : of each point by name; a point that lacks one of the axes takes no part
    axes : names of figures; see :data:`LARGER_IS_BETTER`

    Returns
    -------
    list of int
        In the order of the first axis, best first, then of the following ones.
    """
    taking_part = [i for i, found in enumerate(figures) if all(found.get(axis) is not None for axis in axes)]
    if not taking_part:
        return []
    signs = [-1 if axis in LARGER_IS_BETTER else 1 for axis in axes]
    values = np.array(
        [[sign * figures[i][axis] for axis, sign in zip(axes, signs, strict=True)] for i in taking_part],
        dtype=np.float64,
    )
    kept = [
        k for k, own in enumerate(values) if not np.any(np.all(values <= own, axis=1) & np.any(values < own, axis=1))
    ]
    return [taking_part[k] for k in sorted(kept, key=lambda k: (*values[k], k))]
