"""Integer square root by the restoring digit recurrence: ``root = floor(sqrt(x))``, one root bit per cycle.

With `root` and ``rest = x_so_far - root**2`` known for the leading bits of `x`, the next two bits enter the rest
and the next root bit is one where ``4 * root + 1`` can be subtracted. The rest stays at most ``2 * root``.
"""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["IterativeSqrt", "root_ports"]


def root_ports(bits: int, **results: int) -> dict[str, wiring.Member]:
    """The streams of a root of a `bits` wide ``x``: `i`, and `o` with the unsigned `results` by name and width."""
    return {
        "i": In(stream.Signature(data.StructLayout({"x": bits}))),
        "o": Out(stream.Signature(data.StructLayout(results))),
    }


class IterativeSqrt(wiring.Component):
    """The exact integer square root and its remainder, one at a time.

    Parameters
    ----------
    bits : width of the argument, unsigned

    Members
    -------
    i : In(stream of ``x``)
    o : Out(stream of ``root``, ``rest``), ``x = root**2 + rest`` and ``rest <= 2 * root``

    Attributes
    ----------
    latency : ``ceil(bits / 2) + 1``
    interval : ``latency + 1``
    """

    def __init__(self, bits: int):
        self.bits = bits
        self.digits = -(-bits // 2)
        self.latency = self.digits + 1
        self.interval = self.latency + 1
        super().__init__(root_ports(bits, root=self.digits, rest=self.digits + 1))

    def elaborate(self, platform) -> Module:
        m = Module()
        x = Signal(2 * self.digits)  # bits not used yet, on top
        root = Signal(self.digits)
        rest = Signal(self.digits + 1)
        left = Signal(range(max(self.digits, 2)))
        busy = Signal()
        done = Signal()

        m.d.comb += [
            self.i.ready.eq(~busy & ~done),
            self.o.valid.eq(done),
            self.o.payload.root.eq(root),
            self.o.payload.rest.eq(rest),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [x.eq(self.i.payload.x), root.eq(0), rest.eq(0), left.eq(self.digits - 1), busy.eq(1)]
        with m.If(busy):
            partial = Cat(x[-2:], rest)
            trial = partial - Cat(C(1, 2), root)
            bit = ~trial[-1]
            m.d.sync += [
                x.eq(Cat(C(0, 2), x)),
                root.eq(Cat(bit, root)),
                rest.eq(Mux(bit, trial, partial)),
                left.eq(left - 1),
            ]
            with m.If(left == 0):
                m.d.sync += [busy.eq(0), done.eq(1)]
        with m.If(done & self.o.ready):
            m.d.sync += done.eq(0)
        return m
