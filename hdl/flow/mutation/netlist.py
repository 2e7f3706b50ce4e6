"""A design as cells and bits, into which faults are planted side by side.

All faults of a campaign live in one netlist: an added input, ``mutant``, says which of them is active, and zero means
none. So a design is compiled once, however many faults are tried.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hdl.flow import tools
from hdl.flow.emission import Rtl

__all__ = ["SELECT", "SELECT_BITS", "Bit", "Netlist", "constant_bits", "prepare", "to_verilog"]

SELECT = "mutant"
SELECT_BITS = 16

# Registers of memory ports become registers of their own: what a word of a table is then is known in the same cycle.
_PREPARE = """\
read_rtlil design.il
hierarchy -check -top {top}
proc
flatten -separator _
opt -full
memory_collect
memory_nordff
opt_clean -purge
setattr -mod -unset src -unset generator -unset hdlname -unset keep_hierarchy
setattr -unset src -unset hdlname -unset unused_bits
write_json design.json
mutate -list {count} -seed {seed} -o bits.ys
"""

_TO_VERILOG = """\
read_json planted.json
{commands}
opt_clean
write_verilog -noattr -noparallelcase design.v
"""

Bit = int | str
"""A net's number, or a constant: ``"0"``, ``"1"``, ``"x"``."""


class Netlist:
    """One flat module of Yosys's word-level cells, changed in place.

    Parameters
    ----------
    text : what ``write_json`` wrote
    top : name of the module

    Attributes
    ----------
    cells : name -> ``type``, ``parameters``, ``connections`` as Yosys has them
    ports : name -> ``direction`` and ``bits``
    """

    def __init__(self, text: str, top: str):
        self._body = json.loads(text)
        self.top = top
        module = self._body["modules"][top]
        self.cells: dict[str, dict[str, Any]] = module["cells"]
        self.ports: dict[str, dict[str, Any]] = module["ports"]
        self._module = module
        nets = [net["bits"] for net in module["netnames"].values()]
        nets += [bits for cell in self.cells.values() for bits in cell["connections"].values()]
        used = [bit for bits in nets for bit in bits if isinstance(bit, int)]
        self._next = max(used) + 1
        self._names = _names(module["netnames"])
        self._active: dict[int, Bit] = {}
        self._select: list[Bit] = []

    def text(self) -> str:
        """The module as it is now, for ``read_json``."""
        return json.dumps(self._body)

    def called(self, bits: Sequence[Bit]) -> str:
        """The name of these bits in the emitted Verilog, as far as they have one."""
        for bit in bits:
            if isinstance(bit, int) and bit in self._names:
                return self._names[bit]
        return "an unnamed net"

    def number(self, cell: Mapping[str, Any], parameter: str) -> int:
        """A numeric parameter of a cell."""
        return int(cell["parameters"][parameter], 2)

    def fresh(self, width: int) -> list[Bit]:
        """New nets."""
        self._next += width
        return list(range(self._next - width, self._next))

    def add(self, kind: str, inputs: Mapping[str, Sequence[Bit]], width: int, **parameters: int) -> list[Bit]:
        """A new cell with output ``Y``; its width parameters are filled in."""
        given = {f"{port}_WIDTH": len(bits) for port, bits in inputs.items() if port != "S"} | {"Y_WIDTH": width}
        if kind == "$mux":
            given = {"WIDTH": width}
        out = self.fresh(width)
        self.put(kind, {**inputs, "Y": out}, {**given, **parameters})
        return out

    def put(self, kind: str, connections: Mapping[str, Sequence[Bit]], parameters: Mapping[str, int | str]) -> None:
        """A new cell whose outputs are connected already."""
        outputs = {"Y", "Q", "RD_DATA"}
        self.cells[f"planted_{len(self.cells)}"] = {
            "hide_name": 0,
            "type": kind,
            "parameters": {
                name: value if isinstance(value, str) else f"{value:032b}" for name, value in parameters.items()
            },
            "attributes": {},
            "port_directions": {port: "output" if port in outputs else "input" for port in connections},
            "connections": {port: list(bits) for port, bits in connections.items()},
        }

    def active(self, number: int) -> Bit:
        """Whether fault `number` is selected."""
        if number not in self._active:
            self._active[number] = self.equals(self._selected(), number)
        return self._active[number]

    def equals(self, bits: Sequence[Bit], value: int) -> Bit:
        """Whether `bits` are `value`."""
        constant = constant_bits(value, len(bits))
        return self.add("$eq", {"A": bits, "B": constant}, 1, A_SIGNED=0, B_SIGNED=0)[0]

    def choose(self, number: int, normal: Sequence[Bit], changed: Sequence[Bit]) -> list[Bit]:
        """`changed` if fault `number` is selected, else `normal`."""
        return self.mux(self.active(number), normal, changed)

    def mux(self, condition: Bit, no: Sequence[Bit], yes: Sequence[Bit]) -> list[Bit]:
        """One of two words."""
        return self.add("$mux", {"A": no, "B": yes, "S": [condition]}, len(no))

    def override(self, bits: Sequence[Bit]) -> list[Bit]:
        """Take the drivers of `bits` away: they drive the new nets returned, and `bits` are free to be driven anew."""
        aside = dict(zip(bits, self.fresh(len(bits)), strict=True))
        for cell in self.cells.values():
            for port, direction in cell["port_directions"].items():
                if direction == "output":
                    cell["connections"][port] = [aside.get(bit, bit) for bit in cell["connections"][port]]
        return list(aside.values())

    def drive(self, number: int, bits: Sequence[Bit], changed: Sequence[Bit]) -> None:
        """Nets `bits` carry `changed` while fault `number` is selected."""
        normal = self.override(bits)
        parameters = {"WIDTH": len(bits)}
        self.put("$mux", {"A": normal, "B": changed, "S": [self.active(number)], "Y": bits}, parameters)

    def rewire(self, old: Sequence[Bit], make: Callable[[], Sequence[Bit]]) -> None:
        """Whoever reads `old` by now reads what `make` returns, which may read `old` itself."""
        readers = list(self.cells.values())
        instead = dict(zip(old, make(), strict=True))
        for cell in readers:
            for port, direction in cell["port_directions"].items():
                if direction == "input":
                    cell["connections"][port] = [instead.get(bit, bit) for bit in cell["connections"][port]]
        for name, port in self.ports.items():
            if port["direction"] == "output":
                self.connect(name, [instead.get(bit, bit) for bit in port["bits"]])

    def connect(self, port: str, bits: Sequence[Bit]) -> None:
        """What an output port shows."""
        self.ports[port]["bits"] = list(bits)
        self._module["netnames"][port]["bits"] = list(bits)

    def _selected(self) -> list[Bit]:
        if not self._select:
            self._select = self.fresh(SELECT_BITS)
            self.ports[SELECT] = {"direction": "input", "bits": self._select}
            self._module["netnames"][SELECT] = {"hide_name": 0, "bits": self._select, "attributes": {}}
        return self._select


def constant_bits(value: int, width: int) -> list[Bit]:
    """`value` modulo ``2**width``, lowest bit first."""
    return [str(value >> k & 1) for k in range(width)]


def prepare(design: Rtl, count: int, seed: int) -> tuple[Netlist, list[str]]:
    """The netlist of a design, and Yosys's commands for `count` single-bit faults spread evenly over it."""
    with tools.work_folder("mutants") as folder:
        (folder / "design.il").write_text(design.rtlil)
        tools.yosys(_PREPARE.format(top=design.top, count=count, seed=seed), folder)
        commands = (folder / "bits.ys").read_text().splitlines()
        return Netlist((folder / "design.json").read_text(), design.top), commands


def to_verilog(netlist: Netlist, commands: Sequence[str]) -> str:
    """Verilog of a netlist after further commands of Yosys."""
    with tools.work_folder("mutants") as folder:
        (folder / "planted.json").write_text(netlist.text())
        tools.yosys(_TO_VERILOG.format(commands="\n".join(commands)), folder)
        return (folder / "design.v").read_text()


def _names(nets: Mapping[str, Any]) -> dict[int, str]:
    """Every bit's name: of the first net in the source that holds it."""
    found: dict[int, str] = {}
    for name, net in nets.items():
        if net.get("hide_name") or "$" in name:
            continue
        for index, bit in enumerate(net["bits"]):
            if isinstance(bit, int):
                found.setdefault(bit, name if len(net["bits"]) == 1 else f"{name}[{index}]")
    return found
