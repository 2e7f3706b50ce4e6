"""A picture of a network's errors: what is lost by each place, and what each operator loses alone."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intsim.errors import IntsimError
from intsim.files import write_bytes
from intsim.measure.network.operators import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_places"]

_INK, _QUIET = "#22303c", "#8d99ae"
_COLOURS = dict(
    zip(
        [*KINDS, "other"],
        ["#5f6c78", "#1f6f8b", "#c8553d", "#8a5fa8", "#d99a2b", "#2f8f5b", "#22303c", "#b0a990", "#7fb3c8", "#b5838d"],
        strict=True,
    )
)


def draw_places(places: Mapping[str, Mapping[str, Any]], path: str | Path, title: str) -> Path:
    """Draw what :func:`~intsim.measure.network.places.by_place` found.

    Above: decibels against the twin by place, block by block, coloured by the kind of operator; the thin mark is the
    worst token, the line follows the residual stream. Below: each operator alone, with the twin's inputs; a ring
    where codes were clipped, the larger the more.

    Parameters
    ----------
    places : figures by place, in the order of the data
    path : ``.svg``, ``.png`` or ``.pdf``; written whole or not at all

    Raises
    ------
    IntsimError
        Another suffix, or matplotlib is missing.
    """
    target = Path(path)
    form = target.suffix.lstrip(".").lower()
    if form not in ("svg", "png", "pdf"):
        raise IntsimError(f"cannot draw {target.name!r}; give a name that ends in .svg, .png or .pdf")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise IntsimError("pictures need matplotlib; install it with pip install 'intsim[plots]'") from None
    with matplotlib.rc_context({"svg.hashsalt": title, "font.size": 9, "axes.edgecolor": _INK}):
        figure = Figure(figsize=(min(max(8, 0.14 * len(places) + 2), 22), 6.4), dpi=120, layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _draw_against_twin(top, places)
        _draw_alone(bottom, places)
        for axes in (top, bottom):
            _draw_blocks(axes, list(places))
        _label_places(bottom, list(places))
        _label_blocks(top, list(places))
        top.set_title(title, loc="left", fontweight="bold", color=_INK, pad=24)
        handles = [_dot(kind) for kind in _COLOURS if any(found["kind"] == kind for found in places.values())]
        top.legend(handles=handles, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=9, borderaxespad=0.2)
        stream = io.BytesIO()
        figure.savefig(stream, format=form, metadata={"Date": None} if form == "svg" else {})
    write_bytes(target, stream.getvalue())
    return target


def _dot(kind: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker="o", linestyle="", color=_COLOURS[kind], markersize=5, label=kind)


def _draw_against_twin(axes: Axes, places: Mapping[str, Mapping[str, Any]]) -> None:
    stream = {x: f["decibels"] for x, f in enumerate(places.values()) if f["kind"] == "residual" and f["decibels"]}
    axes.plot(list(stream), list(stream.values()), color=_QUIET, linewidth=1, zorder=1)
    for x, found in enumerate(places.values()):
        colour, here, worst = _COLOURS[found["kind"]], found["decibels"], found["worst_token"]
        if here is not None:
            axes.plot(x, here, "o", color=colour, markersize=4.5, zorder=3)
        if here is not None and worst is not None:
            axes.plot([x, x], [worst, here], color=colour, linewidth=0.7, alpha=0.5, zorder=2)
            axes.plot(x, worst, "_", color=colour, markersize=5, zorder=3)
    axes.set_ylabel("dB against float32\n(dot: all, dash: worst token)")


def _draw_alone(axes: Axes, places: Mapping[str, Mapping[str, Any]]) -> None:
    for x, found in enumerate(places.values()):
        if found["alone"] is None:
            continue
        axes.plot(x, found["alone"], "o", color=_COLOURS[found["kind"]], markersize=4.5, zorder=3)
        if found["clipped"]:
            size = 7 + 60 * min(found["clipped"], 0.1)
            axes.plot(x, found["alone"], "o", markersize=size, markerfacecolor="none", color=_INK, markeredgewidth=0.8)
    axes.set_ylabel("dB of the operator alone\n(ring: clipped codes)")


def _draw_blocks(axes: Axes, names: list[str]) -> None:
    blocks = [name.partition(".")[0] for name in names]
    for x in range(1, len(names)):
        if blocks[x] != blocks[x - 1] and (blocks[x].isdigit() or blocks[x - 1].isdigit()):
            axes.axvline(x - 0.5, color=_QUIET, linewidth=0.6, zorder=0)
    axes.set_xlim(-0.8, len(names) - 0.2)
    axes.grid(axis="y", alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _label_places(axes: Axes, names: list[str]) -> None:
    """Names where there is room for them."""
    if len(names) <= 140:
        axes.set_xticks(range(len(names)), [name.rpartition(".")[2] for name in names], rotation=90, fontsize=7)
    else:
        axes.set_xticks([])
    axes.tick_params(axis="x", length=0)


def _label_blocks(axes: Axes, names: list[str]) -> None:
    axes.tick_params(axis="x", length=0)
    blocks: dict[str, list[int]] = {}
    for x, name in enumerate(names):
        if name.partition(".")[0].isdigit():
            blocks.setdefault(name.partition(".")[0], []).append(x)
    step = -(-len(blocks) // 40)
    for number, (block, inside) in enumerate(blocks.items()):
        if number % step == 0:
            middle = (inside[0] + inside[-1]) / 2
            text = f"block {block}" if len(blocks) <= 12 else block
            place = axes.get_xaxis_transform()
            axes.text(middle, 0.98, text, ha="center", va="top", color=_QUIET, fontsize=8, transform=place)
