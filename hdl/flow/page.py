"""Figures as one HTML page: nothing is loaded from anywhere, light and dark alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intsim.measure.page import environment

__all__ = ["render"]


def render(
    figures: Sequence[Mapping[str, Any]],
    pictures: Sequence[str],
    summaries: Sequence[Mapping[str, Any]],
    *,
    title: str,
    introduction: str = "",
) -> str:
    """The page.

    Parameters
    ----------
    figures : one dict of :func:`hdl.flow.report.gather` per unit
    pictures : a data URI per unit, or empty
    summaries : of each unit, for the comparison on top
    title, introduction : text
    """
    pages = environment("hdl.flow")
    pages.globals.update(bars=bars, dots=dots)
    units = [
        {**figure, "picture": picture, "summary": summary}
        for figure, picture, summary in zip(figures, pictures, summaries, strict=True)
    ]
    return pages.get_template("report.html.j2").render(title=title, introduction=introduction, units=units)


def bars(histogram: Mapping[str, Sequence[float]], width: int = 360, height: int = 64) -> str:
    """A histogram as the path of an SVG, heights on a square-root scale so that the tails show."""
    counts = [float(count) ** 0.5 for count in histogram["counts"]]
    step, top = width / len(counts), max(counts)
    parts = [
        f"M{index * step:.1f} {height}v{-height * count / top:.1f}h{step - 1:.1f}v{height * count / top:.1f}z"
        for index, count in enumerate(counts)
        if count
    ]
    return "".join(parts)


def dots(values: Sequence[float], width: int = 360) -> list[tuple[float, float]]:
    """Positions of values on a line from 0 to somewhat above the largest, with the values."""
    scale = width / (1.15 * max(values))
    return [(value * scale, value) for value in values]
