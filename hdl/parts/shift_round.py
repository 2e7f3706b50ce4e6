"""Dropping fraction bits by a named rounding mode: the integer below, and whether to go one up.

The modes of :mod:`intsim.rounding` differ in one bit only, a function of the sign, the bit below the result
(*half*), the OR of all bits under that (*rest*) and, for ties to even, the lowest bit kept. Keeping that bit apart
lets the adder that follows take it as its carry: rounding then costs a few gates and no second adder.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Value

from intsim.rounding import Rounding

__all__ = ["add_with_carry", "drop_bits", "goes_up", "shift_round", "shift_round_by"]


def goes_up(mode: Rounding, *, negative: Value, odd: Value, half: Value, rest: Value) -> Value:
    """Whether rounding by `mode` takes the integer above instead of the one below.

    Parameters
    ----------
    negative : the value is below zero
    odd : lowest bit of the integer below the value
    half, rest : the first fraction bit, and whether any fraction bit behind it is set
    """
    match mode:
        case Rounding.TO_NEG:
            return Const(0, 1)
        case Rounding.TO_ZERO:
            return negative & (half | rest)
        case Rounding.TIES_TO_POS:
            return half
        case Rounding.TIES_AWAY:
            return half & (~negative | rest)
        case Rounding.TIES_TO_EVEN:
            return half & (odd | rest)
    raise TypeError(f"expected a Rounding, got {mode!r}")


def drop_bits(value: Value, bits: int, mode: Rounding) -> tuple[Value, Value]:
    """``value / 2**bits`` as the integer below and the bit to add to it.

    Parameters
    ----------
    value : of any width and signedness
    bits : fraction bits to drop, 0 or more; a constant

    Returns
    -------
    floor : ``value >> bits``, `bits` narrower than `value` (one bit at least), of the same signedness
    up : one bit
    """
    value = Value.cast(value)
    if bits == 0:
        return value, Const(0, 1)
    signed = value.shape().signed
    wide = _extend(value, bits + 1)
    floor = wide[bits:].as_signed() if signed else wide[bits:]
    negative = value[-1] if signed else Const(0, 1)
    rest = wide[: bits - 1].any() if bits > 1 else Const(0, 1)
    return floor, goes_up(mode, negative=negative, odd=floor[0], half=wide[bits - 1], rest=rest)


def add_with_carry(a: Value, b: Value, carry: Value) -> Value:
    """``a + b + carry`` on one carry chain: a third operand would cost a second adder."""
    a, b = Value.cast(a), Value.cast(b)
    total = _append_low(a, Const(1, 1)) + _append_low(b, carry)
    return total[1:].as_signed() if total.shape().signed else total[1:]


def shift_round(value: Value, bits: int, mode: Rounding) -> Value:
    """``value / 2**bits`` rounded to an integer by `mode`; `bits` is a constant."""
    floor, up = drop_bits(value, bits, mode)
    return floor + up


def shift_round_by(value: Value, amount: Value, mode: Rounding) -> tuple[Value, Value]:
    """``value / 2**amount`` as the integer below and the bit to add to it; `amount` is a signal.

    One barrel shifter: the value moves to the right past a fraction that is wide enough to keep every bit.

    Parameters
    ----------
    amount : unsigned; every value it can carry is handled exactly, also beyond the width of `value`

    Returns
    -------
    floor, up : as for :func:`drop_bits`; `floor` is as wide as `value`
    """
    value, amount = Value.cast(value), Value.cast(amount)
    room = (1 << len(amount)) - 1
    wide = _append_low(value, Const(0, room)) if room else value
    return drop_bits(wide >> amount, room, mode)


def _append_low(value: Value, low: Value) -> Value:
    joined = Cat(low, value)
    return joined.as_signed() if value.shape().signed else joined


def _extend(value: Value, width: int) -> Value:
    """At least `width` bits, by sign or zero extension."""
    missing = width - len(value)
    if missing <= 0:
        return value
    fill = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, fill.replicate(missing))
