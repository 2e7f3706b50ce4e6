"""The nonlinear engine in hardware."""

from hdl.engine.engine import Engine

__all__ = ["Engine"]
