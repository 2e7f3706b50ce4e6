"""A sweep continues where it stopped, whatever stopped it, and finds the same wherever it runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweep_parts import Counted, delayed, mortal, table

from intsim.errors import IntsimError
from intsim.sweep import Made, Sweep

SUPPORT = Path(__file__).resolve().parents[2] / "support"
VARY = {"intervals": [3, 4, 5], "bins": [2, 4], "stages": [3, 6]}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """``sweep.json`` of a sweep in this process."""
    folder = tmp_path_factory.mktemp("reference")
    Sweep(Made(table), VARY, hardware=Counted()).run(folder)
    return (folder / "sweep.json").read_bytes()


def lines(folder):
    return (folder / "steps.jsonl").read_bytes().splitlines(keepends=True)


# Places ---------------------------------------------------------------------------------------------------------


def test_processes_find_the_same(tmp_path, reference):
    seen = []
    Sweep(Made(table), VARY, hardware=Counted()).run(
        tmp_path, workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert (tmp_path / "sweep.json").read_bytes() == reference
    assert len(lines(tmp_path)) == 1 + 6 + 12
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    assert seen == sorted(seen)


def test_a_dask_cluster_finds_the_same(tmp_path, reference):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        Sweep(Made(table), VARY, hardware=Counted(str(tmp_path / "log"))).run(tmp_path / "all", scheduler=address)
        assert (tmp_path / "all" / "sweep.json").read_bytes() == reference
        assert len((tmp_path / "log").read_text().splitlines()) == 12
        # begun there, finished here: nothing is done twice
        Sweep(Made(table), {**VARY, "stages": [3]}, hardware=Counted()).run(tmp_path / "part", scheduler=address)
    Sweep(Made(table), VARY, hardware=Counted(str(tmp_path / "rest"))).run(tmp_path / "part")
    assert (tmp_path / "part" / "sweep.json").read_bytes() == reference
    rest = (tmp_path / "rest").read_text().splitlines()
    assert len(rest) == 6
    assert all("'stages': 6" in line for line in rest)


def test_what_other_processes_cannot_be_given(tmp_path):
    def local(bins):
        return table(4, bins)

    with pytest.raises(IntsimError, match="define it at the top of a module, or use one worker"):
        Sweep(Made(local), {"bins": [2]}).run(tmp_path / "a", workers=2)
    assert not (tmp_path / "a").exists()
    assert Sweep(Made(local), {"bins": [2]}).run(tmp_path / "a").failed == ()


def test_a_worker_that_dies_is_told_and_the_sweep_continues(tmp_path):
    sweep = Sweep(Made(mortal), {"bins": [2, 3, 4]}, {"marker": str(tmp_path / "marker")})
    with pytest.raises(IntsimError, match="a worker process ended unasked"):
        sweep.run(tmp_path / "s", workers=2)
    (tmp_path / "marker").touch()
    assert sweep.run(tmp_path / "s", workers=2).failed == ()


def test_without_dask_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(IntsimError, match=r"pip install 'intsim\[dask\]'"):
        Sweep(Made(table), {"bins": [2]}, {"intervals": 4}).run(tmp_path, scheduler="tcp://127.0.0.1:1")


def test_no_scheduler_there(tmp_path, monkeypatch):
    monkeypatch.setattr("intsim.sweep.workers._CONNECT_SECONDS", 1)
    with pytest.raises(IntsimError, match=r"no Dask scheduler answers at tcp://127.0.0.1:1 "):
        Sweep(Made(table), VARY, hardware=Counted()).run(tmp_path, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(IntsimError, match="0 workers cannot work"):
        Sweep(Made(table), VARY, hardware=Counted()).run(tmp_path, workers=0)


# Stopping -------------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from sweep_parts import Counted, delayed
from intsim.sweep import Made, Sweep

if __name__ == "__main__":
    vary = {"intervals": [3, 4, 5, 6], "bins": [2, 3, 4], "stages": [3, 6]}
    Sweep(Made(delayed), vary, {"seconds": 0.3}, Counted(sys.argv[3])).run(sys.argv[1], workers=int(sys.argv[2]))
"""


def children(pid):
    """Processes below `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            continue
        if entry.name.isdigit() and int(fields[1]) == pid:
            found += [int(entry.name), *children(int(entry.name))]
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(("kill", "workers"), [(signal.SIGKILL, 2), (signal.SIGINT, 2), (signal.SIGKILL, 1)])
def test_a_sweep_killed_continues(tmp_path, kill, workers):
    """Finished steps stay as they are and are not done again; no worker survives."""
    (tmp_path / "script.py").write_text(SCRIPT)
    folder, log = tmp_path / "sweep", tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    command = [sys.executable, tmp_path / "script.py", folder, str(workers), log]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    deadline = time.monotonic() + 120
    while not (folder / "steps.jsonl").exists() or len(lines(folder)) < 6:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    below = children(process.pid)
    assert len(below) >= (workers if workers > 1 else 0)
    process.send_signal(kill)
    assert process.wait(timeout=60) != 0
    while any(map(alive, below)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    before = lines(folder)
    assert 6 <= len(before) < 1 + 12 + 24
    if before[-1].endswith(b"\n"):
        with open(folder / "steps.jsonl", "ab") as stream:
            stream.write(b'{"settings":{"inter')  # as if killed while writing
    else:
        before.pop()
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    after = lines(folder)
    assert after[: len(before)] == before
    steps = [json.loads(line) for line in after[1:]]
    assert len(steps) == 12 + 24
    assert len({json.dumps(step.get("settings") or [step["sha256"], step["options"]]) for step in steps}) == 36
    whole = tmp_path / "whole"
    vary = {"intervals": [3, 4, 5, 6], "bins": [2, 3, 4], "stages": [3, 6]}
    Sweep(Made(delayed), vary, {"seconds": 0}, Counted()).run(whole)
    ours, theirs = (json.loads((f / "sweep.json").read_text()) for f in (folder, whole))
    for point in (*ours["points"], *theirs["points"]):
        del point["settings"]["seconds"]
    assert ours == theirs


def test_a_finished_sweep_measures_nothing_again_and_grows(tmp_path):
    sweep = {"bins": [2, 4], "stages": [3]}
    first = Sweep(Made(table), sweep, {"intervals": 3}, Counted(str(tmp_path / "one"))).run(tmp_path / "s")
    again = Sweep(Made(table), sweep, {"intervals": 3}, Counted(str(tmp_path / "two"))).run(tmp_path / "s")
    assert again == first
    assert not (tmp_path / "two").exists()
    larger = {"bins": [2, 4, 8], "stages": [3, 6]}
    grown = Sweep(Made(table), larger, {"intervals": 3}, Counted(str(tmp_path / "three"))).run(tmp_path / "s")
    assert len(grown.points) == 6
    assert len((tmp_path / "three").read_text().splitlines()) == 4


def test_one_folder_serves_a_quick_look_and_hardware(tmp_path):
    quick = Sweep(Made(table), {"bins": [2, 4]}, {"intervals": 3}).run(tmp_path / "s")
    measured = Sweep(Made(table), {"bins": [2, 4]}, {"intervals": 3, "stages": 3}, Counted()).run(tmp_path / "s")
    assert len(lines(tmp_path / "s")) == 1 + 2 + 2  # the designs are not made again
    for before, after in zip(quick.points, measured.points, strict=True):
        assert {**before.figures, "comb": after.figures["comb"], "fmax": 60.0} == after.figures
    other = Counted(str(tmp_path / "log"), kind=2)  # measures differently: earlier costs do not count
    Sweep(Made(table), {"bins": [2, 4]}, {"intervals": 3, "stages": 3}, other).run(tmp_path / "s")
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_equal_units_are_measured_once(tmp_path):
    """Saturation changes nothing here: two designs, one unit, one synthesis."""
    vary = {"saturate": [True, False]}
    fixed = {"intervals": 3, "bins": 2, "stages": 3}
    results = Sweep(Made(table), vary, fixed, Counted(str(tmp_path / "log"))).run(tmp_path / "s")
    assert results.points[0].sha256 == results.points[1].sha256
    assert results.points[0].figures == results.points[1].figures
    assert len((tmp_path / "log").read_text().splitlines()) == 1


# The folder -----------------------------------------------------------------------------------------------------


def test_a_folder_of_another_sweep_is_refused_and_kept(tmp_path):
    Sweep(Made(table), {"bins": [2]}, {"intervals": 3}).run(tmp_path)
    before = lines(tmp_path)
    with pytest.raises(IntsimError, match=r"holds another sweep .*made by: sweep_parts:table, now sweep_parts:delayed"):
        Sweep(Made(delayed), {"bins": [2]}, {"intervals": 3, "seconds": 0}).run(tmp_path)
    assert lines(tmp_path) == before


def test_a_folder_in_use_and_a_damaged_one_are_refused(tmp_path):
    from intsim.sweep.journal import opened

    sweep = Sweep(Made(table), {"bins": [2]}, {"intervals": 3})
    with opened(tmp_path, sweep.head), pytest.raises(IntsimError, match="another sweep is writing"):
        sweep.run(tmp_path)
    sweep.run(tmp_path)
    with open(tmp_path / "steps.jsonl", "ab") as stream:
        stream.write(b"not JSON\n")
    with pytest.raises(IntsimError, match=r"steps.jsonl is damaged"):
        sweep.run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(IntsimError, match="cannot create the folder"):
        sweep.run(tmp_path / "file")


def test_workers_of_another_version_are_refused(tmp_path, monkeypatch):
    from intsim.sweep.steps import OtherVersion, design

    with pytest.raises(OtherVersion, match=r"a worker has intsim .*, this is 9.9.9"):
        design(Made(table), {"intervals": 3, "bins": 2}, "9.9.9")
