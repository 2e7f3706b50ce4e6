"""How fast a unit runs: place and route on a Lattice ECP5, the median of several seeds.

ECP5 is the reporting device because its open timing model covers multipliers and block RAMs; the models of iCE40
(multipliers) and Gowin (both) leave arcs out, so that their figures flatter.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hdl.flow import tools
from hdl.flow.emission import Rtl, rtl
from hdl.flow.synthesis import cells
from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit

__all__ = ["DEVICES", "pack", "place"]

DEVICES = {
    f"LFE5{family}-{size}F": f"--{prefix}{size}k"
    for family, prefix in (("U", ""), ("UM", "um-"), ("UM5G", "um5g-"))
    for size in (12, 25, 45, 85)
    if size != 12 or family == "U"
}
SPEEDS = (6, 7, 8)

_COUNTED = ("TRELLIS_COMB", "TRELLIS_FF", "TRELLIS_RAMW", "MULT18X18D", "DP16KD")


def place(
    unit: Unit,
    device: str = "LFE5U-25F",
    speed: int = 6,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    freq: float = 200.0,
    *,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Place and route a unit between registers; every path inside it is timed.

    Parameters
    ----------
    unit : any unit with hardware
    device : a Lattice ECP5, such as ``LFE5U-25F``
    speed : speed grade, 6 (slowest) to 8
    seeds : of the placer; two run at a time
    freq : clock rate asked for, in MHz; missing it is no error
    progress : called with seeds done and seeds in all
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        ``fmax_mhz`` (median over the seeds), ``fmax_by_seed``, ``utilisation`` (cells placed, **with** the registers
        around the unit, which are flip-flops only), ``harness_ff`` (how many those are), ``cells`` and ``summary``
        (synthesis of the unit alone), ``critical_path`` (of the seed nearest the median: steps with delays in ns),
        ``device``, ``speed``, ``freq``, ``latency``, ``interval``, ``unit``, ``sha256``, ``seconds``, ``tools``.
    """
    if device not in DEVICES:
        raise UnknownName("device", device, DEVICES)
    if speed not in SPEEDS:
        raise IntsimError(f"speed grade {speed} does not exist; ECP5 has {SPEEDS}")
    if not seeds:
        raise IntsimError("no seeds given; give at least one, such as seeds=(1,)")
    tools.require("nextpnr-ecp5")
    begin = time.perf_counter()
    design = rtl(unit, **options)
    alone = cells(design, "ecp5")
    with tools.work_folder("place") as folder:
        registers = _synthesise(design, folder)
        reports = _route(folder, DEVICES[device], speed, seeds, freq, progress)
    by_seed = {seed: _fmax(report) for seed, report in reports.items()}
    median = statistics.median(by_seed.values())
    typical = min(by_seed, key=lambda seed: (abs(by_seed[seed] - median), seed))
    return {
        "unit": unit.name,
        "sha256": unit.sha256,
        "device": device,
        "speed": speed,
        "freq": freq,
        "fmax_mhz": round(median, 2),
        "fmax_by_seed": {str(seed): round(value, 2) for seed, value in by_seed.items()},
        "utilisation": _used(reports[typical]),
        "harness_ff": registers,
        "cells": alone["cells"],
        "summary": alone["summary"],
        "critical_path": _critical(reports[typical]),
        "latency": design.component.latency,
        "interval": design.component.interval,
        "seconds": round(time.perf_counter() - begin, 3),
        "tools": tools.versions("yosys", "nextpnr-ecp5"),
    }


def pack(unit: Unit, device: str = "LFE5U-25F", **options: Any) -> dict[str, Any]:
    """What a unit between registers takes of a device, without a place: seconds where placing takes long.

    Parameters
    ----------
    unit, device, **options : as for :func:`place`

    Raises
    ------
    UnknownName
        There is no such device.

    Returns
    -------
    dict
        ``utilisation`` and ``harness_ff`` as :func:`place` gives them.
    """
    if device not in DEVICES:
        raise UnknownName("device", device, DEVICES)
    tools.require("nextpnr-ecp5")
    with tools.work_folder("pack") as folder:
        registers = _synthesise(rtl(unit, **options), folder)
        arguments = [DEVICES[device], "--json", "design.json", "--out-of-context", "--quiet", "--pack-only"]
        tools.nextpnr([*arguments, "--report", "report.json"], folder)
        report = json.loads((folder / "report.json").read_text())
    return {"utilisation": _used(report), "harness_ff": registers}


def _synthesise(design: Rtl, folder: Path) -> int:
    """The unit between registers as ``design.json``; how many flip-flops these add."""
    harness, registers = _registered(design)
    (folder / "design.v").write_text(design.verilog() + harness)
    tools.yosys(f"read_verilog design.v\nsynth_ecp5 -top {design.top}_timed -json design.json\n", folder)
    return registers


def _used(report: dict[str, Any]) -> dict[str, int]:
    return {name: report["utilization"].get(name, {"used": 0})["used"] for name in _COUNTED}


def _registered(design: Rtl) -> tuple[str, int]:
    """A module ``<top>_timed`` with a register at every port of the unit, and how many flip-flops that adds."""
    ports = [port for port in design.ports if port[0] != "clk"]
    ins = [(name, width) for name, width, is_input in ports if is_input]
    outs = [(name, width) for name, width, is_input in ports if not is_input]
    declared = [f"  input [{width - 1}:0] {name}" for name, width in ins]
    declared += [f"  output reg [{width - 1}:0] {name}" for name, width in outs]
    lines = [f"\nmodule {design.top}_timed(input clk,", ",\n".join(declared) + ");"]
    lines += [f"  reg [{width - 1}:0] {name}_q;" for name, width in ins]
    lines += [f"  wire [{width - 1}:0] {name}_d;" for name, width in outs]
    lines += ["  always @(posedge clk) begin"]
    lines += [f"    {name}_q <= {name};" for name, _ in ins]
    lines += [f"    {name} <= {name}_d;" for name, _ in outs]
    lines += ["  end", f"  {design.top} unit(.clk(clk),"]
    sides = [(name, "_q") for name, _ in ins] + [(name, "_d") for name, _ in outs]
    lines += [",\n".join(f"    .{name}({name}{side})" for name, side in sides) + ");", "endmodule", ""]
    return "\n".join(lines), sum(width for _, width in ins + outs)


def _route(folder: Path, size: str, speed: int, seeds, freq: float, progress) -> dict[int, dict[str, Any]]:
    def one(seed: int) -> dict[str, Any]:
        report = f"report{seed}.json"
        arguments = [size, "--speed", str(speed), "--json", "design.json", "--out-of-context", "--quiet"]
        arguments += ["--freq", str(freq), "--seed", str(seed), "--report", report, "--timing-allow-fail"]
        tools.nextpnr(arguments, folder)
        return json.loads((folder / report).read_text())

    reports = {}
    with ThreadPoolExecutor(max_workers=2) as pool:
        for seed, report in zip(seeds, pool.map(one, seeds), strict=True):
            reports[seed] = report
            if progress:
                progress(len(reports), len(seeds))
    return reports


def _fmax(report: dict[str, Any]) -> float:
    clocks = {name: entry["achieved"] for name, entry in report["fmax"].items()}
    if not clocks:
        raise IntsimError("no path between two registers was timed; the unit holds no logic on this device")
    return min(clocks.values())


def _critical(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps of the slowest path between two clock edges."""
    paths = [
        entry["path"]
        for entry in report["critical_paths"]
        if entry["from"].startswith("posedge") and entry["to"].startswith("posedge")
    ]
    slowest = max(paths, key=lambda path: sum(step["delay"] for step in path))
    return [
        {
            "type": step["type"],
            "delay_ns": round(step["delay"], 3),
            "from": _pin(step["from"]),
            "to": _pin(step["to"]),
        }
        for step in slowest
    ]


def _pin(end: dict[str, Any]) -> str:
    return re.sub(r"\$\w*\$?", "", end["cell"]).strip("._") + "." + end["port"]
