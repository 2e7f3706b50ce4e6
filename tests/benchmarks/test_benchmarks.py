"""The benchmark's machinery: turns, ratios, the page, regressions; and that our side of every case runs."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks import report, turns  # noqa: E402
from benchmarks.__main__ import main  # noqa: E402
from benchmarks.aims import AIMS  # noqa: E402
from benchmarks.cases import CASES, Case  # noqa: E402
from benchmarks.worker import digest  # noqa: E402

sys.path.pop(0)


def times(ours=1.0, other=2.0, limit=0.5, **digests):
    """What a run of one case measured."""
    found = {
        "intsim": {"best": ours / 2, "median": ours},
        "torch_cpu": {"best": other / 2, "median": other},
        "numpy_exact": {"best": 10.0, "median": 10.0},
        "limits": {"best": limit / 2, "median": limit},
        "plain": {"best": 0.5, "median": 1.0},
    }
    for name, entry in found.items():
        entry["digest"] = digests.get(name)
    return {"gemm512": found}


def test_ratios_are_those_of_medians_to_the_fastest_and_of_the_limit_to_ours():
    case = report.record(times(), {})["cases"]["gemm512"]
    assert (case["peer"], case["to_peer"], case["to_peer_best"]) == ("torch_cpu", 0.5, 0.5)
    assert case["of_limit"] == pytest.approx(0.5 * CASES["gemm512"].amount / report.MULTIPLIED)
    assert not case["differs"]


def test_different_results_are_noticed():
    same, another = {"intsim": "a", "torch_cpu": "a"}, {"intsim": "a", "torch_cpu": "b"}
    assert not report.record(times(**same), {})["cases"]["gemm512"]["differs"]
    assert report.record(times(**another), {})["cases"]["gemm512"]["differs"]
    assert digest(np.arange(5, dtype=np.int8)) == digest(np.arange(5, dtype=np.int64)) != digest(np.arange(6))


def test_a_regression_is_visible_across_runs(tmp_path):
    runs = []
    for number, ours in enumerate((1.0, 1.05, 0.95)):
        run = report.record(times(ours), {})
        run["when"] = f"2026-01-0{number + 1}T00:00:00+00:00"
        report.save(run, tmp_path)
        runs.append(run)
    assert report.load(tmp_path) == runs
    assert report.compare(runs, report.record(times(1.1), {})) == []
    assert report.compare(runs, report.record(times(1.2), {})) == ["gemm512: 0.60 of torch_cpu's time, was 0.50"]
    assert report.compare(runs, report.record(times(1.2, 2.4), {})) == []  # a slow machine slows all
    report.draw([*runs, report.record(times(1.2), {})], tmp_path / "picture.svg")
    assert (tmp_path / "picture.svg").read_bytes().startswith(b"<?xml")


def test_the_page_shows_every_library_and_what_is_missing():
    text = report.page(report.record(times(), {"brevitas_emulation": "no module"}))
    assert "| int8 product 512^3 | 1e+03 (500) | PyTorch | 2e+03 (1e+03) | 0.50 (0.50) |" in text
    assert "Not installed for this run: Brevitas." in text
    assert text.splitlines()[0] == "# Performance"


def test_the_page_says_which_aims_a_run_reached_and_which_not():
    made = {"gemm1024": times(1.0, 1.1, 8.0)["gemm512"], "fused1024": times(1.2, 1.3, 1.0)["gemm512"]}
    text = report.page(report.record(made, {}))
    assert "| the same: as fast as PyTorch and ONNX Runtime | 0.952 | 1.1 | yes |" in text
    assert "| product with requantisation: as fast as without | 0.909 | 0.833 | **missed** |" in text
    assert "int4 faster" not in text  # not measured
    everybody = {name: {"best": 1.0, "median": 2.0, "digest": None} for name in turns.LIBRARIES}
    every = report.record(dict.fromkeys(CASES, everybody), {})["cases"]
    assert all(aim.reached(every) > 0 for aim in AIMS)


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names | {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}


def test_every_case_is_offered_by_us_and_each_library_offers_one():
    kinds = {case.kind for case in CASES.values()}
    for library in turns.LIBRARIES:
        offered = functions(ROOT / "benchmarks" / "libraries" / f"{library}.py")
        wanted = {case.limit for case in CASES.values()} if library == "limits" else kinds
        assert offered & wanted, library
        if library in ("intsim", "limits"):
            assert wanted <= offered


SMALL = {
    1: (4096,),
    3: (40, 48, 64),
    4: (3, 32, 32, 32),
    2: (64, 64),
}


@pytest.mark.parametrize("name", CASES)
def test_our_side_of_every_case_runs(name):
    from benchmarks.libraries import intsim as ours

    case = CASES[name]
    small = Case(case.name, case.title, case.kind, SMALL[len(case.shape)], case.limit, case.amount)
    run = getattr(ours, case.kind)(small)
    first, again = run(), run()
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (first, again)), strict=True):
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)


def test_workers_take_turns_and_a_library_that_is_not_there_is_named(capsys):
    case = CASES["batch64"]
    found, missing = turns.measure([case], ["intsim", "numpy_exact", "torch_cpu"], {"torch_cpu": "/bin/false"}, 2, 0.0)
    assert set(found["batch64"]) == {"intsim", "numpy_exact"}
    assert set(missing) == {"torch_cpu"}
    entries = found["batch64"].values()
    assert all(0 < entry["best"] <= entry["median"] for entry in entries)
    assert len({entry["digest"] for entry in entries}) == 1


def test_the_command_writes_results_and_refuses_unknown_names(tmp_path, capsys):
    words = [
        "batch64",
        "--only",
        "intsim",
        "numpy_exact",
        "--rounds",
        "1",
        "--seconds",
        "0",
        "--results",
        str(tmp_path),
    ]
    assert main(words) == 0
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["cases"]["batch64"]["peer"] == "numpy_exact"
    with pytest.raises(SystemExit):
        main(["gemm513"])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "LIBRARY=PATH" in done.stdout


def test_a_network_beside_its_twin_in_time_and_memory():
    command = [sys.executable, "-m", "benchmarks.networks", "digits-vit", "--schemes", "ivit", "--rows", "3"]
    done = subprocess.run(
        [*command, "--rounds", "3", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["batch"] == [3, 1, 8, 8]
    real, got = found["networks"]["float32"], found["networks"]["ivit"]
    assert real["seconds"] > 0
    assert got["seconds"] > 0
    linear = 4 * (4 * 64 * 64 + 2 * 64 * 256) + 4 * 64 + 64 * 10
    assert got["weights"] == linear
    assert linear < got["held"] <= got["peak"]
