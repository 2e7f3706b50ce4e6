"""RTL == golden model, on every input there is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hdl.flow import tools
from hdl.flow.simulation import TIMEOUT, Model, WrongAnswers, model
from hdl.flow.stimulus import LIMIT, Columns, Stimulus
from intsim.unit import Unit

__all__ = ["compare", "verify"]

_STALLS = (0.3, 0.3)
_SHOWN = 10


def verify(
    unit: Unit,
    simulator: str = "cxxrtl",
    rtl: str | Path | Sequence[str | Path] | None = None,
    *,
    top: str | None = None,
    seed: int = 0,
    vectors: int = LIMIT,
    timeout: int = TIMEOUT,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Compare the RTL with the golden model.

    Up to 2**24 input combinations all are tried. Beyond that: corners, near-ties, then random ones. The first batch
    runs twice, without pauses and with random ones on both sides.

    Parameters
    ----------
    unit : any unit with hardware; with `rtl`, any unit
    simulator : ``cxxrtl`` or ``verilator``
    rtl : Verilog file or files to check instead, with the same ports
    top : name of the top module; the unit's name by default
    seed : of the random part
    vectors : random inputs (elements for a row unit) where not every input can be tried
    timeout : cycles without any transfer after which the design counts as hanging
    progress : called with inputs done and inputs in all
    **options : the component's own, such as ``stages`` or ``lanes``

    Returns
    -------
    dict
        ``unit``, ``sha256``, ``simulator``, ``inputs`` (compared: elements, or rows of a row unit), ``equal``,
        ``mismatches``, ``exhaustive``, ``first`` (the first mismatches: inputs, expected, got, trace), ``seed``,
        ``seconds``, ``tools``.

    Raises
    ------
    NoAnswer
        The design hangs.
    IntsimError
        It does not compile, its ports do not fit, or a tool is missing.
    """
    begin = time.perf_counter()
    device = model(unit, simulator, rtl, top=top, timeout=timeout, **options)
    result = compare(unit, device, Stimulus(unit, seed, vectors), progress)
    return {
        "unit": unit.name,
        "sha256": unit.sha256,
        "simulator": simulator,
        **result,
        "seed": seed,
        "seconds": round(time.perf_counter() - begin, 3),
        "tools": tools.versions("verilator" if simulator == "verilator" else "yosys", "g++"),
    }


def compare(
    unit: Unit, device: Model, stimulus: Stimulus, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Run all of `stimulus` through `device` and the golden model; counts and the first mismatches."""
    inputs = mismatches = 0
    first: list[dict[str, Any]] = []
    for number, columns in enumerate(stimulus.batches()):
        expected = _tuple(unit(*columns))
        wrong, got = _differences(device, columns, expected, stalled=number == 0, seed=stimulus.seed)
        inputs += len(wrong)
        mismatches += int(np.count_nonzero(wrong))
        for index in np.flatnonzero(wrong)[: _SHOWN - len(first)]:
            first.append(_describe(unit, columns, expected, got, int(index)))
        if progress:
            progress(inputs, max(inputs, stimulus.total))
    return {
        "inputs": inputs,
        "equal": inputs - mismatches,
        "mismatches": mismatches,
        "exhaustive": stimulus.exhaustive,
        "first": first,
    }


def _differences(
    device: Model, columns: Columns, expected: Columns, *, stalled: bool, seed: int
) -> tuple[np.ndarray, Columns | str]:
    """Which inputs (elements or rows) are answered wrongly, and the answers (or why there are none)."""
    count = columns[0].shape[0]
    wrong = np.zeros(count, dtype=bool)
    try:
        got = _tuple(device(*columns))
        wrong |= _unequal(expected, got)
        if stalled and device.stallable:
            paused = _tuple(device(*columns, stalls=_STALLS, seed=seed))
            late = _unequal(expected, paused) & ~wrong
            if late.any():
                got = tuple(np.where(_spread(late, a), a, b) for a, b in zip(paused, got, strict=True))
                wrong |= late
    except WrongAnswers as error:
        return np.ones(count, dtype=bool), str(error)
    return wrong, got


def _unequal(expected: Columns, got: Columns) -> np.ndarray:
    wrong = np.zeros(expected[0].shape[0], dtype=bool)
    for a, b in zip(expected, got, strict=True):
        differs = a != b
        wrong |= differs.any(axis=1) if differs.ndim == 2 else differs
    return wrong


def _spread(mask: np.ndarray, like: np.ndarray) -> np.ndarray:
    return mask[:, None] if like.ndim == 2 else mask


def _tuple(result: Any) -> Columns:
    return tuple(np.atleast_1d(column) for column in (result if isinstance(result, tuple) else (result,)))


def _describe(unit: Unit, columns: Columns, expected: Columns, got: Columns | str, index: int) -> dict[str, Any]:
    """One mismatch in plain integers, with the golden model's intermediates."""
    inputs = [column[index : index + 1] for column in columns]
    return {
        "inputs": _plain(unit.inputs, inputs),
        "expected": _plain(unit.outputs, [column[index : index + 1] for column in expected]),
        "got": got if isinstance(got, str) else _plain(unit.outputs, [column[index : index + 1] for column in got]),
        "trace": {name: np.asarray(values)[0].tolist() for name, values in unit.trace(*inputs).items()},
    }


def _plain(ports, columns: Sequence[np.ndarray]) -> dict[str, Any]:
    return {port: column[0].tolist() for port, column in zip(ports, columns, strict=True)}
