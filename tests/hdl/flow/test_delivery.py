"""The folder an integrator is handed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from flow_units import FromFirst, Mean, Total

from hdl import flow
from hdl.flow import tools
from intsim import load
from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed
from intsim.tables import NLI


@pytest.fixture(scope="module")
def silu():
    return NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), solver="equal")


@pytest.fixture(scope="module")
def units(silu):
    return [(silu, {}), (Mean(), {}), (FromFirst(), {"lanes": 3}), (Total(), {})]


def test_lint_is_clean(units, tmp_path):
    """verilator -Wall says nothing, with the waivers delivered; without them it does (so they are needed)."""
    for number, (unit, options) in enumerate(units):
        folder = tmp_path / str(number)
        flow.verilog(unit, folder, **options)
        top = unit.name
        said = tools.verilator(["--lint-only", "-Wall", f"{top}.vlt", f"{top}_pkg.sv", f"{top}.v"], folder)
        assert "%Warning" not in said
        with pytest.raises(tools.ToolFailed, match=r"%Warning"):
            tools.verilator(["--lint-only", "-Wall", f"{top}.v"], folder)


def test_only_four_rules_are_waived_for_the_verilog(tmp_path):
    paths = flow.verilog(Mean(), tmp_path)
    rules = re.findall(r'-rule (\w+) -file "\*mean\.v"', paths["waivers"].read_text())
    assert sorted(rules) == ["DECLFILENAME", "PROCASSINIT", "UNUSEDSIGNAL", "WIDTHEXPAND"]


def test_the_same_bytes_again(units, tmp_path):
    unit, options = units[2]
    first = flow.verilog(unit, tmp_path / "a", **options)
    flow.verilog(unit, tmp_path / "b", **options)
    assert len(first) == 7
    for path in first.values():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert not re.search(rb"/(work|home|root|usr|tmp)/", path.read_bytes())


def test_tables_as_files(silu, tmp_path):
    """The file holds the table, and both simulators read it to the same answers."""
    paths = flow.verilog(silu, tmp_path, tables="mem")
    (memory,) = paths["memories"]
    words = [int(word, 2) for word in memory.read_text().split()]
    assert words == [word & 0xFFFF for word in silu.table]
    text = paths["verilog"].read_text()
    assert f'$readmemb("{memory.name}"' in text
    x = np.arange(-(2**15), 2**15)
    for simulator in ("cxxrtl", "verilator"):
        assert np.array_equal(flow.model(silu, simulator, rtl=paths["verilog"])(x), silu(x))
    memory.unlink()
    with pytest.raises(IntsimError, match=r"nli_silu_1\.mem"):
        flow.model(silu, rtl=paths["verilog"])


def test_map_finds_fields_and_intermediates(silu, tmp_path):
    found = json.loads(flow.verilog(silu, tmp_path, stages=11)["map"].read_text())
    assert found["inputs"]["x"]["lanes"] == [{"lsb": 0, "msb": 15}]
    assert found["sha256"] == silu.sha256
    assert found["latency"] == 11
    text = (tmp_path / "nli_silu.v").read_text()
    assert set(found["intermediates"]) >= {"index", "dx", "position", "t", "address"}
    for nets in found["intermediates"].values():
        for net in nets:
            assert re.search(rf"(wire|reg) .*\b{net.split('.')[-1]}\b", text)


def test_map_of_lanes_and_several_fields(tmp_path):
    rows = json.loads(flow.verilog(FromFirst(), tmp_path, lanes=3)["map"].read_text())
    assert [lane["lsb"] for lane in rows["outputs"]["y"]["lanes"]] == [0, 16, 32]
    mean = json.loads(flow.verilog(Mean(), tmp_path)["map"].read_text())
    assert mean["inputs"]["b"] == {
        "port": "s_axis_tdata",
        "format": "u5",
        "bits": 5,
        "signed": False,
        "lanes": [{"lsb": 8, "msb": 12}],
    }


def test_package_agrees_with_the_ports(tmp_path):
    """A module that Verilator elaborates asserts that the package's types fit the ports."""
    flow.verilog(FromFirst(), tmp_path, lanes=3)
    (tmp_path / "check.sv").write_text("""
module check import fromfirst_pkg::*; ();
  s_axis_element_t [S_AXIS_LANES-1:0] in;
  m_axis_element_t [M_AXIS_LANES-1:0] out;
  if ($bits(in) != S_AXIS_TDATA_BITS) $error("in");
  if ($bits(out) != M_AXIS_TDATA_BITS) $error("out");
  if ($bits(y_t) != Y_BITS || Y_BITS != 9 || !Y_SIGNED || MAX_ROW != 16 || LATENCY != 1) $error("constants");
  fromfirst dut(.clk(1'b0), .rst(1'b0), .s_axis_tdata(in), .s_axis_tvalid(1'b0), .s_axis_tready(), .s_axis_tlast(1'b0),
    .s_axis_tkeep('0), .m_axis_tdata(out), .m_axis_tvalid(), .m_axis_tready(1'b0), .m_axis_tlast(), .m_axis_tkeep());
endmodule
""")
    lint = [
        "--lint-only",
        "-Wall",
        "-Wno-UNUSEDSIGNAL",
        "-Wno-UNDRIVEN",
        "-Wno-PINCONNECTEMPTY",
        "-Wno-GENUNNAMED",
        "--top-module",
        "check",
    ]
    files = ["fromfirst.vlt", "fromfirst_pkg.sv", "fromfirst.v", "check.sv"]
    assert "%" not in tools.verilator([*lint, *files], tmp_path)


def test_synthesis_script_repeats_the_figures(silu, tmp_path):
    flow.verilog(silu, tmp_path)
    tools.yosys((tmp_path / "nli_silu.ys").read_text(), tmp_path)
    counted = json.loads((tmp_path / "stat.json").read_text())["design"]["num_cells_by_type"]
    assert counted == flow.synth(silu, "ecp5")["cells"]


def test_core_file_names_what_is_there(silu, tmp_path):
    flow.verilog(silu, tmp_path, tables="mem")
    core = (tmp_path / "nli_silu.core").read_text()
    assert core.startswith("CAPI=2:\n")
    named = re.findall(r"- (\S+): \{", core)
    assert sorted(named) == ["nli_silu.v", "nli_silu.vlt", "nli_silu_1.mem", "nli_silu_pkg.sv"]
    assert all((tmp_path / name).is_file() for name in named)


def test_unit_beside_it_is_the_unit(silu, tmp_path):
    assert load(flow.verilog(silu, tmp_path)["unit"]) == silu


def test_folder_that_cannot_be_written(silu, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(IntsimError, match="choose another path"):
        flow.verilog(silu, tmp_path / "file" / "below")
    with pytest.raises(IntsimError, match="cannot"):
        flow.verilog(silu, "/proc/intsim")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_nothing_is_written_if_the_unit_cannot_be_built(tmp_path):
    with pytest.raises(IntsimError):
        flow.verilog(Mean(), tmp_path / "new", depth=3)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UnknownName, match="did you mean 'inline'"):
        flow.verilog(Mean(), tmp_path / "new", tables="in-line")


def test_writing_is_all_or_nothing(silu, tmp_path, monkeypatch):
    """A disk that fills up half-way leaves the old files as they were."""
    flow.verilog(silu, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write, count = Path.write_bytes, iter(range(100))

    def full(self, data):
        if next(count) == 3:
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(IntsimError, match="No space left"):
        flow.verilog(Mean(), tmp_path, top="nli_silu")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
