"""The engine's registers: the one description that hardware, driver, C header, package and documentation share."""

from __future__ import annotations

from dataclasses import dataclass, field

from intsim.engine.engine import Engine
from intsim.errors import IntsimError, UnknownName

__all__ = ["ADDRESS_BITS", "IDENTITY", "Register", "address", "find", "register_map"]

ADDRESS_BITS = 14
IDENTITY = 0x696E7445
"""Value of the register ``ID``: the bytes ``Etni``, low byte first; software tells the engine by it."""

BANK_BASE, BANK_STRIDE = 0x1000, 0x1000


@dataclass(frozen=True)
class Register:
    """One register or an array of them, 32 bits each, 4 bytes apart.

    Attributes
    ----------
    name : upper case
    offset : byte address; inside its bank if `banked`
    access : ``ro``, ``rw`` or ``wo``
    bits : of the value; bits above are ignored when written
    what : one sentence
    count : number of entries
    banked : there is one per bank
    signed : a two's complement value
    fields : name -> (low bit, width), where a register holds several values
    """

    name: str
    offset: int
    access: str
    bits: int
    what: str
    count: int = 1
    banked: bool = False
    signed: bool = False
    fields: dict[str, tuple[int, int]] = field(default_factory=dict)


def register_map(engine: Engine) -> tuple[Register, ...]:
    """All registers of an engine of these dimensions."""
    two, four = (0, 16), (16, 16)
    return (
        Register("ID", 0x00, "ro", 32, f"0x{IDENTITY:08X}, by which software knows the engine."),
        Register(
            "SHAPE", 0x04, "ro", 32, "Lanes, and elements of the longest row.", fields={"LANES": two, "MAX_ROW": four}
        ),
        Register(
            "TABLES",
            0x08,
            "ro",
            32,
            "Geometry of a table.",
            fields={"INTERVALS": (0, 4), "BINS": (4, 10), "T_BITS": (14, 6), "MANTISSA_BITS": (20, 6), "BITS": (26, 6)},
        ),
        Register(
            "CONTROL",
            0x0C,
            "rw",
            5,
            "Mode and bank of the rows that begin from now on. A row that has begun keeps its own.",
            fields={"MODE": (0, 2), "BANK": (4, 1)},
        ),
        Register(
            "STATUS",
            0x10,
            "ro",
            2,
            "Banks that rows on their way still use, one bit each.",
            fields={"BUSY": (0, 2)},
        ),
        Register("PLACES", 0x000, "wo", 5, "Fraction bits of the codes of softmax and norms.", banked=True),
        Register("EPSILON", 0x004, "wo", 16, "Added to the mean square of a norm, in squared codes.", banked=True),
        Register("CUT", 0x040, "wo", engine.bits, "Cut points.", engine.intervals + 1, True, True),
        Register("MANTISSA", 0x080, "wo", engine.mantissa_bits, "Mantissa of each scale.", engine.intervals, True),
        Register("SHIFT", 0x0C0, "wo", 6, "Shift of each scale.", engine.intervals, True),
        Register("WORD", 0x800, "wo", engine.bits, "Table words.", engine.words, True, True),
    )


def find(registers: tuple[Register, ...], name: str) -> Register:
    """A register by its name."""
    for register in registers:
        if register.name == name:
            return register
    raise UnknownName("register", name, [register.name for register in registers])


def address(register: Register, index: int = 0, bank: int = 0) -> int:
    """Byte address of one entry."""
    if not 0 <= index < register.count or bank not in ((0, 1) if register.banked else (0,)):
        raise IntsimError(f"{register.name}[{index}] of bank {bank} does not exist; it has {register.count} entries")
    return register.offset + 4 * index + (BANK_BASE + BANK_STRIDE * bank if register.banked else 0)
