"""A unit under test: clock, reset, both streams and the golden model, in one object."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import Task

from hdl.bench.pauses import never
from hdl.bench.scoreboard import Scoreboard, beats
from hdl.bench.stream import PERIOD, Beat, Driver, Monitor, Receiver, Stream, cycles
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["Given", "Testbench", "given", "report", "stimulus"]

_QUIET = 2_000  # cycles without any output after which the design counts as stuck
_DRAIN = 64  # cycles after the last answer in which another one would be noticed


@dataclass(frozen=True)
class Given:
    """What :func:`hdl.bench.run` tells the testbench.

    Attributes
    ----------
    unit : the golden model
    latency, interval : of the hardware, in cycles; None for a design that is not the unit's own
    stallable : whether the design waits while its output is not taken
    """

    unit: Unit
    latency: int | None
    interval: int | None
    stallable: bool = True


def given() -> Given:
    """The unit that :func:`hdl.bench.run` was called with; to be used inside the simulator."""
    body = _told()
    if not body:
        raise IntsimError("this test was not started by hdl.bench.run: give the unit, Testbench(dut, unit)")
    return Given(Unit.from_json(json.dumps(body.pop("unit"))), **body)


def _told() -> dict[str, Any]:
    """What the runner wrote down; nothing where the test runs under somebody else's."""
    path = os.environ.get("INTSIM_BENCH")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def stimulus(unit: Unit, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """`count` inputs of an elementwise unit: its corners in random order, and random codes between them."""
    rng = np.random.default_rng(seed)
    corners = [np.asarray(column) for column in unit.corners()]
    take = rng.permutation(corners[0].size)[: count // 2]
    place = rng.permutation(count)
    columns = []
    for fmt, corner in zip(unit.inputs.values(), corners, strict=True):
        random = rng.integers(fmt.lo, fmt.hi, size=count - take.size, dtype=fmt.dtype, endpoint=True)
        columns.append(np.concatenate([corner[take].astype(fmt.dtype), random])[place])
    return tuple(columns)


class Testbench:
    """Drives and checks a flat top module that holds `unit`.

    Parameters
    ----------
    dut : the top module, with ``clk``, ``rst``, ``s_axis_*`` and ``m_axis_*``: generated Verilog, or the adapter that
        :func:`hdl.bench.run` puts around a design of yours
    unit : the golden model; by default the one that :func:`hdl.bench.run` was called with

    Attributes
    ----------
    compared : outputs compared by :meth:`finish` so far
    sent, received : monitors of both streams

    Examples
    --------
    A test of your own::

        @cocotb.test()
        async def under_pressure(dut):
            tb = Testbench(dut)
            await tb.start(stalls(0.5, seed=1))
            await tb.send(stimulus(tb.unit, 10_000, seed=2), stalls(0.1, seed=3))
            assert await tb.finish() == 10_000
    """

    __test__ = False  # not a test class for pytest

    def __init__(self, dut: Any, unit: Unit | None = None):
        self.dut = dut
        self.unit = given().unit if unit is None else unit
        source, sink = Stream(dut, "s_axis"), Stream(dut, "m_axis")
        self.inputs = self._packing(source, self.unit.inputs)
        self.outputs = self._packing(sink, self.unit.outputs)
        self.sent, self.received = Monitor(source), Monitor(sink)
        self._driver, self._receiver = Driver(source), Receiver(sink)
        self._scoreboard = Scoreboard(self.unit, self.inputs, self.outputs)
        self._stallable = _told().get("stallable", True)
        self._receiving: Task | None = None
        self._checked = 0

    @staticmethod
    def _packing(stream: Stream, ports) -> Packing:
        element = Packing.of(ports)
        lanes, rest = divmod(len(stream.payload[0]), 8 * element.data_bytes)
        assert rest == 0, f"{stream.prefix}_tdata has {len(stream.payload[0])} bits, which do not fit {list(ports)}"
        return Packing(element.fields, lanes, stream.rows)

    @property
    def compared(self) -> int:
        return self._scoreboard.compared

    async def start(self, pauses: Iterator[int] | None = None) -> None:
        """Start clock and monitors, reset the unit, then receive with `pauses`."""
        self.dut.rst.value = 1
        Clock(self.dut.clk, PERIOD, unit="step").start()
        for monitor in (self.sent, self.received):
            cocotb.start_soon(monitor.run())
        await self.reset()
        self.receive(pauses)

    async def reset(self, length: int = 2) -> None:
        """Hold ``rst`` for `length` cycles. Sender and receiver go on as they are."""
        self.dut.rst.value = 1
        await self.cycle(length)
        self.dut.rst.value = 0

    async def cycle(self, count: int = 1) -> None:
        """Wait for `count` rising edges of the clock."""
        await cycles(self.dut.clk, count)

    def receive(self, pauses: Iterator[int] | None = None) -> None:
        """From now on stall the output as `pauses` says.

        Raises
        ------
        IntsimError
            The port map says that the design cannot wait.
        """
        if pauses is not None and not self._stallable:
            raise IntsimError(f"the design of {self.unit.name} has no out_ready and cannot wait: leave out the pauses")
        if self._receiving is not None:
            self._receiving.cancel()
        self._receiving = cocotb.start_soon(self._receiver.run(never() if pauses is None else pauses))

    def expect(self, *units: Unit) -> None:
        """Compare with another golden model from the next :meth:`finish` on: the same design, its registers written.

        With several units the first rows are compared with one each, in turn, and the last unit is that of the rest.
        """
        self._scoreboard.by_row, self.unit = units[:-1], units[-1]
        self._scoreboard.unit = self.unit

    def beats(self, columns: Iterable[np.ndarray]) -> list[Beat]:
        """The beats that carry one array per input port; ``(rows, n)`` for a row unit."""
        admitted, _ = self.unit._admit(tuple(columns))
        return beats(self.inputs.pack(admitted), self.inputs)

    async def send(self, columns: Iterable[np.ndarray], pauses: Iterator[int] | None = None) -> None:
        """Send one array per input port; returns when the last beat is taken."""
        await self._driver.send(self.beats(columns), never() if pauses is None else pauses)

    async def finish(self) -> int:
        """Wait for every answer, compare all, and return how many outputs were compared in this test.

        Raises
        ------
        AssertionError
            An answer is wrong, missing or too many, or the unit is stuck.
        """
        await self._settle()
        epochs = list(zip(self.sent.epochs, self.received.epochs, strict=True))
        for number, (sent, received) in enumerate(epochs):
            self._scoreboard.check(sent, received, complete=number == len(epochs) - 1)
        for monitor in (self.sent, self.received):
            monitor.clear()
        report(self.compared - self._checked)
        self._checked = self.compared
        return self.compared

    async def _settle(self) -> None:
        await self.cycle()  # the monitor counts the last transfer with the edge that ends it
        wanted, quiet, before = self._wanted(), 0, 0
        while (now := self.received.complete) < wanted:
            quiet = quiet + 1 if now == before else 0
            assert quiet < _QUIET, f"{self.unit.name}: stuck after {now} of {wanted} answers"
            before = now
            await self.cycle()
        await self.cycle(_DRAIN)

    def _wanted(self) -> int:
        """Answers still to come, as the output's monitor counts them: whole rows, or beats where rows are not told."""
        if self.outputs.row or not self.inputs.row:
            return self.sent.complete
        return -(-self._scoreboard.answers(self.sent.beats) // self.outputs.lanes)


def report(compared: int) -> None:
    """Tell :func:`hdl.bench.run` how many outputs a test compared; :meth:`Testbench.finish` does it by itself."""
    path = os.environ.get("INTSIM_BENCH_COUNTS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{compared}\n")
