"""What the catalogue holds: each entry is a recipe that designs the unit anew.

Formats are 16 bits in and out. Functions on the whole line take the range in which they bend (``s16.12`` holds
-8 to 8); exp takes what a softmax gives it, 0 and below; the roots, the reciprocal and the logarithm take a number
whose exponent has been split off. An error of one unit in the last place counts the same everywhere
(``mean_absolute``), as befits a fixed-point output.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from intsim.catalogue.paper_entries import PAPER_ENTRIES
from intsim.formats import Fixed
from intsim.tables.nli import NLI
from intsim.tables.uniform import Uniform
from intsim.unit import Unit

__all__ = ["ENTRIES"]

Ports = tuple[Fixed, Fixed, tuple[float, float] | None]


def _unsigned(frac: int) -> Fixed:
    return Fixed(16, frac, signed=False)


_PORTS: dict[str, Ports] = {
    "cos": (Fixed(16, 13), Fixed(16, 14), None),
    "erf": (Fixed(16, 13), Fixed(16, 14), None),
    "exp": (Fixed(16, 11), _unsigned(15), (-16.0, 0.0)),
    "gelu": (Fixed(16, 12), Fixed(16, 12), None),
    "gelu_tanh": (Fixed(16, 12), Fixed(16, 12), None),
    "hardswish": (Fixed(16, 12), Fixed(16, 12), None),
    "log2": (_unsigned(15), _unsigned(16), (1.0, 2.0)),
    "mish": (Fixed(16, 12), Fixed(16, 12), None),
    "reciprocal": (_unsigned(15), _unsigned(15), (1.0, 2.0)),
    "rsqrt": (_unsigned(14), _unsigned(15), (1.0, 4.0)),
    "sigmoid": (Fixed(16, 12), _unsigned(16), None),
    "silu": (Fixed(16, 12), Fixed(16, 12), None),
    "sin": (Fixed(16, 13), Fixed(16, 14), None),
    "softplus": (Fixed(16, 12), _unsigned(12), None),
    "sqrt": (_unsigned(14), _unsigned(15), (1.0, 4.0)),
    "tanh": (Fixed(16, 13), Fixed(16, 15), None),
}

_BASELINES = ("exp", "gelu", "reciprocal", "sigmoid", "silu", "tanh")


def _nli(fn: str, x: Fixed, y: Fixed, domain: tuple[float, float] | None) -> Unit:
    return NLI.design(fn, x, y, objective="mean_absolute", domain=domain)


def _uniform(fn: str, x: Fixed, y: Fixed, domain: tuple[float, float] | None) -> Unit:
    return Uniform.design(fn, x, y, segments=256, domain=domain)


ENTRIES: dict[str, Callable[[], Unit]] = {
    **{f"nli_{fn}": partial(_nli, fn, *ports) for fn, ports in _PORTS.items()},
    **{f"uniform_{fn}": partial(_uniform, fn, *_PORTS[fn]) for fn in _BASELINES},
    **PAPER_ENTRIES,
}
