"""The NLI engine: comparators find the interval, a multiplier the position in it, two table words are interpolated.

The structure follows the paper's (arXiv 2602.02988): parallel comparators, a scale per interval, a memory read at
two neighbouring addresses, one multiply-add. **Ours:** no comparator for the lower end (the sign of the difference
tells it) and none for an end that is the end of the format; where the multiplier is wide enough, mantissas are
stored shifted to the left, so that intervals share a shift; rounding is the carry of the last adder.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Module, Mux, Value

from hdl.component import shape_of
from hdl.parts.pipeline import Pipeline
from hdl.parts.thermometer import count_thermometer
from hdl.registry import realises
from hdl.tables.engine import TableEngine, select
from hdl.tables.interpolation import interpolate
from intsim import tables

__all__ = ["NLI"]

# Where the engine may be cut, the most useful cut first (by clock rate after place and route on ECP5).
CUTS = (
    "table",
    "operands",
    "words",
    "product",
    "scale",
    "index",
    "position",
    "step",
    "address",
    "compare",
    "select",
    "result",
    "input",
    "round",
    "subtract",
)

# Width to which mantissas may be moved: that of the multipliers in most FPGAs.
MULTIPLIER = 18


@realises(tables.NLI)
class NLI(TableEngine):
    """Streaming hardware of :class:`intsim.tables.NLI`: one result per cycle.

    Parameters
    ----------
    unit : intsim.tables.NLI
    stages : depth of the pipeline, 1 to 15. Values cross a register at the first `stages` cuts of
        :data:`CUTS`; where they are not cut, steps follow each other in one cycle. From 12 on nothing is slower
        than a multiplier between two registers.
    memory : ``"block"`` (clocked read ports: a block RAM, whose read is the pipeline's register at the table),
        ``"logic"`` (a ROM in gates), ``"registers"`` (flip-flops that reset loads) or ``"loadable"`` (a block RAM
        whose words are registers too, on a member ``bus``)

    Attributes
    ----------
    latency : equals `stages`
    registers : :func:`intsim.tables.loading.word_map` of a loadable table, None of others

    Notes
    -----
    Signals carry the names of the golden model's trace: ``s<stage>_index``, ``_dx``, ``_position``, ``_t``,
    ``_address``, ``_left``, ``_step``.
    """

    unit: tables.NLI

    def __init__(self, unit: tables.NLI, *, stages: int = 12, memory: str = "block"):
        super().__init__(unit, CUTS, stages, memory, loadable=True)

    def elaborate(self, platform) -> Module:
        m = Module()
        unit = self.unit
        pipe, table = self._begin(m, unit.table, shape_of(unit.y))
        self._locate(pipe)
        self._scale(pipe)
        s = pipe.values
        s.t = s.position[: unit.t_bits]
        s.address = (select(unit.bases[:-1], s.index) + s.position[unit.t_bits :])[: unit.widths["address"]]
        pipe.cut("address")
        interpolate(pipe, table, t_bits=unit.t_bits, step_bits=unit.widths["step"], rounding=unit.rounding)
        pipe.end(y=s.y)
        return m

    def _locate(self, pipe: Pipeline) -> None:
        """Interval `index` and `offset` from its left cut, negative below the first."""
        unit, s = self.unit, pipe.values
        s.x = pipe.payload.x
        pipe.cut("input")
        s.reached = Cat(s.x >= cut for cut in unit.cuts[1:])
        pipe.cut("compare")
        s.index = count_thermometer(s.reached[: unit.intervals - 1])
        s.beyond = s.reached[-1]
        pipe.cut("index")
        s.cut = select(unit.cuts[:-1], s.index, shape_of(unit.x))
        pipe.cut("select")
        s.offset = s.x - s.cut
        pipe.cut("subtract")

    def _scale(self, pipe: Pipeline) -> None:
        """`position` in the interval, in segments with `t_bits` fraction bits."""
        unit, s = self.unit, pipe.values
        s.dx = self._limit(s.offset, s.beyond)
        mantissas, shifts = share_shifts(unit.mantissas, unit.shifts, max(unit.widths["mantissa"], MULTIPLIER))
        s.mantissa = select(mantissas, s.index)
        pipe.cut("operands")
        s.scaled = s.dx * s.mantissa
        pipe.cut("scale")
        distinct = sorted(set(shifts))
        which = select([distinct.index(shift) for shift in shifts], s.index)
        s.position = Array(s.scaled[shift:] for shift in distinct)[which][: unit.widths["position"]]
        pipe.cut("position")

    def _limit(self, offset: Value, beyond: Value) -> Value:
        """`offset` between 0 and the last span, where the format reaches beyond the outer cuts."""
        unit, width = self.unit, self.unit.widths["dx"]
        dx = offset[:width]
        if unit.cuts[-1] < unit.x.hi:
            dx = Mux(beyond, Const(unit.cuts[-1] - unit.cuts[-2], width), dx)
        if unit.cuts[0] > unit.x.lo:
            dx = Mux(offset[-1], Const(0, width), dx)
        return dx


def share_shifts(mantissas: Sequence[int], shifts: Sequence[int], bits: int) -> tuple[list[int], list[int]]:
    """The same scales with fewer different shifts.

    ``(dx * m) >> s`` equals ``(dx * (m << k)) >> (s + k)``. A mantissa may be moved to the left as far as `bits`
    allow, so its shift may become any of ``s`` to ``s + room``; the fewest shifts that serve all intervals are
    found by taking, again and again, the largest one that the most constrained interval still reaches.

    Returns
    -------
    mantissas, shifts : per interval
    """
    limits = [s + max(bits - m.bit_length(), 0) for m, s in zip(mantissas, shifts, strict=True)]
    chosen: list[int] = []
    for limit, least in sorted(zip(limits, shifts, strict=True)):
        if not chosen or least > chosen[-1]:
            chosen.append(limit)
    shared = [max(c for c in chosen if s <= c <= limit) for s, limit in zip(shifts, limits, strict=True)]
    moved = [m << (c - s) for m, s, c in zip(mantissas, shifts, shared, strict=True)]
    zeros = min(shared + [(m & -m).bit_length() - 1 for m in moved])  # low bits that no mantissa needs
    return [m >> zeros for m in moved], [c - zeros for c in shared]
