"""What a unit costs: cells by type, for five families of hardware."""

from __future__ import annotations

import importlib.resources
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdl.flow import tools
from hdl.flow.emission import Rtl, rtl
from intsim.errors import UnknownName
from intsim.unit import Unit

__all__ = ["TARGETS", "Target", "cells", "script", "synth"]


@dataclass(frozen=True)
class Target:
    """A family of hardware.

    Attributes
    ----------
    passes : Yosys commands; ``{top}`` is the module
    kinds : what each kind of cell is called there: kind -> regular expression
    liberty : file of the cell library, empty for FPGAs
    """

    passes: str
    kinds: dict[str, str]
    liberty: str = ""


TARGETS = {
    "generic": Target(
        "synth -flatten -top {top}",
        {
            "ff": r"\$_S?D?FFE?_.*|\$_(S|A|AL)?DFF.*",
            "gate": r"\$_(NOT|AND|NAND|OR|NOR|XOR|XNOR|ANDNOT|ORNOT|MUX|.*AOI.*)_",
        },
    ),
    "nand2": Target(
        "synth -flatten -top {top}\nattrmap -remove init\ndfflibmap -liberty ge.lib\nabc -liberty ge.lib\nopt_clean",
        {"ff": "DFF", "gate": "(?!DFF).*"},
        liberty="ge.lib",
    ),
    "nand2_logic": Target(
        "synth -flatten -run begin:fine -top {top}\nchtype -set MEMORY t:$mem_v2\nsynth -run fine:check\n"
        "attrmap -remove init\ndfflibmap -liberty ge.lib\nabc -liberty ge.lib\nopt_clean",
        {"memory": "MEMORY", "ff": "DFF", "gate": "(?!DFF|MEMORY).*"},
        liberty="ge.lib",
    ),
    "ice40": Target(
        "synth_ice40 -dsp -top {top}",
        {"lut": "SB_LUT4", "carry": "SB_CARRY", "ff": "SB_DFF.*", "dsp": "SB_MAC16", "bram": "SB_RAM40_4K.*"},
    ),
    "ecp5": Target(
        "synth_ecp5 -top {top}",
        {
            "lut": "LUT4",
            "carry": "CCU2C",
            "mux": "PFUMX|L6MUX21",
            "ff": "TRELLIS_FF",
            "dsp": "MULT18X18D|ALU54B",
            "bram": "DP16KD|PDPW16KD",
            "lutram": "TRELLIS_DPR16X4",
        },
    ),
    "gowin": Target(
        "synth_gowin -noiopads -top {top}",
        {
            "lut": "LUT[1-4]",
            "carry": "ALU",
            "mux": "MUX2_LUT.*",
            "ff": "DFF.*",
            "dsp": "MULT.*|PADD.*",
            "bram": "p?ROM.*|SP(X9)?|SDP.*|DPB.*|DPX9.*",
            "lutram": "RAM16.*",
        },
    ),
    "xilinx": Target(
        "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top}",
        {
            "lut": "LUT[1-6]",
            "carry": "CARRY4",
            "mux": "MUXF[78]",
            "ff": "FD[RSCP]E(_1)?",
            "dsp": "DSP48E1",
            "bram": "RAMB(18|36)E1",
            "lutram": r"RAM\d.*|ROM\d.*|SRL.*",
        },
    ),
}


def script(top: str, target: str) -> str:
    """Yosys commands that synthesise ``top.v`` in the current folder and count its cells."""
    passes = TARGETS[target].passes.format(top=top)
    liberty = f" -liberty {TARGETS[target].liberty}" if TARGETS[target].liberty else ""
    return f"read_verilog {top}.v\n{passes}\ndelete t:$scopeinfo\ntee -q -o stat.json stat -json{liberty}\n"


def synth(unit: Unit, target: str = "generic", **options: Any) -> dict[str, Any]:
    """Synthesise a unit and count its cells.

    Parameters
    ----------
    unit : any unit with hardware
    target : ``generic`` (gates of Yosys's own library), ``nand2`` (gate equivalents), ``nand2_logic`` (the
        same, memories left out as macros and counted), ``ice40``, ``ecp5``, ``gowin`` or ``xilinx`` (7 series)
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        ``unit``, ``sha256``, ``top``, ``target``, ``cells`` (by type), ``summary`` (by kind: lut, carry, ff, dsp,
        bram ...; every kind of the target is present), ``seconds``, ``tools``; for the gate equivalents also
        ``area`` and ``area_ff`` (a two-input NAND gate is 1).
    """
    if target not in TARGETS:
        raise UnknownName("target", target, TARGETS)
    return cells(rtl(unit, **options), target)


def cells(design: Rtl, target: str) -> dict[str, Any]:
    """As :func:`synth`, of a design already emitted."""
    begin = time.perf_counter()
    with tools.work_folder("synth") as folder:
        (folder / f"{design.top}.v").write_text(design.verilog())
        statistics = _run(design.top, target, folder)
    counted = {name: int(count) for name, count in sorted(statistics["num_cells_by_type"].items())}
    result: dict[str, Any] = {
        "unit": design.unit.name,
        "sha256": design.unit.sha256,
        "top": design.top,
        "target": target,
        "cells": counted,
        "summary": summary(counted, target),
    }
    if TARGETS[target].liberty:
        result["area"] = round(float(statistics["area"]), 2)
        result["area_ff"] = round(float(statistics["sequential_area"]), 2)
    return {**result, "seconds": round(time.perf_counter() - begin, 3), "tools": tools.versions("yosys")}


def summary(counted: dict[str, int], target: str) -> dict[str, int]:
    """Cells by kind; those of no kind are counted as ``other``."""
    kinds = dict.fromkeys(TARGETS[target].kinds, 0)
    other = 0
    for name, count in counted.items():
        for kind, pattern in TARGETS[target].kinds.items():
            if re.fullmatch(pattern, name):
                kinds[kind] += count
                break
        else:
            other += count
    return {**kinds, "other": other}


def _run(top: str, target: str, folder: Path) -> dict[str, Any]:
    if TARGETS[target].liberty:
        text = importlib.resources.files("hdl.parts").joinpath(TARGETS[target].liberty).read_text()
        (folder / TARGETS[target].liberty).write_text(text)
    tools.yosys(script(top, target), folder, name="synth")
    return json.loads((folder / "stat.json").read_text())["design"]
