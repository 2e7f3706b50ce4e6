"""Cells by type, kind and area."""

import importlib.resources
import re

import pytest
from flow_units import Mean

from hdl import flow
from hdl.flow.synthesis import TARGETS, summary
from intsim.errors import UnknownName
from intsim.formats import Fixed
from intsim.tables import NLI

REGISTERS = 1 + 6  # valid and the payload of Mean


@pytest.mark.parametrize("target", TARGETS)
def test_flip_flops_are_those_of_the_source(target):
    result = flow.synth(Mean(), target)
    assert result["summary"]["ff"] == REGISTERS
    assert result["summary"].get("dsp", 0) == result["summary"].get("bram", 0) == 0
    assert sum(result["cells"].values()) == sum(result["summary"].values())
    assert all(count > 0 for count in result["cells"].values())
    assert result["sha256"] == Mean().sha256
    assert list(result["tools"]) == ["yosys"]


def test_area_is_the_sum_of_its_cells():
    text = importlib.resources.files("hdl.parts").joinpath("ge.lib").read_text()
    areas = {name: float(area) for name, area in re.findall(r"cell \((\w+)\)\s*\{ area : ([\d.]+)", text)}
    assert areas["NAND2"] == 1
    result = flow.synth(Mean(), "nand2")
    assert result["area"] == pytest.approx(sum(areas[name] * count for name, count in result["cells"].items()))
    assert result["area_ff"] == REGISTERS * areas["DFF"]


def test_liberty_areas_are_transistor_counts():
    """Area = transistors / 4 of the static CMOS gate: two per input of an inverting gate, plus an inverter."""
    text = importlib.resources.files("hdl.parts").joinpath("ge.lib").read_text()
    areas = {name: float(area) for name, area in re.findall(r"cell \((\w+)\)\s*\{ area : ([\d.]+)", text)}
    inputs = {"INV": 1, "NAND2": 2, "NOR2": 2, "NAND3": 3, "NOR3": 3, "AOI21": 3, "OAI21": 3, "AOI22": 4, "OAI22": 4}
    for name, count in inputs.items():
        assert areas[name] == 2 * count / 4
    for name in ("AND2", "OR2"):
        assert areas[name] == areas["NAND2"] + areas["INV"]


def test_a_table_unit_uses_multipliers_and_a_block_ram():
    unit = NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), solver="equal")
    counted = flow.synth(unit, "ecp5")["summary"]
    assert counted["dsp"] == 2
    assert counted["bram"] == 1
    in_logic = flow.synth(unit, "ecp5", memory="logic")["summary"]
    assert in_logic["bram"] == 0
    assert in_logic["lut"] > counted["lut"]


def test_cells_of_no_kind_are_counted_too():
    assert summary({"LUT4": 2, "MYSTERY": 3}, "ecp5")["other"] == 3


def test_unknown_target():
    with pytest.raises(UnknownName, match="did you mean 'ecp5'"):
        flow.synth(Mean(), "ecp")
