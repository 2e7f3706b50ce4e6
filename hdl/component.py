"""The base of every hardware unit: two streams, and what a user must know about time."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intsim.formats import Format
from intsim.unit import Unit

__all__ = ["UnitComponent", "shape_of"]


def shape_of(fmt: Format) -> Shape:
    """The Amaranth shape that carries codes of `fmt`."""
    return signed(fmt.bits) if fmt.signed else unsigned(fmt.bits)


class UnitComponent(wiring.Component):
    """A unit in hardware. Subclasses are registered with ``@hdl.realises(UnitClass)``.

    Parameters
    ----------
    unit : the parameter object; its golden model is what this hardware must compute
    lanes : elements per transfer (row units; 1 for elementwise units)
    members : what the component has beside its streams, such as a register bus

    Members
    -------
    i : In(stream), payload one field per input port; row units also carry ``last``, and with several lanes
        ``keep``, one bit per lane (lanes fill from the lowest, only the last transfer of a row may be partial)
    o : Out(stream), the same for the output ports

    Attributes
    ----------
    latency : clock cycles from a transfer on `i` to its result on `o`, unstalled
    interval : clock cycles per transfer, sustained

    Notes
    -----
    ``valid`` holds until ``ready`` and the payload is stable meanwhile. There is no combinational path from
    ``ready`` to ``valid``, nor from one stream to the other.
    """

    latency: int
    interval: int = 1

    def __init__(self, unit: Unit, *, lanes: int = 1, members: Mapping[str, wiring.Member] | None = None):
        self.unit = unit
        self.lanes = lanes
        super().__init__(
            {
                "i": In(stream.Signature(self._layout(unit.inputs, unit.is_row, lanes))),
                "o": Out(stream.Signature(self._layout(unit.outputs, unit.is_row, lanes))),
                **(members or {}),
            }
        )

    @staticmethod
    def _layout(ports, is_row: bool, lanes: int) -> data.StructLayout:
        fields: dict = {}
        for port, fmt in ports.items():
            shape = shape_of(fmt)
            fields[port] = shape if lanes == 1 else data.ArrayLayout(shape, lanes)
        if is_row:
            fields["last"] = 1
            if lanes > 1:
                fields["keep"] = lanes
        return data.StructLayout(fields)
