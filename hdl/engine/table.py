"""The engine's time and cost as tables for the documentation.

::

    python -m hdl.engine.table [--lanes 1 4 16] [--seeds 1]

measures the cost (about half an hour) and keeps it in ``cost.json`` beside this file, with the digest of the RTL it was
measured on; the page shows what is kept there, and the tests assert that the RTL is still the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import hdl
from hdl.flow.cost import cost
from hdl.flow.emission import rtl
from intsim.engine import Engine, Mode
from intsim.files import write_text
from intsim.markdown import table

__all__ = ["DEVICES", "KEPT", "ROUTED", "cost_table", "digest", "main", "markdown"]

KEPT = Path(__file__).with_name("cost.json")

DEVICES = {1: "LFE5U-25F", 4: "LFE5U-25F", 16: "LFE5U-85F"}
"""Lanes -> an ECP5 that holds the engine of default dimensions."""

ROUTED = (1, 4)
"""Lanes that nextpnr routes in minutes; with 16 it was stopped after 40, when many wires were still claimed twice."""


def markdown() -> str:
    """Cycles and pace of every mode for one, four and sixteen lanes."""
    lines = ["| mode | lanes | cycles of a lone row | pace |", "| --- | ---: | --- | ---: |"]
    for mode in Mode:
        for lanes in DEVICES:
            part = hdl.create(Engine.design().select(mode, 0), lanes=lanes)
            slope = part.passes + 1
            lines.append(f"| {mode.name.lower()} | {lanes} | {slope} w + {part.overhead - slope} | {part.pace} |")
    return "\n".join(lines)


def digest(lanes: int) -> str:
    """A digest of the RTL of an engine of default dimensions."""
    return hashlib.sha256(rtl(Engine.design(), lanes=lanes).rtlil.encode()).hexdigest()


def cost_table() -> str:
    """Cells, clock rate and gates as they were measured last."""
    head = ["lanes", "ECP5", "TRELLIS_COMB", "FF", "DSP", "BRAM", "Fmax, MHz", "NAND2", "memories"]
    rows = []
    for lanes, found in _kept().items():
        counts = [found[name] for name in ("comb", "ff", "dsp", "bram")]
        counts += [found["fmax"] and round(found["fmax"]), round(found["nand2"]), found["memories"]]
        rows.append([lanes, found["device"], *("–" if count is None else f"{count:,}" for count in counts)])
    return table(head, rows)


def _kept() -> dict[str, dict[str, Any]]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def measure(lanes: int, seeds: int) -> dict[str, Any]:
    """Cost on :data:`DEVICES`, and the gates beside its memories, which are a macro's business on silicon."""
    engine, device = Engine.design(), DEVICES[lanes]
    found = cost(engine, seeds=seeds, device=device, placed=lanes in ROUTED, gates="nand2_logic", lanes=lanes)
    assert found is not None
    names = ("comb", "ff", "dsp", "bram", "fmax", "nand2", "memories")
    return {"rtl": digest(lanes), "device": device, **{name: found[name] for name in names}}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lanes", type=int, nargs="+", choices=DEVICES, default=list(DEVICES))
    parser.add_argument("--seeds", type=int, default=1, help="placements; Fmax is their median")
    arguments = parser.parse_args()
    for lanes in arguments.lanes:
        found = measure(lanes, arguments.seeds)
        figures = {**_kept(), str(lanes): found}
        write_text(KEPT, json.dumps(dict(sorted(figures.items(), key=lambda item: int(item[0]))), indent=1) + "\n")
    print(cost_table())


if __name__ == "__main__":
    main()
