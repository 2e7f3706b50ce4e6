"""How far an integer softmax is from the exact one, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.errors import UnknownName
from intsim.unit import Unit

__all__ = ["DISTANCES", "row_distance", "synthetic_rows"]

DISTANCES = ("tv", "kl")


def row_distance(unit: Unit, rows: Any, distance: str = "tv") -> np.ndarray:
    """The distance of each row of probabilities from the exact softmax.

    ``"tv"``: total variation, half the sum of absolute differences. ``"kl"``: Kullback-Leibler divergence of the
    unit's row (made to sum to 1, with 2**-24 in place of 0) from the exact one, in nats.

    Parameters
    ----------
    unit : a softmax with one input port (masked ones: every element counts)
    rows : integer codes (..., n) of that port
    """
    if distance not in DISTANCES:
        raise UnknownName("distance", str(distance), DISTANCES)
    codes = np.asarray(rows)
    wanted = unit.real(next(iter(unit.inputs.values())).decode(codes))
    found = next(iter(unit.outputs.values())).decode(unit(codes))
    if distance == "tv":
        return np.abs(found - wanted).sum(axis=-1) / 2
    filled = np.maximum(found, 2.0**-24)
    filled /= filled.sum(axis=-1, keepdims=True)
    return np.sum(wanted * np.log(np.maximum(wanted, 2.0**-1000) / filled), axis=-1)


def synthetic_rows(n: int = 1024, rows: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    """Real scores of four kinds: flat, moderate, moderate with outliers, wide.

    "outliers": N(0, 1) with one element in 128 moved up by N(8, 3).
    """
    rng = np.random.default_rng(seed)
    outliers = rng.normal(0, 1, (rows, n))
    for row in outliers:
        row[rng.choice(n, max(n // 128, 1), replace=False)] += rng.normal(8, 3, max(n // 128, 1))
    return {
        "flat N(0, 0.5)": rng.normal(0, 0.5, (rows, n)),
        "N(0, 3)": rng.normal(0, 3, (rows, n)),
        "outliers": outliers,
        "N(0, 8)": rng.normal(0, 8, (rows, n)),
    }
