"""The integer exponentials in hardware: I-ViT's, I-BERT's and I-LLM's.

They share one shape. The argument is limited to where the result still counts, which makes everything behind it
narrow; a division by a constant parts it into a number of halvings and a remainder (I-LLM's ``fixed16`` multiplies
instead); a function of the remainder is shifted by the halvings. :func:`shift_exp`, :func:`ibert_exp` and
:func:`di_exp` append that to a pipeline, for all lanes side by side; the softmax and the activations use them too.

Widths come from the constants alone: a 32-bit argument with ``x0 = -20`` and ``n = 15`` is 9 bits wide behind the
limiter.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Value

from hdl.component import UnitComponent
from hdl.parts.divider import divide_by_constant
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.registry import realises
from intsim.errors import IntsimError
from intsim.nonlinear import constants, exp

__all__ = ["DIExp", "IBertExp", "ShiftExp", "di_exp", "ibert_exp", "shift_exp"]


def shift_exp(
    pipe: Pipeline, name: str, xs: Sequence[Value], *, x0: int, n: int, hi: int = 0, tvm: bool = False
) -> None:
    """Append I-ViT's exponential to a pipeline; its value `name` holds the results, unsigned.

    Parameters
    ----------
    xs : signed values of the current stage, one per lane
    x0, n, tvm : as in :func:`intsim.nonlinear.exp.shift_exp`
    hi : the largest argument; above 0 the number of halvings starts below 0, by adding whole periods

    Notes
    -----
    ``q`` counts halvings from the largest argument down, so the result is the mantissa shifted to the left by
    ``n - q``: one shifter for all arguments. The form without `tvm` drops one bit at the end, which is the golden
    model's shift by ``n - q - 1`` and its special case ``>> 1`` in one.
    """
    s = pipe.values
    period = -x0
    highest = hi + (hi >> 1) - (hi >> 4)
    extra = -(-highest // period)  # whole periods to add so that nothing is above 0
    q_max = n + extra
    setattr(s, f"{name}_x", list(xs))
    setattr(s, f"{name}_more", [x + (x >> 1) for x in xs])
    pipe.cut()
    scaled = [more - (x >> 4) for x, more in zip(getattr(s, f"{name}_x"), getattr(s, f"{name}_more"), strict=True)]
    setattr(s, f"{name}_scaled", scaled)
    pipe.cut()
    scaled = getattr(s, f"{name}_scaled")
    setattr(s, f"{name}_depth", _depth(scaled, n * period, extra * period))
    pipe.cut()
    divide_by_constant(pipe, name, getattr(s, f"{name}_depth"), period, q_max.bit_length())
    quotients, rests = getattr(s, f"{name}_q"), getattr(s, f"{name}_r")
    if tvm:
        mantissas = [(period - ((rest + 1) >> 1)).as_unsigned()[: period.bit_length()] for rest in rests]
    else:
        mantissas = [(2 * period - rest).as_unsigned()[: (2 * period).bit_length()] for rest in rests]
    setattr(s, f"{name}_mantissa", mantissas)
    setattr(s, f"{name}_halvings", [(q_max - q).as_unsigned()[: q_max.bit_length()] for q in quotients])
    pipe.cut()
    drop = 0 if tvm else 1
    bits = (period << q_max).bit_length()
    pairs = zip(getattr(s, f"{name}_mantissa"), getattr(s, f"{name}_halvings"), strict=True)
    setattr(s, name, [(mantissa << halvings)[drop:][:bits] for mantissa, halvings in pairs])
    pipe.cut()


def shift_exp_cuts(x0: int, n: int, hi: int = 0) -> int:
    """Cuts that :func:`shift_exp` appends."""
    highest = hi + (hi >> 1) - (hi >> 4)
    return 5 + (n + -(-highest // -x0)).bit_length()


def ibert_exp(pipe: Pipeline, name: str, xs: Sequence[Value], *, x0: int, b: int, c: int, n: int) -> None:
    """Append I-BERT's exponential to a pipeline; its value `name` holds the results, unsigned.

    Parameters
    ----------
    xs : signed values of the current stage, none above 0, one per lane
    x0, b, c, n : as in :func:`intsim.nonlinear.exp.ibert_exp`
    """
    s = pipe.values
    ibert_polynomial(pipe, name, xs, x0=x0, b=b, c=c, n=n)
    top = constants.ibert_top(x0, b, c)
    pairs = zip(getattr(s, f"{name}_polynomial"), getattr(s, f"{name}_q"), strict=True)
    setattr(s, name, [(value << (n - q).as_unsigned()[: n.bit_length()])[: top.bit_length() + n] for value, q in pairs])
    pipe.cut()


def ibert_polynomial(pipe: Pipeline, name: str, xs: Sequence[Value], *, x0: int, b: int, c: int, n: int) -> None:
    """The same without the last shift: the values ``<name>_polynomial`` and ``<name>_q``, both unsigned.

    Notes
    -----
    With the remainder's magnitude ``d = -r`` the polynomial ``(r + b) r + c`` is ``c - (b - d) d``.
    """
    s = pipe.values
    period = -x0
    setattr(s, f"{name}_depth", _depth(xs, n * period, 0))
    pipe.cut()
    divide_by_constant(pipe, name, getattr(s, f"{name}_depth"), period, n.bit_length())
    setattr(s, f"{name}_slope", [b - rest for rest in getattr(s, f"{name}_r")])
    pipe.cut()
    multiply(pipe, f"{name}_product", getattr(s, f"{name}_slope"), getattr(s, f"{name}_r"))
    setattr(s, f"{name}_signed", [c - product for product in getattr(s, f"{name}_product")])
    pipe.cut()
    top = constants.ibert_top(x0, b, c)
    kept = [Mux(value < 0, 0, value)[: max(top.bit_length(), 1)] for value in getattr(s, f"{name}_signed")]
    setattr(s, f"{name}_polynomial", kept)


def ibert_exp_cuts(x0: int, b: int, n: int) -> int:
    """Cuts that :func:`ibert_exp` appends, one more than :func:`ibert_polynomial`."""
    rest = (-x0 - 1).bit_length()
    slope = max(b, -x0 - 1, -b).bit_length()
    return 4 + n.bit_length() + multiplier_cuts(slope + 1, rest + 1)


def di_exp(pipe: Pipeline, name: str, xs: Sequence[Value], *, m: int, k: int, form: str, headroom: int) -> None:
    """Append I-LLM's exponential to a pipeline; its value `name` holds the results, unsigned.

    Parameters
    ----------
    xs : signed values of the current stage, none above 0, one per lane
    m, k, form, headroom : as in :func:`intsim.nonlinear.exp.di_exp`

    Notes
    -----
    All three forms halve until nothing is left, so the argument is limited to the first code whose result is 0
    for good (``headroom`` limits it before, by definition).
    """
    s = pipe.values
    period = constants.di_period(m, k)
    if form == "fixed16":
        _di_exp_fixed16(pipe, name, xs, m, k)
        return
    q_max = headroom if form == "headroom" else period.bit_length()
    setattr(s, f"{name}_depth", _depth(xs, q_max * period, 0))
    pipe.cut()
    divide_by_constant(pipe, name, getattr(s, f"{name}_depth"), period, max(q_max.bit_length(), 1))
    # r = -rest: (r >> 1) + t = t - ceil(rest / 2)
    mantissas = [(period - ((rest + 1) >> 1)).as_unsigned()[: period.bit_length()] for rest in getattr(s, f"{name}_r")]
    setattr(s, f"{name}_mantissa", mantissas)
    setattr(s, f"{name}_halvings", list(getattr(s, f"{name}_q")))
    pipe.cut()
    pairs = zip(getattr(s, f"{name}_mantissa"), getattr(s, f"{name}_halvings"), strict=True)
    raised = headroom if form == "headroom" else 0
    setattr(s, name, [Cat(C(0, raised), mantissa) >> halvings for mantissa, halvings in pairs])
    pipe.cut()


def _di_exp_fixed16(pipe: Pipeline, name: str, xs: Sequence[Value], m: int, k: int) -> None:
    """``2**N - frac / 2`` of ``z = -x m 369``, cut to 17 bits and shifted to the right by ``z >> N``."""
    s = pipe.values
    places, slope = k + 8, m * 369
    limit = -(-(17 << places) // slope)  # from here on all 17 bits are shifted out
    setattr(s, f"{name}_depth", _depth(xs, limit, 0))
    pipe.cut()
    depths = getattr(s, f"{name}_depth")
    multiply(pipe, f"{name}_z", depths, [C(slope)] * len(depths))
    products = getattr(s, f"{name}_z")
    setattr(s, f"{name}_level", [C(1 << places) - (z[:places] >> 1) for z in products])
    setattr(s, f"{name}_halvings", [z[places : (limit * slope).bit_length()] for z in products])
    pipe.cut()
    pairs = zip(getattr(s, f"{name}_level"), getattr(s, f"{name}_halvings"), strict=True)
    setattr(s, name, [_to_17_bits(level, places) >> halvings for level, halvings in pairs])
    pipe.cut()


def di_exp_cuts(m: int, k: int, form: str, headroom: int) -> int:
    """Cuts that :func:`di_exp` appends."""
    period = constants.di_period(m, k)
    if form == "fixed16":
        slope = m * 369
        limit = -(-(17 << (k + 8)) // slope)
        return 3 + multiplier_cuts(limit.bit_length() + 1, slope.bit_length() + 1)
    return 3 + max((headroom if form == "headroom" else period.bit_length()).bit_length(), 1)


def _to_17_bits(level: Value, places: int) -> Value:
    """A level of `places` fraction bits, at most 1.0, with 16 fraction bits."""
    return level[places - 16 : places + 1] if places >= 16 else Cat(C(0, 16 - places), level[: places + 1])


def _depth(xs: Sequence[Value], limit: int, offset: int) -> list[Value]:
    """``offset - max(x, -limit)`` as an unsigned value: how far below the highest argument x lies."""
    bits = (limit + offset).bit_length()
    low = [x < -limit if -limit >= _lowest(x) else C(0, 1) for x in xs]
    return [Mux(below, limit + offset, (offset - x)[:bits]) for below, x in zip(low, xs, strict=True)]


def _lowest(x: Value) -> int:
    return -(1 << (len(x) - 1))


class _Exponential(UnitComponent, abc.ABC):
    """One lane of an exponential between two streams."""

    unit: Any

    def elaborate(self, platform) -> Module:
        m = Module()
        pipe = Pipeline(m, self.i, self.o)
        self._append(pipe, [pipe.payload.x])
        pipe.end(y=pipe.values.e[0])
        return m

    @abc.abstractmethod
    def _append(self, pipe: Pipeline, xs: list[Value]) -> None: ...


@realises(exp.ShiftExp)
class ShiftExp(_Exponential):
    """:class:`intsim.nonlinear.exp.ShiftExp`: latency 5 plus the bits of ``n``, one result per cycle.

    Raises
    ------
    IntsimError
        A positive code of the input format has a result beyond 62 bits.
    """

    unit: exp.ShiftExp

    def __init__(self, unit: exp.ShiftExp):
        super().__init__(unit)
        self._hi = max(unit.x.hi, 0)
        tvm = unit.profile == "ivit_tvm"
        most = unit.n - exp.shift_exp(self._hi, unit.x0, unit.n, 0, tvm)[0]
        if most > unit.limit:
            raise IntsimError(f"x = {self._hi} is shifted by {most} bits, {unit.limit} fit; use x=non_positive(bits)")
        self.latency = shift_exp_cuts(unit.x0, unit.n, self._hi)

    def _append(self, pipe: Pipeline, xs: list[Value]) -> None:
        unit = self.unit
        shift_exp(pipe, "e", xs, x0=unit.x0, n=unit.n, hi=self._hi, tvm=unit.profile == "ivit_tvm")


@realises(exp.IBertExp)
class IBertExp(_Exponential):
    """:class:`intsim.nonlinear.exp.IBertExp`: latency 4, the bits of ``n`` and the multiplier, one result per cycle.

    Raises
    ------
    IntsimError
        The input format has positive codes, where the polynomial is not meant to be used.
    """

    unit: exp.IBertExp

    def __init__(self, unit: exp.IBertExp):
        super().__init__(unit)
        if unit.x.hi > 0:
            raise IntsimError(f"the hardware takes no positive codes, {unit.x} has some; use x=non_positive(bits)")
        self.latency = ibert_exp_cuts(unit.x0, unit.b, unit.n)

    def _append(self, pipe: Pipeline, xs: list[Value]) -> None:
        unit = self.unit
        ibert_exp(pipe, "e", xs, x0=unit.x0, b=unit.b, c=unit.c, n=unit.n)


@realises(exp.DIExp)
class DIExp(_Exponential):
    """:class:`intsim.nonlinear.exp.DIExp`, in all forms: one result per cycle.

    The latency is 3 and that of the multiplier in the form ``fixed16``, 3 and the bits of the largest number of
    halvings in the others (:func:`di_exp_cuts`).
    """

    unit: exp.DIExp

    def __init__(self, unit: exp.DIExp):
        super().__init__(unit)
        self.latency = di_exp_cuts(unit.m, unit.k, unit.form, unit.headroom)

    def _append(self, pipe: Pipeline, xs: list[Value]) -> None:
        unit = self.unit
        di_exp(pipe, "e", xs, m=unit.m, k=unit.k, form=unit.form, headroom=unit.headroom)
