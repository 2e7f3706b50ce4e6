"""Broken hardware must turn a run red: under pytest, and by the exit code of the command line."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import hdl.bench
import hdl.flow
from intsim import Fixed, save
from intsim.tables import NLI

TESTS = Path(__file__).with_name("tb_every_pause.py")
UNIT = NLI.design("tanh", x=Fixed(10, 7), y=Fixed(10, 8), intervals=4, bins=8, solver="equal")


def wrong_word(text: str) -> str:
    """One word of the table, off by one."""
    middle = len(UNIT.table) // 2
    line = re.compile(rf"(table_memory\[{middle}\] = 10'h)([0-9a-f]+);")
    changed, count = line.subn(lambda m: f"{m[1]}{int(m[2], 16) ^ 1:03x};", text)
    assert count == 1
    return changed


def stuck_output(text: str) -> str:
    """The lowest output bit tied to 0."""
    changed, count = re.subn(r"assign m_axis_tdata = (.*);", r"assign m_axis_tdata = (\1) & ~16'd1;", text)
    assert count == 1
    return changed


@pytest.mark.parametrize("damage", [wrong_word, stuck_output])
def test_broken_hardware_turns_the_run_red(damage, tmp_path):
    broken = tmp_path / "broken.v"
    broken.write_text(damage(hdl.flow.rtl(UNIT).verilog()))
    with pytest.raises(hdl.bench.BenchFailed, match=r"outputs are wrong, the first:\n  x=") as caught:
        hdl.bench.run(UNIT, TESTS, rtl=broken, testcase="back_to_back")
    assert not caught.value.results.ok

    save(UNIT, tmp_path / "unit.json")
    command = [sys.executable, "-m", "hdl.bench", tmp_path / "unit.json", TESTS, "--test", "back_to_back"]
    done = subprocess.run([*command, "--rtl", broken], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL  back_to_back" in done.stdout
