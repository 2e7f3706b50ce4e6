"""The hardware of every unit, and the flows that check and measure it.

>>> import hdl
>>> top = hdl.create(unit)            # an Amaranth component  # doctest: +SKIP
>>> hdl.flow.verify(unit)             # RTL == golden model    # doctest: +SKIP
"""

from hdl.component import UnitComponent
from hdl.registry import create, has_hardware, realises

__all__ = ["UnitComponent", "create", "flow", "has_hardware", "realises"]


def __getattr__(name: str):
    if name == "flow":
        import importlib

        return importlib.import_module("hdl.flow")
    raise AttributeError(f"module 'hdl' has no attribute {name!r}")
