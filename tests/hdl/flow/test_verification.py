"""The verdict: right for right designs, and wrong for every planted fault."""

import dataclasses
import re

import numpy as np
import pytest
from flow_units import S16, FromFirst, Mean, Total

from hdl import flow
from hdl.flow.simulation import NoAnswer
from hdl.flow.stimulus import Stimulus
from intsim.errors import IntsimError
from intsim.formats import Fixed, Int
from intsim.tables import NLI


@pytest.fixture(scope="module")
def silu():
    return NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), solver="equal")


def write(tmp_path, unit, edit):
    text = flow.rtl(unit).verilog()
    changed = edit(text)
    assert changed != text
    path = tmp_path / f"{unit.name}.v"
    path.write_text(changed)
    return path


@pytest.mark.parametrize("simulator", ["cxxrtl", "verilator"])
def test_every_input_of_a_table_unit(silu, simulator):
    result = flow.verify(silu, simulator)
    assert (result["inputs"], result["equal"], result["mismatches"]) == (65536, 65536, 0)
    assert result["exhaustive"]
    assert result["first"] == []
    assert result["sha256"] == silu.sha256
    assert set(result["tools"]) == {"yosys" if simulator == "cxxrtl" else "verilator", "g++"}


def test_a_changed_table_word(silu, tmp_path):
    """Every input whose interpolation reads the word, and no other, may differ."""
    word = silu.table[100] & 0xFFFF
    path = write(
        tmp_path, silu, lambda t: t.replace(f"memory[100] = 16'h{word:04x}", f"memory[100] = 16'h{word ^ 8:04x}")
    )
    result = flow.verify(silu, rtl=path)
    assert result["inputs"] == 65536
    assert 0 < result["mismatches"] < 2000
    assert result["equal"] == 65536 - result["mismatches"]
    for wrong in result["first"]:
        assert wrong["trace"]["address"] in (99, 100)
        assert wrong["expected"] == {"y": int(silu(wrong["inputs"]["x"]))}
        assert wrong["got"] != wrong["expected"]
    assert flow.verify(silu, rtl=path, simulator="verilator")["mismatches"] == result["mismatches"]


def test_a_changed_adder(silu, tmp_path):
    path = write(tmp_path, silu, lambda t: re.sub(r"(assign s\d+_offset = .*) - ", r"\1 + ", t, count=1))
    assert flow.verify(silu, rtl=path)["mismatches"] > 30000


def test_a_changed_scale(silu, tmp_path):
    """The Verilog of a table whose fourth interval has another scale, against the one it should be."""
    mantissas = tuple(m - m // 64 if i == 3 else m for i, m in enumerate(silu.mantissas))
    text = flow.rtl(dataclasses.replace(silu, mantissas=mantissas)).verilog()
    path = write(tmp_path, silu, lambda _: text)
    result = flow.verify(silu, rtl=path)
    assert 100 < result["mismatches"] <= silu.cuts[4] - silu.cuts[3]
    assert all(wrong["trace"]["index"] == 3 for wrong in result["first"])


def test_the_unchanged_file_is_right(silu, tmp_path):
    path = tmp_path / "nli_silu.v"
    path.write_text(flow.rtl(silu).verilog())
    assert flow.verify(silu, rtl=path)["equal"] == 65536


def test_a_stuck_output(silu, tmp_path):
    """Stuck at zero data differs nearly everywhere; stuck valid is an error, never a verdict."""
    path = write(tmp_path, silu, lambda t: t.replace(".o__payload(m_axis_tdata)", ".o__payload()", 1))
    result = flow.verify(silu, rtl=path)
    assert result["mismatches"] == 65536 - np.count_nonzero(silu(np.arange(-32768, 32768)) == 0)
    path = write(tmp_path, silu, lambda t: t.replace(".o__valid(m_axis_tvalid)", ".o__valid()", 1))
    with pytest.raises(NoAnswer, match="no transfer for 1000 cycles"):
        flow.verify(silu, rtl=path, timeout=1000)


def test_a_file_that_cannot_be_built(silu, tmp_path):
    path = write(tmp_path, silu, lambda t: t.replace("endmodule", "", 1))
    with pytest.raises(IntsimError):
        flow.verify(silu, rtl=path)


def test_a_fault_that_only_stalls_show(tmp_path):
    """Holds nothing while the receiver is busy: right at full speed."""
    path = write(tmp_path, Mean(), lambda t: t.replace("_0_ | o__ready", "1'h1"))
    result = flow.verify(Mean(), rtl=path)
    assert result["mismatches"] == 2048
    assert "before it is taken" in result["first"][0]["got"]


def test_a_row_unit(tmp_path):
    result = flow.verify(FromFirst(), lanes=3, vectors=1 << 18)
    assert result["mismatches"] == 0
    assert result["inputs"] > 1000
    assert not result["exhaustive"]
    path = write(tmp_path, FromFirst(), lambda t: re.sub(r"- \$signed\(base\)", "+ $signed(base)", t, count=1))
    result = flow.verify(FromFirst(), rtl=path, vectors=1 << 18)
    assert result["mismatches"] > 1000
    row = result["first"][0]
    assert row["expected"]["y"] == FromFirst()(np.array(row["inputs"]["x"])).tolist()


def test_rows_are_exhaustive_where_few():
    unit = Total(x=Int(4), max_row=3)
    result = flow.verify(unit)
    assert result["exhaustive"]
    assert result["inputs"] == result["equal"] == 16 + 16**2 + 16**3


def test_two_inputs_beyond_the_limit():
    """Two ports of 16 bits: corners and random ones; the seed makes them repeat."""
    unit = Mean(S16, Int(15, signed=False))
    result = flow.verify(unit, vectors=1 << 18, seed=3)
    assert not result["exhaustive"]
    assert result["inputs"] >= 1 << 18
    assert result["mismatches"] == 0
    assert result["seed"] == 3


def test_default_is_at_least_2_to_the_24_vectors():
    stimulus = Stimulus(Mean(S16, S16))
    assert not stimulus.exhaustive
    assert stimulus.vectors == 1 << 24


@pytest.mark.full
def test_2_to_the_24_vectors():
    assert flow.verify(Mean(S16, S16))["inputs"] >= 1 << 24


@pytest.mark.full
def test_2_to_the_24_combinations():
    result = flow.verify(Mean(Int(12), Int(12, signed=False)))
    assert result["exhaustive"]
    assert result["inputs"] == result["equal"] == 1 << 24


def test_progress_reaches_the_total():
    seen = []
    flow.verify(Mean(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2048, 2048)
