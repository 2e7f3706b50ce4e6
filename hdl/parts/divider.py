# amaranth: UnusedElaboratable=no
"""Dividers by digit recurrence: iterative and pipelined, radix 2 and 4, and the signed wrapper.

All of them compute ``q = floor(n / d)`` and ``r = n - q * d`` for unsigned `n` and `d`. The quotient has `q_bits`
bits, which may be fewer than `n` has: the caller then promises ``n < d << q_bits``. That is what makes a ratio of
two alike numbers cheap: a 40-bit over 32-bit division whose quotient is known to fit 8 bits takes 8 steps.

Outside the promise (a quotient that does not fit, a divisor of zero) the result is arbitrary, but the handshake
goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import goes_up
from intsim.errors import IntsimError
from intsim.rounding import Rounding

__all__ = [
    "FloorDivider",
    "IterativeDivider",
    "PipelinedDivider",
    "carries",
    "divide",
    "divide_by_constant",
    "divide_signed",
    "divide_signed_cuts",
    "steps",
]


def steps(q_bits: int, radix: int) -> int:
    """Digits of a quotient of `q_bits` bits: ``q_bits`` in radix 2, ``ceil(q_bits / 2)`` in radix 4."""
    if radix not in (2, 4):
        raise IntsimError(f"a divider has radix 2 or 4, got {radix}; choose one of them")
    return -(-q_bits // (radix.bit_length() - 1))


def _restore(partial: Value, d: Value, radix: int, triple: Value | None = None) -> tuple[Value, Value]:
    """One restoring step: the quotient digit of ``partial / d`` (below `radix`) and what remains.

    `triple` is ``3 * d``, kept in a register by the callers so that radix 4 has one subtraction in its path.
    """
    bits = len(d)
    once = partial - d
    if radix == 2:
        return ~once[-1], Mux(once[-1], partial, once)[:bits]
    assert triple is not None
    twice, thrice = partial - (d << 1), partial - triple
    least = Mux(once[-1], partial, once)[:bits]
    most = Mux(thrice[-1], twice, thrice)[:bits]
    return Cat(Mux(twice[-1], ~once[-1], ~thrice[-1]), ~twice[-1]), Mux(twice[-1], least, most)


class IterativeDivider(wiring.Component):
    """One division at a time, one digit per cycle.

    Parameters
    ----------
    n_bits, d_bits : widths of dividend and divisor, unsigned
    q_bits : width of the quotient; the caller promises ``n < d << q_bits`` (default: `n_bits`, no promise but d > 0)
    radix : 2 or 4, bits per cycle 1 or 2
    restoring : True, or False for the non-restoring form (radix 2): the step adds or subtracts and never
        selects, and one more cycle corrects the remainder

    Members
    -------
    i : In(stream of ``n``, ``d``)
    o : Out(stream of ``q``, ``r`` and ``d``, the divisor again: rounding needs it)

    Attributes
    ----------
    latency : ``steps(q_bits, radix) + 1``, one more if not restoring
    interval : ``latency + 1``
    """

    def __init__(self, n_bits: int, d_bits: int, *, q_bits: int | None = None, radix: int = 2, restoring: bool = True):
        self.n_bits, self.d_bits, self.q_bits = n_bits, d_bits, _quotient_bits(n_bits, d_bits, q_bits)
        if not restoring and radix != 2:
            raise IntsimError("the non-restoring form has radix 2; use radix=2 or restoring=True")
        self.radix, self.restoring = radix, restoring
        self.digits = steps(self.q_bits, radix)
        self.latency = self.digits + 1 + (not restoring)
        self.interval = self.latency + 1
        super().__init__(_ports(n_bits, d_bits, self.q_bits))

    def elaborate(self, platform) -> Module:
        m = Module()
        per_step = self.radix.bit_length() - 1
        width = self.digits * per_step  # of the quotient, up to a whole digit
        d = Signal(self.d_bits)
        triple = Signal(self.d_bits + 2)
        rest = Signal(self.d_bits + (not self.restoring))  # two's complement in the non-restoring form
        low = Signal(width)  # dividend bits not used yet on top, quotient digits so far below
        left = Signal(range(self.latency))
        busy = Signal()
        done = Signal()

        m.d.comb += [
            self.i.ready.eq(~busy & ~done),
            self.o.valid.eq(done),
            self.o.payload.q.eq(low),
            self.o.payload.r.eq(rest),
            self.o.payload.d.eq(d),
        ]
        with m.If(self.i.valid & self.i.ready):
            n = Value.cast(self.i.payload.n)
            m.d.sync += [
                d.eq(self.i.payload.d),
                triple.eq(self.i.payload.d + (self.i.payload.d << 1)),
                Cat(low, rest).eq(n),
                left.eq(self.latency - 2),
                busy.eq(1),
            ]
        with m.If(busy):
            m.d.sync += left.eq(left - 1)
            with m.If(left == 0):
                m.d.sync += [busy.eq(0), done.eq(1)]
        with m.If(done & self.o.ready):
            m.d.sync += done.eq(0)

        partial = Cat(low[width - per_step :], rest)
        if self.restoring:
            digit, after = _restore(partial, d, self.radix, triple)
            with m.If(busy):
                m.d.sync += [low.eq(Cat(digit, low)), rest.eq(after)]
        else:
            after = Mux(rest[-1], partial + d, partial - d)[: self.d_bits + 1]
            with m.If(busy & (left != 0)):
                m.d.sync += [low.eq(Cat(~after[-1], low)), rest.eq(after)]
            with m.If(busy & (left == 0) & rest[-1]):
                m.d.sync += rest.eq(rest + d)
        return m


def divide(pipe: Pipeline, name: str, n: Sequence[Value], d: Sequence[Value], q_bits: int, *, radix: int = 2) -> None:
    """Append a division of every ``n[k]`` by ``d[k]`` to a pipeline: one digit and one cut each.

    The results are the pipeline's values ``<name>_q`` and ``<name>_r``, tuples like `n`; they stand
    ``steps(q_bits, radix)`` cuts later. Each cut carries the shrinking dividend and the growing quotient in one
    register, as the iterative divider does.

    Parameters
    ----------
    n, d : unsigned values of the current stage, one per lane; ``n < d << q_bits``
    """
    digits, per_step = steps(q_bits, radix), radix.bit_length() - 1
    width = digits * per_step
    s = pipe.values
    setattr(s, f"{name}_d", list(d))
    if radix == 4:  # 3 * d gets a cycle of its own, so that no digit's path holds two additions
        setattr(s, f"{name}_n", list(n))
        setattr(s, f"{name}_triple", [value + (value << 1) for value in d])
        pipe.cut()
        n = getattr(s, f"{name}_n")
    lows = [Cat(value, C(0, width))[:width] for value in n]
    rests = [Cat(value)[width:] for value in n]
    for digit in range(digits):
        divisors = getattr(s, f"{name}_d")
        triples = getattr(s, f"{name}_triple") if radix == 4 else [None] * len(divisors)
        found = [
            _restore(Cat(low[width - per_step :], rest), divisor, radix, triple)
            for low, rest, divisor, triple in zip(lows, rests, divisors, triples, strict=True)
        ]
        setattr(s, f"{name}_low{digit}", [Cat(bits, low)[:width] for (bits, _), low in zip(found, lows, strict=True)])
        setattr(
            s,
            f"{name}_rest{digit}",
            [after[: len(rest) + per_step] for (_, after), rest in zip(found, rests, strict=True)],
        )
        pipe.cut()
        lows, rests = getattr(s, f"{name}_low{digit}"), getattr(s, f"{name}_rest{digit}")
    setattr(s, f"{name}_q", [low[:q_bits] for low in lows])
    setattr(s, f"{name}_r", list(rests))


def divide_signed(
    pipe: Pipeline, name: str, n: Sequence[Value], d: Sequence[Value], q_bits: int, mode: Rounding, *, radix: int = 4
) -> None:
    """Append a division of signed `n` by unsigned `d`, rounded by `mode`: the value `name`, signed.

    Parameters
    ----------
    n, d : values of the current stage, one per lane; ``-d << q_bits <= n < d << q_bits``
    """
    s = pipe.values
    signed_n = [value if value.shape().signed else Cat(value, C(0, 1)).as_signed() for value in map(Value.cast, n)]
    setattr(s, f"{name}_negative", [value < 0 for value in signed_n])
    magnitudes = [Mux(value < 0, ~value, value)[: len(value) - 1] for value in signed_n]
    setattr(s, f"{name}_magnitude", magnitudes)
    setattr(s, f"{name}_by", list(d))
    pipe.cut()
    divide(pipe, f"{name}_floor", getattr(s, f"{name}_magnitude"), getattr(s, f"{name}_by"), q_bits, radix=radix)
    quotients, rests = getattr(s, f"{name}_floor_q"), getattr(s, f"{name}_floor_r")
    negatives, divisors = getattr(s, f"{name}_negative"), getattr(s, f"{name}_floor_d")
    lanes = list(zip(quotients, rests, divisors, negatives, strict=True))
    setattr(s, f"{name}_down", [Mux(less, ~Cat(q, C(0, 1)), Cat(q, C(0, 1))).as_signed() for q, _, _, less in lanes])
    setattr(s, f"{name}_left", [Mux(less, by + ~rest, rest)[: len(by)] for _, rest, by, less in lanes])
    pipe.cut()
    down, left = getattr(s, f"{name}_down"), getattr(s, f"{name}_left")
    triples = zip(down, left, getattr(s, f"{name}_floor_d"), strict=True)
    setattr(s, f"{name}_up", [carries(q, rest, by, mode) for q, rest, by in triples])
    pipe.cut()
    setattr(s, name, [q + up for q, up in zip(getattr(s, f"{name}_down"), getattr(s, f"{name}_up"), strict=True)])
    pipe.cut()


def divide_signed_cuts(q_bits: int, radix: int = 4) -> int:
    """Cuts that :func:`divide_signed` appends."""
    return steps(q_bits, radix) + (radix == 4) + 4


def divide_by_constant(pipe: Pipeline, name: str, n: Sequence[Value], divisor: int, q_bits: int) -> None:
    """Append a division by a constant to a pipeline: one quotient bit and one cut each, ``q_bits`` cuts.

    The divisor is subtracted at its shifted places, so the remainder shrinks by a bit per cut. The results are the
    pipeline's values ``<name>_q`` and ``<name>_r``, tuples like `n`.

    Parameters
    ----------
    n : unsigned values of the current stage, one per lane; ``n < divisor << q_bits``
    """
    s = pipe.values
    rests, digits = list(n), [C(0, 0)] * len(n)
    for place in reversed(range(q_bits)):
        width = min(((divisor << (place + 1)) - 1).bit_length(), max(len(value) for value in rests))
        after, found = [], []
        for rest in rests:
            trial = rest[:width] - C(divisor << place)
            found.append(~trial[-1])
            after.append(Mux(trial[-1], rest, trial)[: ((divisor << place) - 1).bit_length()])
        setattr(s, f"{name}_digits{place}", [Cat(new, old) for new, old in zip(found, digits, strict=True)])
        setattr(s, f"{name}_rest{place}", after)
        pipe.cut()
        rests, digits = getattr(s, f"{name}_rest{place}"), getattr(s, f"{name}_digits{place}")
    setattr(s, f"{name}_q", list(digits))
    setattr(s, f"{name}_r", list(rests))


class PipelinedDivider(wiring.Component):
    """One division per cycle, one digit per stage.

    Parameters
    ----------
    n_bits, d_bits, q_bits, radix : as for :class:`IterativeDivider`

    Members
    -------
    i, o : as of :class:`IterativeDivider`

    Attributes
    ----------
    latency : ``steps(q_bits, radix)``, one more in radix 4
    interval : 1
    """

    interval = 1

    def __init__(self, n_bits: int, d_bits: int, *, q_bits: int | None = None, radix: int = 2):
        self.q_bits, self.radix = _quotient_bits(n_bits, d_bits, q_bits), radix
        self.latency = steps(self.q_bits, radix) + (radix == 4)
        super().__init__(_ports(n_bits, d_bits, self.q_bits))

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        divide(pipe, "ratio", [pipe.payload.n], [pipe.payload.d], self.q_bits, radix=self.radix)
        s = pipe.values
        pipe.end(q=s.ratio_q[0], r=s.ratio_r[0], d=s.ratio_d[0])
        return m


class FloorDivider(wiring.Component):
    """A signed dividend by an unsigned divisor, the quotient rounded to minus infinity: ``0 <= r < d``.

    For negative `n` the complement ``-1 - n`` is divided: ``floor(n / d) = -1 - floor((-1 - n) / d)``. Both
    complements are a row of inverters, so the wrapper adds no carry to the quotient.

    Parameters
    ----------
    n_bits : width of the dividend, its sign included
    d_bits, q_bits, options : as for :class:`IterativeDivider`; the quotient gets a sign bit on top of `q_bits`

    Members
    -------
    i, o : as of :class:`IterativeDivider`, ``n`` and ``q`` signed

    Attributes
    ----------
    latency, interval : those of :class:`IterativeDivider`
    """

    def __init__(self, n_bits: int, d_bits: int, *, q_bits: int | None = None, **options):
        self._divider = IterativeDivider(n_bits - 1, d_bits, q_bits=q_bits, **options)
        self.latency, self.interval = self._divider.latency, self._divider.interval
        n, q = signed(n_bits), signed(self._divider.q_bits + 1)
        super().__init__(_ports(n, d_bits, q))

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.magnitude = inner = self._divider
        negative = Signal()
        n, d = self.i.payload.n, inner.o.payload.d
        m.d.comb += [
            inner.i.valid.eq(self.i.valid),
            self.i.ready.eq(inner.i.ready),
            inner.i.payload.n.eq(Mux(n < 0, ~n, n)),
            inner.i.payload.d.eq(self.i.payload.d),
            self.o.valid.eq(inner.o.valid),
            inner.o.ready.eq(self.o.ready),
            self.o.payload.q.eq(Mux(negative, ~Cat(inner.o.payload.q, C(0, 1)), inner.o.payload.q)),
            self.o.payload.r.eq(Mux(negative, d + ~inner.o.payload.r, inner.o.payload.r)),
            self.o.payload.d.eq(d),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += negative.eq(n < 0)
        return m


def carries(q: Value, r: Value, d: Value, mode: Rounding) -> Value:
    """What to add to a floor quotient to round it by `mode`: one bit, from the remainder and the parity.

    `q` may be signed (negative exactly where the dividend is); `d` > 0.
    """
    twice = Cat(C(0, 1), r)
    negative = (q < 0) if Value.cast(q).shape().signed else C(0, 1)
    return goes_up(mode, negative=negative, odd=q[0], half=twice >= d, rest=(twice != d) & (r != 0))


def _quotient_bits(n_bits: int, d_bits: int, q_bits: int | None) -> int:
    bits = n_bits if q_bits is None else q_bits
    if n_bits - bits > d_bits:
        raise IntsimError(f"a quotient of {n_bits} by {d_bits} bits cannot fit {bits} bits; raise q_bits")
    return bits


def _ports(n, d, q) -> dict:
    return {
        "i": In(stream.Signature(data.StructLayout({"n": n, "d": d}))),
        "o": Out(stream.Signature(data.StructLayout({"q": q, "r": d, "d": d}))),
    }
