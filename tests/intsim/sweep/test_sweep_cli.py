"""``intsim sweep``: what it prints and writes, its exit codes, and what it refuses."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from command_line import intsim, refuses

from intsim import Fixed, load, measure
from intsim.nonlinear import ISqrt
from intsim.sweep import Results, Sweep, TableOf
from intsim.tables import NLI

TABLE = ["silu", "--table", "nli", "--set", "x,y=s8.4", "--vary", "intervals=3,4", "--vary", "bins=2,4"]
QUICK = ["--no-hardware", "--workers", "1"]


def test_json_is_what_the_library_finds(tmp_path):
    got = intsim("sweep", *TABLE, *QUICK, "-o", tmp_path / "cli", "--json")
    assert got.code == 0
    sweep = Sweep(TableOf("silu"), {"intervals": [3, 4], "bins": [2, 4]}, {"x": "s8.4", "y": "s8.4", "table": "nli"})
    results = sweep.run(tmp_path / "library")
    assert {**results.as_dict(), "pareto": got.json["pareto"], "front": got.json["front"]} == got.json
    assert got.json["pareto"] == ["error", "words"]
    best = results.front(["error", "words"])
    assert got.json["front"] == [results.points.index(point) for point in best]
    assert Results.load(tmp_path / "cli") == results
    assert sorted(p.name for p in (tmp_path / "cli" / "units").iterdir()) == sorted(
        p.file.removeprefix("units/") for p in results.points
    )


def test_the_table_lists_the_front_and_its_units(tmp_path):
    got = intsim("sweep", *TABLE, *QUICK, "-o", tmp_path, "--pareto", "max_error,words")
    rows = [line.split() for line in got.out.splitlines()[2:]]
    points = Results.load(tmp_path).front(["max_error", "words"])
    assert [row[:2] for row in rows] == [[str(p.settings["intervals"]), str(p.settings["bins"])] for p in points]
    for row, point in zip(rows, points, strict=True):
        assert row[-1] == point.file
        unit = load(tmp_path / row[-1])
        assert float(row[2]) == pytest.approx(measure.error(unit).max, rel=1e-3)
        assert int(row[3]) == len(unit.table)
    shown = intsim("show", tmp_path / points[0].file, "--json").json  # what the sweep writes, other verbs read
    assert shown["sha256"] == points[0].sha256


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_picture(tmp_path, suffix):
    picture = tmp_path / f"sweep.{suffix}"
    axes = ["--pareto", "error,words,max_lsb"]
    assert intsim("sweep", *TABLE, *QUICK, "-o", tmp_path / "s", "--picture", picture, *axes).code == 0
    first = picture.read_bytes()
    assert first.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[suffix])
    assert intsim("sweep", *TABLE, *QUICK, "-o", tmp_path / "s", "--picture", picture, *axes).code == 0
    assert picture.read_bytes() == first
    if suffix == "svg":
        text = first.decode()
        assert "<!-- silu: 4 points, " in text
        for label in ("mean error", "table words", "largest error, LSB", "intervals 3", "bins 4"):
            assert f"<!-- {label} -->" in text


def test_exit_code_1_where_points_failed(tmp_path):
    command = ["sweep", *TABLE[:-1], "bins=2,0,4", *QUICK, "-o", tmp_path]
    got = intsim(*command, "--json")
    assert got.code == 1
    assert [("error" in point) for point in got.json["points"]] == [False, True, False] * 2
    assert "at least 1 interval and 1 bin" in got.json["points"][1]["error"]
    assert "failed: intervals=3, bins=0: " in " ".join(intsim(*command).err.split())


def test_a_unit_a_class_and_ones_own_function(tmp_path):
    from intsim import save

    save(ISqrt(x=Fixed(8, 0, signed=False)), tmp_path / "root.json")
    got = intsim("sweep", tmp_path / "root.json", "--vary", "x=u8,u10", *QUICK, "-o", tmp_path / "a", "--json").json
    assert got["unit"] == ISqrt(x=Fixed(8, 0, signed=False)).sha256
    assert [p["figures"]["max_error"] < 1 for p in got["points"]] == [True, True]
    got = intsim("sweep", "ISqrt", "--vary", "x=u8,u10", *QUICK, "-o", tmp_path / "b", "--json").json
    assert [load(tmp_path / "b" / "units" / f"{p['sha256'][:12]}.json").x.bits for p in got["points"]] == [8, 10]

    (tmp_path / "own.py").write_text(
        "import numpy as np\nfrom intsim import Fixed\nfrom intsim.tables import NLI\n"
        "def bump(x):\n    return np.exp(-x * x)\n"
        "def make(bits, bins=2):\n"
        "    return NLI.design(bump, Fixed(bits, bits - 3), Fixed(bits, bits - 2), intervals=4, bins=bins)\n"
    )
    own = ["--vary", "bits=7,8", "--no-hardware", "--workers", "2"]  # other processes load the file too
    got = intsim("sweep", f"{tmp_path}/own.py:make", *own, "-o", tmp_path / "c", "--json")
    assert got.code == 0
    assert len(got.json["points"]) == 2
    as_table = ["--table", "nli", "--set", "x=s8.5", "--set", "y=s8.6", "--vary", "bins=2,8", "--set", "intervals=4"]
    got = intsim("sweep", f"{tmp_path}/own.py:bump", *as_table, *QUICK, "-o", tmp_path / "d", "--json").json
    errors = [point["figures"]["error"] for point in got["points"]]
    assert errors[1] < errors[0] < 0.1
    (tmp_path / "own.py").write_text("def bump(x):\n    return x\n")
    message = refuses(tmp_path, "sweep", f"{tmp_path}/own.py:bump", *as_table, *QUICK, "-o", tmp_path / "d")
    assert "holds another sweep" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["silu", "--vary", "bins"], "'bins': expected NAME=VALUES"),
        (["silu", "--vary", "a-b=3"], "expected NAME=VALUES"),
        (["silu"], "nothing to vary"),
        (["silu", "--vary", "t_bits=8", "--vary", "t_bits=9"], "--vary t_bits is given twice"),
        (["silu", "--vary", "t_bitz=8,9"], "unknown setting .*'t_bitz'; did you mean 't_bits'"),
        (["silu", "--vary", "stages=8,9"], "no hardware is measured"),
        (["silux", "--vary", "bins=8"], "unknown unit 'silux'; did you mean 'silu'"),
        (["Shiftmaks", "--vary", "n=8"], "unknown class of units 'Shiftmaks'; did you mean 'Shiftmax'"),
        (["silu", "--table", "nlj", "--vary", "bins=8"], "unknown table 'nlj'; did you mean 'nli'"),
        (["nowhere.py:make", "--vary", "bits=8"], "there is no file"),
    ],
)
def test_what_is_refused(tmp_path, arguments, message):
    assert re.search(message, refuses(tmp_path, "sweep", *arguments, *QUICK, "-o", tmp_path / "s"))


def test_unknown_figures_are_refused(tmp_path):
    command = ["sweep", *TABLE, *QUICK, "-o", tmp_path / "s"]
    assert intsim(*command).code == 0
    assert "unknown figure 'comb'" in refuses(tmp_path, *command, "--pareto", "error,comb")
    assert "ends in .png, .svg or .pdf" in refuses(tmp_path, *command, "--picture", tmp_path / "a.gif")
    assert "shows 2 to 4 figures" in refuses(tmp_path, *command, "--picture", tmp_path / "a.svg", "--pareto", "error")


def test_ctrl_c_ends_with_130_and_the_same_command_continues(tmp_path):
    command = [sys.executable, "-m", "intsim", "sweep", "silu", "--table", "nli", "--set", "x,y=s10.6"]
    command += ["--vary", "intervals=4..7", "--vary", "bins=2..5", "--no-hardware", "--workers", "2", "-o", tmp_path]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    deadline = time.monotonic() + 120
    steps = tmp_path / "steps.jsonl"
    while not steps.exists() or len(steps.read_bytes().splitlines()) < 4:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    begun = steps.read_bytes()
    assert not (tmp_path / "sweep.json").exists()
    got = intsim(*command[3:], "--json")
    assert got.code == 0
    assert len(got.json["points"]) == 16
    assert steps.read_bytes().startswith(begun)
    assert json.loads((tmp_path / "sweep.json").read_text())["points"] == got.json["points"]


def test_the_unit_of_a_file_varies_by_field(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from intsim import Fixed\nfrom intsim.tables import NLI\n"
        "unit = NLI.design('silu', Fixed(8, 4), Fixed(8, 4), intervals=3, bins=2)\n"
    )
    command = ["sweep", f"{tmp_path}/mine.py:unit", "--vary", "rounding=TIES_TO_POS,TO_NEG", "--no-hardware"]
    got = intsim(*command, "--workers", "2", "-o", tmp_path / "s", "--json").json
    unit = NLI.design("silu", Fixed(8, 4), Fixed(8, 4), intervals=3, bins=2)
    assert got["points"][0]["sha256"] == got["unit"] == unit.sha256
    assert got["points"][1]["settings"] == {"rounding": "TO_NEG"}
    assert got["points"][1]["figures"]["error"] > got["points"][0]["figures"]["error"]
