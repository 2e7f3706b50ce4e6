"""Registers around any unit: ports, files delivered, and what is refused."""

import json
import re
import subprocess

import pytest
from flow_units import FromFirst, Mean, Total

import hdl
from hdl import flow
from hdl.flow import tools
from hdl.wrap import SHELLS
from intsim import Int, IntsimError
from intsim.engine import Engine, register_map
from intsim.errors import UnknownName
from intsim.shell import UnitDriver, shell_map

LITE = {"both": True, "lite": True, "stream": False}


@pytest.mark.parametrize("shell", SHELLS)
def test_ports(shell):
    names = [name for name, _, _ in flow.rtl(FromFirst(), shell=shell).ports]
    assert names[:2] == ["clk", "rst"]
    assert ("s_axis_tdata" in names) == (shell != "lite")
    assert ("s_axil_awaddr" in names) == LITE[shell]


@pytest.mark.parametrize("shell", ["both", "lite"])
@pytest.mark.parametrize("unit", [Mean(), FromFirst(), Total()], ids=lambda unit: unit.name)
def test_what_is_delivered(unit, shell, tmp_path):
    """Lint is clean; header, package and map say what the register map says."""
    paths = flow.verilog(unit, tmp_path, shell=shell)
    top = unit.name
    files = [f"{top}.vlt", f"{top}_pkg.sv", f"{top}_registers_pkg.sv", f"{top}.v"]
    assert "%Warning" not in tools.verilator(["--lint-only", "-Wall", *files], tmp_path)
    registers = shell_map(unit, data=shell == "lite")
    found = dict(re.findall(r"localparam int unsigned (\w+) = 32'h([0-9A-F]+);", paths["registers"].read_text()))
    assert {name: int(value, 16) for name, value in found.items()} == dict(registers.constants())
    (tmp_path / "main.c").write_text(f'#include "{top}_registers.h"\nint main(void) {{ return {top.upper()}_STATUS; }}')
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-o", "main", "main.c"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "main"]).returncode == registers.address("STATUS")
    mapped = json.loads(paths["map"].read_text())
    if shell == "lite":
        places = [word["address"] for port in mapped["inputs"].values() for word in port["words"]]
        assert places == [registers.address("INPUT", k) for k in range(registers["INPUT"].count)]
    assert f"{top}_registers_pkg.sv" in paths["core"].read_text()


def test_a_units_own_registers_lie_behind_the_shells():
    engine = Engine.design(max_row=8)
    own, around = register_map(engine), flow.rtl(engine, shell="both").registers
    base = around.address("UNIT_ID")
    assert base == 1 << own.address_bits
    for register in own.registers:
        for bank in range(2 if register.banked else 1):
            last = register.count - 1
            assert around.address(f"UNIT_{register.name}", last, bank) == own.address(register.name, last, bank) + base


@pytest.mark.parametrize("unit", [Mean(), FromFirst(), Engine.design(max_row=8)], ids=lambda unit: unit.name)
def test_registers_do_not_overlap(unit):
    own = register_map(unit) if isinstance(unit, Engine) else None
    registers = shell_map(unit, data=True, own=own)
    places = [
        registers.address(register.name, k, bank)
        for register in registers.registers
        for bank in range(registers.banks if register.banked else 1)
        for k in range(register.count)
    ]
    assert len(set(places)) == len(places)
    assert max(places) < 1 << registers.address_bits <= 2 * max(places)


def test_what_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'lite'"):
        flow.rtl(Mean(), shell="light")
    with pytest.raises(IntsimError, match="one element at a time"):
        flow.rtl(FromFirst(), shell="lite", lanes=2)
    with pytest.raises(IntsimError, match="no streams"):
        flow.model(Mean(), shell="lite")


class Words:
    """A bus that answers as the registers of a unit at rest would."""

    def __init__(self, unit, **changed):
        registers = shell_map(unit, data=True)
        digest = bytes.fromhex(unit.sha256)
        said = {"ID": registers.values["ID_VALUE"], "VERSION": registers.values["VERSION_VALUE"], **changed}
        self.words = {registers.address(name): value for name, value in said.items()}
        self.words |= {registers.address("SHA256", k): int.from_bytes(digest[4 * k : 4 * k + 4]) for k in range(8)}

    def read(self, where):
        return self.words.get(where, 0)

    def write(self, where, value):
        self.words[where] = value


def test_the_driver_knows_another_unit():
    UnitDriver(Words(Mean()), Mean())
    with pytest.raises(IntsimError, match="ID reads"):
        UnitDriver(Words(Mean(), ID=5), Mean())
    with pytest.raises(IntsimError, match="version 9"):
        UnitDriver(Words(Mean(), VERSION=9), Mean())
    with pytest.raises(IntsimError, match="hardware has unit"):
        UnitDriver(Words(Mean()), Mean(Int(5)))
    silent = UnitDriver(Words(Mean()), Mean())
    silent.patience = 5
    with pytest.raises(IntsimError, match="no result after"):
        silent(1, 2)


def test_registers_are_placed_between_registers_too():
    """The harness that times a unit drives every port, AXI4-Lite as well."""
    unit = Mean(Int(3), Int(3, signed=False))
    design = flow.rtl(unit, shell="both")
    placed = flow.place(unit, shell="both", seeds=(1,))
    assert placed["harness_ff"] == sum(width for name, width, _ in design.ports if name != "clk")
    assert placed["utilisation"]["TRELLIS_COMB"] > 50  # the registers are not optimised away
    assert hdl.create(unit).latency == placed["latency"]
