"""The engine's registers, of which hardware, driver, C header, package and documentation are made."""

from __future__ import annotations

from intsim.engine.engine import Engine, Mode
from intsim.registers import Register, RegisterMap

__all__ = ["IDENTITY", "markdown", "register_map"]

IDENTITY = 0x696E7445
"""Value of the register ``ID``: the bytes ``Etni``, low byte first; software tells the engine by it."""

BANK_BASE, BANK_STRIDE = 0x1000, 0x1000


def register_map(engine: Engine) -> RegisterMap:
    """All registers of an engine of these dimensions."""
    two, four = (0, 16), (16, 16)
    bank = BANK_BASE
    registers = (
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
        Register("PLACES", bank, "wo", 5, "Fraction bits of the codes of softmax and norms.", banked=True),
        Register(
            "EPSILON", bank + 0x004, "wo", 16, "Added to the mean square of a norm, in squared codes.", banked=True
        ),
        Register("CUT", bank + 0x040, "wo", engine.bits, "Cut points.", engine.intervals + 1, True, True),
        Register(
            "MANTISSA", bank + 0x080, "wo", engine.mantissa_bits, "Mantissa of each scale.", engine.intervals, True
        ),
        Register("SHIFT", bank + 0x0C0, "wo", 6, "Shift of each scale.", engine.intervals, True),
        Register("WORD", bank + 0x800, "wo", engine.bits, "Table words.", engine.words, True, True),
    )
    values = {"ID_VALUE": IDENTITY, **{f"MODE_{mode.name}": int(mode) for mode in Mode}}
    return RegisterMap("the nonlinear engine", "ENGINE", engine.sha256, registers, values, banks=2, stride=BANK_STRIDE)


def markdown() -> str:
    """The map of an engine of default dimensions as a table."""
    return register_map(Engine.design()).markdown()
