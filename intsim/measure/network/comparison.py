"""Schemes beside each other at several widths: one row per network that was judged."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import intsim
from intsim.errors import IntsimError
from intsim.files import cache_root, make_folder, write_text
from intsim.measure.network.operators import kind_of, nonlinear_unit
from intsim.measure.network.tasks import Progress, Task
from intsim.measure.network.widths import with_bits
from intsim.models.network import IntegerNetwork
from intsim.parameters import from_plain, to_plain
from intsim.schemes import Scheme
from intsim.unit import Unit

__all__ = ["PARTS", "Cell", "compare"]

PARTS = ("softmax", "activation", "norm")
"""The nonlinear parts whose hardware is shown beside the figures."""


@dataclass(frozen=True)
class Cell:
    """One scheme at one width.

    Attributes
    ----------
    scheme, widths : which
    figures : what :meth:`Task.evaluate` found; None where the scheme cannot have these widths
    units : the scheme's nonlinear units by part, those of the middle block; without what is left in floating point
    rows : elements of a row of each unit
    left_in_float : what the scheme's paper leaves in floating point
    refused : why there are no figures
    seconds : that the integers took
    """

    scheme: str
    widths: str
    figures: dict[str, Any] | None
    units: dict[str, Unit]
    rows: dict[str, int]
    left_in_float: tuple[str, ...]
    refused: str = ""
    seconds: float = 0.0


def compare(
    task: Task,
    schemes: Sequence[Scheme],
    widths: Sequence[str],
    *,
    percentile: float = 100,
    begin: Callable[[str], Progress | None] = lambda label: None,
) -> list[Cell]:
    """Judge a model under every scheme at every width.

    Results are kept in the user's cache, under a hash of the scheme, the weights, the data and the sources of intsim:
    an interrupted run goes on where it was, and a change of anything that matters measures again.

    Parameters
    ----------
    widths : such as ``w8a8``
    percentile : share of the values that calibration keeps
    begin : called with the name of each network as it begins; its answer is called with the progress
    """
    cells = []
    for scheme in schemes:
        for width in widths:
            advance = begin(f"{scheme.name} {width}")
            cells.append(_cell(task, scheme, width, percentile, advance))
    return cells


def _cell(task: Task, scheme: Scheme, widths: str, percentile: float, progress: Progress | None) -> Cell:
    chosen = with_bits(scheme, widths)
    known = _cached(task, chosen, percentile)
    if known.exists():
        body = json.loads(known.read_text(encoding="utf-8"))
        units = {part: from_plain(unit) for part, unit in body.pop("units").items()}
        return Cell(**{**body, "units": units, "left_in_float": tuple(body["left_in_float"])})
    cell = _judge(task, chosen, widths, percentile, progress)
    units = {part: to_plain(unit) for part, unit in cell.units.items()}
    write_text(known, json.dumps({**asdict(replace(cell, units={})), "units": units}))
    return cell


def _judge(task: Task, scheme: Scheme, widths: str, percentile: float, progress: Progress | None) -> Cell:
    try:
        network = task.design(scheme, percentile)
    except IntsimError as error:  # such as a norm whose constants do not fit
        return Cell(scheme.name, widths, None, {}, {}, scheme.left_in_float, str(error))
    began = time.perf_counter()
    figures = task.evaluate(network, progress)
    seconds = round(time.perf_counter() - began, 1)
    chosen, tensors = representatives(network), network.trace(task.probe[0][:1])
    rows = {
        part: task.row if part == "softmax" else _elements(unit, tensors[place].shape[-1])
        for part, (place, unit) in chosen.items()
    }
    units = {part: _for_rows(unit, rows[part], part) for part, (_, unit) in chosen.items()}
    return Cell(scheme.name, widths, figures, units, rows, scheme.left_in_float, seconds=seconds)


def representatives(network: IntegerNetwork) -> dict[str, tuple[str, Unit]]:
    """Place and unit of each of the :data:`PARTS`: of all places with such a unit the one in the middle."""
    found: dict[str, tuple[str, Unit]] = {}
    for part in PARTS:
        places = [place for place in network.layers if kind_of(place) == part]
        units = [(place, unit) for place in places if (unit := nonlinear_unit(network.layers[place])) is not None]
        if units:
            found[part] = units[len(units) // 2]
    return found


def _elements(unit: Unit, width: int) -> int:
    """How many elements pass the unit for a row of a tensor with `width` channels.

    As many as it has constants for: RMSNorm by a LayerNorm takes a row and its mirror image. An activation by a softmax
    takes a short row for each channel.
    """
    if not unit.is_row:
        return width
    if unit.row_length is not None:  # type: ignore[attr-defined]
        return unit.row_length  # type: ignore[attr-defined]
    return width * unit.max_row if unit.max_row < width else width  # type: ignore[attr-defined]


def _for_rows(unit: Unit, row: int, part: str) -> Unit:
    """The unit with the memory that the network's rows need; a softmax holds the longest text as it is."""
    longer = unit.is_row and part != "softmax" and unit.max_row > row  # type: ignore[attr-defined]
    return replace(unit, max_row=row) if longer else unit  # type: ignore[call-arg]


def _cached(task: Task, scheme: Scheme, percentile: float) -> Path:
    what = json.dumps([task.fingerprint(), scheme.to_json(), percentile, _sources()])
    return make_folder(cache_root() / "networks") / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.json"


@functools.cache
def _sources() -> str:
    """SHA-256 of everything that computes: the package without its command line."""
    root = Path(intsim.__file__).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] != "cli":
            found.update(str(path.relative_to(root)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
