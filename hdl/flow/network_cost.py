"""What the nonlinear units of a network cost, and how long they take for its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hdl
from hdl.flow.cost import cost
from hdl.nonlinear.rows import RowComponent
from intsim.errors import IntsimError
from intsim.tables.scaled import ScaledTable
from intsim.unit import Unit

__all__ = ["DEVICES", "unit_cost"]

DEVICES = ("LFE5U-25F", "LFE5U-85F")
"""Lattice ECP5s, the second where a unit does not fit the first."""

_SMALL_ROW = 8  # of the gate count, which leaves row memories and tables per channel out


def unit_cost(unit: Unit, row: int, *, seeds: int = 1) -> dict[str, Any]:
    """Cost and time of one unit with one lane.

    Parameters
    ----------
    unit : a nonlinear unit of a network
    row : elements of a row; more than the unit's longest row are so many rows of that
    seeds : placements; Fmax is their median

    Returns
    -------
    dict
        What :func:`hdl.flow.cost.cost` finds (placed alone, kept in the user's cache), ``device``, and ``first`` and
        ``sustained``: cycles from the first element of a lone row to its last result, and per row of many.

    Raises
    ------
    IntsimError
        No hardware for this unit, or it fits no device.
    """
    inner = unit.table if isinstance(unit, ScaledTable) else unit  # a scaled table is its table
    part = hdl.create(inner)
    if isinstance(part, RowComponent):
        longest = min(row, inner.max_row)  # type: ignore[attr-defined]
        rows = -(-row // longest)
        each = part.sustained(longest)
        time = {"first": part.cycles(longest) + (rows - 1) * each, "sustained": rows * each}
    else:
        time = {"first": part.latency + part.interval * (row - 1), "sustained": part.interval * row}
    refused: IntsimError | None = None
    for device in DEVICES:
        try:
            larger: dict[str, Any] = {} if device == DEVICES[0] else {"device": device}
            found = cost(inner, seeds=seeds, gates_of=_small(inner), **larger)
        except IntsimError as error:
            refused = error
            continue
        assert found is not None
        kept = {key: found[key] for key in ("comb", "ff", "dsp", "bram", "fmax", "nand2")}
        return {"unit": type(unit).__name__, "sha256": inner.sha256, "row": row, **time, **kept, "device": device}
    assert refused is not None
    raise refused


def _small(unit: Unit) -> Unit:
    """The unit with a short row memory and no table per channel."""
    if not unit.is_row:
        return unit
    fields = {"max_row": _SMALL_ROW, **({"bias": ()} if getattr(unit, "bias", None) else {})}
    return replace(unit, **fields)
