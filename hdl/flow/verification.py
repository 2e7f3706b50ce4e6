"""RTL == golden model, on every input there is."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hdl.flow import diagnosis, tools, waveform
from hdl.flow.comparison import Batch, Failing, run_batch
from hdl.flow.portmap import PortMap
from hdl.flow.simulation import TIMEOUT, Model, NoAnswer, model
from hdl.flow.stimulus import LIMIT, Stimulus
from intsim.unit import Unit

__all__ = ["compare", "verify"]

_SHOWN = 10


def verify(
    unit: Unit,
    simulator: str = "cxxrtl",
    rtl: str | Path | Sequence[str | Path] | None = None,
    *,
    top: str | None = None,
    params: Mapping[str, int | str] | None = None,
    ports: PortMap | str | Path | None = None,
    seed: int = 0,
    vectors: int = LIMIT,
    timeout: int = TIMEOUT,
    progress: Callable[[int, int], None] | None = None,
    output: str | Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Compare the RTL with the golden model.

    Up to 2**24 input combinations all are tried. Beyond that: corners, near-ties, then random ones. Batches
    of up to 2**16 values, the directed ones among them, run twice: without pauses and with random ones on both sides.

    Parameters
    ----------
    unit : any unit with hardware; with `rtl`, any unit
    simulator : ``cxxrtl`` or ``verilator``
    rtl : Verilog or SystemVerilog files to check instead
    top : name of the top module; the unit's name by default
    params : parameters of the top module, with `rtl`
    ports : how the design in `rtl` is connected, if not like the unit's own: a :class:`~hdl.flow.portmap.PortMap`
        or the TOML file of one
    seed : of the random part
    vectors : random inputs (elements for a row unit) where not every input can be tried
    timeout : cycles without any transfer after which the design counts as hanging
    progress : called with inputs done and inputs in all
    output : folder for waveforms of the smallest failing input (VCD, and an SVG excerpt); written on a mismatch only
    **options : the component's own, such as ``stages`` or ``lanes``

    Returns
    -------
    dict
        ``unit``, ``sha256``, ``simulator``, ``inputs`` (compared: elements, or rows of a row unit), ``equal``,
        ``mismatches``, ``exhaustive``, ``first`` (the first mismatches: inputs, expected, got, trace), ``smallest``
        (the smallest failing input found, in the same form; None if all are equal), ``waveforms`` (paths, if asked
        for), ``seed``, ``seconds``, ``tools``.

    Raises
    ------
    NoAnswer
        The design never answers.
    IntsimError
        It does not compile, the port map does not fit it (or another latency or reset polarity would make it right),
        or a tool is missing.
    """
    begin = time.perf_counter()
    build = functools.partial(model, unit, simulator, rtl, top=top, params=params, timeout=timeout, **options)
    device = build(ports=ports)
    fixed = device.ports.row_length if device.ports else None
    result, failing = compare(unit, device, Stimulus(unit, seed, vectors, fixed), progress)
    result["smallest"] = None
    if failing is not None:
        if device.ports:
            diagnosis.suspect(device.ports, failing, lambda other: build(ports=other))
        smallest = diagnosis.shrink(device, failing)
        result["smallest"] = smallest.described()
        if output is not None:
            result["waveforms"] = waveform.write(build(ports=ports, trace=True), smallest, output)
    return {
        "unit": unit.name,
        "sha256": unit.sha256,
        "simulator": device.simulator,
        **result,
        "seed": seed,
        "seconds": round(time.perf_counter() - begin, 3),
        "tools": tools.versions("verilator" if device.simulator == "verilator" else "yosys", "g++"),
    }


def compare(
    unit: Unit, device: Model, stimulus: Stimulus, progress: Callable[[int, int], None] | None = None
) -> tuple[dict[str, Any], Failing | None]:
    """Run all of `stimulus` through `device` and the golden model; counts, first mismatches, and one to shrink."""
    inputs = mismatches = 0
    first: list[dict[str, Any]] = []
    failing: Failing | None = None
    for number, columns in enumerate(stimulus.batches()):
        try:
            batch = run_batch(unit, device, columns, stimulus.seed)
        except NoAnswer as error:
            if number == 0:
                raise
            batch = Batch.refused(unit, columns, str(error))  # it did answer before: a fault, not a wrong set-up
        inputs += batch.wrong.size
        mismatches += int(np.count_nonzero(batch.wrong))
        for index in np.flatnonzero(batch.wrong)[: _SHOWN - len(first)]:
            first.append(batch.described(int(index)))
        if failing is None and batch.wrong.any():
            failing = batch.failing()
        if progress:
            progress(inputs, max(inputs, stimulus.total))
    counts = {
        "inputs": inputs,
        "equal": inputs - mismatches,
        "mismatches": mismatches,
        "exhaustive": stimulus.exhaustive,
        "first": first,
    }
    return counts, failing
