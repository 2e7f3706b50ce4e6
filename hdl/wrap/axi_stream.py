"""The shell an integrator gets: AXI4-Stream, and AXI4-Lite where there are registers, with flat, conventional names.

Ports: ``clk``, ``rst`` (synchronous, active high), ``s_axis_tdata/tvalid/tready`` for the unit's inputs,
``m_axis_tdata/tvalid/tready`` for its outputs; ``tlast`` where rows exist, and ``tkeep`` (one bit per byte) where a
row unit has several lanes; ``s_axil_*`` where the unit has registers. :mod:`hdl.wrap.packing` says where each value
lies in ``tdata``.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Signal, Value
from amaranth.lib import data

from hdl.component import UnitComponent
from hdl.wrap.packing import Field, Packing
from hdl.wrap.shell import AxiLiteShell

__all__ = ["AxiStream"]


class AxiStream(AxiLiteShell):
    """A unit's hardware between two AXI4-Streams, its registers behind AXI4-Lite.

    Parameters
    ----------
    inner : the unit's component; see :class:`~hdl.wrap.shell.AxiLiteShell`

    Attributes
    ----------
    inputs, outputs : the packings of both streams
    """

    inner: UnitComponent

    def __init__(self, inner: UnitComponent):
        super().__init__(inner)
        unit = inner.unit
        self.inputs = Packing.of(unit.inputs, _lanes(inner.i.payload, unit.inputs), unit.is_row)
        self.outputs = Packing.of(unit.outputs, _lanes(inner.o.payload, unit.outputs), unit.is_row)
        self._s = _stream("s_axis", self.inputs)
        self._m = _stream("m_axis", self.outputs)

    def _streams(self) -> list[Signal]:
        return [*self._s.values(), *self._m.values()]

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        inner = self.inner
        s, d = self._s, self._m
        m.d.comb += [
            inner.i.valid.eq(s["tvalid"]),
            s["tready"].eq(inner.i.ready),
            d["tvalid"].eq(inner.o.valid),
            inner.o.ready.eq(d["tready"]),
        ]
        for lane in range(self.inputs.lanes):
            for field in self.inputs.fields:
                bits = _bytes(s["tdata"], self.inputs, lane, field)[: field.bits]
                m.d.comb += _value(inner.i.payload, self.inputs, lane, field).eq(bits)
        padded = []
        for lane in range(self.outputs.lanes):
            for field in self.outputs.fields:
                value = _value(inner.o.payload, self.outputs, lane, field)
                wide = Signal(Shape(8 * field.size, field.fmt.signed), name=f"{field.port}_padded")
                m.d.comb += wide.eq(value)
                padded.append(wide.as_unsigned())
        m.d.comb += d["tdata"].eq(Cat(padded))
        if self.inputs.row:
            m.d.comb += [inner.i.payload.last.eq(s["tlast"]), d["tlast"].eq(inner.o.payload.last)]
        if "tkeep" in s:
            stride = self.inputs.element_bytes
            m.d.comb += inner.i.payload.keep.eq(Cat(s["tkeep"][k * stride] for k in range(self.inputs.lanes)))
        if "tkeep" in d:
            stride = self.outputs.element_bytes
            kept = Value.cast(inner.o.payload.keep)
            m.d.comb += d["tkeep"].eq(Cat(kept[k].replicate(stride) for k in range(self.outputs.lanes)))
        return m


def _stream(prefix: str, packing: Packing) -> dict[str, Signal]:
    widths = [*packing.signals, ("tready", 1)]
    return {name: Signal(width, name=f"{prefix}_{name}") for name, width in widths}


def _lanes(payload, ports) -> int:
    """Elements per transfer, read from the payload itself: both streams of a unit may differ in it."""
    first = payload.shape()[next(iter(ports))].shape
    return first.length if isinstance(first, data.ArrayLayout) else 1


def _bytes(tdata: Signal, packing: Packing, lane: int, field: Field) -> Value:
    start = 8 * (lane * packing.element_bytes + field.offset)
    return tdata[start : start + 8 * field.size]


def _value(payload, packing: Packing, lane: int, field: Field):
    value = payload[field.port]
    return value if packing.lanes == 1 else value[lane]
