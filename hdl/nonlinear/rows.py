# amaranth: UnusedElaboratable=no
"""The skeleton of every row unit: a chain of passes over a row that streams by.

A row unit is written as the data flow it is::

    flow = RowFlow(m, lanes=self.lanes, max_row=unit.max_row)
    row = flow.enter(self.i)                            # words of the unit's lanes
    row = flow.hold("top", row, {"top": ...})           # the same words, each with the row's maximum
    row = flow.map("exp", row, {"e": ...}, exponential) # a pipeline over all lanes
    row = flow.hold("total", row, {...}, then=[divide])
    flow.leave(row, self.o, scale)

Between two passes stands a :class:`~hdl.parts.row_buffer.RowBuffer` for two of the longest rows, so that all passes
work at once, each on a row of its own. Every pass takes a word per cycle and rows follow each other without a gap;
only what is computed once per row (a division, a square root) can take longer than a short row, and then sets the
pace.

A **word** is a structure of arrays with one entry per lane and, with several lanes, a field ``keep`` with one bit
per lane. A **row stream** carries ``word``, ``last`` and, behind a buffer, ``token``: what was computed from the
whole row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_

from amaranth.hdl import C, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.component import UnitComponent, shape_of
from hdl.parts.divider import FloorDivider, carries
from hdl.parts.pipeline import Pipeline
from hdl.parts.row_buffer import RowBuffer
from hdl.parts.trees import Fold, RowFold, count, larger, smaller
from intsim.errors import IntsimError
from intsim.formats import Format
from intsim.rounding import Rounding
from intsim.unit import Unit

__all__ = [
    "RowComponent",
    "RowFlow",
    "TokenMap",
    "channel_table",
    "fields_of",
    "maximum",
    "minimum",
    "row_mean",
    "valid",
    "words_of",
]


def words_of(n: int, lanes: int) -> int:
    """Transfers that carry a row of `n` elements."""
    return -(-n // lanes)


class RowComponent(UnitComponent):
    """Base of the row units: what is known about their time.

    Attributes
    ----------
    passes : times the row is held back until its last element is known
    overhead : cycles that a lone row spends in registers, dividers and roots, whatever its length
    pace : least cycles between rows, set by what is computed once per row
    latency : cycles from the only word of a short row to its result, unstalled
    interval : cycles per word, sustained
    """

    passes: int
    overhead: int
    pace: int

    def __init__(self, unit: Unit, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self.interval = 1

    @property
    def latency(self) -> int:  # type: ignore[override]
        return self.cycles(1)

    def cycles(self, n: int) -> int:
        """Cycles from the first word of a lone row of `n` elements to its last result."""
        return (self.passes + 1) * (words_of(n, self.lanes) - 1) + self.overhead

    def sustained(self, n: int) -> int:
        """Cycles per row of `n` elements when rows follow each other."""
        return max(words_of(n, self.lanes), self.pace)


class TokenMap(wiring.Component):
    """A pipeline between two streams of tokens.

    Parameters
    ----------
    before, after : fields of the tokens and their shapes
    cuts : how many register boundaries it has
    logic : appends `cuts` cuts to the pipeline it is given and returns the fields of the new token

    Attributes
    ----------
    latency : equals `cuts`
    interval : 1
    """

    interval = 1

    def __init__(
        self,
        before: Mapping[str, Shape],
        after: Mapping[str, Shape],
        cuts: int,
        logic: Callable[[Pipeline], Mapping[str, Value]],
    ):
        self._logic = logic
        self.latency = cuts
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(dict(before)))),
                "o": Out(stream.Signature(data.StructLayout(dict(after)))),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        fields = self._logic(pipe)
        assert pipe.stage == self.latency
        pipe.end(**fields)
        return m


class RowFlow:
    """Builds the passes of one unit into its module.

    Parameters
    ----------
    m : the unit's module
    lanes : elements per word
    max_row : elements of the longest row
    """

    def __init__(self, m: Module, *, lanes: int, max_row: int):
        self._m = m
        self.lanes = lanes
        self.max_row = max_row
        self.words = words_of(max_row, lanes)

    def enter(self, i) -> stream.Interface:
        """The unit's input stream as a row stream."""
        ports = {name: field.shape for name, field in i.payload.shape() if name not in ("last", "keep")}
        shapes = {name: shape.elem_shape if self.lanes > 1 else shape for name, shape in ports.items()}
        row = self._stream("entered", shapes)
        word = row.payload.word
        self._m.d.comb += [row.valid.eq(i.valid), i.ready.eq(row.ready), row.payload.last.eq(i.payload.last)]
        for name in shapes:
            for k in range(self.lanes):
                self._m.d.comb += word[name][k].eq(i.payload[name][k] if self.lanes > 1 else i.payload[name])
        if self.lanes > 1:
            self._m.d.comb += word.keep.eq(i.payload.keep)
        return row

    def map(
        self, name: str, row, shapes: Mapping[str, Shape], logic: Callable[[Pipeline], Mapping[str, Sequence[Value]]]
    ) -> stream.Interface:
        """A pipeline between two row streams.

        Parameters
        ----------
        shapes : field -> shape of one lane, of the words that come out
        logic : appends the cuts to the pipeline it is given (its payload is that of `row`) and returns the fields
            of the new word, one value per lane, in the last stage
        """
        out = self._stream(name, shapes)
        self._pipeline(name, row, out, logic, lambda result: result.word)
        return out

    def engines(
        self, name: str, row, engines: Sequence[UnitComponent], of: str, field: str, shape: Shape
    ) -> stream.Interface:
        """A streaming unit of one input and one output on every lane, between two row streams.

        What the engines know nothing of, ``last`` and which lanes count, waits beside them in a queue with a word
        more than they hold. A word enters when all of them take it, and leaves when all of them have it: any
        back-pressure, and any difference between their times, costs cycles and never order.

        Parameters
        ----------
        engines : one per lane, all alike, with one result per cycle; the time that passes is their latency
        of : field of the word that goes in; its shape is that of their input
        field, shape : what comes out: their output, which fits `shape`, and 0 where the word has a field ``counts``
            and it is 0

        Raises
        ------
        IntsimError
            An engine takes several cycles for a result.
        """
        slowest = max(engine.interval for engine in engines)
        if slowest != 1:
            raise IntsimError(
                f"an engine gives a result every {slowest} cycles, a row needs one per cycle; pipeline it"
            )
        m, word = self._m, row.payload.word
        out = self._stream(name, {field: shape})
        aside = data.StructLayout({f: word.shape()[f].shape for f in ("counts", "keep") if f in dict(word.shape())})
        layout = data.StructLayout({"word": aside, "last": 1})
        queue = m.submodules[f"{name}_beside"] = SyncFIFO(width=layout.size, depth=engines[0].latency + 2)
        before = Signal(layout, name=f"{name}_aside")
        after = data.View(layout, queue.r_data)
        enter, leave, whole = (Signal(name=f"{name}_{what}") for what in ("enter", "leave", "whole"))
        m.d.comb += [
            row.ready.eq(reduce(and_, (engine.i.ready for engine in engines)) & queue.w_rdy),
            enter.eq(row.valid & row.ready),
            queue.w_en.eq(enter),
            queue.w_data.eq(before),
            before.last.eq(row.payload.last),
            *(before.word[f].eq(word[f]) for f, _ in aside),
            whole.eq(reduce(and_, (engine.o.valid for engine in engines)) & queue.r_rdy),
            leave.eq(whole & out.ready),
            queue.r_en.eq(leave),
            out.valid.eq(whole),
            out.payload.last.eq(after.last),
        ]
        if self.lanes > 1:
            m.d.comb += out.payload.word.keep.eq(after.word.keep)
        for k, engine in enumerate(engines):
            m.submodules[f"{name}_engine{k}"] = engine
            (taken,), (given,) = fields_of(engine.i), fields_of(engine.o)
            y = engine.o.payload[given][: shape.width]
            m.d.comb += [
                engine.i.valid.eq(enter),
                engine.i.payload[taken].eq(word[of][k]),
                engine.o.ready.eq(leave),
                out.payload.word[field][k].eq(Mux(after.word.counts[k], y, 0) if "counts" in dict(aside) else y),
            ]
        return out

    def leave(self, row, o, logic: Callable[[Pipeline], Mapping[str, Sequence[Value]]]) -> None:
        """The last pipeline, into the unit's output stream. `logic` as for :meth:`map`."""
        self._pipeline("leave", row, o, logic, lambda result: result)

    def _pipeline(self, name: str, row, out, logic, word_of: Callable) -> None:
        """`logic` between two streams; `word_of` finds the fields of the word in the outgoing payload."""
        inner = Module()
        pipe = Pipeline(inner, row, out)
        s = pipe.values
        s.row_last = row.payload.last
        if self.lanes > 1:
            s.row_keep = row.payload.word.keep
        fields = logic(pipe)
        result = Signal(out.payload.shape(), name="row_result")
        word = word_of(result)
        for field, lanes in fields.items():
            targets = word[field] if isinstance(word.shape()[field].shape, data.ArrayLayout) else [word[field]]
            inner.d.comb += [target.eq(value) for target, value in zip(targets, lanes, strict=True)]
        if self.lanes > 1:
            inner.d.comb += word.keep.eq(s.row_keep)
        inner.d.comb += result.last.eq(s.row_last)
        pipe.end(result)
        self._m.submodules[name] = inner

    def hold(
        self,
        name: str,
        row,
        folds: Mapping[str, Fold],
        *,
        then: Iterable[wiring.Component] = (),
        store: Iterable[str] | None = None,
    ) -> stream.Interface:
        """The same row stream, delayed until the row was folded; its token rides along.

        Parameters
        ----------
        folds : what is kept of the row, see :class:`~hdl.parts.trees.Fold`
        then : stream components behind each other, from the folds to the token, one transfer per row
        store : fields of the word to hold (default: all)
        """
        m = self._m
        word = row.payload.word
        fold = m.submodules[f"{name}_fold"] = RowFold(word.shape(), self.lanes, folds)
        token, delay = fold.o, fold.latency + RowBuffer.latency + 1
        for k, component in enumerate(then):
            delay += component.latency
            m.submodules[f"{name}_{type(component).__name__.lower()}{k}"] = component
            wiring.connect(m, token, component.i)
            token = component.o
        stored = [f for f, _ in word.shape() if store is None or f in store or f == "keep"]
        layout = data.StructLayout({f: word.shape()[f].shape for f in stored})
        # A word waits for the rest of its row and for the token: that many words must fit to keep the full rate.
        depth = self.words + max(self.words, delay)
        buffer = m.submodules[f"{name}_rows"] = RowBuffer(layout, token.payload.shape(), depth)
        wiring.connect(m, token, buffer.token)
        m.d.comb += [
            fold.i.payload.word.eq(word),
            fold.i.payload.last.eq(row.payload.last),
            fold.i.valid.eq(row.valid & buffer.i.ready),
            *(buffer.i.payload.word[f].eq(word[f]) for f in stored),
            buffer.i.payload.last.eq(row.payload.last),
            buffer.i.valid.eq(row.valid & fold.i.ready),
            row.ready.eq(fold.i.ready & buffer.i.ready),
        ]
        return buffer.o

    def _stream(self, name: str, shapes: Mapping[str, Shape]) -> stream.Interface:
        fields: dict = {field: data.ArrayLayout(shape, self.lanes) for field, shape in shapes.items()}
        if self.lanes > 1:
            fields["keep"] = self.lanes
        payload = data.StructLayout({"word": data.StructLayout(fields), "last": 1})
        return stream.Signature(payload).create(path=(name,))


def valid(word, lane: int) -> Value:
    """Whether an element takes part: its valid bit, where the unit has such."""
    return word.valid[lane] if "valid" in dict(word.shape()) else C(1, 1)


def maximum(x: Format) -> Fold:
    """The largest valid `x` of a row."""
    return Fold(shape_of(x), larger, x.lo, lambda word, k: Mux(valid(word, k), word.x[k], x.lo))


def minimum(x: Format) -> Fold:
    """The smallest valid `x` of a row."""
    return Fold(shape_of(x), smaller, x.hi, lambda word, k: Mux(valid(word, k), word.x[k], x.hi))


def fields_of(port) -> dict[str, Shape]:
    """Fields of a stream's payload and their shapes."""
    return {name: field.shape for name, field in port.payload.shape()}


def channel_table(m: Module, pipe: Pipeline, name: str, values: Sequence[int], shape: Shape, lanes: int) -> None:
    """A constant per channel: appends one cut, behind which the pipeline's value `name` holds one word per lane.

    The address counts the words that pass this place of the pipeline and starts again behind the last of a row.

    Parameters
    ----------
    m : the unit's module, which gets the memory and the counter
    values : one per channel; rows have as many elements
    """
    words = words_of(len(values), lanes)
    padded = [*values, *[0] * (words * lanes - len(values))]
    layout = data.ArrayLayout(shape, lanes)
    init = [[padded[w * lanes + k] for k in range(lanes)] for w in range(words)]
    m.submodules[f"{name}_table"] = memory = Memory(shape=layout, depth=words, init=init)
    place = Signal(range(max(words, 2)), name=f"{name}_place")
    with m.If(pipe.moving):
        m.d.sync += place.eq(Mux(pipe.values.row_last, 0, place + 1))
    pipe.read(f"{name}_word", memory.read_port(), place)
    pipe.cut()
    word = pipe.values
    setattr(word, name, [data.View(layout, getattr(word, f"{name}_word"))[k] for k in range(lanes)])


def row_mean(x: Shape, longest: int, mode: Rounding) -> tuple[dict[str, Fold], list[wiring.Component]]:
    """What :meth:`RowFlow.hold` takes to find the rounded mean of a row: folds and token components.

    The token has the field ``mean``, of shape `x`. A row of any length is divided by its own number of elements.

    Parameters
    ----------
    x : shape of the field ``x`` of the word
    longest : elements of the longest row
    mode : rounding of the mean
    """
    length = longest.bit_length()
    bits = x.width + (not x.signed)
    total = signed(bits + length)
    folds = {
        "n": Fold(total, lambda a, b: (a + b)[: total.width].as_signed(), 0, lambda word, k: word.x[k]),
        "d": count(length),
    }
    divider = FloorDivider(total.width, length, q_bits=bits - 1, radix=4)
    quotient = signed(bits)

    def rounded(pipe: Pipeline):
        s, given = pipe.values, pipe.payload
        s.q = given.q
        s.up = carries(given.q, given.r, given.d, mode)
        pipe.cut()
        s.mean = (s.q + s.up)[: x.width]
        pipe.cut()
        return {"mean": s.mean.as_signed() if x.signed else s.mean}

    before = {"q": quotient, "r": unsigned(length), "d": unsigned(length)}
    return folds, [divider, TokenMap(before, {"mean": x}, 2, rounded)]
