"""A comparison as one page: accuracy and hardware beside each other, with pictures, nothing loaded."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intsim.files import write_files
from intsim.measure.network.comparison import PARTS
from intsim.measure.network.statistics import shown
from intsim.measure.page import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["METRICS", "picture_by_width", "write_comparison"]

_INK, _QUIET = "#22303c", "#8d99ae"
_COLOURS = (
    "#1f6f8b",
    "#c8553d",
    "#2f8f5b",
    "#d99a2b",
    "#8a5fa8",
    "#22303c",
    "#b5838d",
    "#5f6c78",
    "#7aa095",
    "#a44a3f",
)
_MARKS = ("o", "s", "^", "D", "v", "P", "X", "<")

METRICS = {
    "top1": ("top-1", "share of queries or images answered right; more is better"),
    "mrr": ("mean reciprocal rank", "1 where every text is found first; more is better"),
    "perplexity": ("perplexity", "of held-out text; less is better"),
}
"""How a figure is called on a page, and which way is good."""


def write_comparison(folder: str | Path, summary: Mapping[str, Any]) -> dict[str, Path]:
    """Write ``compare.html`` and ``compare.json``, both or none.

    Parameters
    ----------
    summary : of :func:`~intsim.measure.network.summary.summarise`

    Raises
    ------
    IntsimError
        The folder cannot be made or written.
    """
    title, explained = METRICS.get(summary["metric"], (summary["metric"], ""))
    pictures = {"by_width": _as_uri(picture_by_width(summary))}
    if any(scheme["total"] for scheme in summary["schemes"]):
        pictures["by_cells"] = _as_uri(_picture(summary, _draw_by_cells))
    pages = environment("intsim.measure.network")
    pages.filters["shown"] = shown
    html = pages.get_template("comparison.html.j2").render(
        s=summary, parts=PARTS, pictures=pictures, metric=title, explained=explained
    )
    return write_files(folder, {"compare.html": html, "compare.json": json.dumps(summary, indent=1) + "\n"})


def picture_by_width(summary: Mapping[str, Any]) -> bytes:
    """The metric of every scheme, width by width, with its intervals: an SVG."""
    return _picture(summary, _draw_by_width)


def _as_uri(picture: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(picture).decode()


def _picture(summary: Mapping[str, Any], draw: Any) -> bytes:
    """A drawing as SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "compare", "font.size": 9, "axes.edgecolor": _INK}):
        figure = Figure(figsize=(9, 4.2), layout="constrained")
        axes = figure.subplots()
        draw(axes, summary)
        real = summary["float"][summary["metric"]]
        axes.axhline(real["mean"], color=_INK, linewidth=1, zorder=1)
        axes.axhspan(real["low"], real["high"], color=_INK, alpha=0.07, linewidth=0, zorder=0)
        axes.annotate(
            "float32", (1, real["mean"]), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=_INK
        )
        axes.set_ylabel(METRICS.get(summary["metric"], (summary["metric"],))[0])
        if not summary["higher_is_better"]:
            axes.set_yscale("log")
        axes.grid(alpha=0.2)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _points(summary: Mapping[str, Any], scheme: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """The metric of a scheme by width, where it was judged."""
    cells = scheme["cells"].items()
    return {
        width: cell["figures"]["integer"][summary["metric"]] for width, cell in cells if cell["figures"] is not None
    }


def _draw_by_width(axes: Axes, summary: Mapping[str, Any]) -> None:
    """One column per width, the schemes side by side in it."""
    schemes, widths = summary["schemes"], summary["widths"]
    for number, scheme in enumerate(schemes):
        points = _points(summary, scheme)
        x = [widths.index(w) + (number - (len(schemes) - 1) / 2) * 0.8 / len(schemes) for w in points]
        _mark(axes, x, list(points.values()), _COLOURS[number % len(_COLOURS)], "o", scheme["name"])
    axes.set_xticks(range(len(widths)), [width.upper() for width in widths])
    for edge in range(1, len(widths)):
        axes.axvline(edge - 0.5, color=_QUIET, linewidth=0.5)


def _draw_by_cells(axes: Axes, summary: Mapping[str, Any]) -> None:
    """The metric against the cells of softmax, activation and norm together; a mark per width."""
    from matplotlib.lines import Line2D

    for number, scheme in enumerate(summary["schemes"]):
        if scheme["total"] is None:
            continue
        colour = _COLOURS[number % len(_COLOURS)]
        points = _points(summary, scheme)
        for width, point in points.items():
            mark = _MARKS[summary["widths"].index(width) % len(_MARKS)]
            _mark(axes, [scheme["total"]["comb"]], [point], colour, mark, "")
        axes.plot([], [], "o", color=colour, markersize=5, label=scheme["name"])
    for width, mark in zip(summary["widths"], _MARKS, strict=False):
        axes.add_line(Line2D([], [], marker=mark, linestyle="", color=_QUIET, markersize=5, label=width.upper()))
    axes.set_xlabel("TRELLIS_COMB of softmax, activation and norm, one lane each")


def _mark(axes: Axes, x: list[float], points: list[Mapping[str, float]], colour: str, mark: str, label: str) -> None:
    y = [p["mean"] for p in points]
    reach = [[p["mean"] - p["low"] for p in points], [p["high"] - p["mean"] for p in points]]
    axes.errorbar(x, y, reach, fmt=mark, color=colour, markersize=5, elinewidth=0.8, capsize=2, label=label or None)
