"""Driver, receiver and monitor for one AXI4-Stream of a flat top module.

Everything happens at the rising edge of the clock: signals read there are those before the edge, signals written
there change after it. So a beat is transferred at an edge where ``tvalid`` and ``tready`` both read 1 (and ``rst``
reads 0).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cocotb.simtime import get_sim_time
from cocotb.triggers import First, RisingEdge, Timer

__all__ = ["PERIOD", "Beat", "Driver", "Monitor", "Receiver", "Stream", "cycles"]

PERIOD = 10  # of the clock, in simulation steps

Beat = tuple[int, ...]
"""One transfer: ``tdata``, then ``tkeep`` and ``tlast`` where the stream has them."""


async def cycles(clk: Any, count: int) -> None:
    """Wait for the rising edge `count` cycles ahead, at the price of one."""
    if count > 1:
        await Timer((count - 1) * PERIOD + PERIOD // 2, unit="step")
    if count > 0:
        await RisingEdge(clk)


class Stream:
    """The signals ``<prefix>_tdata``, ``_tvalid``, ``_tready`` and, where they exist, ``_tkeep``, ``_tlast``."""

    def __init__(self, dut: Any, prefix: str):
        def find(name: str) -> Any:
            return getattr(dut, f"{prefix}_{name}", None)

        self.prefix = prefix
        self.clk, self.rst = dut.clk, dut.rst
        self.valid, self.ready = find("tvalid"), find("tready")
        self.rows = find("tlast") is not None
        self.payload = [signal for signal in (find("tdata"), find("tkeep"), find("tlast")) if signal is not None]

    def read(self) -> Beat:
        """The beat offered at present."""
        return tuple([int(signal.value) for signal in self.payload])

    def offer(self, beat: Beat) -> None:
        """Offer `beat` from now on."""
        for signal, value in zip(self.payload, beat, strict=True):
            signal.value = value
        self.valid.value = 1


class Driver:
    """Sends beats into a stream. An offered beat stays until it is taken, also through a reset."""

    def __init__(self, stream: Stream):
        self.stream = stream
        stream.valid.value = 0

    async def send(self, beats: Iterable[Beat], pauses: Iterator[int]) -> None:
        """Send `beats` in order, pausing before each as `pauses` says."""
        stream, idle = self.stream, True
        edge = RisingEdge(stream.clk)
        for beat, pause in zip(beats, pauses, strict=False):
            if pause:
                if not idle:
                    stream.valid.value = 0
                await cycles(stream.clk, pause)
            stream.offer(beat)
            idle = False
            await edge
            while not stream.ready.value or stream.rst.value:
                if not stream.ready.value:
                    await RisingEdge(stream.ready)
                await edge
        stream.valid.value = 0


class Receiver:
    """Makes a stream's consumer ready and not ready."""

    def __init__(self, stream: Stream):
        self.stream = stream
        self._be(False)

    def _be(self, ready: bool) -> None:
        self.ready = ready
        self.stream.ready.value = int(ready)

    async def run(self, pauses: Iterator[int]) -> None:
        """Be ready in single cycles with pauses between them, for ever. Readiness never looks at ``tvalid``."""
        edge = RisingEdge(self.stream.clk)
        for pause in pauses:
            if pause:
                if self.ready:
                    self._be(False)
                await cycles(self.stream.clk, pause)
            if not self.ready:
                self._be(True)
            await edge


class Monitor:
    """Records what a stream transfers and asserts that it keeps the rules.

    Attributes
    ----------
    epochs : beats transferred, one list per stretch between two resets
    complete : beats transferred since the last reset, or whole rows where the stream has ``tlast``
    first, last : cycle of the first and of the latest transfer since the last reset

    Raises
    ------
    AssertionError
        In the test that runs: ``tvalid`` fell or the payload changed before the beat was taken.
    """

    def __init__(self, stream: Stream):
        self.stream = stream
        self.epochs: list[list[Beat]] = [[]]
        self.complete = self.first = self.last = 0

    @property
    def beats(self) -> list[Beat]:
        """Beats transferred since the last reset."""
        return self.epochs[-1]

    def clear(self) -> None:
        """Forget what was recorded."""
        self.epochs = [[]]
        self.complete = 0

    async def run(self) -> None:
        stream = self.stream
        edge = RisingEdge(stream.clk)
        waiting: Beat | None = None
        resetting = False
        while True:
            await edge
            if stream.rst.value:
                if not resetting:
                    self.epochs.append([])
                    self.complete = 0
                waiting, resetting = None, True
                continue
            resetting = False
            if not stream.valid.value:
                assert waiting is None, f"{stream.prefix}: tvalid fell before {_hex(waiting)} was taken"
                await First(RisingEdge(stream.valid), RisingEdge(stream.rst))  # cheaper than every edge until then
                continue
            beat = stream.read()
            assert waiting in (None, beat), f"{stream.prefix}: {_hex(waiting)} became {_hex(beat)} before it was taken"
            if stream.ready.value:
                self.last = int(get_sim_time("step")) // PERIOD
                if not self.beats:
                    self.first = self.last
                self.beats.append(beat)
                self.complete += beat[-1] if stream.rows else 1
                waiting = None
            else:
                waiting = beat


def _hex(beat: Beat | None) -> str:
    return "nothing" if beat is None else "/".join(f"{value:#x}" for value in beat)
