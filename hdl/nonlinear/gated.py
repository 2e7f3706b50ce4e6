"""I-LLM's sigmoid and SwiGLU in hardware, in both frames.

The frame ``two_branch`` is a plain pipeline; ``row_max`` holds every row back until its maximum is known, whose own
exponential is computed once per row.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Mux, Value

from hdl.nonlinear.exp import di_exp, di_exp_cuts
from hdl.parts.divider import divide, steps
from hdl.parts.pipeline import Pipeline
from intsim.unit import Unit

__all__ = ["DISigmoid", "DISwiGLU"]

_RADIX = 4  # of the division per element: half the registers of radix 2


def exponential(unit: Unit) -> dict:
    """The parameters of :func:`hdl.nonlinear.exp.di_exp` that a unit carries."""
    return {"m": unit.m, "k": unit.k, "form": unit.form, "headroom": unit.headroom}


def ratio(pipe: Pipeline, name: str, own: Sequence[Value], total: Sequence[Value], out_bits: int) -> None:
    """Append ``floor(own 2**(out_bits-1) / total)`` with ``own <= total``; its value is `name`."""
    divide(pipe, name, [Cat(C(0, out_bits - 1), value) for value in own], total, out_bits, radix=_RADIX)


def ratio_cuts(out_bits: int) -> int:
    """Cuts that :func:`ratio` appends."""
    return steps(out_bits, _RADIX) + 1


def two_branch_sigmoid(pipe: Pipeline, name: str, xs: Sequence[Value], unit: Unit) -> None:
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


def two_branch_cuts(unit: Unit) -> int:
    """Cuts that :func:`two_branch_sigmoid` appends."""
    return 2 + di_exp_cuts(**exponential(unit)) + ratio_cuts(unit.out_bits)
