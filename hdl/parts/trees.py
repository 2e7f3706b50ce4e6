"""Maximum, minimum and sum over many values: balanced trees, and the fold of a row that streams by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import C, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.parts.pipeline import Pipeline

__all__ = ["Fold", "RowFold", "count", "larger", "levels", "smaller", "total", "tree", "trees"]

Join = Callable[[Value, Value], Value]


def larger(a: Value, b: Value) -> Value:
    """The larger of two values."""
    return Mux(a > b, a, b)


def smaller(a: Value, b: Value) -> Value:
    """The smaller of two values."""
    return Mux(a < b, a, b)


def levels(width: int) -> int:
    """Depth of a balanced tree over `width` values."""
    return (width - 1).bit_length()


def tree(pipe: Pipeline, name: str, values: Sequence[Value], join: Join) -> None:
    """Append a balanced tree to a pipeline: one level per cut, ``levels(len(values))`` cuts.

    The result is the pipeline's value `name`.
    """
    trees(pipe, {name: (values, join)})


def trees(pipe: Pipeline, wanted: Mapping[str, tuple[Sequence[Value], Join]]) -> None:
    """Several trees over equally many values side by side, as :func:`tree` does one."""
    s = pipe.values
    width = max(len(values) for values, _ in wanted.values())
    current = {name: list(values) for name, (values, _) in wanted.items()}
    for depth in range(levels(width)):
        for name, (_, join) in wanted.items():
            setattr(s, f"{name}_level{depth}", _level(current[name], join))
        pipe.cut()
        current = {name: list(getattr(s, f"{name}_level{depth}")) for name in wanted}
    for name, values in current.items():
        setattr(s, name, values[0])


def _level(values: list[Value], join: Join) -> list[Value]:
    paired = [join(a, b) for a, b in zip(values[0::2], values[1::2], strict=False)]
    return paired + values[2 * len(paired) :]


@dataclass(frozen=True)
class Fold:
    """What is kept of a row: ``join`` over ``of(word, lane)`` for every element.

    Attributes
    ----------
    shape : of the result
    join : associative and commutative
    identity : the value that changes nothing, put in place of lanes that do not count
    of : the value of one lane of a word
    """

    shape: Shape
    join: Join
    identity: int
    of: Callable[[Any, int], Value]


def total(bits: int, field: str) -> Fold:
    """The sum of an unsigned field of the word, in `bits` bits."""
    return Fold(unsigned(bits), lambda a, b: (a + b)[:bits], 0, lambda word, k: word[field][k])


def count(bits: int) -> Fold:
    """How many elements a row has, in `bits` bits."""
    return Fold(unsigned(bits), lambda a, b: (a + b)[:bits], 0, lambda word, k: C(1, 1))


class RowFold(wiring.Component):
    """Folds every row of a stream into one token: a pipelined tree over the lanes, then an accumulator.

    Parameters
    ----------
    word : layout of a word; with several lanes it has a field ``keep``, one bit per lane
    lanes : elements per word
    folds : name -> :class:`Fold`; the fields of the token

    Members
    -------
    i : In(stream of ``word``, ``last``)
    o : Out(stream), a structure with a field per fold, one transfer per row

    Attributes
    ----------
    latency : from the last word of a row to its token: ``levels(lanes) + 2``
    interval : 1 per word; a token that is not taken stops the input at the end of the next row
    """

    interval = 1

    def __init__(self, word: data.StructLayout, lanes: int, folds: Mapping[str, Fold]):
        self.lanes, self.folds = lanes, dict(folds)
        self.latency = levels(lanes) + 2
        self._token = data.StructLayout({name: fold.shape for name, fold in folds.items()})
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"word": word, "last": 1}))),
                "o": Out(stream.Signature(self._token)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        words = stream.Signature(data.StructLayout({"token": self._token, "last": 1})).create(path=("folded",))
        pipe = Pipeline(m, self.i, words)
        s, word = pipe.values, pipe.payload.word
        s.last = pipe.payload.last
        wanted = {}
        for name, fold in self.folds.items():
            lanes = [fold.of(word, k) for k in range(self.lanes)]
            if self.lanes > 1:
                lanes = [Mux(word.keep[k], lane, fold.identity) for k, lane in enumerate(lanes)]
            setattr(s, f"{name}_lane", lanes)
            wanted[name] = fold.join
        pipe.cut()
        trees(pipe, {name: (getattr(s, f"{name}_lane"), join) for name, join in wanted.items()})
        token = Signal(self._token)
        m.d.comb += [token[name].eq(getattr(s, name)) for name in wanted]
        pipe.end(token=token, last=s.last)
        self._accumulate(m, words)
        return m

    def _accumulate(self, m: Module, words) -> None:
        """Join the words of a row; its last one sends the total on."""
        kept = Signal(self._token, init={name: fold.identity for name, fold in self.folds.items()})
        total = Signal(self._token)
        full = Signal()
        last = words.payload.last
        m.d.comb += [
            words.ready.eq(~(full & last)),
            self.o.valid.eq(full),
            self.o.payload.eq(total),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(words.valid & words.ready):
            for name, fold in self.folds.items():
                joined = fold.join(kept[name], words.payload.token[name])
                m.d.sync += kept[name].eq(Mux(last, fold.identity, joined))
                with m.If(last):
                    m.d.sync += total[name].eq(joined)
            with m.If(last):
                m.d.sync += full.eq(1)
