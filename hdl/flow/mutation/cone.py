"""What a fault can touch: whether it is one of data alone."""

from __future__ import annotations

from collections import defaultdict

from hdl.flow.mutation.faults import Fault
from hdl.flow.mutation.netlist import Bit, Netlist

__all__ = ["Cones"]

_CONTROL_PINS = ("EN", "SRST", "ARST", "CLK", "WR_EN", "WR_CLK", "RD_EN", "RD_CLK")
_DATA_PORT = "m_axis_tdata"


class Cones:
    """Everything that follows from a cell of a netlist, clock after clock.

    Parameters
    ----------
    netlist : without faults
    """

    def __init__(self, netlist: Netlist):
        self._cells = netlist.cells
        self._readers: dict[object, list[tuple[str, str]]] = defaultdict(list)
        for name, cell in netlist.cells.items():
            for port, direction in cell["port_directions"].items():
                if direction == "input":
                    for bit in cell["connections"][port]:
                        self._readers[bit].append((name, port))
        ports = [port for name, port in netlist.ports.items() if port["direction"] == "output" and name != _DATA_PORT]
        self._control = {bit for port in ports for bit in port["bits"]}
        self._spare = self._spare_registers()
        kept = {bit for name in self._spare for bit in netlist.cells[name]["connections"]["Q"]}
        self._choices = {name for bit in kept for name, _ in self._readers[bit]}

    def only_data(self, fault: Fault) -> bool:
        """Whether all that the fault can change is the answer to one transfer, as a function of that transfer alone.

        So it is where nothing that follows from the fault reaches a handshake, an enable, a reset or a written memory,
        nor itself again: in a pipeline whose registers move together, all values of a stage belong to one transfer.
        Then trying every input decides whether the fault changes anything. The spare register at a pipeline's end,
        which keeps what is shown there, repeats it and is no way back; a fault inside it is not one of data alone.
        """
        if not fault.cell or fault.port in _CONTROL_PINS or fault.cell in self._spare | self._choices:
            return False
        follows: dict[str, set[str]] = {}
        waiting = [fault.cell]
        while waiting:
            name = waiting.pop()
            if name in follows:
                continue
            readers = self._following(name)
            if readers is None:
                return False
            follows[name] = readers
            waiting.extend(readers)
        return _is_acyclic(follows)

    def _following(self, name: str) -> set[str] | None:
        """The cells that read what a cell gives; None if any of it controls something."""
        cell = self._cells[name]
        if cell["type"] == "$mem_v2" and int(cell["parameters"]["WR_PORTS"], 2):
            return None
        readers = set()
        for port, direction in cell["port_directions"].items():
            for bit in cell["connections"][port] if direction == "output" else ():
                if bit in self._control:
                    return None
                for reader, pin in self._readers[bit]:
                    # a register cleared by data, only when it is enabled, is a function like any other
                    cleared = pin == "SRST" and self._cells[reader]["type"] == "$sdffce"
                    if (pin in _CONTROL_PINS and not cleared) or (pin == "S" and reader in self._choices):
                        return None
                    if reader not in self._spare:
                        readers.add(reader)
        return readers

    def _spare_registers(self) -> set[str]:
        """Registers that follow what a multiplexer shows, which is either new or what they hold."""
        chosen: set[tuple[Bit, Bit]] = set()  # what a multiplexer shows, and one of the two it is
        for cell in self._cells.values():
            if cell["type"] == "$mux":
                for port in "AB":
                    chosen.update(zip(cell["connections"]["Y"], cell["connections"][port], strict=True))
        return {
            name
            for name, cell in self._cells.items()
            if cell["type"] == "$dff"
            and chosen.issuperset(zip(cell["connections"]["D"], cell["connections"]["Q"], strict=True))
        }


def _is_acyclic(follows: dict[str, set[str]]) -> bool:
    degree = dict.fromkeys(follows, 0)
    for readers in follows.values():
        for reader in readers:
            degree[reader] += 1
    ready = [name for name, count in degree.items() if count == 0]
    for name in ready:
        for reader in follows[name]:
            degree[reader] -= 1
            if degree[reader] == 0:
                ready.append(reader)
    return len(ready) == len(follows)
