"""A picture of a unit: the function, its error, and where the table is cut."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intsim.errors import IntsimError
from intsim.files import write_bytes
from intsim.formats import Fixed
from intsim.measure.errors import compare, defined_at
from intsim.measure.inputs import domain_inputs
from intsim.unit import Unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["picture"]

_COLUMNS = 900  # the error is drawn as the range within each of so many columns

_SMALL = 2.0**-14  # smallest magnitude drawn by its logarithm and counted fully in a relative error

_INK = "#22303c"
_FUNCTION = "#1f6f8b"
_ERROR = "#c8553d"
_CUT = "#8d99ae"


def picture(unit: Unit, path: str | Path) -> Path:
    """Draw an elementwise unit of one input: function on top, error below, cut points through both.

    Parameters
    ----------
    unit : a unit with a real function
    path : ``.png``, ``.svg`` or ``.pdf``; written whole or not at all

    Returns
    -------
    Path
        `path`

    Raises
    ------
    IntsimError
        A unit of several inputs, of rows or without a real function; another suffix; matplotlib is missing.
    """
    target = Path(path)
    kind = target.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise IntsimError(f"cannot draw {target.name!r}; give a name that ends in .png, .svg or .pdf")
    if unit.is_row or len(unit.inputs) != 1:
        raise IntsimError(f"{unit.name} has {len(unit.inputs)} inputs or works on rows; pictures show one input value")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise IntsimError("pictures need matplotlib; install it with pip install 'intsim[plots]'") from None
    port, drain = next(iter(unit.outputs.items()))
    source = next(iter(unit.inputs.values()))
    (codes,) = defined_at(unit, domain_inputs(unit)[0], port)
    codes = codes[np.argsort(source.decode(codes), kind="stable")]
    outputs, real = compare(unit, (codes,), port)
    x, y = source.decode(codes), drain.decode(outputs)
    if isinstance(drain, Fixed):
        off, unit_of_error = (y - real) * 2.0**drain.frac, "LSB of y"
    else:
        off, unit_of_error = (y - real) / np.maximum(np.abs(real), _SMALL), ""
    # a salt and no date: the same unit gives the same file
    with matplotlib.rc_context({"svg.hashsalt": unit.sha256, "font.size": 9, "axes.edgecolor": _INK}):
        figure = Figure(figsize=(8, 5.4), dpi=140, layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_function(top, unit, x, y, real)
        _draw_error(bottom, x, off, unit_of_error)
        if not isinstance(source, Fixed):
            _by_octaves(top, "x")
        if not isinstance(drain, Fixed):
            _by_octaves(top, "y")
        for axes in (top, bottom):
            _draw_cuts(axes, unit, source)
        title = f"{unit.name}   {source} → {drain}"
        top.set_title(title, loc="left", fontweight="bold", color=_INK)
        bottom.set_xlabel("x")
        stream = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {"CreationDate": None} if kind == "pdf" else {}
        figure.savefig(stream, format=kind, metadata=metadata)
    write_bytes(target, stream.getvalue())
    return target


def _draw_function(axes: Axes, unit: Unit, x: np.ndarray, y: np.ndarray, real: np.ndarray) -> None:
    label = getattr(unit, "fn", None) or "real function"
    axes.plot(x, real, color=_INK, linewidth=3.2, alpha=0.25, label=label, solid_capstyle="round")
    axes.plot(x, y, color=_FUNCTION, linewidth=1.1, label="unit")
    axes.set_ylabel("y")
    axes.margins(x=0)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False, loc="best")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_error(axes: Axes, x: np.ndarray, off: np.ndarray, unit_of_error: str) -> None:
    columns = np.array_split(np.arange(x.size), min(_COLUMNS, x.size))
    centre = np.array([x[c].mean() for c in columns])
    least = np.array([off[c].min() for c in columns])
    most = np.array([off[c].max() for c in columns])
    mean = np.array([off[c].mean() for c in columns])
    axes.fill_between(centre, least, most, color=_ERROR, alpha=0.35, linewidth=0, label="range")
    axes.plot(centre, mean, color=_ERROR, linewidth=0.8, label="mean")
    if unit_of_error:
        for half in (-0.5, 0.5):
            axes.axhline(half, color=_INK, linewidth=0.6, linestyle=(0, (4, 3)))
    axes.axhline(0, color=_INK, linewidth=0.5)
    axes.set_ylabel(f"error in {unit_of_error}" if unit_of_error else "relative error")
    axes.margins(x=0)
    axes.grid(alpha=0.2)
    axes.legend(frameon=False, loc="best", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_cuts(axes: Axes, unit: Unit, source: Any) -> None:
    for cut in getattr(unit, "cuts", ()):
        axes.axvline(float(source.decode(cut)), color=_CUT, linewidth=0.7, zorder=0.5)


def _by_octaves(axes: Axes, which: str) -> None:
    """A logarithmic axis on both sides of zero, as fits a floating-point port."""
    from matplotlib.scale import SymmetricalLogScale

    lo, hi = axes.get_xlim() if which == "x" else axes.get_ylim()
    decades = [sign * 10.0**k for sign in (-1, 1) for k in (-3, -1, 1, 3)]
    axes.set(
        **{
            f"{which}scale": SymmetricalLogScale(None, linthresh=16 * _SMALL),
            f"{which}ticks": [t for t in (0.0, *decades) if lo <= t <= hi],
            f"{which}lim": (lo, hi),
        }
    )
    axes.minorticks_off()
