"""Any unit behind registers: what the hardware shells of :mod:`hdl.wrap` show of it, and software that uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Format
from intsim.registers import Bus, Register, RegisterMap, Registers
from intsim.unit import Unit, outputs_per_row

__all__ = ["IDENTITY", "VERSION", "UnitDriver", "element_words", "markdown", "shell_map"]

IDENTITY = 0x74696E75
"""Value of the register ``ID``: the bytes ``unit``, low byte first."""

VERSION = 1
"""Of the register map."""

WORD = 32


def element_words(ports: Mapping[str, Format]) -> list[tuple[str, int, int]]:
    """Port, lowest bit and width of each word that carries an element: ports in order, low words first."""
    return [(port, low, min(WORD, fmt.bits - low)) for port, fmt in ports.items() for low in range(0, fmt.bits, WORD)]


def shell_map(unit: Unit, *, data: bool, own: RegisterMap | None = None) -> RegisterMap:
    """The registers of a unit's shell.

    Parameters
    ----------
    data : whether elements go through registers too; otherwise they have streams of their own
    own : the unit's own registers, which then lie behind the shell's, their names prefixed by ``UNIT_``
    """
    words = element_words(unit.inputs), element_words(unit.outputs)
    found = [
        Register("ID", 0x00, "ro", 32, f"0x{IDENTITY:08X}, by which software knows a shell."),
        Register("VERSION", 0x04, "ro", 32, f"Of this map: {VERSION}."),
        Register(
            "SHAPE",
            0x08,
            "ro",
            32,
            "Words of an element in and out; whether there are rows; whether elements go through registers.",
            fields={"IN_WORDS": (0, 8), "OUT_WORDS": (8, 8), "ROWS": (16, 1), "DATA": (17, 1)},
        ),
        Register("MAX_ROW", 0x0C, "ro", 32, "Elements of the longest row; 0 where there are no rows."),
        Register(
            "STATUS",
            0x10,
            "ro",
            4 if data else 1,
            "A result can be read; it is the last of its row; an element can be written; something is inside."
            if data
            else "Something is inside.",
            fields={"RESULT": (0, 1), "LAST": (1, 1), "ROOM": (2, 1), "BUSY": (3, 1)} if data else {"BUSY": (0, 1)},
        ),
        Register("TAKEN", 0x14, "ro", 32, "Transfers taken since reset, modulo 2**32."),
        Register("GIVEN", 0x18, "ro", 32, "Transfers given since reset, modulo 2**32."),
        Register("SHA256", 0x20, "ro", 32, "Of the unit's parameters, the first four bytes first.", 8),
    ]
    if unit.is_row and not data:
        found.append(Register("CUT_ROWS", 0x40, "ro", 32, "Rows cut since reset, having been longer than MAX_ROW."))
    if data:
        if unit.is_row:
            found.append(Register("LENGTH", 0x1C, "rw", 32, "Elements of the rows that begin from now on."))
        found += [
            Register(
                "INPUT", 0x100, "wo", 32, "An element, port by port, low words first; the last sends it.", len(words[0])
            ),
            Register("OUTPUT", 0x200, "ro", 32, "The oldest result, the same way, sign-extended.", len(words[1])),
            Register("NEXT", 0x300, "wo", 32, "Written with anything: drops the oldest result."),
        ]
    values = {"ID_VALUE": IDENTITY, "VERSION_VALUE": VERSION}
    title, banks, stride = f"the shell of {unit.name}", 1, 0
    if own is not None:
        base = own_base(own)
        found += [_moved(register, base) for register in own.registers]
        values |= {f"UNIT_{name}": value for name, value in own.values.items()}
        banks, stride = own.banks, own.stride
    return RegisterMap(title, unit.name.upper(), unit.sha256, tuple(found), values, banks=banks, stride=stride)


def own_base(own: RegisterMap) -> int:
    """Byte address at which a unit's own registers begin behind the shell's."""
    return max(1 << own.address_bits, 0x400)


def _moved(register: Register, base: int) -> Register:
    return replace(register, name=f"UNIT_{register.name}", offset=register.offset + base)


def markdown() -> str:
    """The map of a row unit, elements through registers, as a table."""
    from intsim.nonlinear.softmax import DIClippedSoftmax

    return shell_map(DIClippedSoftmax(241, 12), data=True).markdown()


class UnitDriver(Registers):
    """Uses a unit whose elements go through registers (the shell ``lite``).

    Parameters
    ----------
    bus : what carries words
    unit : the golden model of what answers there
    base : byte address at which the shell's registers begin

    Raises
    ------
    IntsimError
        Something else answers at the bus, or a unit of other parameters.
    """

    patience = 100_000
    """How often a result is asked for before giving up."""

    def __init__(self, bus: Bus, unit: Unit, base: int = 0):
        super().__init__(bus, shell_map(unit, data=True), base)
        self.unit = unit
        if (found := self.read("ID")) != IDENTITY:
            raise IntsimError(f"ID reads 0x{found:08X}, a shell answers 0x{IDENTITY:08X}; check the base address")
        if (found := self.read("VERSION")) != VERSION:
            raise IntsimError(f"the shell's map has version {found}, this software knows {VERSION}; generate both anew")
        sha256 = b"".join(self.read("SHA256", k).to_bytes(4, "big") for k in range(8)).hex()
        if sha256 != unit.sha256:
            raise IntsimError(f"the hardware has unit {sha256[:16]}..., not {unit.sha256[:16]}...; give its own JSON")

    def __call__(self, *arrays: Any) -> Any:
        """What the hardware computes; called like the unit, one element at a time."""
        columns, shape = self.unit._admit(arrays)
        rows = zip(*columns, strict=True) if self.unit.is_row else [columns]
        answers = [self._row(row) for row in rows]
        once = outputs_per_row(self.unit) if self.unit.is_row else [False] * len(self.unit.outputs)
        results = []
        for k, (fmt, one) in enumerate(zip(self.unit.outputs.values(), once, strict=True)):
            found = np.array([[element[k] for element in row] for row in answers], dtype=fmt.dtype)
            found = found[:, -1] if one else found if self.unit.is_row else found[0]
            results.append(self.unit._restore(found, shape))
        return results[0] if len(results) == 1 else tuple(results)

    def _row(self, columns: Sequence[np.ndarray]) -> list[list[int]]:
        """All elements in, all results out, results first where there is one."""
        if self.unit.is_row:
            self.write("LENGTH", columns[0].size)
        waiting, answers = list(zip(*columns, strict=True)), []
        waiting.reverse()
        status = self.registers["STATUS"]
        tries = 0
        while True:
            said = self.read("STATUS")
            if status.part(said, "RESULT"):
                answers.append(self._result())
                last = self.unit.is_row and status.part(said, "LAST")
                self.write("NEXT", 0)
                if last or (not self.unit.is_row and len(answers) == columns[0].size):
                    return answers
            elif waiting and status.part(said, "ROOM"):
                self._send(waiting.pop())
            elif (tries := tries + 1) > self.patience:
                raise IntsimError(f"{self.unit.name}: no result after {tries} questions; reset the hardware")

    def _send(self, element: Sequence[Any]) -> None:
        values = dict(zip(self.unit.inputs, map(int, element), strict=True))
        for index, (port, low, _) in enumerate(element_words(self.unit.inputs)):
            self.write("INPUT", values[port] >> low, index)

    def _result(self) -> list[int]:
        ports = self.unit.outputs
        values = dict.fromkeys(ports, 0)
        for index, (port, low, width) in enumerate(element_words(ports)):
            values[port] |= (self.read("OUTPUT", index) & ((1 << width) - 1)) << low
        return [_as_code(values[port], fmt) for port, fmt in ports.items()]


def _as_code(value: int, fmt: Format) -> int:
    return value - (1 << fmt.bits) if fmt.signed and value >> (fmt.bits - 1) else value


def sha_words(unit: Unit) -> Iterator[int]:
    """The eight words of the register ``SHA256``."""
    digest = bytes.fromhex(unit.sha256)
    for k in range(8):
        yield int.from_bytes(digest[4 * k : 4 * k + 4], "big")
