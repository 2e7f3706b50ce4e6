"""The second half of every table engine: two neighbouring words, and the way between them."""

from __future__ import annotations

from hdl.parts.pipeline import Pipeline
from hdl.parts.shift_round import add_with_carry, drop_bits
from hdl.tables.memory import LOADABLE, Table
from intsim.rounding import Rounding

__all__ = ["interpolate"]


def interpolate(pipe: Pipeline, table: Table, *, t_bits: int, step_bits: int, rounding: Rounding) -> None:
    """Name ``left``, ``right``, ``step``, ``product`` and ``y`` from ``address`` and ``t``.

    ``y = left + round((right - left) * t / 2**t_bits)``; the rounding is the carry of the last adder.

    Parameters
    ----------
    table : read at ``address`` and behind it; clocked read ports are the register at the cut ``table``
    t_bits : width of ``t``
    step_bits : width of ``right - left``, signed; words that are written at run time take one bit more than a word
    """
    s = pipe.values
    pipe.read("left", table.read_port(), s.address)
    pipe.read("right", table.read_port(), s.address + 1)
    pipe.cut("table")
    pipe.cut("words")
    step = s.right - s.left
    s.step = (step if table.kind == LOADABLE else step[:step_bits]).as_signed()
    pipe.cut("step")
    s.product = s.step * s.t
    pipe.cut("product")
    s.whole, s.up = drop_bits(s.product, t_bits, rounding)
    pipe.cut("round")
    s.y = add_with_carry(s.left, s.whole, s.up)
    pipe.cut("result")
