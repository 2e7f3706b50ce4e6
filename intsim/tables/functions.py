"""The real functions that tables approximate: float64, vectorised, accurate to a few units in the last place.

Design-time code: nothing here runs inside an operator. Where the textbook form loses its relative accuracy
(GELU and SiLU far on the negative side, mish, softplus) the form used here keeps it, because tables are designed
for relative error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.errors import UnknownName

__all__ = ["RealFunction", "domain", "find", "lookup", "names"]

RealFunction = Callable[[np.ndarray], np.ndarray]

_PIECE = 1 << 16

_math_erf = np.frompyfunc(math.erf, 1, 1)
_math_erfc = np.frompyfunc(math.erfc, 1, 1)


def exp(x: Any) -> np.ndarray:
    """``e**x``."""
    with np.errstate(over="ignore"):
        return np.exp(x)


def sigmoid(x: Any) -> np.ndarray:
    """``1 / (1 + e**-x)``."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def silu(x: Any) -> np.ndarray:
    """``x * sigmoid(x)``, also called swish."""
    return x * sigmoid(x)


def gelu(x: Any) -> np.ndarray:
    """``x * Phi(x)`` with the normal distribution's Phi, through erfc."""
    return 0.5 * x * _real(_math_erfc, -np.asarray(x) / math.sqrt(2.0))


def gelu_tanh(x: Any) -> np.ndarray:
    """The tanh approximation of GELU: ``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))``."""
    return x * sigmoid(2.0 * math.sqrt(2.0 / math.pi) * (x + 0.044715 * np.power(x, 3)))


def tanh(x: Any) -> np.ndarray:
    """The hyperbolic tangent."""
    return np.tanh(x)


def erf(x: Any) -> np.ndarray:
    """The error function."""
    return _real(_math_erf, x)


def softplus(x: Any) -> np.ndarray:
    """``log(1 + e**x)``."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def mish(x: Any) -> np.ndarray:
    """``x * tanh(softplus(x))``, as a rational function of ``e**-|x|``."""
    e = np.exp(-np.abs(x))
    positive = (1.0 + 2.0 * e) / (1.0 + 2.0 * e + 2.0 * e * e)
    negative = e * (e + 2.0) / (e * (e + 2.0) + 2.0)
    return x * np.where(np.asarray(x) >= 0, positive, negative)


def hardswish(x: Any) -> np.ndarray:
    """``x * min(max(x + 3, 0), 6) / 6``."""
    return x * np.clip(np.asarray(x) + 3.0, 0.0, 6.0) / 6.0


def reciprocal(x: Any) -> np.ndarray:
    """``1 / x``."""
    with np.errstate(divide="ignore"):
        return 1.0 / np.asarray(x, dtype=np.float64)


def rsqrt(x: Any) -> np.ndarray:
    """``1 / sqrt(x)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 / np.sqrt(x)


def sqrt(x: Any) -> np.ndarray:
    """The square root."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


def log2(x: Any) -> np.ndarray:
    """The logarithm to base 2."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(x)


def sin(x: Any) -> np.ndarray:
    """The sine of an angle in radians."""
    return np.sin(x)


def cos(x: Any) -> np.ndarray:
    """The cosine of an angle in radians."""
    return np.cos(x)


def _real(ufunc: Any, x: Any) -> np.ndarray:
    """`ufunc`, which makes Python objects, over pieces of `x`, so that they never fill the memory."""
    values = np.array(x, dtype=np.float64)
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PIECE):
        piece = flat[start : start + _PIECE]
        piece[:] = ufunc(piece)
    return values


_EVERYWHERE = (-math.inf, math.inf)
_POSITIVE = (math.ulp(0.0), math.inf)  # from the smallest number above zero

# Where each function is defined and finite in float64.
_FUNCTIONS: dict[str, tuple[RealFunction, tuple[float, float]]] = {
    "cos": (cos, _EVERYWHERE),
    "erf": (erf, _EVERYWHERE),
    "exp": (exp, (-math.inf, 709.782712893384)),
    "gelu": (gelu, _EVERYWHERE),
    "gelu_tanh": (gelu_tanh, _EVERYWHERE),
    "hardswish": (hardswish, _EVERYWHERE),
    "log2": (log2, _POSITIVE),
    "mish": (mish, _EVERYWHERE),
    "reciprocal": (reciprocal, (5.56268464626801e-309, math.inf)),  # below, the value overflows
    "rsqrt": (rsqrt, _POSITIVE),
    "sigmoid": (sigmoid, _EVERYWHERE),
    "silu": (silu, _EVERYWHERE),
    "sin": (sin, _EVERYWHERE),
    "softplus": (softplus, _EVERYWHERE),
    "sqrt": (sqrt, (0.0, math.inf)),
    "tanh": (tanh, _EVERYWHERE),
}


def names() -> tuple[str, ...]:
    """The known functions, in alphabetical order."""
    return tuple(_FUNCTIONS)


def lookup(name: str | None) -> RealFunction | None:
    """The function called `name`, or None if it is not known here."""
    entry = _FUNCTIONS.get(name) if name else None
    return None if entry is None else entry[0]


def find(name: str) -> RealFunction:
    """The function called `name`.

    Raises
    ------
    UnknownName
        There is none; the message offers the nearest name.
    """
    function = lookup(name)
    if function is None:
        raise UnknownName("function", name, _FUNCTIONS)
    return function


def domain(name: str) -> tuple[float, float]:
    """The interval on which the function is defined and finite (for ``reciprocal`` the positive side).

    Raises
    ------
    UnknownName
        There is no such function.
    """
    find(name)
    return _FUNCTIONS[name][1]
