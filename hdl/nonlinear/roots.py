# amaranth: UnusedElaboratable=no
"""Square roots and the reciprocal, one result at a time, by digit recurrence."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring

from hdl.component import UnitComponent
from hdl.parts.divider import IterativeDivider
from hdl.parts.isqrt import IterativeSqrt, root_ports
from hdl.registry import realises
from intsim.nonlinear import roots

__all__ = ["ISqrt", "NewtonRoot", "NewtonSqrt", "Reciprocal"]

NEWTON_STEPS = 10
NEWTON_START = 1 << 16


class NewtonRoot(wiring.Component):
    """I-ViT's ten Newton steps ``k = (k + floor(x / k)) >> 1`` from ``2**16``, around one radix-4 divider.

    Parameters
    ----------
    bits : width of the argument, unsigned

    Members
    -------
    i : In(stream of ``x``)
    o : Out(stream of ``root``)

    Attributes
    ----------
    latency : ``10 * (ceil(q / 2) + 2) + 1``, with the quotient's ``q = max(bits - 16, ceil(bits / 2) + 1)`` bits
    interval : ``latency + 1``

    Notes
    -----
    The first quotient is the widest, ``x >> 16``. From the second step on k is not below ``isqrt(x)``, hence no
    quotient above ``isqrt(x) + 2``.
    """

    def __init__(self, bits: int):
        self.bits = bits
        self.root_bits = max(NEWTON_START.bit_length(), bits - 16)
        q_bits = max(bits - 16, -(-bits // 2) + 1)
        self._divider = IterativeDivider(max(bits, q_bits), self.root_bits, q_bits=q_bits, radix=4)
        self.latency = NEWTON_STEPS * (self._divider.latency + 1) + 1
        self.interval = self.latency + 1
        super().__init__(root_ports(bits, root=self.root_bits))

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.divider = divider = self._divider
        x = Signal(self.bits)
        k = Signal(self.root_bits)
        step = Signal(range(NEWTON_STEPS))
        busy = Signal()
        asked = Signal()
        done = Signal()
        m.d.comb += [
            self.i.ready.eq(~busy & ~done),
            self.o.valid.eq(done),
            self.o.payload.root.eq(k),
            divider.i.valid.eq(busy & ~asked),
            divider.i.payload.n.eq(x),
            divider.i.payload.d.eq(k),
            divider.o.ready.eq(1),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [x.eq(self.i.payload.x), k.eq(NEWTON_START), step.eq(0), busy.eq(1)]
        with m.If(divider.i.valid & divider.i.ready):
            m.d.sync += asked.eq(1)
        with m.If(divider.o.valid):
            m.d.sync += [k.eq((k + divider.o.payload.q) >> 1), step.eq(step + 1), asked.eq(0)]
            with m.If(step == NEWTON_STEPS - 1):
                m.d.sync += [busy.eq(0), done.eq(1)]
        with m.If(done & self.o.ready):
            m.d.sync += done.eq(0)
        return m


@realises(roots.ISqrt)
class ISqrt(UnitComponent):
    """:class:`intsim.nonlinear.roots.ISqrt`: latency ``ceil(bits / 2) + 1``, interval one more."""

    unit: roots.ISqrt
    part: type[IterativeSqrt | NewtonRoot] = IterativeSqrt

    def __init__(self, unit: roots.ISqrt):
        super().__init__(unit)
        self._root = self.part(unit.inputs["x"].bits)
        self.latency, self.interval = self._root.latency, self._root.interval

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.root = root = self._root
        m.d.comb += [root.i.payload.x.eq(self.i.payload.x), self.o.payload.y.eq(root.o.payload.root)]
        _couple(m, self, root)
        return m


@realises(roots.NewtonSqrt)
class NewtonSqrt(ISqrt):
    """:class:`intsim.nonlinear.roots.NewtonSqrt`; latency and interval of :class:`NewtonRoot`."""

    unit: roots.NewtonSqrt
    part = NewtonRoot


@realises(roots.Reciprocal)
class Reciprocal(UnitComponent):
    """:class:`intsim.nonlinear.roots.Reciprocal` by an iterative divider with a constant dividend.

    Parameters
    ----------
    unit : the golden model
    radix : 2 or 4, quotient bits per cycle 1 or 2

    Attributes
    ----------
    latency : cycles for the ``bits + 1`` bits of the quotient, and one more
    interval : ``latency + 1``
    """

    unit: roots.Reciprocal

    def __init__(self, unit: roots.Reciprocal, *, radix: int = 4):
        super().__init__(unit)
        self._divider = IterativeDivider(unit.bits + 1, unit.inputs["x"].bits, radix=radix)
        self.latency, self.interval = self._divider.latency, self._divider.interval

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.divider = divider = self._divider
        zero = Signal()  # division by zero answers 0
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += zero.eq(self.i.payload.x == 0)
        m.d.comb += [
            divider.i.payload.n.eq(1 << self.unit.bits),
            divider.i.payload.d.eq(self.i.payload.x),
            self.o.payload.y.eq(Mux(zero, 0, divider.o.payload.q)),
        ]
        _couple(m, self, divider)
        return m


def _couple(m: Module, outer: UnitComponent, inner) -> None:
    """The handshakes of an inner component are those of the unit."""
    m.d.comb += [
        inner.i.valid.eq(outer.i.valid),
        outer.i.ready.eq(inner.i.ready),
        outer.o.valid.eq(inner.o.valid),
        inner.o.ready.eq(outer.o.ready),
    ]
