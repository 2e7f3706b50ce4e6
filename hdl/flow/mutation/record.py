"""The campaign over all units: measured once, kept as JSON with the digest of the RTL it was measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hdl.flow.emission import rtl
from hdl.flow.mutation.campaign import VECTORS, mutate
from hdl.nonlinear.table import ELEMENTWISE, ROWS
from intsim import catalogue
from intsim.files import write_text
from intsim.unit import Unit

__all__ = ["MUTANTS", "SEED", "SMALL_ROW", "Measured", "campaign", "load", "measure", "store"]

MUTANTS = 40
"""Single-bit faults for each unit."""

SEED = 1

SMALL_ROW = 8
"""``max_row`` of the row units: their memories, one register a word here, would hold most of the single-bit faults."""

Record = dict[str, dict[str, Any]]
"""By unit: ``rtl`` (digest), ``section``, and what :func:`~hdl.flow.mutation.mutate` found."""


@dataclass(frozen=True)
class Measured:
    """A unit of the campaign.

    Attributes
    ----------
    section : ``catalogue`` or ``operators``
    name : on the page and in the record
    """

    section: str
    name: str
    unit: Unit

    @property
    def digest(self) -> str:
        """Of the RTL and of what is asked about it."""
        text = "\0".join([rtl(self.unit).rtlil, str(MUTANTS), str(SEED), str(VECTORS)])
        return hashlib.sha256(text.encode()).hexdigest()


def campaign() -> Iterator[Measured]:
    """Every unit of the catalogue, then the integer operators."""
    for name in catalogue.names():
        yield Measured("catalogue", name, catalogue.get(name))
    for name, unit in ELEMENTWISE.items():
        yield Measured("operators", name, unit)
    for name, unit in ROWS.items():
        yield Measured("operators", name, replace(unit, max_row=SMALL_ROW))  # type: ignore[call-arg]


def measure(member: Measured) -> dict[str, Any]:
    """One entry of the record."""
    found = mutate(member.unit, mutants=MUTANTS, seed=SEED)
    return {"rtl": member.digest, "section": member.section, **found}


def load(path: Path) -> Record:
    """The record as it was written last; empty if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def store(path: Path, record: Record) -> None:
    """Write the record, a line for each unit, in the campaign's order."""
    lines = [f"{json.dumps(m.name)}: {json.dumps(record[m.name])}" for m in campaign() if m.name in record]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
