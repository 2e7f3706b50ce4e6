"""I-LLM's sigmoid and SwiGLU in hardware, in both frames.

The frame ``two_branch`` is a plain pipeline; ``row_max`` holds every row back until its maximum is known, whose own
exponential is computed once per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Value, signed, unsigned

from hdl.component import shape_of
from hdl.nonlinear.exp import di_exp, di_exp_cuts
from hdl.nonlinear.rows import RowComponent, RowFlow, TokenMap, channel_table
from hdl.parts.divider import divide, steps
from hdl.parts.multiplier import multiplier_cuts, multiply
from hdl.parts.pipeline import Pipeline
from hdl.parts.trees import Fold, larger, levels
from hdl.registry import realises
from intsim.errors import IntsimError
from intsim.nonlinear import gated

__all__ = ["DISigmoid", "DISwiGLU"]

_RADIX = 4  # of the division per element: half the registers of radix 2


def exponential(unit: Any) -> dict:
    """The parameters of :func:`hdl.nonlinear.exp.di_exp` that a unit carries."""
    return {"m": unit.m, "k": unit.k, "form": unit.form, "headroom": unit.headroom}


def ratio(pipe: Pipeline, name: str, own: Sequence[Value], total: Sequence[Value], out_bits: int) -> None:
    """Append ``floor(own 2**(out_bits-1) / total)`` with ``own <= total``; its value is `name`."""
    divide(pipe, name, [Cat(C(0, out_bits - 1), value) for value in own], total, out_bits, radix=_RADIX)


def ratio_cuts(out_bits: int) -> int:
    """Cuts that :func:`ratio` appends."""
    return steps(out_bits, _RADIX) + 1


def two_branch_sigmoid(pipe: Pipeline, name: str, xs: Sequence[Value], unit: Any) -> None:
    """Append the sigmoid of every x; the pipeline's values ``<name>_q``."""
    s = pipe.values
    setattr(s, f"{name}_positive", [x >= 0 for x in xs])
    setattr(s, f"{name}_minus", [Mux(x < 0, x, -x) for x in xs])
    pipe.cut()
    di_exp(pipe, f"{name}_far", getattr(s, f"{name}_minus"), **exponential(unit))
    far, near = getattr(s, f"{name}_far"), C(unit.top)
    own = [Mux(positive, near, e) for positive, e in zip(getattr(s, f"{name}_positive"), far, strict=True)]
    setattr(s, f"{name}_own", own)
    setattr(s, f"{name}_total", [near + e for e in far])
    pipe.cut()
    ratio(pipe, name, getattr(s, f"{name}_own"), getattr(s, f"{name}_total"), unit.out_bits)


def two_branch_cuts(unit: Any) -> int:
    """Cuts that :func:`two_branch_sigmoid` appends."""
    return 2 + di_exp_cuts(**exponential(unit)) + ratio_cuts(unit.out_bits)


class _Gated(RowComponent):
    """What sigmoid and SwiGLU share: smoothing, the sigmoid in either frame, and how long it takes.

    Parameters
    ----------
    unit : the golden model
    lanes : elements per transfer, of a row unit
    """

    unit: Any

    x_port: str  # the port whose sigmoid is taken
    alpha: tuple[tuple[int, int], ...] = ()

    def __init__(self, unit: Any, *, lanes: int = 1):
        if lanes != 1 and not unit.is_row:
            raise IntsimError(f"lanes={lanes}: this unit works element by element; instantiate it several times")
        super().__init__(unit, lanes=lanes)
        self._x = shape_of(unit.inputs[self.x_port])
        last = max((k for _, k in self.alpha), default=0)
        self._drop = last
        self._factors = tuple(m << (last - k) for m, k in self.alpha)
        self._factor_bits = max(self._factors, default=0).bit_length()
        self._smooth = signed(max(self._x.width + (not self._x.signed) + self._factor_bits - self._drop, 2))
        smoothing = 0
        if self.alpha:
            x_bits = self._x.width + (not self._x.signed)
            smoothing = multiplier_cuts(x_bits, self._factor_bits + 1) + 1 + (len(self.alpha) > 1)
        power = di_exp_cuts(**exponential(unit))
        self.pace = 1
        self.passes = 0
        self.overhead = smoothing + self._behind_cuts()
        if unit.frame == "two_branch":
            self.overhead += two_branch_cuts(unit)
        else:
            self.passes, self.pace = 1, 2
            self.overhead += (
                (0 if smoothing else 1) + levels(lanes) + 3 + 1 + power + 2 + power + ratio_cuts(unit.out_bits)
            )

    def _behind_cuts(self) -> int:
        """Cuts behind the sigmoid."""
        return 0

    def _behind(self, pipe: Pipeline) -> dict[str, Sequence[Value]]:
        """The outputs, from the pipeline's values ``sigma_q`` and what :meth:`_name_ports` named."""
        return {"y": pipe.values.sigma_q}

    def elaborate(self, platform) -> Module:
        m = Module()
        if self.unit.is_row:
            flow = RowFlow(m, lanes=self.lanes, max_row=self.unit.row_length or self.unit.max_row)
            row = flow.enter(self.i)
            if self.unit.frame == "two_branch":
                flow.leave(row, self.o, lambda pipe: self._two_branch(m, pipe, pipe.payload.word))
            else:
                self._row_max(m, flow, row)
            return m
        pipe = Pipeline(m, self.i, self.o)
        word = {name: [pipe.payload[name]] for name in self.unit.inputs}
        (port,) = self.unit.outputs
        pipe.end(**{port: self._two_branch(m, pipe, word)[port][0]})
        return m

    def _name_ports(self, pipe: Pipeline, word) -> None:
        for name in self.unit.inputs:
            setattr(pipe.values, name, list(word[name]))

    def _two_branch(self, m: Module, pipe: Pipeline, word) -> dict[str, Sequence[Value]]:
        self._name_ports(pipe, word)
        two_branch_sigmoid(pipe, "sigma", self._smoothed(m, pipe), self.unit)
        return self._behind(pipe)

    def _smoothed(self, m: Module, pipe: Pipeline) -> list[Value]:
        """``(x ma) >> ka`` of every lane, the factors of all channels brought to one shift."""
        s = pipe.values
        if not self.alpha:
            return list(getattr(s, self.x_port))
        if len(self.alpha) > 1:
            channel_table(m, pipe, "alpha", self._factors, unsigned(self._factor_bits), self.lanes)
            factors = list(s.alpha)
        else:
            factors = [C(self._factors[0])] * self.lanes
        multiply(pipe, "scaled", list(getattr(s, self.x_port)), factors)
        s.smoothed = [(product >> self._drop)[: self._smooth.width].as_signed() for product in s.scaled]
        pipe.cut()
        return list(s.smoothed)

    def _row_max(self, m: Module, flow: RowFlow, row) -> None:
        unit = self.unit

        def smooth(pipe: Pipeline):
            self._name_ports(pipe, pipe.payload.word)
            s = pipe.values
            s.gate_smoothed = self._smoothed(m, pipe)
            if not self.alpha:
                pipe.cut()
            return {**{name: getattr(s, name) for name in unit.inputs}, "smooth": s.gate_smoothed}

        shapes = {name: shape_of(fmt) for name, fmt in unit.inputs.items()}
        row = flow.map("smooth", row, {**shapes, "smooth": self._smooth}, smooth)
        top = Fold(self._smooth, larger, 0, lambda word, k: word.smooth[k])
        bits = unit.top.bit_length()
        minus = TokenMap(
            {"top": self._smooth},
            {"top": self._smooth, "minus": unsigned(bits)},
            1 + di_exp_cuts(**exponential(unit)),
            self._exponential_of_minus,
        )
        row = flow.hold("top", row, {"top": top}, then=[minus])
        flow.leave(row, self.o, self._element)

    def _exponential_of_minus(self, pipe: Pipeline):
        s = pipe.values
        s.top = pipe.payload.top
        s.negated = -s.top
        pipe.cut()
        di_exp(pipe, "minus", [s.negated], **exponential(self.unit))
        return {"top": s.top, "minus": s.minus[0]}

    def _element(self, pipe: Pipeline):
        s, word, token = pipe.values, pipe.payload.word, pipe.payload.token
        self._name_ports(pipe, word)
        s.minus = token.minus
        s.below = [x - token.top for x in word.smooth]
        pipe.cut()
        di_exp(pipe, "own", list(s.below), **exponential(self.unit))
        s.numerator = list(s.own)
        s.total = [own + s.minus for own in s.own]
        pipe.cut()
        divisors = [total | (total == 0) for total in s.total]  # both vanish below a high maximum: 0 / 1
        ratio(pipe, "sigma", list(s.numerator), divisors, self.unit.out_bits)
        return self._behind(pipe)


@realises(gated.DISigmoid)
class DISigmoid(_Gated):
    """:class:`intsim.nonlinear.gated.DISigmoid`.

    ``two_branch``: one result per cycle. ``row_max``: ``cycles(n)`` is ``2 (w - 1)`` plus a constant and
    ``sustained(n)`` is ``w = ceil(n / lanes)``, 2 at least.
    """

    unit: gated.DISigmoid

    x_port = "x"


@realises(gated.DISwiGLU)
class DISwiGLU(_Gated):
    """:class:`intsim.nonlinear.gated.DISwiGLU`, in the two frames as :class:`DISigmoid`, with alpha smoothing."""

    unit: gated.DISwiGLU

    x_port = "gate"

    def __init__(self, unit: gated.DISwiGLU, *, lanes: int = 1):
        self.alpha = unit.alpha
        super().__init__(unit, lanes=lanes)

    def _behind_cuts(self) -> int:
        gate, up = (fmt.bits + (not fmt.signed) for fmt in self.unit.inputs.values())
        product = gate + self.unit.out_bits
        return multiplier_cuts(gate, self.unit.out_bits + 1) + multiplier_cuts(product, up)

    def _behind(self, pipe: Pipeline) -> dict[str, Sequence[Value]]:
        s = pipe.values
        multiply(pipe, "gated", list(s.gate), list(s.sigma_q))
        multiply(pipe, "product", list(s.gated), list(s.up))
        return {"y": s.product}
