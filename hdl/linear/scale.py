"""Scale and code of dynamic requantisation, as pieces of pipelines: what :mod:`intsim.linear.scale` computes."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Mux, Value

from hdl.parts.divider import carries, divide, divide_by_constant, steps
from hdl.parts.leading_one import leading_one
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import goes_up
from intsim.rounding import TIES_TO_POS, Rounding

__all__ = ["codes", "codes_cuts", "dynamic_scale", "dynamic_scale_cuts", "rounded_ratio", "rounded_ratio_cuts"]

_RADIX = 4


def dynamic_scale(
    pipe: Pipeline, name: str, span: Value, m: int, bits: int, mantissa_bits: int, rounding: Rounding
) -> None:
    """Append the search for the scale of a row: the values ``<name>_m`` and ``<name>_shift``, signed.

    ``reach = span * m`` is moved until its leading one has a fixed place, `bits` + `mantissa_bits` from the point;
    then the largest mantissa would be exceeded from a known number on, which takes one place less. The mantissa is
    the quotient by the constant ``2**bits - 1``.

    Parameters
    ----------
    span : an unsigned value of the current stage, at least 1
    m : the constant mantissa of the input's scale
    """
    s = pipe.values
    full, kept = (1 << bits) - 1, bits + mantissa_bits
    multiply(pipe, f"{name}_reach", [span], [C(m)])
    reach = getattr(s, f"{name}_reach")[0]
    index, _ = leading_one(reach)
    setattr(s, f"{name}_index", index)
    pipe.cut()
    reach, index = getattr(s, f"{name}_reach")[0], getattr(s, f"{name}_index")
    width = len(reach)
    up = (width - 1 - index).as_unsigned()[: len(index)]
    setattr(s, f"{name}_normal", (reach << up)[:width])
    setattr(s, f"{name}_place", (kept - 1 - index).as_signed())
    pipe.cut()
    # `kept` bits before the point, one behind it, and whether anything is left below
    normal = Cat(C(0, kept + 2), getattr(s, f"{name}_normal"))[width:]
    integer, half, rest = normal[2:], normal[1], normal[0]
    if width > kept + 2:
        long = getattr(s, f"{name}_normal")
        integer, half, rest = long[width - kept :], long[width - kept - 1], long[: width - kept - 1].any()
    carry = integer >= (full << mantissa_bits)
    setattr(s, f"{name}_integer", Mux(carry, integer >> 1, integer)[:kept])
    setattr(s, f"{name}_half", Mux(carry, integer[0], half))
    setattr(s, f"{name}_rest", Mux(carry, half | rest, rest))
    setattr(s, f"{name}_moved", (getattr(s, f"{name}_place") - carry).as_signed())
    pipe.cut()
    divide_by_constant(pipe, f"{name}_by", [getattr(s, f"{name}_integer")], full, mantissa_bits)
    q, r = getattr(s, f"{name}_by_q")[0], getattr(s, f"{name}_by_r")[0]
    twice = Cat(getattr(s, f"{name}_half"), r)  # twice the remainder, the half included
    over = twice >= full
    beyond = (twice != full) | getattr(s, f"{name}_rest")
    setattr(s, f"{name}_up", goes_up(rounding, negative=C(0, 1), odd=q[0], half=over, rest=beyond))
    pipe.cut()
    rounded = getattr(s, f"{name}_by_q")[0] + getattr(s, f"{name}_up")
    largest = (1 << mantissa_bits) - 1
    setattr(s, f"{name}_m", Mux(rounded > largest, largest, rounded)[:mantissa_bits])
    setattr(s, f"{name}_shift", getattr(s, f"{name}_moved"))
    pipe.cut()


def dynamic_scale_cuts(span_bits: int, m: int, mantissa_bits: int) -> int:
    """Cuts that :func:`dynamic_scale` appends."""
    return multiplier_cuts(span_bits + 1, m.bit_length() + 1) + 5 + mantissa_bits


def rounded_ratio(
    pipe: Pipeline, name: str, n: Sequence[Value], d: Sequence[Value], q_bits: int, mode: Rounding
) -> None:
    """Append ``n / d`` of unsigned numbers, rounded by `mode` to at most ``2**q_bits - 1``: the value `name`."""
    s = pipe.values
    divide(pipe, f"{name}_floor", n, d, q_bits, radix=_RADIX)
    quotients, rests, divisors = (getattr(s, f"{name}_floor_{part}") for part in "qrd")
    triples = zip(quotients, rests, divisors, strict=True)
    setattr(s, f"{name}_up", [carries(q, rest, by, mode) for q, rest, by in triples])
    pipe.cut()
    pairs = zip(getattr(s, f"{name}_floor_q"), getattr(s, f"{name}_up"), strict=True)
    setattr(s, name, [(q + up)[:q_bits] for q, up in pairs])
    pipe.cut()


def rounded_ratio_cuts(q_bits: int) -> int:
    """Cuts that :func:`rounded_ratio` appends."""
    return steps(q_bits, _RADIX) + 3


def codes(pipe: Pipeline, name: str, above: Sequence[Value], span: Value, bits: int) -> None:
    """Append the codes of ``x - least`` on ``2**bits`` levels over `span`, a tie upwards: the value `name`."""
    s = pipe.values
    setattr(s, f"{name}_scaled", [((v << bits) - v).as_unsigned() for v in above])
    setattr(s, f"{name}_span", span)
    pipe.cut()
    scaled = getattr(s, f"{name}_scaled")
    rounded_ratio(pipe, name, list(scaled), [getattr(s, f"{name}_span")] * len(scaled), bits, TIES_TO_POS)


def codes_cuts(bits: int) -> int:
    """Cuts that :func:`codes` appends."""
    return 1 + rounded_ratio_cuts(bits)
