"""A valid/ready pipeline: the designer writes what is computed and where it may be cut.

::

    pipe = Pipeline(m, self.i, self.o)
    s = pipe.values
    s.x = pipe.payload.x             # a value of the stage we are in
    s.square = s.x * s.x
    pipe.cut()                       # a register boundary
    s.sum = s.square + s.x           # both were registered because both are read here
    pipe.cut()
    pipe.end(y=s.sum)

A named value that is read behind a cut gets a register at every cut on the way, and only such values do. Its
signal in stage ``k`` is called ``s<k>_<name>`` (stage 0 is the input), so waveforms and Verilog read like the
source. Naming the cuts makes the depth a parameter: ``Pipeline(..., cuts={"multiply"})`` registers at
``pipe.cut("multiply")`` and passes through every other named cut, with the logic written once.

**Flow control.** All registers move together while :attr:`Pipeline.advance` is 1. Behind the last stage stands
one spare register: a result that the consumer does not take drops into it and stops the pipeline from the next
cycle on. Whether it is occupied is a flip-flop, and that flip-flop alone is ``i.ready`` and the clock enable of
every stage. Hence there is no combinational path from ``o.ready`` to ``o.valid``, ``o.payload`` or ``i.ready``,
nor from ``i`` to ``o``, and the enable net starts at a register however long the pipeline is. One transfer per
cycle is sustained; the spare register adds no latency.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.memory import ReadPort

from intsim.errors import IntsimError

__all__ = ["Pipeline", "Values", "choose_cuts"]


def choose_cuts(order: Sequence[str], stages: int) -> frozenset[str]:
    """The cuts of a pipeline `stages` deep: the first ones of `order`, which lists the most useful first.

    Raises
    ------
    IntsimError
        `stages` is below 1 or above the number of cuts there are.
    """
    if not isinstance(stages, int) or isinstance(stages, bool) or not 1 <= stages <= len(order):
        raise IntsimError(f"stages is {stages!r}; this unit can be cut into 1 to {len(order)} stages")
    return frozenset(order[:stages])


class Values:
    """The named values of a pipeline: assignment names a value in the current stage, reading brings it here.

    A value is anything Amaranth can put into a signal, or a list or tuple of such.
    """

    def __init__(self, pipeline: Pipeline):
        object.__setattr__(self, "_pipeline", pipeline)

    def __setattr__(self, name: str, value: Any) -> None:
        self._pipeline._define(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._pipeline._fetch(name)


class Pipeline:
    """Registers, enables and handshakes around the logic of a streaming unit.

    Parameters
    ----------
    m : the unit's module; statements are added to it by :meth:`end`, so values may be named inside ``m.If`` blocks
    i, o : the unit's input and output streams
    cuts : names of the optional cuts to realise; all of them if None. Unnamed cuts are always realised.
    ready : a registered signal, 0 while nothing can be accepted yet

    Attributes
    ----------
    values : the named values, see :class:`Values`
    payload : the payload entering, in stage 0
    stage : number of cuts passed so far; behind the last one, the latency in cycles
    advance : Signal, 1 while the registers move
    """

    def __init__(self, m: Module, i: Any, o: Any, *, cuts: Collection[str] | None = None, ready: Value | None = None):
        self.values = Values(self)
        self.payload = i.payload
        self.stage = 0
        self.advance = Signal(name="advance")
        self._m = m
        self._i = i
        self._o = o
        self._cuts = cuts
        self._passed: set[str] = set()
        self._ready = Const(1) if ready is None else ready
        self._valids = [i.valid & self._ready]
        self._signals: dict[str, dict[int, Any]] = {}  # name -> stage -> signal, or a tuple of them
        self._wires: list = []
        self._registers: list = []

    @property
    def valid(self) -> Value:
        """Whether the current stage holds a transfer."""
        return self._valids[self.stage]

    @property
    def moving(self) -> Value:
        """Whether a transfer leaves the current stage in this cycle: the enable of state kept beside the pipeline."""
        return self.valid & self.advance

    @property
    def nets(self) -> dict[str, dict[int, str]]:
        """Names of the signals that carry each value: value name -> stage -> net name (scalar values only)."""
        return {
            name: {stage: signal.name for stage, signal in stages.items() if isinstance(signal, Signal)}
            for name, stages in self._signals.items()
        }

    def cut(self, name: str | None = None) -> None:
        """A register boundary. A named one is passed through where `cuts` does not list it."""
        if name is not None:
            self._passed.add(name)
            if self._cuts is not None and name not in self._cuts:
                return
        self.stage += 1
        self._valids.append(Signal(name=f"s{self.stage}_valid"))

    def read(self, name: str, port: ReadPort, address: Value) -> None:
        """Name the word that a memory's read port delivers for `address`.

        A clocked port is itself the register of the next cut: its word can be read behind that, not before. A
        combinational port (``domain="comb"``) delivers in the current stage.
        """
        self._wires.append(port.addr.eq(address))
        if port.domain == "comb":
            self._define(name, port.data)
        else:
            self._wires.append(port.en.eq(self.advance))
            self._define(name, port.data, self.stage + 1)

    def end(self, payload: Any = None, **fields: Any) -> None:
        """Send the result to the output stream: `payload` as a whole, or its fields by name."""
        if self.stage == 0:
            raise IntsimError("a pipeline needs at least one cut: valid must not pass through combinationally")
        unknown = set(self._cuts or ()) - self._passed
        if unknown:
            raise IntsimError(f"the pipeline has no cuts {sorted(unknown)}; known: {', '.join(sorted(self._passed))}")
        m, o = self._m, self._o
        result = Signal(o.payload.shape(), name="result")
        if payload is not None:
            self._wires.append(result.eq(payload))
        self._wires += [getattr(result, field).eq(value) for field, value in fields.items()]

        # The spare register. It takes every result that passes; only `stalled` says whether it counts.
        stalled = Signal()
        held = Signal(o.payload.shape(), reset_less=True)
        m.d.comb += [
            self.advance.eq(~stalled),
            self._i.ready.eq(self.advance & self._ready),
            o.valid.eq(stalled | self.valid),
            o.payload.eq(Mux(stalled, held, result)),
            *self._wires,
        ]
        m.d.sync += stalled.eq(o.valid & ~o.ready)
        with m.If(self.advance):
            m.d.sync += held.eq(result)
            m.d.sync += [after.eq(before) for before, after in zip(self._valids, self._valids[1:], strict=False)]
            m.d.sync += self._registers

    # Named values -------------------------------------------------------------------------------------------

    def _define(self, name: str, value: Any, stage: int | None = None) -> None:
        if name in self._signals:
            raise IntsimError(f"the pipeline has a value {name!r} already; one name means one value, choose another")
        stage = self.stage if stage is None else stage
        self._signals[name] = {stage: self._copy(f"s{stage}_{name}", value, self._wires, reset_less=False)}

    def _fetch(self, name: str) -> Any:
        if name not in self._signals:
            raise IntsimError(f"the pipeline has no value {name!r} yet; known: {', '.join(self._signals) or 'none'}")
        stages = self._signals[name]
        latest = max(stages)
        if latest > self.stage:
            raise IntsimError(f"{name!r} comes out of a clocked memory: cut once before reading it")
        for stage in range(latest + 1, self.stage + 1):
            stages[stage] = self._copy(f"s{stage}_{name}", stages[stage - 1], self._registers, reset_less=True)
        return stages[self.stage]

    def _copy(self, name: str, value: Any, statements: list, *, reset_less: bool) -> Any:
        """A signal of the same shape that follows `value` through `statements`."""
        if isinstance(value, (list, tuple)):
            return tuple(self._copy(f"{name}_{k}", v, statements, reset_less=reset_less) for k, v in enumerate(value))
        signal = Signal.like(value, name=name, reset_less=reset_less)
        statements.append(signal.eq(value))
        return signal
