"""RTL as a NumPy function."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdl.flow.build import SIMULATORS, Source, library
from hdl.flow.design import read_design
from hdl.flow.portmap import PortMap
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit, outputs_per_row

__all__ = ["Model", "NoAnswer", "Run", "WrongAnswers", "model"]

TIMEOUT = 100_000
"""Clock cycles without any transfer after which a design counts as hanging."""

_DRAIN = 64  # cycles after the last answer in which another one would be noticed
_CHUNK = 1 << 20  # beats per call, so that buffers stay small


class NoAnswer(IntsimError):
    """The design never answers: nothing came out for as many cycles as the time-out says."""


class WrongAnswers(IntsimError):
    """The design answers, but not as often as asked, or it breaks the stream's rules.

    Attributes
    ----------
    row : index of the first row concerned, where that is known
    beats : what it answered until then
    """

    def __init__(self, message: str, row: int | None = None, beats: np.ndarray | None = None):
        super().__init__(message)
        self.row = row
        self.beats = beats


@dataclass(frozen=True)
class Run:
    """One run of the simulation: clock cycles in all, and until the first answer."""

    cycles: int
    first_answer: int


class _Job(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_void_p),
        ("in_beats", ctypes.c_int64),
        ("outputs", ctypes.c_void_p),
        ("capacity", ctypes.c_int64),
        ("expected", ctypes.c_int64),
        ("timeout", ctypes.c_int64),
        ("drain", ctypes.c_int64),
        ("stall_in", ctypes.c_int64),
        ("stall_out", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
        ("cycles", ctypes.c_int64),
        ("accepted", ctypes.c_int64),
        ("out_beats", ctypes.c_int64),
        ("answers", ctypes.c_int64),
        ("first_answer", ctypes.c_int64),
    )


_DONE, _TIMEOUT, _TOO_MANY, _UNSTABLE = range(4)


class Model:
    """The RTL of a unit, called like the unit itself.

    Parameters
    ----------
    unit : whose ports it has
    source : Verilog, with the ports of :class:`hdl.wrap.axi_stream.AxiStream`
    inputs, outputs : where each port lies in the two streams
    simulator : ``cxxrtl`` or ``verilator``
    timeout : cycles without any transfer after which the design counts as hanging
    trace : build with waveforms (Verilator only)
    ports : how a design of somebody else's was connected, None for the shell's own ports

    Attributes
    ----------
    last_run : Run
        Cycles of the latest call.
    library : path of the compiled simulation
    vcd : where the next calls write their waveforms (models built with `trace`); each overwrites the last
    stallable : whether the design waits while its output is not taken

    Notes
    -----
    Every call begins with a reset, or with a new instance where the design has none. The design's state is not
    shared between models, and a model may be used from one thread at a time.
    """

    def __init__(
        self,
        unit: Unit,
        source: Source,
        inputs: Packing,
        outputs: Packing,
        simulator: str = "cxxrtl",
        *,
        timeout: int = TIMEOUT,
        trace: bool = False,
        ports: PortMap | None = None,
    ):
        self.unit = unit
        self.source = source
        self.inputs = inputs
        self.outputs = outputs
        self.simulator = simulator
        self.timeout = timeout
        self.ports = ports
        self.vcd: Path | None = None
        self.stallable = ports is None or ports.stallable
        self.last_run = Run(0, -1)
        self.library = library(source, inputs, outputs, simulator, trace=trace)
        self._code = _load(self.library)
        self._dut = ctypes.c_void_p(self._code.dut_create())
        self._per_row = outputs_per_row(unit) if unit.is_row else ()

    def __del__(self):
        dut = getattr(self, "_dut", None)
        if dut:
            self._code.dut_destroy(dut)
            self._dut = None

    def __call__(self, *arrays: Any, stalls: float | tuple[float, float] = 0.0, seed: int = 0) -> Any:
        """What the RTL computes.

        Parameters
        ----------
        *arrays : as for the unit
        stalls : probability of a pause in each cycle, of the sender and of the receiver
        seed : of the pauses

        Raises
        ------
        NoAnswer, WrongAnswers
            The design hangs, answers too often or too seldom, or changes what it offers before it is taken.
        IntsimError
            Inputs that the unit does not take.
        """
        columns, shape = self.unit._admit(arrays)
        results = self._rows(columns, stalls, seed) if self.unit.is_row else self._elements(columns, stalls, seed)
        shaped = tuple(self.unit._restore(column, shape) for column in results)
        return shaped[0] if len(shaped) == 1 else shaped

    def _elements(self, columns: Sequence[np.ndarray], stalls, seed: int) -> list[np.ndarray]:
        parts = []
        total = columns[0].size
        for start in range(0, total, _CHUNK):
            chunk = [column[start : start + _CHUNK] for column in columns]
            beats = self.drive(self.inputs.pack(chunk), chunk[0].size, chunk[0].size, stalls, seed + start)
            if beats.size != chunk[0].size:
                raise WrongAnswers(f"{self.source.top} gave {beats.size} answers to {chunk[0].size} inputs")
            parts.append(self.outputs.unpack(beats))
        return parts[0] if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _rows(self, columns: Sequence[np.ndarray], stalls, seed: int) -> list[np.ndarray]:
        parts = []
        rows, n = columns[0].shape
        fixed = self.ports.row_length if self.ports else None
        if fixed is not None and n != fixed:
            raise IntsimError(f"{self.source.top} takes rows of {fixed} (its port map says so), got rows of {n}")
        step = max(_CHUNK // n, 1)
        for start in range(0, rows, step):
            chunk = [column[start : start + step] for column in columns]
            count = chunk[0].shape[0]
            capacity = count * (-(-n // self.outputs.lanes))
            expected = count if self.outputs.row else count * self._beats_per_row(n)
            try:
                beats = self.drive(self.inputs.pack(chunk), capacity, expected, stalls, seed + start)
            except WrongAnswers as error:
                if error.beats is not None:
                    self._sort_rows(error.beats, count, n, start)  # names the row, if one is too long or too short
                raise
            parts.append(self._sort_rows(beats, count, n, start))
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _beats_per_row(self, n: int) -> int:
        return 1 if all(self._per_row) else -(-n // self.outputs.lanes)

    def _sort_rows(self, beats: np.ndarray, rows: int, n: int, first: int) -> list[np.ndarray]:
        """Elements by row, checked: each row has as many as the unit's own answer."""
        if not self.outputs.row:  # the design does not tell where rows end: as many beats as a row needs
            each = self._beats_per_row(n) * self.outputs.lanes
            shaped = [column.reshape(rows, each)[:, :n] for column in self.outputs.unpack(beats)]
            return [column[:, -1] if one else column for column, one in zip(shaped, self._per_row, strict=True)]
        ends = np.flatnonzero(beats["last"])
        counts = np.cumsum(self.outputs.kept(beats).sum(axis=1))[ends]
        lengths = np.diff(counts, prepend=0)
        wanted = 1 if all(self._per_row) else n
        if lengths.size != rows or np.any(lengths != wanted):
            wrong = np.flatnonzero(lengths[:rows] != wanted)
            row = int(wrong[0]) if wrong.size else min(rows, lengths.size)
            given = int(lengths[row]) if row < lengths.size else 0
            raise WrongAnswers(
                f"row {first + row}: {self.source.top} answers {given} elements, {wanted} are expected", first + row
            )
        shaped = [column[: rows * wanted].reshape(rows, wanted) for column in self.outputs.unpack(beats)]
        return [column[:, -1] if one else column for column, one in zip(shaped, self._per_row, strict=True)]

    def drive(self, beats: np.ndarray, capacity: int, expected: int, stalls=0.0, seed: int = 0) -> np.ndarray:
        """Packed beats in, packed beats out.

        Parameters
        ----------
        beats : array of ``inputs.record``
        capacity : most beats the design may answer
        expected : answers to wait for: rows where the output has ``last``, beats otherwise
        stalls, seed : as for a call
        """
        before, after = stalls if isinstance(stalls, tuple) else (stalls, stalls)
        for probability in (before, after):
            if not 0 <= probability < 1:
                raise IntsimError(f"stalls are probabilities from 0 to below 1, got {stalls}")
        beats = np.ascontiguousarray(beats)
        out = np.empty(capacity, dtype=self.outputs.record)
        job = _Job(
            inputs=beats.ctypes.data,
            in_beats=beats.size,
            outputs=out.ctypes.data,
            capacity=capacity,
            expected=expected,
            timeout=self.timeout,
            drain=_DRAIN,
            stall_in=int(before * 2**32),
            stall_out=int(after * 2**32),
            seed=(seed ^ 0x9E3779B97F4A7C15) % 2**63,
        )
        if self.vcd or (self.ports and not self.ports.reset):
            # Without a reset nothing but a new instance forgets what came before; and each takes one trace.
            self._code.dut_destroy(self._dut)
            self._dut = ctypes.c_void_p(self._code.dut_create())
        if self.vcd:
            self._code.dut_trace(self._dut, str(self.vcd).encode())
        outcome = self._code.dut_run(self._dut, ctypes.byref(job))
        if self.vcd:
            self._code.dut_trace(self._dut, None)
        self.last_run = Run(job.cycles, job.first_answer)
        top = self.source.top
        if outcome == _TIMEOUT:
            message = (
                f"{top} made no transfer for {self.timeout} cycles after taking {job.accepted} of {beats.size} inputs "
                f"and giving {job.answers} of {expected} answers"
            )
            if not job.out_beats:
                raise NoAnswer(f"{message}; check clock, reset, valid and ready, or raise the time-out")
            raise WrongAnswers(message, beats=out[: job.out_beats] if self.outputs.row else None)
        if outcome == _TOO_MANY:
            raise WrongAnswers(
                f"{top} answers more often than it was asked: {beats.size} inputs, {expected} answers expected",
                beats=out[: job.out_beats],
            )
        if outcome == _UNSTABLE:
            raise WrongAnswers(f"{top} changes its answer in cycle {job.cycles} before it is taken (valid, not ready)")
        return out[: job.out_beats]


def model(
    unit: Unit,
    simulator: str = "cxxrtl",
    rtl: str | Path | Sequence[str | Path] | None = None,
    *,
    top: str | None = None,
    params: Mapping[str, int | str] | None = None,
    ports: PortMap | str | Path | None = None,
    timeout: int = TIMEOUT,
    trace: bool = False,
    **options: Any,
) -> Model:
    """The RTL of `unit` as a NumPy function with the unit's own call signature.

    Parameters
    ----------
    unit : any unit with hardware; with `rtl`, any unit
    simulator : ``cxxrtl`` (Yosys) or ``verilator``: two independent programs. SystemVerilog, parameters, port maps
        and waveforms always take Verilator.
    rtl : Verilog or SystemVerilog files to simulate instead
    top : name of the top module; the unit's name by default
    params : parameters of the top module, with `rtl`
    ports : how the design in `rtl` is connected, if not like :class:`hdl.wrap.axi_stream.AxiStream`: a
        :class:`~hdl.flow.portmap.PortMap` or the TOML file of one
    timeout : cycles without any transfer after which a design counts as hanging
    trace : build with waveforms
    **options : the component's own, such as ``stages`` or ``lanes``

    Returns
    -------
    Model

    Raises
    ------
    IntsimError
        The design does not compile, or the port map does not fit it.
    """
    if simulator not in SIMULATORS:
        raise UnknownName("simulator", simulator, SIMULATORS)
    design = read_design(unit, rtl, top=top, params=params, ports=ports, **options)
    if options.get("shell") == "lite":
        raise IntsimError("the shell 'lite' has no streams to drive; simulate it with hdl.bench, or take another")
    if trace or params or design.ports or any(name.endswith(".sv") for name in design.source.files):
        simulator = "verilator"
    return Model(
        unit, design.source, design.inputs, design.outputs, simulator, timeout=timeout, trace=trace, ports=design.ports
    )


def _load(path: Path) -> Any:
    code = ctypes.CDLL(str(path))
    code.dut_create.restype = ctypes.c_void_p
    code.dut_destroy.argtypes = [ctypes.c_void_p]
    code.dut_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    if hasattr(code, "dut_trace"):
        code.dut_trace.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return code
