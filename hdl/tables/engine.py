"""What all table engines share: one pipeline, cut where it is asked to be, around one table."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Shape, Value, unsigned

from hdl.component import UnitComponent
from hdl.parts.pipeline import Pipeline, choose_cuts
from hdl.tables import loading
from hdl.tables.memory import LOADABLE, Table, check_kind
from intsim.tables.loading import word_map
from intsim.unit import Unit

__all__ = ["TableEngine", "select"]


class TableEngine(UnitComponent):
    """Base: one result per cycle, `stages` cycles after its input.

    Parameters
    ----------
    unit : the golden model
    cuts : names of the places where the pipeline may be cut, the most useful first
    stages : depth of the pipeline: the first `stages` cuts are registers
    memory : where the words live, one of :data:`~hdl.tables.memory.KINDS`
    loadable : whether `memory` may be :data:`~hdl.tables.memory.LOADABLE` too (fixed-point tables); the component
        then has a member ``bus``

    Attributes
    ----------
    latency : equals `stages`
    registers : :func:`intsim.tables.loading.word_map` of a loadable table, None of others
    """

    def __init__(self, unit: Unit, cuts: Sequence[str], stages: int, memory: str, *, loadable: bool = False):
        self.memory = check_kind(memory, loadable=loadable)
        self.registers = word_map(unit) if memory == LOADABLE else None  # type: ignore[arg-type]
        super().__init__(unit, members=loading.members(self.registers))
        self._cuts = choose_cuts(cuts, stages)
        self.latency = stages

    def _begin(self, m: Module, words: Sequence[int], shape: Shape) -> tuple[Pipeline, Table]:
        """The pipeline, which takes nothing before the table may be read, and the table, with its bus if it has one."""
        m.submodules.table = table = Table(words, shape, self.memory)
        if self.registers is not None:
            loading.connect(m, self.bus, table)
        return Pipeline(m, self.i, self.o, cuts=self._cuts, ready=table.ready), table


def select(constants: Sequence[int], index: Value, shape: Shape | int | None = None) -> Value:
    """The constant that belongs to `index`, a few gates per bit; unsigned, unless `shape` says otherwise."""
    shape = unsigned(max(max(constants).bit_length(), 1)) if shape is None else shape
    return Array(Const(c, shape) for c in constants)[index]
