"""Inside the simulator: registers behind an independent model of AXI4-Lite, for drivers that read and write words."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from cocotb.task import resume
from cocotbext.axi import AxiLiteMaster, AxiResp

from intsim.errors import IntsimError

__all__ = ["Registers", "pause_at_random"]


class Registers:
    """An :class:`intsim.registers.Bus`, to be used in a thread (``cocotb.task.bridge``)."""

    def __init__(self, master: AxiLiteMaster):
        self.master = master

    def read(self, address: int) -> int:
        return self._read(address)

    def write(self, address: int, value: int) -> None:
        self._write(address, value)

    @resume
    async def _read(self, address: int) -> int:
        answer = await self.master.read(address, 4)
        if answer.resp != AxiResp.OKAY:
            raise IntsimError(f"read of 0x{address:X}: {answer.resp.name}")
        return int.from_bytes(answer.data, "little")

    @resume
    async def _write(self, address: int, value: int) -> None:
        answer = await self.master.write(address, value.to_bytes(4, "little"))
        if answer.resp != AxiResp.OKAY:
            raise IntsimError(f"write of 0x{address:X}: {answer.resp.name}")


def pause_at_random(master: AxiLiteMaster, probability: float, seed: int) -> None:
    """From now on every channel pauses at random, each for itself."""
    write, read = master.write_if, master.read_if
    channels = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
    for number, channel in enumerate(channels):
        channel.set_pause_generator(_pauses(probability, seed + number))


def _pauses(probability: float, seed: int) -> Iterator[bool]:
    rng = random.Random(seed)
    return (rng.random() < probability for _ in itertools.count())
