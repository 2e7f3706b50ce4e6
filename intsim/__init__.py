"""intsim: bit-exact integer arithmetic for neural networks, with its RTL beside it.

>>> import intsim
>>> silu = intsim.tables.NLI.design("silu", x=intsim.Fixed(16, 12), y=intsim.Fixed(16, 12))  # doctest: +SKIP

Importing this package loads NumPy only; operators are compiled when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.formats import Fixed, Format, Int
from intsim.rounding import Rounding
from intsim.unit import Hazard, Unit, load, save

if TYPE_CHECKING:
    from intsim import formats, measure, rounding, tables

__version__ = "0.1.0"

__all__ = [
    "DtypeError",
    "Fixed",
    "Format",
    "Hazard",
    "Int",
    "IntsimError",
    "Rounding",
    "Unit",
    "UnknownName",
    "formats",
    "load",
    "measure",
    "rounding",
    "save",
    "tables",
]

_PACKAGES = (
    "catalogue",
    "engine",
    "linear",
    "measure",
    "models",
    "nonlinear",
    "prepare",
    "requant",
    "schemes",
    "sweep",
    "tables",
)


def __getattr__(name: str) -> Any:
    """Sub-packages load on first use, so that ``import intsim`` stays light."""
    if name in _PACKAGES:
        return importlib.import_module(f"intsim.{name}")
    raise AttributeError(f"module 'intsim' has no attribute {name!r}")
