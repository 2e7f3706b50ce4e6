# amaranth: UnusedElaboratable=no
"""One requantiser for every convention: product, window of the shifted product, one adder that also rounds, clamp.

Nothing is added to the wide product. A shifter brings the wanted bits down with one fraction bit below them; the
rounding mode, the fraction bit and what was dropped decide a single carry, and the same short adder adds the zero
point. Where a convention rounds twice, the first rounding, at a fixed place, is made on the product and put back in
place, so that one shifter serves both; the second rounding is then the carry.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Value, signed

from hdl.component import UnitComponent
from hdl.parts.pipeline import Pipeline, choose_cuts
from hdl.parts.shift_round import add_with_carry, drop_bits, goes_up
from hdl.registry import realises
from hdl.requant.shifter import shift_to_window, steps
from hdl.tables.memory import Table
from intsim.errors import IntsimError
from intsim.requant import requantizer

__all__ = ["Requantizer"]

# Where the requantiser may be cut, the most useful cut first.
CUTS = ("product", "window", "partial", "half_way", "sum", "factor", "first")

DIGIT = 17  # bits of an unsigned factor that the multipliers of most FPGAs take (18 x 18 signed)


@realises(requantizer.Requantizer)
class Requantizer(UnitComponent):
    """Streaming hardware of :class:`intsim.requant.Requantizer`: one result per cycle.

    Parameters
    ----------
    unit : intsim.requant.Requantizer
    stages : depth of the pipeline, 0 to 7. Values cross a register at the first `stages` cuts of :data:`CUTS`. With
        0 the requantiser is a combinational function between its two streams, to be placed inside a longer pipeline
    memory : of the constants of several channels: ``"logic"`` (gates), ``"block"`` (a clocked block RAM, whose read
        is one more stage) or ``"registers"`` (flip-flops that reset loads)

    Attributes
    ----------
    latency : `stages`, and one more with a block memory

    Notes
    -----
    Signals carry the names of the golden model's trace where they are the same: ``s<stage>_factor``, ``_product``.
    """

    unit: requantizer.Requantizer

    def __init__(self, unit: requantizer.Requantizer, *, stages: int = 3, memory: str = "logic"):
        super().__init__(unit)
        self.stages = stages
        self.memory = memory
        self._cuts = choose_cuts(CUTS, stages) if stages else frozenset[str]()
        if not stages and len(unit.channels) > 1 and memory != "logic":
            raise IntsimError(f"without a stage the constants lie in logic, not in {memory!r}; use memory='logic'")
        self._table = self._make_table() if len(unit.channels) > 1 else None
        self._port = self._table.read_port() if self._table else None
        clocked = self._table is not None and memory == "block"
        self.latency = stages + clocked
        self._layout_shifter()

    def _layout_shifter(self) -> None:
        """Widths of the window, and how the amount is counted for the shifter."""
        unit = self.unit
        lo, hi = unit.bounds
        offset = unit.zero_point if unit.zero_first else 0
        # the integer below the value: one outside the clamp on either side tells all that follows
        self.window = max((lo - offset - 1).bit_length(), (hi - offset + 1).bit_length()) + 1
        product = unit.widths["product"]
        # further to the left everything but 0 is beyond the window, further to the right every value is below 1/2
        self.least = max(min(unit.amounts), -self.window)
        self.largest = min(max(unit.amounts), product + 1)
        self.zeros = max(1 - self.least, 0)  # appended below the product: for shifts to the left, and the fraction bit
        self.offset = self.zeros - 1  # what the shifter's amount is above the unit's
        if (max(unit.amounts) + self.offset).bit_length() == (self.largest + self.offset).bit_length():
            self.largest = max(unit.amounts)  # as many stages either way: no limit is needed

    def _make_table(self) -> Table:
        """Factor, amount and addend of every channel in one word."""
        unit, widths = self.unit, self.unit.widths
        self._word = (widths["factor"], widths["amount"], max(c[2].bit_length() for c in unit.constants) + 1)
        words = []
        for factor, amount, addend in unit.constants:
            word, at = 0, 0
            for value, bits in zip((factor, amount, addend), self._word, strict=True):
                word |= (value & ((1 << bits) - 1)) << at
                at += bits
            words.append(word)
        return Table(words, sum(self._word), self.memory)

    def elaborate(self, platform) -> Module:
        m = Module()
        ready = 1
        if self._table is not None:
            m.submodules.constants = self._table
            ready = self._table.ready
        if not self.stages and not self.latency:
            return self._combinational(m)
        pipe = Pipeline(m, self.i, self.o, cuts=self._cuts, ready=ready)
        self._compute(pipe)
        pipe.end(y=pipe.values.y)
        return m

    def _compute(self, pipe: Pipeline) -> None:
        self._operands(pipe)
        self._multiply(pipe)
        self._first_rounding(pipe)
        self._shift(pipe)
        self._round(pipe)

    def _operands(self, pipe: Pipeline) -> None:
        """Accumulator, factor, amount and addend."""
        unit, s = self.unit, pipe.values
        s.acc = pipe.payload.acc
        if self._port is not None:
            pipe.read("word", self._port, pipe.payload.channel)
            if self.memory == "block":
                pipe.cut()
            factor, amount, addend = self._word
            s.factor = s.word[:factor]
            s.wanted = s.word[factor : factor + amount].as_signed()
            s.addend = s.word[factor + amount :].as_signed()
        elif unit.channels:
            ((factor, amount, addend),) = unit.constants
            s.factor = Const(factor, unit.widths["factor"])
            s.wanted = Const(amount, signed(unit.widths["amount"]))
            s.addend = Const(addend, signed(addend.bit_length() + 1))
        else:
            multiplier, shift = pipe.payload.multiplier, pipe.payload.shift
            s.factor = _upper_half(multiplier, unit.widths["factor"]) if unit.reduced else multiplier
            s.wanted = shift if unit.right else unit.binary_point - shift
            s.addend = Const(0, signed(1))
        pipe.cut("factor")

    def _multiply(self, pipe: Pipeline) -> None:
        """The whole product; with the cut "partial" in parts of one FPGA multiplier each, added behind it."""
        unit, s = self.unit, pipe.values
        width = unit.widths["product"]
        if "partial" in self._cuts:
            s.parts = [a * f for _, a in _digits(s.acc) for _, f in _digits(s.factor)]
            pipe.cut("partial")
            places = [i + j for i, _ in _digits(s.acc) for j, _ in _digits(s.factor)]
            whole = _fit(_added(list(zip(places, s.parts, strict=True))), width)
        else:
            whole = s.acc * s.factor
        if unit.pre_shift:
            whole = Cat(Const(0, unit.pre_shift), whole).as_signed()
        if any(addend for _, _, addend in unit.constants):
            whole = whole + s.addend
        s.product = _fit(whole, width)
        s.negative = s.product[-1]
        s.amount = self._limited(s.wanted)
        pipe.cut("product")

    def _limited(self, wanted: Value) -> Value:
        """The shifter's amount, never negative, with what lies beyond its range put at its ends."""
        amounts, offset = self.unit.amounts, self.offset
        bits = max((self.largest + offset).bit_length(), 1)
        amount = (wanted + offset)[:bits] if offset else wanted[:bits]
        if min(amounts) < self.least:
            amount = Mux(wanted < self.least, Const(self.least + offset, bits), amount)
        if max(amounts) > self.largest:
            amount = Mux(wanted > self.largest, Const(self.largest + offset, bits), amount)
        return amount

    def _first_rounding(self, pipe: Pipeline) -> None:
        """Where two roundings apply, the product rounded at its fixed place and put back there."""
        unit, s = self.unit, pipe.values
        if unit.first is None or max(unit.amounts) <= unit.binary_point:
            s.twice = Const(0, 1)
            s.once = s.product
        elif min(unit.amounts) > unit.binary_point:
            s.twice = Const(1, 1)
            s.once = self._rounded_at_point(s.product)
        else:
            s.twice = s.amount > unit.binary_point + self.offset
            s.once = Mux(s.twice, self._rounded_at_point(s.product), s.product).as_signed()
        pipe.cut("first")

    def _rounded_at_point(self, product: Value) -> Value:
        unit = self.unit
        assert unit.first is not None
        floor, up = drop_bits(product, unit.binary_point, unit.first)
        return Cat(Const(0, unit.binary_point), (floor + up)).as_signed()

    def _shift(self, pipe: Pipeline) -> None:
        """`window`: the integer below the value and the fraction bit behind it."""
        s = pipe.values
        s.moving = Cat(Const(0, self.zeros), s.once).as_signed()
        most = self.largest + self.offset
        middle = (len(steps(most)) + 1) // 2

        def between(stage: int) -> None:
            if stage == middle:
                pipe.cut("half_way")

        shift_to_window(s, self.window + 1, most, between)
        pipe.cut("window")

    def _round(self, pipe: Pipeline) -> None:
        """Rounding carry, zero point and clamp."""
        unit, s = self.unit, pipe.values
        below = s.window[1:].as_signed()
        facts = {"negative": s.negative, "odd": s.window[1], "half": s.window[0], "rest": s.rest}
        up = goes_up(unit.rounding, **facts)
        if unit.first is not None:
            up = Mux(s.twice, up, goes_up(unit.first, **facts))
        offset = unit.zero_point if unit.zero_first else 0
        s.sum = add_with_carry(below, Const(offset, signed(offset.bit_length() + 1)), up) if offset else below + up
        s.above, s.under = s.beyond & ~s.negative, s.beyond & s.negative
        pipe.cut("sum")
        s.y = self._clamped(s.sum, s.above, s.under)

    def _clamped(self, total: Value, above: Value, under: Value) -> Value:
        """`total` within the clamp; where it is beyond the window only the side counts, its bits mean nothing."""
        unit = self.unit
        lo, hi = unit.bounds
        shape = signed(max(lo.bit_length(), hi.bit_length()) + 1)
        above |= ~under & _exceeds(total, hi)
        under |= _falls_below(total, lo)
        limited = Mux(above, Const(hi, shape), Mux(under, Const(lo, shape), total))
        if not unit.zero_first and unit.zero_point:
            limited = limited[: shape.width].as_signed() + unit.zero_point
        return limited

    def _combinational(self, m: Module) -> Module:
        """No register: both handshakes pass straight through."""
        pipe = _Unclocked(m, self.i, self.o, cuts=())
        self._compute(pipe)
        pipe.end(y=pipe.values.y)
        return m


class _Unclocked(Pipeline):
    """A pipeline without a stage: the values only."""

    def end(self, payload=None, **fields) -> None:
        self._m.d.comb += [
            self._o.valid.eq(self._i.valid),
            self._i.ready.eq(self._o.ready),
            *self._wires,
            *(getattr(self._o.payload, name).eq(value) for name, value in fields.items()),
        ]


def _upper_half(multiplier: Value, bits: int) -> Value:
    """The upper half of a 31-bit multiplier, rounded by the bit below it, without a carry out of its 15 bits."""
    high, up = multiplier[16:], multiplier[15]
    return (high + (up & ~high.all()))[:bits]


def _digits(value: Value) -> list[tuple[int, Value]]:
    """`value` in pieces of :data:`DIGIT` bits with their places, unsigned but for the last, which keeps the sign."""
    starts = range(0, max(len(value) - 1, 1), DIGIT)
    pieces = [(at, value[at : at + DIGIT] if at + DIGIT < len(value) - 1 else value[at:]) for at in starts]
    if value.shape().signed:
        pieces[-1] = (pieces[-1][0], pieces[-1][1].as_signed())
    return pieces


def _added(parts: list[tuple[int, Value]]) -> Value:
    """The sum of parts at their places, pair by pair; bits below the higher part of a pair pass by the adder."""
    parts = sorted(parts, key=lambda part: part[0])
    while len(parts) > 1:
        joined = []
        for (at, low), (above, high) in zip(parts[::2], parts[1::2], strict=False):
            gap = above - at
            total = (low >> gap) + high
            whole = Cat(low[:gap], total)
            joined.append((at, whole.as_signed() if total.shape().signed else whole))
        parts = joined + parts[len(parts) // 2 * 2 :]
    ((at, whole),) = parts
    return whole


def _fit(value: Value, width: int) -> Value:
    """Two's complement of exactly `width` bits, which hold the value."""
    if len(value) > width:
        return value[:width].as_signed()
    return Cat(value, value[-1].replicate(width - len(value))).as_signed() if len(value) < width else value


def _exceeds(value: Value, limit: int) -> Value:
    """``value > limit``; for limits of the form ``2**k - 1`` a look at the upper bits."""
    k = limit.bit_length()
    if limit >= 0 and limit + 1 == 1 << k and len(value) > k + 1:
        return ~value[-1] & value[k:-1].any()
    return value > limit


def _falls_below(value: Value, limit: int) -> Value:
    """``value < limit``; for limits of the form ``-2**k`` a look at the upper bits."""
    k = (-limit).bit_length() - 1
    if limit < 0 and -limit == 1 << k and len(value) > k + 1:
        return value[-1] & ~value[k:-1].all()
    return value < limit
