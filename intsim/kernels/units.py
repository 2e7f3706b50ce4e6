"""Which units have a kernel, and how it is called.

:func:`evaluate` stands in for a unit's golden model where operators run compiled and the arrays are large enough. A
kernel returns None for parameters or values that it does not cover; then the golden model runs.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["evaluate"]

_Results = dict[str, np.ndarray]
_Kernel = Callable[[Any, tuple[np.ndarray, ...], _Results], bool]

_KERNELS = {
    "intsim.requant.requantizer.Requantizer": "intsim.kernels.requantizer:whole",
    "intsim.nonlinear.softmax.Shiftmax": "intsim.kernels.softmax:shiftmax",
    "intsim.nonlinear.softmax.IBertSoftmax": "intsim.kernels.softmax:ibert_softmax",
    "intsim.nonlinear.layernorm.IViTLayerNorm": "intsim.kernels.norm:ivit_norm",
    "intsim.nonlinear.layernorm.IBertLayerNorm": "intsim.kernels.norm:ibert_norm",
    "intsim.nonlinear.qans.QANSSoftmax": "intsim.kernels.softmax:qans_softmax",
    "intsim.nonlinear.clipped_softmax.DIClippedSoftmax": "intsim.kernels.illm:clipped_softmax",
    "intsim.nonlinear.gated.DISwiGLU": "intsim.kernels.illm:swiglu",
    "intsim.nonlinear.norm.DINorm": "intsim.kernels.norm:di_norm",
    "intsim.nonlinear.norm.L1Norm": "intsim.kernels.norm:l1_norm",
    "intsim.linear.dynamic.DynamicRequantize": "intsim.kernels.dynamic:dynamic_requantize",
}


def evaluate(unit: Any, columns: list[np.ndarray], given: _Results) -> _Results | None:
    """The outputs of `unit` by port, or None.

    Parameters
    ----------
    columns : checked inputs, 1-D or ``(rows, n)``
    given : arrays to write some outputs into, of the port's dtype and the columns' shape, C-contiguous
    """
    kernel = _kernel_of(unit)
    if kernel is None:
        return None
    return kernel(unit, tuple(columns), given)


def _kernel_of(unit: Any) -> Any:
    kind = type(unit)
    place = _KERNELS.get(f"{kind.__module__}.{kind.__qualname__}")
    if place is not None:
        module, _, name = place.partition(":")
        return getattr(import_module(module), name)
    from intsim.kernels.table import look_up

    return None if unit.is_row else look_up
