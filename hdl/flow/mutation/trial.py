"""The ordinary verification of a design, for one fault after the other: which of them it notices, and by what.

The same inputs as :func:`hdl.flow.verify`, as it compares them; all of them, where they are few, and the corners in
other orders under many and few pauses on either side; then resets while transfers are on their way, after which a
short run must be right.
"""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass

import numpy as np

from hdl.flow.build import Source
from hdl.flow.comparison import answers, pauses
from hdl.flow.emission import Rtl
from hdl.flow.mutation.netlist import SELECT
from hdl.flow.simulation import Model, NoAnswer, WrongAnswers
from hdl.flow.stimulus import SHORT, Columns, Stimulus
from intsim.unit import Unit

__all__ = ["Planted", "Trial"]

_SELECT = f"""
extern "C" void dut_select(Dut *dut, uint16_t number) {{
    auto &top = dut->top;
    (void)top;
    std::memcpy(bytes(PORT({SELECT}, {SELECT})), &number, sizeof number);
}}

// As dut_run, with a reset of one cycle: a register that takes a second one to forget is found.
extern "C" int dut_run_briefly_reset(Dut *dut, Job *job) {{
    dut->reset(1);
    return job->stall_in || job->stall_out ? drive<true>(*dut, *job) : drive<false>(*dut, *job);
}}
"""

_NEVER = 1 - 2**-32  # a receiver's pauses
# Answers taken until a reset, and the receiver's pauses meanwhile; the last one takes nothing: the design is full then.
_INTERRUPTIONS = ((1, 0.0), (2, 0.5), (3, 0.0), (7, 0.7), (19, 0.3), (40, 0.5), (1, _NEVER))
_PAUSES = ((0.1, 0.9), (0.9, 0.1), (0.5, 0.5))  # under which the corners run again: sender's, receiver's
_ORDERS = 8  # of all inputs, where they are few, each under pauses of the receiver
_AFTER = 256  # inputs, or rows, compared after each
_WAITS = 96  # a row alone is interrupted once in each of so many cycles behind its last word
_WAITING = 32  # inputs, or rows, that wait for the receiver at most
_AFTER_WAIT = 4  # inputs, or rows, compared after each of these
_PATIENCE = 2000  # cycles: an interruption also comes where nothing is answered at all


class Planted(Model):
    """A design with faults in it, of which none or one is active.

    Parameters
    ----------
    design : the design without faults
    verilog : the same with them, and the input that selects one
    simulator, timeout : as for a model
    """

    def __init__(self, design: Rtl, verilog: str, simulator: str, timeout: int):
        source = Source(design.top, {f"{design.top}.v": verilog}, harness=_SELECT)
        super().__init__(design.unit, source, design.inputs, design.outputs, simulator, timeout=timeout)
        self._code.dut_select.argtypes = [ctypes.c_void_p, ctypes.c_uint16]
        self._code.dut_run_briefly_reset.argtypes = self._code.dut_run.argtypes
        self._runs = (self._code.dut_run, self._code.dut_run_briefly_reset)

    def select(self, number: int) -> None:
        """Make fault `number` the active one, with a fresh instance of the design; zero: none."""
        self._code.dut_destroy(self._dut)
        self._dut = ctypes.c_void_p(self._code.dut_create())
        self._code.dut_select(self._dut, number)

    def reset_briefly(self, briefly: bool) -> None:
        """Whether runs begin with a reset of one clock cycle instead of four."""
        self._code.dut_run = self._runs[briefly]


@dataclass(frozen=True)
class _Batch:
    columns: Columns
    expected: Columns

    @classmethod
    def of(cls, unit: Unit, columns: Columns) -> _Batch:
        """With the golden answers."""
        result = unit(*columns)
        return cls(columns, tuple(np.atleast_1d(port) for port in (result if isinstance(result, tuple) else (result,))))

    def spread(self, count: int) -> _Batch:
        """About `count` of its inputs or rows, evenly spread."""
        step = -(-self.columns[0].shape[0] // count)
        columns, expected = (tuple(column[::step] for column in side) for side in (self.columns, self.expected))
        return _Batch(columns, expected)

    def shuffled(self, seed: int) -> _Batch:
        """The same in another order."""
        order = np.random.default_rng(seed).permutation(self.columns[0].shape[0])
        columns, expected = (tuple(column[order] for column in side) for side in (self.columns, self.expected))
        return _Batch(columns, expected)


class Trial:
    """All that the ordinary verification compares, computed once.

    Parameters
    ----------
    unit : any unit
    stimulus : its inputs

    Attributes
    ----------
    inputs : how many are compared: elements, or rows of a row unit
    exhaustive : whether that is every input there is
    """

    def __init__(self, unit: Unit, stimulus: Stimulus):
        self.unit = unit
        self.seed = stimulus.seed
        self.exhaustive = stimulus.exhaustive
        self._corners = [_Batch.of(unit, columns) for columns in stimulus.corners()]
        self._batches = [_Batch.of(unit, columns) for columns in stimulus.batches()]
        self.inputs = sum(batch.columns[0].shape[0] for batch in self._batches)

    def corners_notice(self, device: Planted) -> str | None:
        """How the unit's corners alone show a fault, or None if they do not."""
        return next(filter(None, (self._compared(device, batch) for batch in self._corners)), None)

    def notices(self, device: Planted, data_alone: bool = False) -> str | None:
        """How the verification fails, or None if it does not.

        With `data_alone` no pauses and no resets are tried: the fault is known to change nothing but answers, each by
        its own input.
        """
        for batch in self._batches:
            for stalls in pauses(batch.columns)[: 1 if data_alone else None]:
                if found := self._compared(device, batch, stalls):
                    return found
        if data_alone:
            return None
        if not self.unit.is_row and self.exhaustive and self.inputs <= SHORT:  # rare inputs behind many different ones
            for turn in range(_ORDERS):
                if found := self._compared(device, self._batches[0].shuffled(turn), (0.0, 0.5)):
                    return found
        for batch in self._corners:
            for turn, stalls in enumerate(_PAUSES):
                if found := self._compared(device, batch.shuffled(turn), stalls):
                    return found
        return self._interrupted(device)

    def _compared(self, device: Planted, batch: _Batch, stalls: tuple[float, float] = (0.0, 0.0)) -> str | None:
        when = ", under pauses" if any(stalls) else ""
        try:
            found = answers(self.unit, device, batch.columns, batch.expected, stalls, self.seed)
        except NoAnswer:
            return f"no answer{when}"
        if isinstance(found.got, str):
            return f"the stream's rules are broken{when}"
        if found.wrong.any():
            return f"{int(np.count_nonzero(found.wrong))} of {found.wrong.size} wrong{when}"
        return None

    def _interrupted(self, device: Planted) -> str | None:
        """Reset in mid-stream, then a short run."""
        return self._interrupted_between(device) or self._interrupted_behind(device)

    def _interrupted_behind(self, device: Planted) -> str | None:
        """Reset in every cycle behind a row, or an input, and while ever more of them wait for the receiver."""
        by_length = sorted(self._batches, key=lambda batch: batch.columns[0][0].size)
        after = by_length[-1].spread(_AFTER_WAIT)
        patience = device.timeout
        try:
            device.reset_briefly(True)
            for batch in (by_length[0], by_length[-1]):
                waiting = batch.spread(_WAITING).columns
                beats = device.inputs.pack(waiting)
                first = beats.size // waiting[0].shape[0]
                cuts = [(first, wait, 0.0) for wait in range(_WAITS)]
                cuts += [(count, wait, _NEVER) for count in range(1, beats.size) for wait in (0, 1, 3, 40)]
                for count, wait, paused in cuts:
                    device.timeout = wait
                    with contextlib.suppress(NoAnswer, WrongAnswers):  # cut off, as meant
                        device.drive(beats[:count], count, count + 1, (0.0, paused))
                    device.timeout = patience
                    if found := self._compared(device, after):
                        return f"{found}, after a reset in mid-stream"
        finally:
            device.timeout = patience
            device.reset_briefly(False)
        return None

    def _interrupted_between(self, device: Planted) -> str | None:
        """Reset after a number of answers, under pauses."""
        short = max(self._batches, key=lambda batch: batch.columns[0].size).spread(_AFTER)
        beats = device.inputs.pack(short.columns)
        patience, device.timeout = device.timeout, _PATIENCE
        try:
            for briefly in (False, True):
                for taken, paused in _INTERRUPTIONS:
                    with contextlib.suppress(NoAnswer, WrongAnswers):  # cut off, as meant
                        device.drive(beats, taken, beats.size, (0.0, paused), seed=taken)
                    device.reset_briefly(briefly)
                    if found := self._compared(device, short):
                        return f"{found}, after a reset in mid-stream"
        finally:
            device.timeout = patience
            device.reset_briefly(False)
        return None
