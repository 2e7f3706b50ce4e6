"""Steps of a floating-point datapath: taking a number apart, exact differences, normalising, rounding."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import C, Cat, Mux, Value

from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from intsim.formats import Minifloat

__all__ = [
    "Unpacked",
    "constant",
    "difference",
    "normalise",
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


def right_with_sticky(value: Value, amount: Value) -> tuple[Value, Value]:
    """`value` shifted to the right, as wide as before, and whether a set bit was lost; any `amount`."""
    width = len(value)
    limit = min((1 << len(amount)) - 1, width + 1)
    capped = amount if limit < width + 1 else Mux(amount > width, width + 1, amount)
    wide = Cat(C(0, limit), value) >> capped
    return wide[limit:], wide[:limit].any()


def normalise(value: Value) -> tuple[Value, Value]:
    """`value` moved left until its highest bit is set, and the index of that bit before (0 and 0 for zero)."""
    index, _ = leading_one(value)
    places = (len(value) - 1 - index)[: len(index)]  # never negative
    return (value << places)[: len(value)], index


def difference(pipe: Pipeline, name: str, a: Unpacked, b: Unpacked, width: int, cuts: tuple[str, str, str, str]) -> int:
    """Name ``<name>_sign``, ``<name>_m`` and ``<name>_top`` for ``a - b`` cut to `width` significant bits, toward zero.

    ``<name>_m`` has its highest bit set, or is zero. The value is ``m * 2**(top + offset)``, in units of the exponent
    field minus bias and fraction bits: an adder of ``width + 2`` bits suffices, because bits shifted out below can
    only lower the truncated difference by a borrow.

    Parameters
    ----------
    cuts : names of the register boundaries behind ordering, aligning, subtracting and normalising

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
    put("apart", Mux(less, b.exponent - a.exponent, a.exponent - b.exponent)[: len(a.exponent)])
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
    full, index = normalise(get("sum"))
    put("m", full[-width:])
    put("top", get("exponent") + index)
    pipe.cut(cuts[3])
    return -(window - bits) - (width - 1)
