"""What the elementwise operators compute, for proofs: the golden models' own arithmetic on unknown integers.

The golden models check their arguments with NumPy, which has no unknowns; here the same ``@exact`` functions are
called without that. Only what divides by a negative constant is written anew. Importing this module registers them;
the tests compare each with its golden model on every input of a small width.
"""

from __future__ import annotations

from typing import Any

from hdl.flow.symbolic import specifies
from intsim.nonlinear import activations, constants, exp
from intsim.rounding import shift_round

__all__ = ["di_exp", "hardswish", "ibert_exp", "ibert_gelu", "shift_exp", "squared_relu"]


@specifies(exp.ShiftExp)
def shift_exp(unit: exp.ShiftExp, x: Any) -> dict[str, Any]:
    """As :func:`intsim.nonlinear.exp.shift_exp`, the division by a positive number."""
    period = -unit.x0
    depth = -max(x + (x >> 1) - (x >> 4), unit.n * unit.x0)
    q = depth // period
    rest = depth - q * period
    if unit.profile == "ivit_tvm":
        return {"y": ((-rest >> 1) + period) << (unit.n - q)}
    return {"y": ((2 * period - rest) << (unit.n - q)) >> 1}


@specifies(exp.IBertExp)
def ibert_exp(unit: exp.IBertExp, x: Any) -> dict[str, Any]:
    """As :func:`intsim.nonlinear.exp.ibert_exp`, the division by a positive number."""
    period = -unit.x0
    depth = -max(x, unit.n * unit.x0)
    q = depth // period
    rest = depth - q * period
    return {"y": max((unit.b - rest) * -rest + unit.c, 0) << (unit.n - q)}


@specifies(exp.DIExp)
def di_exp(unit: exp.DIExp, x: Any) -> dict[str, Any]:
    """:func:`intsim.nonlinear.exp.di_exp` itself."""
    form = constants.DI_FORMS.index(unit.form)
    return {"y": exp.di_exp(x, unit.m, unit.k, unit.t, form, unit.headroom)}


@specifies(activations.IBertGELU)
def ibert_gelu(unit: activations.IBertGELU, x: Any) -> dict[str, Any]:
    """:func:`intsim.nonlinear.activations.ibert_erf` itself, and the product."""
    return {"y": x * (activations.ibert_erf(x, unit.b, unit.c, unit.shift) + unit.one)}


@specifies(activations.SquaredReLU)
def squared_relu(unit: activations.SquaredReLU, x: Any) -> dict[str, Any]:
    """The square of a positive number, shifted and rounded."""
    positive = max(x, 0)
    return {"y": shift_round(positive * positive, unit.shift, unit.rounding)}


@specifies(activations.HardSwish)
def hardswish(unit: activations.HardSwish, x: Any) -> dict[str, Any]:
    """The product with the limited gate."""
    return {"y": x * min(max(x + unit.three, 0), unit.six)}
