"""The software that programs the engine, over any bus that reads and writes 32-bit words."""

from __future__ import annotations

from collections.abc import Iterator

from intsim.engine.bank import Bank
from intsim.engine.engine import Engine, Mode
from intsim.engine.registers import IDENTITY, register_map
from intsim.errors import IntsimError
from intsim.registers import Bus, RegisterMap, Registers

__all__ = ["Driver", "bank_writes"]


def bank_writes(registers: RegisterMap, bank: int, contents: Bank) -> Iterator[tuple[int, int]]:
    """Byte address and 32-bit value of every write that fills a bank: for firmware and testbenches without Python.

    Parameters
    ----------
    registers : :func:`intsim.engine.register_map` of the engine
    bank : 0 or 1, not the one that is selected
    """
    table = contents.table
    columns = {
        "PLACES": (contents.places,),
        "EPSILON": (contents.epsilon,),
        "CUT": table.cuts,
        "MANTISSA": table.mantissas,
        "SHIFT": table.shifts,
        "WORD": table.table,
    }
    for name, values in columns.items():
        for index, value in enumerate(values):
            yield registers.address(name, index, bank), value & 0xFFFF_FFFF


class Driver(Registers):
    """Programs an engine through its registers.

    Parameters
    ----------
    bus : see :class:`intsim.registers.Bus`
    engine : the golden model as it is after reset; :attr:`engine` follows every change the driver makes
    base : byte address at which the engine's registers begin; behind the registers of a shell,
        ``intsim.shell.own_base(register_map(engine))`` further

    Raises
    ------
    IntsimError
        Something else answers at the bus, or an engine of other dimensions.
    """

    patience = 100_000
    """How often a busy bank is asked for before giving up."""

    def __init__(self, bus: Bus, engine: Engine, base: int = 0):
        super().__init__(bus, register_map(engine), base)
        self.engine = engine
        found = self.read("ID")
        if found != IDENTITY:
            raise IntsimError(f"ID reads 0x{found:08X}, an engine answers 0x{IDENTITY:08X}; check the base address")
        for name, wanted in (("INTERVALS", engine.intervals), ("BINS", engine.bins), ("T_BITS", engine.t_bits)):
            self._expect("TABLES", name, wanted)
        self._expect("TABLES", "MANTISSA_BITS", engine.mantissa_bits)
        self._expect("TABLES", "BITS", engine.bits)
        self._expect("SHAPE", "MAX_ROW", engine.max_row)

    def load(self, bank: int, contents: Bank) -> None:
        """Fill a bank that is not selected, when no row on its way uses it any more."""
        after = self.engine.load(bank, contents)
        if bank == self.engine.bank:
            raise IntsimError(f"bank {bank} is selected and cannot be written; select the other one first")
        self.wait(bank)
        for address, value in bank_writes(self.registers, bank, contents):
            self.bus.write(self.base + address, value)
        self.engine = after

    def select(self, mode: Mode, bank: int) -> None:
        """Mode and bank of the rows that begin from now on."""
        after = self.engine.select(mode, bank)
        self.write("CONTROL", self.registers["CONTROL"].packed(MODE=int(mode), BANK=bank))
        self.engine = after

    def wait(self, bank: int) -> None:
        """Until no row on its way uses a bank."""
        for _ in range(self.patience):
            if not self.read("STATUS") >> bank & 1:
                return
        raise IntsimError(f"bank {bank} stays busy; take the results of the rows that were sent")

    def _expect(self, register: str, name: str, wanted: int) -> None:
        found = self.registers[register].part(self.read(register), name)
        if found != wanted:
            raise IntsimError(f"the hardware has {name} = {found}, the engine {wanted}; give the one it was built of")
