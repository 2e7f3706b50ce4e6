"""Modules written by hand, each with another interface: right ones are right, faulty ones are found."""

from pathlib import Path

import pytest
from flow_units import FromFirst, Mean, Total

from hdl import flow
from hdl.flow.simulation import NoAnswer

FOREIGN = Path(__file__).parent / "foreign"

MODULES = {
    # name: unit, files, further options
    "mean_comb": (Mean(), ["mean_comb.sv"], {}),
    "mean_fixed": (Mean(), ["mean_fixed.v"], {}),
    "mean_valid": (Mean(), ["mean_valid.sv"], {}),
    "mean_stream": (Mean(), ["mean_types_pkg.sv", "mean_stream.sv"], {}),
    "rows_last": (FromFirst(), ["rows_last.sv"], {"vectors": 1 << 16}),
    "rows_counted": (FromFirst(), ["rows_counted.sv"], {"vectors": 1 << 16}),
    "rows_lanes": (FromFirst(), ["rows_lanes.sv"], {"vectors": 1 << 16, "lanes": 4}),
    "total_rows": (Total(), ["total_rows.sv"], {"vectors": 1 << 16}),
}


def check(name, fault=0, **more):
    unit, files, options = MODULES[name]
    return flow.verify(
        unit,
        rtl=[FOREIGN / file for file in files],
        top=name,
        ports=FOREIGN / f"{name}.toml",
        params={"FAULT": fault} if fault else None,
        **options,
        **more,
    )


@pytest.mark.parametrize("name", MODULES)
def test_right_modules_are_right(name):
    result = check(name)
    assert result["mismatches"] == 0
    assert result["inputs"] == 2048 if name.startswith("mean") else result["inputs"] > 1000
    assert result["exhaustive"] == name.startswith("mean")
    assert result["smallest"] is None
    assert result["simulator"] == "verilator"


def test_a_sign_extended_operand():
    result = check("mean_comb", 1)
    assert result["mismatches"] == 64 * 16  # whenever the top bit of b is set
    smallest = result["smallest"]
    assert smallest["inputs"] == {"a": 0, "b": 16}
    assert smallest["expected"] == {"y": 8}
    assert smallest["got"] == {"y": -8}
    assert smallest["trace"]["sum"] == 16
    assert smallest["after"] == []


def test_operands_halved_too_early():
    result = check("mean_fixed", 1)
    assert result["mismatches"] == 32 * 16  # both odd
    assert sorted(map(abs, result["smallest"]["inputs"].values())) == [1, 1]


def test_data_and_valid_out_of_step():
    result = check("mean_valid", 1)
    assert result["mismatches"] > 1000
    assert result["smallest"]["after"] == []  # what lay on the bus before the input is enough


def test_a_lost_answer():
    """The design does answer, only not always: a verdict, not an error; shrunk to what it loses."""
    result = check("mean_valid", 2)
    assert result["mismatches"] > 0
    assert "giving 2047 of 2048 answers" in result["first"][0]["got"]
    sequence = [*result["smallest"]["after"], result["smallest"]["inputs"]]
    assert {"a": 7, "b": 7} in sequence
    assert len(sequence) <= 2


def test_an_answer_not_held():
    result = check("mean_stream", 1)
    assert result["mismatches"] > 0
    assert result["smallest"]["stalls"] == [0.3, 0.3]


def test_a_design_that_stops():
    result = check("mean_stream", 2, timeout=2000)
    assert result["mismatches"] > 0
    first = [*result["smallest"]["after"], result["smallest"]["inputs"]][0]
    assert first["a"] == -32


def test_a_design_that_never_answers():
    with pytest.raises(NoAnswer, match="no transfer for 2000 cycles"):
        check("mean_stream", 3, timeout=2000)


def test_answers_given_twice():
    result = check("mean_stream", 4)
    assert result["mismatches"] > 0


def test_a_fault_that_needs_the_row_before():
    result = check("rows_last", 1)
    smallest = result["smallest"]
    assert [len(row["x"]) for row in smallest["after"]] == [1]
    assert len(smallest["inputs"]["x"]) == 1
    assert smallest["expected"] != smallest["got"]


def test_a_lost_end_of_row():
    result = check("rows_last", 2)
    assert result["mismatches"] > 0
    assert any(len(row["x"]) == 3 for row in [*result["smallest"]["after"], result["smallest"]["inputs"]])


def test_a_row_counter_off_by_one():
    result = check("rows_counted", 1)
    smallest = result["smallest"]
    assert result["mismatches"] > 100
    assert len(smallest["inputs"]["x"]) == 8  # the only length the design takes
    assert sum(map(abs, smallest["inputs"]["x"])) <= 2


def test_a_lane_taken_from_another():
    result = check("rows_lanes", 1)
    assert len(result["smallest"]["inputs"]["x"]) == 4
    assert sorted(map(abs, result["smallest"]["inputs"]["x"])) in ([0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1])


def test_an_accumulator_too_narrow():
    result = check("total_rows", 1)
    smallest = result["smallest"]
    total = sum(smallest["inputs"]["x"])
    assert total in (2**16, -(2**16) - 1)  # just beyond 17 bits
    assert smallest["expected"] == {"y": total}


def test_an_accumulator_not_cleared():
    smallest = check("total_rows", 2)["smallest"]
    assert [len(row["x"]) for row in smallest["after"]] == [1]
    assert len(smallest["inputs"]["x"]) == 1


def test_waveforms_show_the_fault(tmp_path):
    result = check("mean_valid", 1, output=tmp_path / "waves")
    vcd = Path(result["waveforms"]["vcd"]).read_text()
    svg = Path(result["waveforms"]["svg"]).read_text()
    assert "$var" in vcd
    assert " total " in vcd
    assert svg.startswith("<svg")
    assert svg.count(">cycles ") == 1  # a window, with the wrong answer in it
    assert f">{result['smallest']['got']['y']}<" in svg
    for text in ("total", "vld_o", f"got y={result['smallest']['got']['y']}"):
        assert text in svg


def test_no_waveforms_without_a_fault(tmp_path):
    check("mean_valid", output=tmp_path / "waves")
    assert not (tmp_path / "waves").exists()
