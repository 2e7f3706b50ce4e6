"""Vectors on disk are the golden model's answers, and the testbench beside them runs as written."""

import hashlib
import json
import subprocess

import numpy as np
import pytest
from flow_units import S16, FromFirst, Mean, Total

from hdl import flow
from hdl.flow import tools
from intsim import load
from intsim.errors import IntsimError


def words(path, bits, signed):
    raw = np.array([int(line, 16) for line in path.read_text().split()], dtype=np.int64)
    return raw - ((raw >> (bits - 1) & 1) << bits) if signed else raw


def test_every_input_of_a_small_unit(tmp_path):
    unit = Mean()
    paths = flow.vectors(unit, tmp_path)
    arrays = np.load(paths["npz"])
    assert arrays["in_a"].size == 64 * 32
    assert np.array_equal(unit(arrays["in_a"], arrays["in_b"]), arrays["out_y"])
    assert np.array_equal(arrays["net_sum"], arrays["in_a"].astype(int) + arrays["in_b"])
    assert np.array_equal(words(tmp_path / "mean_in_a.hex", 6, True), arrays["in_a"])
    assert np.array_equal(words(tmp_path / "mean_in_b.hex", 5, False), arrays["in_b"])
    assert np.array_equal(words(tmp_path / "mean_out_y.hex", 6, True), arrays["out_y"])
    assert load(paths["unit"]) == unit


def test_rows_end_to_end(tmp_path):
    unit = FromFirst()
    arrays = np.load(flow.vectors(unit, tmp_path, count=512)["npz"])
    ends = np.cumsum(arrays["row_lengths"])
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        assert np.array_equal(unit(arrays["in_x"][start:end]), arrays["out_y"][start:end])
    last = [int(line) for line in (tmp_path / "fromfirst_last.hex").read_text().split()]
    assert np.flatnonzero(last).tolist() == (ends - 1).tolist()


def test_one_answer_per_row(tmp_path):
    arrays = np.load(flow.vectors(Total(), tmp_path, count=512)["npz"])
    assert arrays["out_y"].size == arrays["row_lengths"].size
    assert arrays["out_y"][-1] == arrays["in_x"][-arrays["row_lengths"][-1] :].sum()


def test_manifest(tmp_path):
    unit = Mean(S16, S16)
    paths = flow.vectors(unit, tmp_path, count=100, seed=7)
    manifest = json.loads(paths["manifest"].read_text())
    assert manifest["sha256"] == unit.sha256
    assert manifest["seed"] == 7
    assert manifest["exhaustive"] is False
    assert manifest["inputs"]["a"] == {"format": "s16", "bits": 16, "signed": True, "lo": -32768, "hi": 32767}
    assert manifest["arrays"]["in_a"]["size"] == unit.corners()[0].size + 100
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        flow.vectors(Total(), tmp_path / folder, count=64, seed=1)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_testbench_runs_as_written_and_finds_faults(tmp_path):
    """Verilator takes it without a warning; the emitted Verilog passes, a changed one fails, a dead one times out."""
    unit = FromFirst()
    flow.vectors(unit, tmp_path, count=256)
    path = flow.verilog(unit, tmp_path)["verilog"]
    right = path.read_text()
    command = ["--binary", "--timing", "-CFLAGS", "-O0", "fromfirst.vlt", "fromfirst_tb.sv", "fromfirst.v"]
    for text, code, said in (
        (right, 0, r"answers equal"),
        (right.replace("- $signed(base)", "+ $signed(base)", 1), 1, "answers differ"),
    ):
        path.write_text(text)
        assert "%Warning" not in tools.verilator(command, tmp_path)
        done = subprocess.run(
            [tmp_path / "obj_dir" / "Vfromfirst_tb"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0) == bool(code)
        assert said in done.stdout + done.stderr


def test_bad_count(tmp_path):
    with pytest.raises(IntsimError, match="at least 1"):
        flow.vectors(Mean(), tmp_path, count=0)
