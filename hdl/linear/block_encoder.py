# amaranth: UnusedElaboratable=no
"""The block floating-point encoder in hardware: the pivot exponent of a block, then shift, round, saturate."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Value, unsigned

from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap
from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import drop_bits
from hdl.parts.thermometer import count_thermometer
from hdl.parts.trees import Fold, count, larger, levels
from hdl.registry import realises
from intsim import linear
from intsim.errors import IntsimError
from intsim.formats import DBFP

__all__ = ["ENCODE_CUTS", "PIVOT_CUTS", "BlockEncoder", "encode", "exponent_bits", "largest_of", "pivot_token"]

PIVOT_CUTS = 2
ENCODE_CUTS = 2


def exponent_bits(fmt: DBFP) -> int:
    """Bits of a shared exponent counted from `lo`."""
    return max((fmt.hi - fmt.lo).bit_length(), 1)


def largest_of(field: str, bits: int) -> Fold:
    """The largest magnitude of a field of the word, unsigned, in `bits` bits."""

    def magnitude(word, k: int) -> Value:
        value = word[field][k]
        return Mux(value < 0, -value, value)[:bits] if Value.cast(value).shape().signed else value

    return Fold(unsigned(bits), larger, 0, magnitude)


def pivot_token(fmt: DBFP, frac: int, bits: int) -> TokenMap:
    """The block's exponent, counted from `lo`, from its largest magnitude: the pivot of rank 100 %."""
    if fmt.pivot != 100:
        raise IntsimError(f"this hardware takes pivot=100 (a clipped maximum with hi), got {fmt.pivot}; choose that")

    def logic(pipe: Pipeline):
        s = pipe.values
        s.place, s.found = leading_one(pipe.payload.most)
        pipe.cut()
        above = s.place - (frac + fmt.lo)  # exponent - lo
        limited = Mux(above < 0, 0, Mux(above > fmt.hi - fmt.lo, fmt.hi - fmt.lo, above))
        s.exponent = Mux(s.found, limited, 0)[: exponent_bits(fmt)]
        pipe.cut()
        return {"exponent": s.exponent}

    return TokenMap({"most": unsigned(bits)}, {"exponent": unsigned(exponent_bits(fmt))}, PIVOT_CUTS, logic)


def ranks_of(field: str, fmt: DBFP, frac: int, bits: int) -> dict[str, Fold]:
    """How many elements a block has, and how many of them stay within each exponent from `lo` to below `hi`."""

    def within(exponent: int) -> Fold:
        beyond = max(exponent + 1 + frac, 0)  # the lowest bit that such an element must not have

        def inside(word, k: int) -> Value:
            value = word[field][k]
            magnitude = Mux(value < 0, -value, value)[:bits] if Value.cast(value).shape().signed else value
            return ~magnitude[beyond:].any() if beyond < bits else Const(1, 1)

        return Fold(unsigned(_count_bits(fmt)), lambda a, b: (a + b)[: _count_bits(fmt)], 0, inside)

    return {"count": count(_count_bits(fmt)), **{f"within{k}": within(fmt.lo + k) for k in range(fmt.hi - fmt.lo)}}


def _count_bits(fmt: DBFP) -> int:
    return fmt.group.bit_length()


def rank_token(fmt: DBFP) -> TokenMap:
    """The block's exponent, counted from `lo`: the smallest within which enough elements stay."""
    names = [f"within{k}" for k in range(fmt.hi - fmt.lo)]

    def logic(pipe: Pipeline):
        s = pipe.values
        s.counts = [getattr(pipe.payload, name) for name in names]
        wanted = [-(-n * fmt.pivot // 100) for n in range(fmt.group + 1)]
        s.wanted = Array(Const(n, _count_bits(fmt)) for n in wanted)[pipe.payload.count]
        pipe.cut()
        # counts ascend with the exponent: those too small are the lowest ones, and their number is the answer
        s.exponent = count_thermometer(Cat(n < s.wanted for n in s.counts))[: exponent_bits(fmt)]
        pipe.cut()
        return {"exponent": s.exponent}

    before = {name: unsigned(_count_bits(fmt)) for name in ("count", *names)}
    return TokenMap(before, {"exponent": unsigned(exponent_bits(fmt))}, PIVOT_CUTS, logic)


def encode(pipe: Pipeline, fmt: DBFP, frac: int, values: list[Value], exponent: Value) -> None:
    """Names ``q`` and ``fine`` (whether the smaller exponent holds it) per lane; appends :data:`ENCODE_CUTS` cuts.

    One shifter per lane: the coarser step is a constant number of bits further.

    Parameters
    ----------
    frac : fraction bits of the values
    exponent : of the block, counted from `lo`
    """
    s = pipe.values
    # the finer step is 2**(exponent + least) units of a value; a negative `least` moves values to the left
    least = fmt.lo - fmt.delta + 1 - fmt.magnitude + frac
    amount = exponent + max(least, 0)
    room = (1 << len(amount)) - 1
    near, far = [], []
    for value in values:
        joined = Cat(Const(0, room + max(-least, 0)), value)
        aligned = (joined.as_signed() if Value.cast(value).shape().signed else joined) >> amount
        near.append(drop_bits(aligned, room, fmt.rounding))
        far.append(drop_bits(aligned, room + fmt.delta, fmt.rounding))
    s.near, s.near_up = [floor for floor, _ in near], [up for _, up in near]
    s.far, s.far_up = [floor for floor, _ in far], [up for _, up in far]
    pipe.cut()
    low = -fmt.largest if fmt.signed else 0
    mantissas, fine = [], []
    for k in range(len(values)):
        small, large = s.near[k] + s.near_up[k], s.far[k] + s.far_up[k]
        fits = (small <= fmt.largest if fmt.delta else Const(0, 1)) & _from(small, low)
        limited = Mux(large > fmt.largest, fmt.largest, Mux(_from(large, low), large, low))
        mantissas.append(Mux(fits, small, limited)[: fmt.bits])
        fine.append(fits)
    s.q, s.fine = mantissas, fine
    pipe.cut()


def _from(value: Value, low: int) -> Value:
    """Whether a value is `low` or more; no comparison where its shape says so."""
    return Const(1, 1) if low == 0 and not value.shape().signed else value >= low


@realises(linear.BlockEncoder)
class BlockEncoder(RowComponent):
    """:class:`intsim.linear.BlockEncoder`: two passes over a block.

    The maximum as pivot takes a maximum and a leading-one detector; a pivot of another rank, such as the median, a
    counter for every exponent.

    Parameters
    ----------
    lanes : elements per transfer
    """

    unit: linear.BlockEncoder
    passes = 1
    pace = 2

    def __init__(self, unit: linear.BlockEncoder, *, lanes: int = 1):
        super().__init__(unit, lanes=lanes)
        self._bits = unit.x.bits  # of a magnitude: -2**(bits-1) needs them all
        fmt = unit.format
        if fmt.pivot == 100:
            self._folds = {"most": largest_of("x", self._bits)}
            self._pivot = pivot_token(fmt, unit.x.frac, self._bits)
        else:
            self._folds, self._pivot = ranks_of("x", fmt, unit.x.frac, self._bits), rank_token(fmt)
        self.overhead = levels(lanes) + 3 + PIVOT_CUTS + ENCODE_CUTS

    def elaborate(self, platform) -> Module:
        m = Module()
        flow = RowFlow(m, lanes=self.lanes, max_row=self.unit.max_row)
        row = flow.hold("pivot", flow.enter(self.i), self._folds, then=[self._pivot])
        flow.leave(row, self.o, self._encode)
        return m

    def _encode(self, pipe: Pipeline):
        unit, fmt, s = self.unit, self.unit.format, pipe.values
        s.shared = pipe.payload.token.exponent
        encode(pipe, fmt, unit.x.frac, list(pipe.payload.word.x), pipe.payload.token.exponent)
        fields = {"q": list(s.q), "exponent": [s.shared + fmt.lo] * self.lanes}
        return {**fields, "tag": [~fine for fine in s.fine]} if fmt.delta else fields
