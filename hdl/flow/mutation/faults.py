"""Faults in a netlist: those a designer makes, found by what cells mean, and single bits picked by Yosys.

The kinds:

``bit``
    Yosys's ``mutate``: a bit of a cell's port stuck, inverted, or mixed with its neighbour.
``cut``
    The constant of a comparison off by 1 or by 64 (a breakpoint, a limit).
``constant``
    A factor, an addend, or one of several constants that are chosen from (a scale's mantissa or shift), off by 1 or 64.
``word``
    A word of a stored table off by 1 or by 64.
``strictness``
    ``>`` for ``>=`` and so on.
``sign``
    Operands of an operation taken as unsigned instead of signed, or the other way round.
``sticky``
    An OR over several bits (a sticky bit) that sees none of them, or not the lowest.
``rounding``
    The bit that rounds a sum up (or counts) always zero, which is ``TO_NEG``, or always one.
``enable``
    A register, or a port of a memory, that is always enabled.
``reset``
    A register that reset leaves alone.
``handshake``
    ``valid``, ``ready``, ``last`` or ``keep`` stuck at one level.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.flow.mutation.netlist import SELECT, SELECT_BITS, Bit, Netlist, constant_bits

__all__ = ["KINDS", "Fault", "bit_faults", "watch", "word_faults"]

KINDS = ("bit", "cut", "constant", "word", "strictness", "sign", "sticky", "rounding", "enable", "reset", "handshake")

_COMPARISONS = {"$lt": "$le", "$le": "$lt", "$gt": "$ge", "$ge": "$gt"}
_ARITHMETIC = ("$add", "$sub", "$mul")
_SHIFTS = {"$shr": "$sshr", "$sshr": "$shr"}
_CHOICES = ("$mux", "$pmux")
_ORS = ("$reduce_or", "$reduce_bool", "$logic_not")
_STEPS = (-64, -1, 1, 64)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    kind : one of :data:`KINDS`
    text : where it is and what it does, in nets of the emitted Verilog
    cell, port : the cell, and its port if it is one port's fault; no cell if it is a port of the design
    plant : puts it into a netlist under a number; None if `command` does
    command : of Yosys, without the number
    """

    kind: str
    text: str
    cell: str = ""
    port: str = ""
    plant: Callable[[Netlist, int], None] | None = None
    command: str = ""

    def numbered(self, number: int) -> str:
        """The command of Yosys that plants it under a number."""
        return self.command.replace("mutate ", f"mutate -ctrl {SELECT} {SELECT_BITS} {number} ", 1)


def bit_faults(netlist: Netlist, commands: Sequence[str]) -> list[Fault]:
    """Yosys's list, without faults of the clock, which no stream carries."""
    found = []
    for command in commands:
        given = dict(re.findall(r"-(\S+) (\S+)", command))
        if given["port"] in ("CLK", "RD_CLK", "WR_CLK"):
            continue
        name = given["cell"].removeprefix("\\")
        cell = netlist.cells[name]
        bit = int(given["portbit"])
        here = netlist.called(cell["connections"][given["port"]][bit : bit + 1])
        there = netlist.called(_output(cell))
        place = here if cell["port_directions"][given["port"]] == "output" else f"{here} into {there}"
        how = {"inv": "inverted", "const0": "stuck at 0", "const1": "stuck at 1"}
        mixed = "masked with" if given["mode"] == "cnot0" else "inverted by"
        text = how.get(given["mode"]) or f"{mixed} bit {given.get('ctrlbit')} of the same port"
        text = f"{cell['type']} {given['port']}[{bit}] ({place}) {text}"
        found.append(Fault("bit", text, name, given["port"], command=command))
    return found


def word_faults(netlist: Netlist, most: int, seed: int) -> list[Fault]:
    """The designer's faults: all there are of a kind, or `most` of them, spread by chance over the netlist."""
    rng = np.random.default_rng(seed)
    by_kind: dict[str, list[Fault]] = {kind: [] for kind in KINDS}
    for name in netlist.cells:
        for fault in _of_cell(netlist, name):
            by_kind[fault.kind].append(fault)
    by_kind["handshake"] += _of_ports(netlist)
    found = []
    for faults in by_kind.values():
        picked = sorted(rng.permutation(len(faults))[:most])
        found += [faults[k] for k in picked]
    return found


def _of_cell(netlist: Netlist, name: str) -> Iterator[Fault]:
    cell = netlist.cells[name]
    kind = cell["type"]
    if kind in _COMPARISONS or kind in _ARITHMETIC or kind in ("$eq", "$ne"):
        yield from _operands(netlist, name)
    if kind in _CHOICES:
        yield from _choices(netlist, name)
    if kind in _COMPARISONS:
        text = f"{_symbol(netlist, cell)} as {_COMPARISONS[kind]}"
        yield Fault("strictness", text, name, plant=_swap(name, _COMPARISONS[kind]))
    if (kind in _COMPARISONS or kind in _ARITHMETIC or kind in _SHIFTS) and _sign_matters(netlist, cell):
        text = f"{_symbol(netlist, cell)} with the other signedness"
        yield Fault("sign", text, name, plant=_flip_sign(name))
    if kind in _ORS and len(cell["connections"]["A"]) > 2:
        where = netlist.called(_output(cell))
        for text, change in (("sees no bit", _without_all), ("does not see the lowest bit", _without_lowest)):
            yield Fault("sticky", f"OR for {where} {text}", name, plant=change(name))
    if kind == "$add":
        yield from _carries(netlist, name)
    if "EN" in cell["connections"]:
        text = f"register {netlist.called(_output(cell))} always enabled"
        level = cell["parameters"]["EN_POLARITY"][-1]
        yield Fault("enable", text, name, "EN", _stuck(name, "EN", level))
    if cell["connections"].get("SRST") == netlist.ports["rst"]["bits"]:
        inactive = "0" if cell["parameters"]["SRST_POLARITY"][-1] == "1" else "1"
        text = f"register {netlist.called(_output(cell))} without reset"
        yield Fault("reset", text, name, "SRST", _stuck(name, "SRST", inactive))
    if kind == "$mem_v2":
        yield from _of_memory(netlist, name)


def _operands(netlist: Netlist, name: str) -> Iterator[Fault]:
    """Constant operands, off by some."""
    cell = netlist.cells[name]
    kind = "cut" if cell["type"] in _COMPARISONS else "constant"
    for port in "AB":
        bits = cell["connections"][port]
        for step in _steps(bits):
            where = f"{_symbol(netlist, cell)}, constant {_value(bits)}"
            text = f"{where} off by {step:+d}"
            yield Fault(kind, text, name, port, _replaced(name, port, 0, _off(bits, step)))


def _choices(netlist: Netlist, name: str) -> Iterator[Fault]:
    """Constants that a multiplexer chooses from, off by some."""
    cell = netlist.cells[name]
    width = netlist.number(cell, "WIDTH")
    for port in "AB":
        bits = cell["connections"][port]
        for start in range(0, len(bits), width) if width > 1 else ():
            word = bits[start : start + width]
            for step in _steps(word):
                text = f"choice {_value(word)} for {netlist.called(_output(cell))} off by {step:+d}"
                yield Fault("constant", text, name, port, _replaced(name, port, start, _off(word, step)))


def _carries(netlist: Netlist, name: str) -> Iterator[Fault]:
    """A single bit that is added: alone, or at the low end of an operand against a constant one."""
    connections = netlist.cells[name]["connections"]
    for port, other in ("AB", "BA"):
        bits, against = connections[port], connections[other]
        appended = against[0] == "1" and any(isinstance(bit, int) for bit in against)
        if isinstance(bits[0], int) and (len(bits) == 1 or appended):
            for level, often in (("0", "never"), ("1", "always")):
                where = f"{netlist.called(bits[:1])}, added for {netlist.called(connections['Y'])}"
                yield Fault("rounding", f"{where}, {often} adds one", name, port, _replaced(name, port, 0, [level]))


def _of_memory(netlist: Netlist, name: str) -> Iterator[Fault]:
    """Words of a table, and enables of what is written."""
    cell = netlist.cells[name]
    width, size = netlist.number(cell, "WIDTH"), netlist.number(cell, "SIZE")
    init = cell["parameters"]["INIT"]
    if netlist.number(cell, "WR_PORTS"):
        yield Fault("enable", f"memory {name} written always", name, "WR_EN", _written_always(name))
        return
    for address in range(size):
        word = init[len(init) - (address + 1) * width : len(init) - address * width]
        if "x" in word:
            continue
        for step in _steps(list(word)):
            text = f"word {address} of {name}, {int(word, 2)}, off by {step:+d}"
            yield Fault("word", text, name, "RD_DATA", _other_word(name, address, int(word, 2) + step))


def _of_ports(netlist: Netlist) -> Iterator[Fault]:
    for name, port in netlist.ports.items():
        if not name.endswith(("tvalid", "tready", "tlast", "tkeep")):
            continue
        for level in "01":
            plant = _stuck_input if port["direction"] == "input" else _stuck_output
            yield Fault("handshake", f"{name} stuck at {level}", plant=plant(name, level))
    yield Fault("reset", "rst stuck at 0", plant=_stuck_input("rst", "0"))


# How each is planted ------------------------------------------------------------------------------------------


Plant = Callable[[Netlist, int], None]


def _replaced(name: str, port: str, start: int, changed: Sequence[Bit]) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        bits = netlist.cells[name]["connections"][port]
        part = slice(start, start + len(changed))
        bits[part] = netlist.choose(number, bits[part], changed)

    return plant


def _swap(name: str, kind: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        cell = netlist.cells[name]
        _beside(netlist, number, cell, kind, cell["parameters"])

    return plant


def _flip_sign(name: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        cell = netlist.cells[name]
        kind = _SHIFTS.get(cell["type"], cell["type"])
        signed = 0 if netlist.number(cell, "A_SIGNED") else 1
        flipped = {"A_SIGNED": signed} | ({} if kind in _SHIFTS else {"B_SIGNED": signed})
        _beside(netlist, number, cell, kind, {**cell["parameters"], **flipped})

    return plant


def _beside(netlist: Netlist, number: int, cell: dict[str, Any], kind: str, parameters: dict[str, Any]) -> None:
    """Another operation on the same operands takes the cell's place."""
    operands = cell["connections"]
    out = netlist.fresh(len(operands["Y"]))
    netlist.put(kind, {"A": operands["A"], "B": operands["B"], "Y": out}, parameters)
    netlist.drive(number, operands["Y"], out)


def _without_all(name: str) -> Plant:
    return lambda netlist, number: _other_or(netlist, number, name, lambda bits: constant_bits(0, len(bits)))


def _without_lowest(name: str) -> Plant:
    return lambda netlist, number: _other_or(netlist, number, name, lambda bits: ["0", *bits[1:]])


def _other_or(netlist: Netlist, number: int, name: str, seen: Callable[[list[Bit]], list[Bit]]) -> None:
    connections = netlist.cells[name]["connections"]
    connections["A"] = netlist.choose(number, connections["A"], seen(connections["A"]))


def _stuck(name: str, port: str, level: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        connections = netlist.cells[name]["connections"]
        connections[port] = netlist.choose(number, connections[port], [level])

    return plant


def _written_always(name: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        connections = netlist.cells[name]["connections"]
        enable = connections["WR_EN"]
        connections["WR_EN"] = netlist.choose(number, enable, ["1"] * len(enable))

    return plant


def _other_word(name: str, address: int, value: int) -> Plant:
    """At every read port, where that address is read."""

    def plant(netlist: Netlist, number: int) -> None:
        cell = netlist.cells[name]
        connections = cell["connections"]
        width, lines = netlist.number(cell, "WIDTH"), netlist.number(cell, "ABITS")
        for port in range(netlist.number(cell, "RD_PORTS")):
            data = connections["RD_DATA"][port * width : (port + 1) * width]
            here = netlist.equals(connections["RD_ADDR"][port * lines : (port + 1) * lines], address)
            normal = netlist.override(data)
            wrong = netlist.mux(here, normal, constant_bits(value, width))
            parameters = {"WIDTH": width}
            netlist.put("$mux", {"A": normal, "B": wrong, "S": [netlist.active(number)], "Y": data}, parameters)

    return plant


def _stuck_input(name: str, level: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        bits = netlist.ports[name]["bits"]
        netlist.rewire(bits, lambda: netlist.choose(number, bits, [level] * len(bits)))

    return plant


def _stuck_output(name: str, level: str) -> Plant:
    def plant(netlist: Netlist, number: int) -> None:
        bits = netlist.ports[name]["bits"]
        netlist.connect(name, netlist.choose(number, bits, [level] * len(bits)))

    return plant


def watch(netlist: Netlist, number: int, name: str) -> None:
    """No fault but a question, put like one: the answers are inverted once register `name` was not zero."""
    seen = netlist.fresh(1)
    (following,) = netlist.add("$reduce_or", {"A": [*netlist.cells[name]["connections"]["Q"], *seen]}, 1, A_SIGNED=0)
    clock, reset = (netlist.ports[port]["bits"] for port in ("clk", "rst"))
    parameters: dict[str, int | str] = {"CLK_POLARITY": 1, "SRST_POLARITY": 1, "SRST_VALUE": "0", "WIDTH": 1}
    netlist.put("$sdff", {"CLK": clock, "SRST": reset, "D": [following], "Q": seen}, parameters)
    data = netlist.ports["m_axis_tdata"]["bits"]
    inverted = netlist.add("$not", {"A": data}, len(data), A_SIGNED=0)
    netlist.connect("m_axis_tdata", netlist.choose(number, data, netlist.mux(seen[0], data, inverted)))


# What cells mean ----------------------------------------------------------------------------------------------


def _output(cell: dict[str, Any]) -> list[Bit]:
    for port, direction in cell["port_directions"].items():
        if direction == "output":
            return cell["connections"][port]
    return []


def _symbol(netlist: Netlist, cell: dict[str, Any]) -> str:
    return f"{cell['type']} for {netlist.called(_output(cell))}"


def _steps(bits: Sequence[Bit]) -> list[int]:
    """By how much a constant is moved: what is not constant, or has one bit, not at all."""
    if len(bits) < 2 or any(bit not in ("0", "1") for bit in bits):
        return []
    return [step for step in _STEPS if abs(step) < 1 << (len(bits) - 1)]


def _value(bits: Sequence[Bit]) -> int:
    return sum(int(bit) << k for k, bit in enumerate(bits))


def _off(bits: Sequence[Bit], step: int) -> list[Bit]:
    return constant_bits(_value(bits) + step, len(bits))


def _sign_matters(netlist: Netlist, cell: dict[str, Any]) -> bool:
    """Whether the result may change: sums and products cut to their operands' width do not know signs."""
    if cell["type"] in _SHIFTS:
        return True
    operands = [len(cell["connections"][port]) for port in "AB"]
    return cell["type"] in _COMPARISONS or netlist.number(cell, "Y_WIDTH") > min(operands)
