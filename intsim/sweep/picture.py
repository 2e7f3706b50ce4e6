"""A picture of a sweep: every point, the front through them, and a list of the points on it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intsim.errors import IntsimError
from intsim.files import write_bytes
from intsim.sweep.pareto import LARGER_IS_BETTER, front
from intsim.sweep.results import Point, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LABELS", "draw"]

LABELS = {
    "error": "mean error",
    "max_error": "largest error",
    "mean_relative": "mean relative error",
    "max_relative": "largest relative error",
    "mean_lsb": "mean error, LSB",
    "max_lsb": "largest error, LSB",
    "correctly_rounded": "share rounded correctly",
    "words": "table words",
    "comb": "TRELLIS_COMB",
    "ff": "flip-flops",
    "dsp": "MULT18X18D",
    "bram": "DP16KD",
    "nand2": "area in NAND2",
    "fmax": "Fmax, MHz",
    "latency": "latency, cycles",
    "pace": "cycles per transfer or row",
    "delay": "latency, ns",
    "rate": "elements per µs",
}
"""What each figure is called on an axis."""

_INK, _LINE, _GREY = "#22303c", "#c8553d", "#8d99ae"
_COLOURS = ("#1f6f8b", "#e09f3e", "#6a4c93", "#3a7d44", "#b56576", "#577590", "#9c6644", "#8d99ae")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LISTED = 24
_TOUCH = (22, 9)  # points between numbers that would touch


def draw(results: Results, axes: Sequence[str], path: str | Path) -> Path:
    """Draw the first axis against each of the others, and the front over all of them.

    The first setting varied gives the colour, the last the shape of the marks.

    Parameters
    ----------
    results : of a sweep
    axes : two to four figures or settings; see :meth:`intsim.sweep.Results.front`
    path : ``.svg``, ``.png`` or ``.pdf``; written whole or not at all

    Raises
    ------
    IntsimError
        Another number of axes, another suffix, or Matplotlib is missing.
    """
    target = Path(path)
    kind = target.suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise IntsimError(f"cannot draw {target.name!r}; give a name that ends in .png, .svg or .pdf")
    if not 2 <= len(axes) <= 4:
        raise IntsimError(f"a picture shows 2 to 4 figures, got {len(axes)}; choose with pareto")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise IntsimError("pictures need matplotlib; install it with pip install 'intsim[plots]'") from None
    best = results.front(axes)
    shown = [p for p in results.points if all(axis in p.numbers for axis in axes)]
    style: Any = {"svg.hashsalt": "intsim", "font.size": 9, "axes.edgecolor": _INK, "axes.labelcolor": _INK}
    with matplotlib.rc_context(style):
        panels = len(axes) - 1
        figure = Figure(figsize=(4.6 * panels + 4.2, 5.0), dpi=140, layout="constrained")
        grid = figure.add_gridspec(1, panels + 1, width_ratios=[1.0] * panels + [0.8])
        places = [figure.add_subplot(grid[0, i]) for i in range(panels)]
        for place, axis in zip(places, axes[1:], strict=True):
            _panel(place, shown, best, axes[0], axis, results.varied)
        places[0].set_ylabel(LABELS.get(axes[0], axes[0]))
        listing = figure.add_subplot(grid[0, panels])
        _list(listing, best, axes, results.varied, _handles(shown, results.varied))
        figure.suptitle(_title(results, best), x=0.01, ha="left", fontweight="bold", color=_INK)
        figure.draw_without_rendering()  # settles the layout, on which it depends which numbers would touch
        for place, axis in zip(places, axes[1:], strict=True):
            _number(place, [(p.numbers[axis], p.numbers[axes[0]]) for p in best])
        stream = io.BytesIO()
        dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
        figure.savefig(stream, format=kind, metadata=dateless)
    write_bytes(target, stream.getvalue())
    return target


def _title(results: Results, best: Sequence[Point]) -> str:
    head = results.head
    what = head.get("table of") or head.get("made by") or f"unit {str(head.get('unit'))[:12]}"
    name = what if isinstance(what, str) else what["name"]
    return f"{name.rpartition(':')[2]}: {len(results.points)} points, {len(best)} on the front"


def _panel(
    place: Axes, shown: Sequence[Point], best: Sequence[Point], error: str, cost: str, varied: Sequence[str]
) -> None:
    colour, marker = _encodings(shown, varied)
    alike: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in shown:
        alike.setdefault((colour(point), marker(point)), []).append((point.numbers[cost], point.numbers[error]))
    for (look, shape), places in alike.items():
        across, up = zip(*places, strict=True)
        place.scatter(across, up, s=26, color=look, marker=shape, alpha=0.75, linewidths=0, zorder=2)
    figures = [point.numbers for point in shown]
    flat = np.array([[figures[i][cost], figures[i][error]] for i in front(figures, [error, cost])])
    if len(flat) > 1:
        flat = flat[np.argsort(flat[:, 0], kind="stable")]
        where: Any = "post" if cost not in LARGER_IS_BETTER else "pre"
        place.step(flat[:, 0], flat[:, 1], where=where, color=_LINE, linewidth=1.2, alpha=0.8, zorder=1)
    _scale(place.xaxis, place.set_xscale, [found[cost] for found in figures])
    _scale(place.yaxis, place.set_yscale, [found[error] for found in figures])
    x, y = ([point.numbers[axis] for point in best] for axis in (cost, error))
    place.scatter(x, y, s=70, facecolors="none", edgecolors=_LINE, linewidths=1.3, zorder=3)
    arrow = "  (more is better)" if cost in LARGER_IS_BETTER else ""
    place.set_xlabel(LABELS.get(cost, cost) + arrow)
    place.grid(alpha=0.2, which="both")
    place.spines[["top", "right"]].set_visible(False)


def _number(place: Axes, where: Sequence[tuple[float, float]]) -> None:
    """Numbers beside points, from 1; points that lie close together share a label."""
    if not where:
        return
    pixels = place.transData.transform(np.array(where, dtype=np.float64)) * 72 / place.figure.dpi
    groups: list[list[int]] = []
    for i, pixel in enumerate(pixels):
        for group in groups:
            if abs(pixel[0] - pixels[group[0]][0]) < _TOUCH[0] and abs(pixel[1] - pixels[group[0]][1]) < _TOUCH[1]:
                group.append(i)
                break
        else:
            groups.append([i])
    for group in groups:
        place.annotate(
            _runs([i + 1 for i in group]),
            where[group[0]],
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=7,
            color=_INK,
            zorder=4,
        )


def _runs(numbers: Sequence[int]) -> str:
    """``[1, 2, 3, 5]`` as ``1-3,5``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)


def _scale(axis: Any, set_scale: Any, values: Sequence[float]) -> None:
    """A logarithmic scale where values spread over nearly a decade, its ticks written out where they are short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if min(values) <= 0 or max(values) < 8 * min(values):
        return
    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    style = ".0e" if min(values) < 0.001 else ",g"
    axis.set_major_formatter(FuncFormatter(lambda value, _: format(value, style)))
    axis.set_minor_formatter(NullFormatter())


def _encodings(shown: Sequence[Point], varied: Sequence[str]) -> tuple[Any, Any]:
    """Colour and shape of a point's mark."""
    colours = _choices(shown, varied[:1], _COLOURS)
    shapes = _choices(shown, varied[-1:] if len(varied) > 1 else (), _MARKERS)
    return (
        lambda point: colours.get(_value(point, varied[:1]), _COLOURS[0]),
        lambda point: shapes.get(_value(point, varied[-1:]), _MARKERS[0]),
    )


def _choices(shown: Sequence[Point], names: Sequence[str], looks: Sequence[str]) -> dict[str, str]:
    values = list(dict.fromkeys(_value(point, names) for point in shown)) if names else []
    return {value: looks[i % len(looks)] for i, value in enumerate(value for value in values if value)}


def _value(point: Point, names: Sequence[str]) -> str:
    return str(point.settings.get(names[0], "")) if names else ""


def _handles(shown: Sequence[Point], varied: Sequence[str]) -> list[Any]:
    """Entries of the legend."""
    from matplotlib.lines import Line2D

    found = []
    for value, colour in _choices(shown, varied[:1], _COLOURS).items():
        found.append(Line2D([], [], linestyle="", marker="o", color=colour, label=f"{varied[0]} {value}"))
    if len(varied) > 1:
        for value, shape in _choices(shown, varied[-1:], _MARKERS).items():
            found.append(Line2D([], [], linestyle="", marker=shape, color=_GREY, label=f"{varied[-1]} {value}"))
    return found


def _list(
    place: Axes, best: Sequence[Point], axes: Sequence[str], varied: Sequence[str], handles: Sequence[Any]
) -> None:
    """The front's points by number, with settings and figures."""
    place.set_axis_off()
    listed = best[:_LISTED]
    columns = {"": [str(number) for number in range(1, len(listed) + 1)]}
    for name in varied:
        cells = [_value(point, [name]) for point in listed]
        last = next(reversed(columns))
        if cells == columns[last]:  # settings that go together share a column
            columns[f"{last},{name}"] = columns.pop(last)
        elif any(cells):
            columns[name] = cells
    columns |= {axis: [_short(point.numbers[axis]) for point in listed] for axis in axes}
    padded = []
    for name, cells in columns.items():
        width = max(map(len, (name, *cells)))
        padded.append([cell.rjust(width) for cell in (name, *cells)])
    lines = ["  ".join(row) for row in zip(*padded, strict=True)]
    if len(best) > _LISTED:
        lines.append(f"and {len(best) - _LISTED} more")
    place.text(0, 1, "\n".join(lines), family="monospace", fontsize=6.5, va="top", color=_INK, linespacing=1.5)
    place.legend(handles=handles, loc="lower left", frameon=False, ncols=2, fontsize=8, borderaxespad=0)


def _short(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
