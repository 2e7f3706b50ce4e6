"""The second half of a floating-point table engine: two neighbouring words, and the way between them."""

from __future__ import annotations

from amaranth.hdl import Const, signed

from hdl.parts.floats import add_rounded, difference, moved_up, unpack
from hdl.parts.leading_one import leading_one
from hdl.parts.pipeline import Pipeline
from hdl.tables.memory import Table
from intsim.formats import Minifloat

__all__ = ["interpolate_float"]


def interpolate_float(pipe: Pipeline, table: Table, fmt: Minifloat, *, width: int, before: str | None = None) -> None:
    """Name ``y``, the code of ``left + t * cut(right - left)``, rounded once, ties to even.

    Takes the pipeline's values ``address`` and ``rest``, of `n` bits: ``t = rest / 2**n``, or
    ``rest * 2**(before - n)``. It is normalised while the words are read, and so is their difference, so that the
    product's operands have `width` bits (``t`` at most `n`).

    Registers stand at the cuts ``table``, ``words``, ``leading_t``, ``fraction``, those of
    :func:`~hdl.parts.floats.difference` (named ``order_y`` to ``normalise_y``), ``product``, and those of
    :func:`~hdl.parts.floats.add_rounded`.

    Parameters
    ----------
    table : read at ``address`` and behind it; clocked read ports are the register at the cut ``table``
    fmt : of the words
    before : name of the pipeline's value by which ``t`` is larger, a power of two
    """
    s = pipe.values
    n, kept = len(s.rest), min(len(s.rest), width)
    pipe.read("left", table.read_port(), s.address)
    pipe.read("right", table.read_port(), s.address + 1)
    pipe.cut("table")
    pipe.cut("words")
    s.t_index, _ = leading_one(s.rest)
    pipe.cut("leading_t")
    s.t_m = moved_up(s.rest, s.t_index)[n - kept :]
    s.t_top = (Const(0, signed(1)) if before is None else getattr(s, before)) + s.t_index
    pipe.cut("fraction")
    names = ("order_y", "align_y", "subtract_y", "leading_y", "normalise_y")
    offset = difference(pipe, "step", unpack(s.right, fmt), unpack(s.left, fmt), width, names)
    s.product = s.t_m * s.step_m
    s.product_top = (s.t_top + s.step_top + (offset - fmt.fraction + width - n)).as_signed()
    s.product_sign = s.step_sign
    s.word = s.left
    pipe.cut("product")
    add_rounded(pipe, fmt, room=kept + width + 2)
