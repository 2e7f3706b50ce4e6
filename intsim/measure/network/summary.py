"""A comparison as plain figures: what the table, the JSON and the page show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import intsim
from intsim.measure.network.comparison import PARTS, Cell
from intsim.measure.network.tasks import Task

__all__ = ["summarise"]


def summarise(
    task: Task, cells: Sequence[Cell], hardware: Mapping[str, Mapping[str, Mapping[str, Any]]], command: str = ""
) -> dict[str, Any]:
    """One comparison, JSON-ready.

    Parameters
    ----------
    cells : what :func:`~intsim.measure.network.comparison.compare` found
    hardware : scheme -> part -> ``comb``, ``ff``, ``dsp``, ``bram``, ``fmax`` (MHz), ``row`` (elements), ``first``
        and ``sustained`` (cycles of a lone row and between rows), ``unit``; empty where none was asked for
    command : what asked for it

    Returns
    -------
    dict
        ``model``, ``metric``, ``higher_is_better``, ``float`` (figures of the twin by metric), ``widths``, ``schemes``:
        each with ``name``, ``left_in_float``, ``cells`` by width (``figures``, ``refused``, ``seconds``),
        ``hardware`` by part and their ``total``; ``command``, ``version``.
    """
    judged = [cell for cell in cells if cell.figures is not None]
    schemes: dict[str, dict[str, Any]] = {}
    for cell in cells:
        found = schemes.setdefault(
            cell.scheme, {"name": cell.scheme, "left_in_float": list(cell.left_in_float), "cells": {}}
        )
        found["cells"][cell.widths] = {
            "figures": cell.figures,
            "refused": cell.refused,
            "seconds": cell.seconds,
        }
    for name, found in schemes.items():
        parts = hardware.get(name, {})
        found["hardware"] = {part: dict(parts[part]) for part in PARTS if part in parts}
        found["total"] = _total(list(found["hardware"].values()))
    return {
        "model": task.name,
        "metric": task.metric,
        "higher_is_better": task.higher_is_better,
        "float": judged[0].figures["float"] if judged and judged[0].figures else {},
        "items": _items(judged),
        "widths": list(dict.fromkeys(cell.widths for cell in cells)),
        "schemes": list(schemes.values()),
        "command": command,
        "version": intsim.__version__,
    }


def _items(judged: Sequence[Cell]) -> dict[str, int]:
    """What was counted, such as ``{"pairs": 1000}``."""
    figures = judged[0].figures if judged else None
    return {name: value for name, value in (figures or {}).items() if isinstance(value, int)}


def _total(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Cells of all parts together, and the clock rate of the slowest; None where a part is missing."""
    if not parts or any("comb" not in part for part in parts):
        return None
    sums = {key: sum(part[key] for part in parts) for key in ("comb", "ff", "dsp", "bram")}
    return {**sums, "fmax": min(part["fmax"] for part in parts), "parts": len(parts)}
