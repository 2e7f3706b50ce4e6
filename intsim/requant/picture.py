"""A picture of where two conventions differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from intsim.errors import IntsimError

if TYPE_CHECKING:
    from intsim.requant.difference import Difference

__all__ = ["draw"]

_WINDOW = 12  # accumulators to each side of the smallest counter-example


def draw(difference: Difference, path: str | Path) -> None:
    """Two panels: the share of differing inputs by shift, and both results around the smallest counter-example.

    Parameters
    ----------
    difference : what :func:`intsim.requant.compare` returned
    path : of the picture; its ending says the kind (``.svg``, ``.png``, ``.pdf``)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise IntsimError("pictures need matplotlib; pip install 'intsim[plots]'") from None
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    shifts = sorted(difference.by_shift)
    shares = [100 * differing / compared for compared, differing in (difference.by_shift[s] for s in shifts)]
    left.bar(shifts, shares, color="tab:blue")
    left.set(
        xlabel="bits to the right", ylabel="inputs that differ, %", title=f"{difference.share:.3%} of all compared"
    )
    if difference.smallest is None:
        right.text(0.5, 0.5, f"no difference in {difference.compared:,} inputs", ha="center", va="center")
        right.set_axis_off()
    else:
        _steps(right, difference)
    figure.suptitle(f"{difference.a} against {difference.b}")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise IntsimError(f"cannot write the picture {path}: {error}") from None


def _steps(axes, difference: Difference) -> None:
    """Results of both over a window of accumulators, differences marked."""
    assert difference.smallest is not None
    acc, *constants, _, _ = difference.smallest
    window = np.arange(acc - _WINDOW, acc + _WINDOW + 1)
    a, b = (side(window, *constants).astype(np.int64) for side in difference.sides)
    axes.step(window, a, where="mid", label=difference.a, linewidth=2)
    axes.step(window, b, where="mid", label=difference.b, linewidth=1.5, linestyle="--")
    differs = a != b
    axes.plot(window[differs], a[differs], "o", color="tab:red", label="differ")
    names = ", ".join(f"{port} {value}" for port, value in zip(difference.ports[1:], constants, strict=True))
    axes.set(xlabel="accumulator", ylabel="result", title=names)
    axes.legend()
