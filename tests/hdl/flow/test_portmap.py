"""Faults in a port map are errors with a remedy: never a verdict."""

import re
from pathlib import Path

import pytest
from flow_units import FromFirst, Mean, Total

from hdl import flow
from hdl.flow.portmap import PortMap, Slice
from intsim.errors import IntsimError, UnknownName

FOREIGN = Path(__file__).parent / "foreign"


def refuse(tmp_path, name, old, new, message, unit=None, **options):
    """A port map with one thing changed is refused with `message`, before anything is compared."""
    text = (FOREIGN / f"{name}.toml").read_text()
    assert old in text
    path = tmp_path / "ports.toml"
    path.write_text(text.replace(old, new, 1))
    files = {"mean_fixed": ["mean_fixed.v"], "mean_stream": ["mean_types_pkg.sv", "mean_stream.sv"]}
    sources = [FOREIGN / file for file in files.get(name, [f"{name}.sv"])]
    units = {"rows": FromFirst(), "tota": Total(), "mean": Mean()}
    with pytest.raises(IntsimError, match=message):
        flow.verify(unit or units[name[:4]], rtl=sources, top=name, ports=path, **options)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        # the file itself
        ("mean_comb", "interface =", "interfaces =", "did you mean 'interface'"),
        ("mean_comb", 'interface = "combinational"', 'interface = "combinatorial"', "did you mean 'combinational'"),
        ("mean_comb", 'interface = "combinational"', "", "lacks interface; one of combinational, latency"),
        ("mean_comb", "[inputs]", "[inputs", "not TOML"),
        ("mean_valid", "active =", "activ =", "did you mean 'active'"),
        ("mean_valid", 'active = "low"', 'active = "down"', "'high' or 'low'"),
        ("mean_valid", "asynchronous = true", "asynchronous = 1", "true or false"),
        ("mean_valid", 'port = "rst_ni"', "", r"\[reset\] lacks port"),
        ("mean_valid", "in_valid =", "in_vald =", "did you mean 'in_valid'"),
        ("mean_valid", 'in_valid = "vld_i"', "", "needs in_valid"),
        ("mean_valid", "[handshake]", '[handshake]\nin_ready = "x"', "has no in_ready"),
        ("mean_valid", '[clock]\nport = "clk_i"', "", "needs clock"),
        ("mean_valid", 'interface = "valid"', 'interface = "valid"\nlatency = 2', "has no latency"),
        ("mean_fixed", "latency = 2", "", "needs latency"),
        ("mean_fixed", "latency = 2", "latency = -2", "from 0 to 4096"),
        ("mean_fixed", "signed = true", "sign = true", "did you mean 'signed'"),
        ("mean_comb", 'a = "a_i"', "", "lacks 'a'"),
        ("mean_comb", 'a = "a_i"', 'aa = "a_i"', "did you mean 'a'"),
        ("mean_comb", '"a_i"', "3", "expected a port, a slice or a list"),
        ("mean_fixed", "ops[5:0]", "ops[0:5]", "the first index of a slice is the higher one"),
        ("mean_fixed", "ops[5:0]", "ops(5:0)", "cannot read the port"),
        ("mean_comb", "[inputs]", "[row]\nlength = 4\n[inputs]", "is no row unit"),
        ("rows_counted", "length = 8", "", "needs .row. in_last, or length"),
        ("rows_counted", "length = 8", "length = 17", "exceeds the unit's max_row 16"),
        ("mean_valid", "en_i = 1", "en_i = -1", "at least 0"),
        # against the design
        ("mean_comb", '"a_i"', '"a_in"', "did you mean 'a_i'"),
        ("mean_comb", '"y_o"', '"a_i"', "is an input, an output is expected"),
        ("mean_comb", '"b_i"', '"a_i"', "has 6 bits, the unit's u5 needs 5"),
        ("mean_valid", '"vld_o"', '"y_o"', "has 6 bits, 1 expected"),
        ("mean_valid", "[constants]\nen_i = 1", "", "en_i is an input that the port map leaves open"),
        ("mean_valid", "en_i = 1", "en_i = 2", "does not fit 1 bits"),
        ("mean_valid", "en_i = 1", "en_i = 1\nclk_i = 0", "named twice"),
        ("mean_fixed", "ops[10:6]", "ops[11:7]", "beyond the 11 bits"),
        ("mean_fixed", "ops[10:6]", "ops[9:5]", "driven twice"),
        ("mean_fixed", "signed = false", "signed = true", "ops.10:6. is signed, the unit's u5 is unsigned"),
        ("mean_fixed", "AW = 6", "AX = 6", "did you mean 'AW'"),
        ("mean_fixed", "AW = 6", "AW = 7", r"mean_fixed\.mean has 7 bits, the unit's s6 needs 6"),
        ("rows_lanes", 'in_keep = "in_keep"', 'in_keep = "in_last"', "named twice|has 1 bits, 4 expected"),
        # against its behaviour: what would be right with another map is the map's fault
        ("mean_fixed", "latency = 2", "latency = 3", "with a latency of 2 every answer is right, the port map says 3"),
        ("mean_fixed", "latency = 2", "latency = 0", "with a latency of 2 every answer is right"),
    ],
)
def test_refused(tmp_path, name, old, new, message):
    refuse(tmp_path, name, old, new, message, **({"lanes": 4} if name == "rows_lanes" else {}))


def test_reset_of_the_wrong_polarity_never_answers(tmp_path):
    refuse(tmp_path, "mean_valid", 'active = "low"', 'active = "high"', "no transfer", timeout=1000)


def test_reset_of_the_wrong_polarity_without_a_handshake(tmp_path):
    """It answers, wrongly: another polarity would be right, so that the map is at fault."""
    (tmp_path / "held.sv").write_text("""
module held(input logic clk, input logic rst_n, input logic signed [5:0] a, input logic [4:0] b,
            output logic signed [5:0] y);
  logic signed [6:0] total;
  assign total = a + $signed({2'b00, b});
  always_ff @(posedge clk) y <= rst_n ? 6'(total >>> 1) : '0;
endmodule
""")
    text = """
interface = "latency"
latency = 1
clock.port = "clk"
reset = { port = "rst_n", active = "high" }
inputs = { a = "a", b = "b" }
outputs.y = "y"
"""
    (tmp_path / "ports.toml").write_text(text)
    ask = {"rtl": tmp_path / "held.sv", "top": "held", "ports": tmp_path / "ports.toml"}
    with pytest.raises(IntsimError, match="with the reset active low every answer is right"):
        flow.verify(Mean(), **ask)
    (tmp_path / "ports.toml").write_text(text.replace('"high"', '"low"'))
    assert flow.verify(Mean(), **ask)["mismatches"] == 0


def test_an_asynchronous_reset_is_tried_without_a_clock(tmp_path):
    """A synchronous reset declared asynchronous does not reset: the design starts in the state it powers up in."""
    (tmp_path / "late.sv").write_text(
        """
module late(input logic clk, input logic rst_n, input logic v, input logic signed [5:0] a, input logic [4:0] b,
            output logic vo, output logic signed [5:0] y);
  logic stuck = 1'b1;
  logic signed [6:0] total;
  assign total = a + $signed({2'b00, b});
  always_ff @(posedge clk SENSITIVE) if (!rst_n) begin vo <= 0; stuck <= 0; end else vo <= v && !stuck;
  always_ff @(posedge clk) y <= 6'(total >>> 1);
endmodule
""".replace("SENSITIVE", "or negedge rst_n")
    )
    (tmp_path / "ports.toml").write_text("""
interface = "valid"
clock.port = "clk"
reset = { port = "rst_n", active = "low", asynchronous = true }
inputs = { a = "a", b = "b" }
outputs.y = "y"
handshake = { in_valid = "v", out_valid = "vo" }
""")
    ask = {"rtl": tmp_path / "late.sv", "top": "late", "ports": tmp_path / "ports.toml", "timeout": 1000}
    assert flow.verify(Mean(), **ask)["mismatches"] == 0
    path = tmp_path / "late.sv"
    path.write_text(path.read_text().replace("or negedge rst_n", ""))
    with pytest.raises(IntsimError, match="no transfer"):
        flow.verify(Mean(), **ask)


def test_signedness_declared_in_the_design(tmp_path):
    path = tmp_path / "mean_comb.sv"
    path.write_text((FOREIGN / "mean_comb.sv").read_text().replace("logic        [4:0] b_i", "logic signed [4:0] b_i"))
    with pytest.raises(IntsimError, match=r"mean_comb\.b_i is signed, the unit's u5 is unsigned"):
        flow.verify(Mean(), rtl=path, top="mean_comb", ports=FOREIGN / "mean_comb.toml")


def test_unpacked_and_bidirectional_ports(tmp_path):
    path = tmp_path / "mean_comb.sv"
    text = (FOREIGN / "mean_comb.sv").read_text()
    for change, message in (
        (("input  logic        [4:0] b_i", "input logic b_i [5]"), "neither packed nor plain"),
        (("output logic", "inout wire logic [3:0] pad,\n output logic"), "pad is an inout"),
    ):
        path.write_text(text.replace(*change).replace("b_i)", "5'd0)").replace(", b_i}", ", 5'd0}"))
        with pytest.raises(IntsimError, match=message):
            flow.verify(Mean(), rtl=path, top="mean_comb", ports=FOREIGN / "mean_comb.toml")


def test_missing_files(tmp_path):
    with pytest.raises(IntsimError, match=r"cannot read .*none\.toml"):
        flow.verify(Mean(), rtl=FOREIGN / "mean_comb.sv", top="mean_comb", ports=tmp_path / "none.toml")
    with pytest.raises(IntsimError, match="mean"):
        flow.verify(Mean(), rtl=FOREIGN / "mean_comb.sv", ports=FOREIGN / "mean_comb.toml")
    lonely = [tmp_path / name for name in ("mean_types_pkg.sv", "mean_stream.sv")]
    for path in lonely:
        path.write_text((FOREIGN / path.name).read_text())
    with pytest.raises(IntsimError, match=r"mean_types\.svh.* includes"):
        flow.verify(Mean(), rtl=lonely, top="mean_stream", ports=FOREIGN / "mean_stream.toml")
    with pytest.raises(IntsimError, match="belong to a design in files"):
        flow.verify(Mean(), ports=FOREIGN / "mean_comb.toml")


def test_parameters_of_a_design_with_the_shells_ports(tmp_path):
    """No port map: the parameter goes straight to the top module; an unknown one is named."""
    text = flow.rtl(Mean()).verilog()
    text = re.sub(r"module mean\(", "module mean #(parameter FLIP = 0) (", text)
    text = re.sub(r"assign m_axis_tdata = (.*);", r"assign m_axis_tdata = FLIP ? ~\1 : \1;", text)
    path = tmp_path / "mean.v"
    path.write_text(text)
    assert flow.verify(Mean(), rtl=path)["mismatches"] == 0
    assert flow.verify(Mean(), rtl=path, params={"FLIP": 1})["mismatches"] == 2048
    with pytest.raises(UnknownName, match="did you mean 'FLIP'"):
        flow.verify(Mean(), rtl=path, params={"FLIPP": 1})


def test_slices():
    assert Slice.parse("data[31:16]") == Slice("data", 31, 16)
    assert Slice.parse("data[3]") == Slice("data", 3, 3)
    assert str(Slice.parse(" data ")) == "data"


def test_a_map_as_an_object():
    ports = PortMap.parse((FOREIGN / "mean_comb.toml").read_text(), Mean())
    assert flow.model(Mean(), rtl=FOREIGN / "mean_comb.sv", top="mean_comb", ports=ports)(9, 4) == 6
    assert ports.stallable
