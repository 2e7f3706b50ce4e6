"""The bench finds what it must find, and its runner believes nothing but results."""

import subprocess
import sys
from pathlib import Path

import flow_units
import numpy as np
import pytest

import hdl.bench
from hdl.bench.pauses import gaps, never, stalls
from hdl.bench.scoreboard import Scoreboard, beats, records
from hdl.wrap.packing import Packing
from intsim import Int, IntsimError, save
from intsim.tables import Uniform

FAULTS = Path(__file__).with_name("faults")


# ``y = x`` on 8 bits, which faults.v computes too.
IDENTITY = Uniform(x=Int(8), y=Int(8), first=-128, step_bits=0, table=tuple(range(-128, 128)))


ON_FAULTS = {"rtl": FAULTS / "faults.v", "top": "faults", "stages": 2, "memory": "logic"}


@pytest.fixture(scope="module")
def with_faults():
    """The protocol tests on a design with faults that a test can switch on: all of them in one run."""
    return hdl.bench.run(IDENTITY, FAULTS / "tb_faults.py", check=False, **ON_FAULTS)


def test_without_a_fault_all_is_green(with_faults):
    assert set(with_faults.passed) == {"under_stalls/fault=NONE", "resets/fault=NONE"}
    assert len(with_faults.failed) == 10
    assert with_faults.compared >= 1_780


@pytest.mark.parametrize(
    ("test", "fault", "why"),
    [
        ("under_stalls", "WRONG", "outputs are wrong, the first:\n  x=-127: expected y=-127, got y=-126"),
        ("under_stalls", "STUCK_DATA", "of 1000 outputs are wrong"),
        ("under_stalls", "STUCK_IDLE", "stuck after 0 of 1000 answers"),
        ("under_stalls", "RETRACTS", "m_axis: tvalid fell before"),
        ("under_stalls", "CHANGES", "before it was taken"),
        ("under_stalls", "LOSES", "stuck after 999 of 1000 answers"),
        ("under_stalls", "REPEATS", "outputs came out, the inputs make 1000"),
        ("under_stalls", "DEAF", "Timeout"),
        ("resets", "WRONG", "outputs are wrong"),
        ("resets", "LEFTOVER", "outputs"),
    ],
)
def test_every_fault_turns_its_test_red(test, fault, why, with_faults):
    assert not with_faults.ok
    assert why in dict(with_faults.failed)[f"{test}/fault={fault}"]


def test_a_red_run_raises(with_faults):
    with pytest.raises(hdl.bench.BenchFailed, match="expected y=-127, got y=-126") as caught:
        hdl.bench.run(IDENTITY, FAULTS / "tb_faults.py", testcase="under_stalls/fault=WRONG", **ON_FAULTS)
    assert caught.value.results.passed == ()


@pytest.mark.parametrize(("fault", "code"), [("NONE", 0), ("WRONG", 1), ("STUCK_DATA", 1)])
def test_the_command_line_says_so_too(fault, code, tmp_path):
    save(IDENTITY, tmp_path / "identity.json")
    command = [sys.executable, "-m", "hdl.bench", tmp_path / "identity.json", FAULTS / "tb_faults.py"]
    command += ["stages=2", "memory=logic", "--rtl", FAULTS / "faults.v", "--top", "faults"]
    command += ["--test", f"under_stalls/fault={fault}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("FAIL" in done.stdout) == (code == 1)
    assert "outputs compared" in done.stdout


def test_what_cannot_run_ends_with_code_2(tmp_path, capsys):
    from hdl.bench.__main__ import main

    save(IDENTITY, tmp_path / "identity.json")
    unit, tests = str(tmp_path / "identity.json"), str(FAULTS / "tb_faults.py")
    assert main([str(tmp_path / "none.json"), tests]) == 2
    assert main([unit, str(tmp_path / "tb_none.py")]) == 2
    assert main([unit, tests, "stages"]) == 2
    assert main([unit, tests, "stages=99"]) == 2
    assert main([unit, tests, "--rtl", str(tmp_path / "none.v")]) == 2
    (tmp_path / "damaged.v").write_text("module uniform(input clk;")
    assert main([unit, tests, "--rtl", str(tmp_path / "damaged.v")]) == 2
    said = capsys.readouterr().err
    assert "there is no file" in said
    assert "does not build" in said


NOTHING_COMPARED = """
import cocotb
@cocotb.test()
async def idle(dut):
    pass
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (NOTHING_COMPARED, "1 tests passed, 0 failed, 0 outputs compared"),
        ("import cocotb\n", "0 tests passed"),
        ("this is no Python\n", "ended without a results file"),
        ("import os\nos._exit(0)\n", "ended without a results file"),
    ],
)
def test_a_run_that_compares_nothing_is_red(text, why, tmp_path):
    tests = tmp_path / "tb_nothing.py"
    tests.write_text(text)
    with pytest.raises(hdl.bench.BenchFailed, match=why):
        hdl.bench.run(IDENTITY, tests, **ON_FAULTS)


ROWS = """
import cocotb, flow_units, numpy as np
from hdl.bench import Testbench, stalls

@cocotb.test()
async def rows(dut):
    tb = Testbench(dut)
    await tb.start(stalls(0.3, seed=1))
    rng = np.random.default_rng(2)
    sent = 0
    for n in (1, 2, 3, 8, 5, 7, 1):
        codes = rng.integers(-128, 128, size=(9, n), dtype=np.int8)
        sent += codes.size
        await tb.send([codes], stalls(0.3, seed=n))
    assert tb.inputs.lanes == 4
    assert await tb.finish() == sent == 9 * 27
"""


def test_rows_of_every_length_in_lanes(tmp_path):
    tests = tmp_path / "tb_rows_here.py"
    tests.write_text(ROWS)
    results = hdl.bench.run(flow_units.FromFirst(), tests, lanes=4)
    assert results.compared == 9 * 27


FOREIGN = Path(__file__).parents[1] / "flow" / "foreign"
SOMEBODY_ELSES = """
import cocotb, flow_units, numpy as np
from hdl.bench import Testbench, given, stalls, stimulus

@cocotb.test()
async def answers(dut):
    tb = Testbench(dut)
    await tb.start(stalls(0.3, seed=1) if given().stallable else None)
    if tb.unit.is_row:
        rows = [np.arange(8 * n, dtype=np.int16).reshape(8, n) * 4001 for n in (1, 8, 3)]
    else:
        rows = [stimulus(tb.unit, 500, seed=2)]
    for columns in rows:
        await tb.send(columns if isinstance(columns, tuple) else [columns], stalls(0.3, seed=3))
    assert await tb.finish() == (24 if tb.unit.is_row else 500)

@cocotb.test()
async def cannot_wait(dut):
    await Testbench(dut).start(stalls(0.3, seed=1))
"""


@pytest.mark.parametrize(
    ("unit", "name", "files", "waits", "why"),
    [
        (flow_units.Mean(), "mean_valid", ["mean_valid.sv"], False, "golden model: a="),
        (flow_units.Mean(), "mean_stream", ["mean_types_pkg.sv", "mean_stream.sv"], True, "before it was taken"),
        (flow_units.Total(), "total_rows", ["total_rows.sv"], True, "row 8: x=[0, 4001, "),
    ],
)
def test_somebody_elses_design_behind_a_port_map(unit, name, files, waits, why, tmp_path):
    tests = tmp_path / "tb_somebody_elses.py"
    tests.write_text(SOMEBODY_ELSES)
    design = {"rtl": [FOREIGN / file for file in files], "top": name, "ports": FOREIGN / f"{name}.toml"}
    assert hdl.bench.run(unit, tests, testcase="answers", **design).compared == (24 if unit.is_row else 500)
    waiting = hdl.bench.run(unit, tests, testcase="cannot_wait", check=False, **design)
    assert (waiting.failed == ()) == waits
    if not waits:
        assert "cannot wait" in waiting.failed[0][1]
    faulty = hdl.bench.run(unit, tests, testcase="answers", check=False, params={"FAULT": 1}, **design)
    assert why in faulty.failed[0][1]


def test_pauses_are_repeatable_and_as_likely_as_asked():
    def first(pauses, count=20_000):
        return [next(pauses) for _ in range(count)]

    assert first(never(), 5) == [0] * 5
    assert first(stalls(0.0, seed=1), 5) == [0] * 5
    for probability in (0.1, 0.5, 0.9):
        lengths = np.array(first(stalls(probability, seed=1)))
        assert lengths.tolist() == first(stalls(probability, seed=1))
        assert abs(lengths.sum() / (lengths.sum() + lengths.size) - probability) < 0.01
        assert abs((lengths == 0).mean() - (1 - probability)) < 0.02
    for impossible in (-0.1, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            stalls(impossible, seed=0)
    bursts = np.array(first(gaps(4, 7, seed=3)))
    assert bursts.max() == 7
    assert 0.3 < (bursts > 0).mean() < 0.5  # a gap before every burst of 1 to 4


def test_beats_are_the_packed_bytes():
    packing = Packing.of({"a": Int(12), "b": Int(8, signed=False)}, lanes=2, row=True)
    columns = [np.array([[-1, 2, 3]], dtype=np.int16), np.array([[255, 7, 1]], dtype=np.uint8)]
    packed = packing.pack(columns)
    assert beats(packed, packing) == [(0x07_0002_FF_FFFF, 0b111111, 0), (0x01_0003, 0b000111, 1)]
    assert records(beats(packed, packing), packing).tobytes() == packed.tobytes()


def test_the_scoreboard_counts_what_a_reset_swallowed_as_unanswered():
    packing = Packing.of({"x": Int(8)})
    board = Scoreboard(IDENTITY, packing, packing)
    sent = [(5,), (6,), (7,)]
    assert board.check(sent, sent[:2], complete=False) == 2
    assert board.compared == 2
    for received, complete in (([(5,), (7,)], False), (sent[:2], True), ([*sent, (8,)], False), ([], True)):
        with pytest.raises(AssertionError, match="uniform"):
            board.check(sent, received, complete=complete)


def test_a_missing_tool_fails_the_run(monkeypatch):
    from hdl.flow import tools

    missing = tools.Status("verilator", "to simulate", None, "5.36", "install it")
    monkeypatch.setattr(tools, "_status", lambda name: missing)
    with pytest.raises(IntsimError, match="verilator is missing"):
        hdl.bench.run(IDENTITY, FAULTS / "tb_faults.py")
