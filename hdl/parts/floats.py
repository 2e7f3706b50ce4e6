"""Steps of a floating-point datapath: taking a number apart, exact differences, normalising, rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import C, Cat, Mux, Value

from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from intsim.formats import Minifloat

__all__ = [
    "Unpacked",
    "add_rounded",
    "capped",
    "constant",
    "difference",
    "moved_up",
    "right_with_sticky",
    "sort_key",
    "sorted_constant",
    "unpack",
]


@dataclass(frozen=True)
class Unpacked:
    """Sign, biased exponent (1 for subnormals) and significand with its leading bit."""

    sign: Value
    exponent: Value
    significand: Value


def unpack(code: Value, fmt: Minifloat) -> Unpacked:
    """The parts of a finite code."""
    field = code[fmt.fraction : -1]
    normal = field.any()
    return Unpacked(code[-1], Cat(field[0] | ~normal, field[1:]), Cat(code[: fmt.fraction], normal))


def constant(code: int, fmt: Minifloat) -> tuple[int, int, int]:
    """The parts of a finite code that is known: sign, biased exponent, significand."""
    field = code >> fmt.fraction & ((1 << fmt.exponent) - 1)
    significand = (code & ((1 << fmt.fraction) - 1)) | (field > 0) << fmt.fraction
    return code >> (fmt.bits - 1), max(field, 1), significand


def sort_key(code: Value) -> Value:
    """An unsigned number that ascends with the value of a code; the key of -0 lies just below that of +0."""
    return Mux(code[-1], ~code, code | (1 << (len(code) - 1)))


def sorted_constant(code: int, fmt: Minifloat) -> int:
    """The least key of the codes with this code's value: a comparison with it takes both zeros as one."""
    sign = 1 << (fmt.bits - 1)
    if code & (sign - 1) == 0:
        return sign - 1
    return (sign << 1) - 1 - code if code & sign else code | sign


def capped(amount: Value, width: int) -> Value:
    """A shift amount that is at least `width` + 1 as `width` + 1, at which nothing of `width` bits is left."""
    bits = (width + 1).bit_length()
    return amount if len(amount) < bits else Mux(amount > width, width + 1, amount)[:bits]


def right_with_sticky(value: Value, amount: Value) -> tuple[Value, Value]:
    """`value` shifted to the right, as wide as before, and whether a set bit was lost; `amount` as from `capped`."""
    limit = len(value) + 1
    wide = Cat(C(0, limit), value) >> amount
    return wide[limit:], wide[:limit].any()


def moved_up(value: Value, index: Value) -> Value:
    """`value` moved left until its highest set bit, which stands at `index`, is its last."""
    places = (len(value) - 1 - index)[: len(index)]  # never negative
    return (value << places)[: len(value)]


def difference(pipe: Pipeline, name: str, a: Unpacked, b: Unpacked, width: int, cuts: Sequence[str]) -> int:
    """Name ``<name>_sign``, ``<name>_m`` and ``<name>_top`` for ``a - b`` cut to `width` significant bits, toward zero.

    ``<name>_m`` has its highest bit set, or is zero. The value is ``m * 2**(top + offset)``, in units of the exponent
    field minus bias and fraction bits: an adder of ``width + 2`` bits suffices, because bits shifted out below can
    only lower the truncated difference by a borrow.

    Parameters
    ----------
    cuts : names of the register boundaries behind ordering, aligning, subtracting, finding the leading one and moving
        it to the top

    Returns
    -------
    int
        The offset.
    """
    s = pipe.values
    bits = len(a.significand)
    window = width + 2

    def put(part: str, value: Value) -> None:
        setattr(s, f"{name}_{part}", value)

    def get(part: str) -> Value:
        return getattr(s, f"{name}_{part}")

    less = Cat(a.significand, a.exponent) < Cat(b.significand, b.exponent)
    put("unlike", a.sign != b.sign)
    put("sign", Mux(less, ~b.sign, a.sign))
    put("most", Mux(less, b.significand, a.significand))
    put("least", Mux(less, a.significand, b.significand))
    put("exponent", Mux(less, b.exponent, a.exponent))
    put("apart", capped(Mux(less, b.exponent - a.exponent, a.exponent - b.exponent)[: len(a.exponent)], window))
    pipe.cut(cuts[0])
    moved, lost = right_with_sticky(Cat(C(0, window - bits), get("least")), get("apart"))
    put("moved", moved)
    put("lost", lost)
    pipe.cut(cuts[1])
    most = Cat(C(0, window - bits), get("most"))
    # most - moved - lost  =  most + ~moved + (1 - lost)
    added = Mux(get("unlike"), get("moved"), ~get("moved"))
    carried = (Cat(C(1, 1), most) + Cat(~get("unlike") & ~get("lost"), added))[1:]
    put("sum", Mux(get("unlike"), carried[: window + 1], carried[:window]))
    pipe.cut(cuts[2])
    index, _ = leading_one(get("sum"))
    put("index", index)
    put("top", get("exponent") + index)
    pipe.cut(cuts[3])
    put("m", moved_up(get("sum"), get("index"))[-width:])
    pipe.cut(cuts[4])
    return -(window - bits) - (width - 1)


def add_rounded(pipe: Pipeline, fmt: Minifloat, *, room: int, saturating: bool = False) -> None:
    """Name ``y``: the code of a product plus a word, rounded once, ties to even; an exact zero is +0.

    Takes the pipeline's values ``product`` (a magnitude), ``product_sign``, ``product_top`` (the biased exponent of
    its highest place, signed) and ``word`` (a finite code). Registers stand at the cuts ``apart``, ``distance``,
    ``align``, ``sum``, ``magnitude``, ``highest``, ``lead``, ``place`` and ``result``.

    Parameters
    ----------
    room : bits of the adder before its carry; two more than the product if that is normalised, else so many more
        as leave the word's bits in it where the product has leading zeros
    saturating : whether a result can pass the largest number, and becomes it
    """
    s = pipe.values
    bits = len(s.product)
    s.apart = unpack(s.word, fmt).exponent - s.product_top
    s.none = ~s.product.any()
    pipe.cut("apart")
    apart = s.apart
    s.larger = s.none | ~apart[-1]  # the word has the higher place
    s.distance = capped(Mux(s.none, 0, Mux(apart[-1], -apart, apart))[: len(apart)], room)
    pipe.cut("distance")
    word = unpack(s.word, fmt)
    significand = Cat(C(0, room - len(word.significand)), word.significand)
    product = Cat(C(0, room - bits), s.product)
    moved, lost = right_with_sticky(Mux(s.larger, product, significand), s.distance)
    s.moved = Cat(lost, moved)
    s.kept = Cat(C(0, 1), Mux(s.larger, significand, product))
    s.top = Mux(s.larger, word.exponent, s.product_top)[: max(len(word.exponent) + 1, len(s.product_top) - 1)]
    s.first_sign = Mux(s.larger, s.word[-1], s.product_sign)
    s.unlike = s.word[-1] != s.product_sign
    pipe.cut("align")
    s.sum = Mux(s.unlike, s.kept - s.moved, s.kept + s.moved)[: room + 3].as_signed()
    pipe.cut("sum")
    s.turned = s.sum[-1]
    s.magnitude = Mux(s.sum[-1], -s.sum, s.sum)[: room + 2]
    pipe.cut("magnitude")
    s.highest, _ = leading_one(s.magnitude)
    pipe.cut("highest")
    # to the top, but no further than the lowest exponent allows: then the result is subnormal
    wanted = room + 1 - s.highest
    s.move = Mux(wanted > s.top, s.top, wanted)[: room.bit_length()]
    pipe.cut("lead")
    placed = (s.magnitude << s.move)[: room + 2]
    s.field = (s.top - s.move)[: len(s.top)]  # one less than the exponent field
    kept, half, rest = placed[-fmt.fraction - 1 :], placed[-fmt.fraction - 2], placed[: -fmt.fraction - 2].any()
    s.digits, s.up = kept, half & (kept[0] | rest)
    s.result_sign = (s.first_sign ^ s.turned) & s.magnitude.any()
    pipe.cut("place")
    code = Cat(C(0, fmt.fraction), s.field) + s.digits + s.up
    if saturating:
        code = Mux(code > fmt.largest, fmt.largest, code)
    s.y = Cat(code[: fmt.bits - 1], s.result_sign)
    pipe.cut("result")
