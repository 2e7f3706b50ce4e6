"""Everything there is to say about a unit, measured now: as plain figures, and as one page.

The page is one HTML file that loads nothing; the figures are JSON beside it.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import intsim
from hdl.flow import tools
from hdl.flow.emission import rtl
from hdl.flow.page import render
from hdl.flow.placement import place
from hdl.flow.synthesis import cells
from hdl.flow.verification import verify
from intsim import measure
from intsim.errors import IntsimError
from intsim.files import write_files
from intsim.unit import Unit

__all__ = ["STEPS", "Sample", "gather", "summary", "write"]

STEPS = 4


@dataclass(frozen=True)
class Sample:
    """Real values on which a unit is measured besides its whole domain.

    Attributes
    ----------
    name : what they are and where they come from
    values : real numbers, of any shape
    """

    name: str
    values: np.ndarray


def gather(
    unit: Unit,
    *,
    device: str = "LFE5U-25F",
    speed: int = 6,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    samples: Sequence[Sample] = (),
    begin: Callable[[str], object] = lambda step: None,
    **options: Any,
) -> dict[str, Any]:
    """Measure, verify, synthesise and place a unit.

    Parameters
    ----------
    unit : any unit with hardware
    device, speed, seeds : of the placement
    samples : real values to measure the error on
    begin : called with the name of each of the :data:`STEPS` steps as it begins
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        JSON-ready figures, stable keys: ``unit`` (name, class, what it computes, sha256, ports, parameters, widths,
        hazards), ``options``, ``error`` (None where there is no real function), ``samples``, ``timing``,
        ``verification``, ``synthesis`` (ecp5 and nand2), ``placement``, ``verilog_sha256``, ``versions``.
    """
    begin(f"{unit.name}: error over the domain")
    accuracy, on_samples = _accuracy(unit, samples)
    begin(f"{unit.name}: verification")
    verification = verify(unit, **options)
    begin(f"{unit.name}: synthesis")
    design = rtl(unit, **options)
    gates = cells(design, "nand2")
    begin(f"{unit.name}: place and route")
    placement = place(unit, device, speed, seeds, **options)
    return {
        "unit": _identity(unit),
        "options": options,
        "error": accuracy,
        "samples": on_samples,
        "timing": {"latency": design.component.latency, "interval": design.component.interval},
        "verification": verification,
        "synthesis": {"ecp5": {key: placement[key] for key in ("cells", "summary")}, "nand2": gates},
        "placement": placement,
        "verilog_sha256": hashlib.sha256(design.verilog().encode()).hexdigest(),
        "versions": {"intsim": intsim.__version__, **tools.versions()},
    }


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """The few figures that decide, by name."""
    check, placed, error = figures["verification"], figures["placement"], figures["error"] or {}
    used = placed["utilisation"]
    return {
        "inputs equal": f"{check['equal']:,} of {check['inputs']:,}",
        "mean error": error.get("mean"),
        "max error (LSB)": error.get("max_lsb"),
        "latency (cycles)": figures["timing"]["latency"],
        "interval (cycles)": figures["timing"]["interval"],
        "Fmax (MHz)": placed["fmax_mhz"],
        "cells": f"{used['TRELLIS_COMB']} COMB, {used['MULT18X18D']} MULT, {used['DP16KD']} BRAM",
        "gate equivalents": figures["synthesis"]["nand2"]["area"],
    }


def write(
    folder: str | Path,
    units: Sequence[Unit],
    figures: Sequence[dict[str, Any]],
    *,
    name: str,
    title: str,
    introduction: str = "",
) -> dict[str, Path]:
    """Write ``name.html`` and ``name.json`` into `folder`, both or none.

    Raises
    ------
    IntsimError
        The folder cannot be made or written.
    """
    pictures = [_picture(unit) for unit in units]
    html = render(figures, pictures, [summary(f) for f in figures], title=title, introduction=introduction)
    body: Any = figures[0] if len(figures) == 1 else list(figures)
    paths = write_files(folder, {f"{name}.html": html, f"{name}.json": json.dumps(body, indent=1) + "\n"})
    return {"page": paths[f"{name}.html"], "figures": paths[f"{name}.json"]}


def _identity(unit: Unit) -> dict[str, Any]:
    ports = [("in", port, fmt) for port, fmt in unit.inputs.items()]
    ports += [("out", port, fmt) for port, fmt in unit.outputs.items()]
    statement, equation = _explanation(type(unit))
    return {
        "name": unit.name,
        "class": type(unit).__name__,
        "computes": statement,
        "equation": equation,
        "sha256": unit.sha256,
        "ports": [
            {"direction": d, "name": n, "format": str(f), "bits": f.bits, "lo": f.lo, "hi": f.hi} for d, n, f in ports
        ],
        "parameters": {
            field.name: _parameter(getattr(unit, field.name))
            for field in dataclasses.fields(unit)
            if getattr(unit, field.name) is not None
        },
        "widths": dict(getattr(unit, "widths", {})),
        "hazards": [dataclasses.asdict(hazard) for hazard in unit.hazards()],
    }


def _explanation(cls: type) -> tuple[str, str]:
    """The first sentence and the first literal block of a class's docstring."""
    text = re.sub(r"\n {4}", "\n", cls.__doc__ or "")
    statement = " ".join(text.split("\n\n")[0].split())
    block = re.search(r"::\n\n((?: {4}.*\n|\n)+)", text)
    equation = re.sub(r"^ {4}", "", block[1], flags=re.M).strip("\n") if block else ""
    return statement.replace("``", "").rstrip(":."), equation


def _parameter(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int) else str(value)


def _accuracy(unit: Unit, samples: Sequence[Sample]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    try:
        return measure.error(unit).as_dict(), [_on(unit, sample) for sample in samples]
    except IntsimError:
        if samples:
            raise  # asked for, and cannot be had
        return None, []


def _on(unit: Unit, sample: Sample) -> dict[str, Any]:
    """The error of a unit with one input on real values, with and without that of encoding them."""
    source, target = next(iter(unit.inputs.values())), next(iter(unit.outputs.values()))
    codes = source.encode(sample.values, saturate=True)
    total = target.decode(unit(codes)) - unit.real(sample.values)
    outside = (sample.values < source.decode(source.lo)) | (sample.values > source.decode(source.hi))
    return {
        "name": sample.name,
        "values": int(codes.size),
        "least": float(np.min(sample.values)),
        "largest": float(np.max(sample.values)),
        "outside_format": float(np.mean(outside)),
        "unit": measure.error(unit, codes).as_dict(),
        "with_encoding": {"mean": float(np.mean(np.abs(total))), "max": float(np.max(np.abs(total)))},
        "histogram": _histogram(sample.values),
    }


def _histogram(values: np.ndarray, bins: int = 60) -> dict[str, list[float]]:
    counts, edges = np.histogram(values, bins=bins)
    return {"counts": counts.tolist(), "edges": edges.tolist()}


def _picture(unit: Unit) -> str:
    """Function, error and cut points as a data URI; empty for what cannot be drawn so."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = measure.picture(unit, Path(folder) / "picture.svg")
        except IntsimError:
            return ""
        return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
