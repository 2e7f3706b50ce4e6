"""How sure a figure is: bootstrap intervals of means and of paired differences."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["difference", "interval", "shown", "with_interval"]


def interval(values: np.ndarray, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean."""
    drawn = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def with_interval(values: Any, seed: int = 0) -> dict[str, float]:
    """``mean``, ``low`` and ``high`` of values (count,)."""
    real = np.asarray(values, dtype=np.float64)
    low, high = interval(real, seed)
    return {"mean": float(real.mean()), "low": low, "high": high}


def difference(values: Any, reference: Any, seed: int = 0) -> dict[str, float]:
    """Mean of ``values - reference`` with its interval: the same items are drawn for both, which is much narrower
    than the intervals of the two means."""
    return with_interval(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64), seed)


def shown(value: float) -> str:
    """A figure as pages show it: three decimals, from 10 on four significant digits."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
