"""Words of a table that are written at run time: the hardware option ``memory="loadable"``, seen from software.

A bank that can be reloaded while it is used, with cut points and scales of its own, is :class:`intsim.engine.Engine`'s.
Here the words of one table change, where they lie; its cut points and scales are constants of the hardware.
"""

from __future__ import annotations

from dataclasses import replace

from intsim.errors import IntsimError
from intsim.registers import Bus, Register, RegisterMap
from intsim.tables.nli import NLI
from intsim.tables.uniform import Uniform

__all__ = ["load_words", "stored_words", "word_map"]


def stored_words(unit: NLI | Uniform) -> tuple[int, ...]:
    """The words in memory. Where the last knot of an equal-step table is a code, its word stands twice."""
    if isinstance(unit, Uniform) and unit.last <= unit.x.hi:
        return (*unit.table, unit.table[-1])
    return unit.table


def word_map(unit: NLI | Uniform) -> RegisterMap:
    """The registers of a table that is written at run time."""
    fmt, count = unit.y, len(stored_words(unit))
    word = Register("WORD", 0, "wo", fmt.bits, "Table words, in the order of the knots.", count, signed=fmt.signed)
    return RegisterMap(f"the table of {unit.name}", unit.name.upper(), unit.sha256, (word,))


def load_words(bus: Bus, unit: NLI | Uniform, wanted: NLI | Uniform, base: int = 0) -> None:
    """Write the words of another table into the hardware of `unit`, which computes `wanted` afterwards.

    Parameters
    ----------
    bus : see :class:`intsim.registers.Bus`
    base : byte address of the registers

    Raises
    ------
    IntsimError
        The tables differ in more than their words.

    Notes
    -----
    A value that is inside meanwhile may meet words of both tables: write while nothing is.
    """
    if replace(unit, table=wanted.table, fn=wanted.fn, origin=wanted.origin, domain=wanted.domain) != wanted:
        raise IntsimError("the tables differ in more than their words; give one of the same cuts, scales and formats")
    registers = word_map(unit)
    for index, word in enumerate(stored_words(wanted)):
        bus.write(base + registers.address("WORD", index), word & 0xFFFF_FFFF)
