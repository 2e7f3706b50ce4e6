"""The wheel holds everything that is needed and nothing else, and works from anywhere."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import intsim

ROOT = Path(__file__).resolve().parent.parent


def call(*words: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built without the network from a copy of what belongs to the project."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("intsim", "hdl"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    said = call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=folder)
    warnings = [line for line in said.splitlines() if "warning" in line.lower() and "byte-compiling" not in line]
    assert warnings == []
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel) -> Path:
    """A folder with the wheel installed, as far as possible from the source."""
    target = wheel.parent / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    call(*pip, target, wheel, cwd=wheel.parent)
    return target


def test_the_wheel_holds_all_modules_and_data_and_nothing_else(wheel):
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    expected = {
        str(path.relative_to(ROOT))
        for package in ("intsim", "hdl")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    data = {Path(name).suffix for name in names} - {".py"}
    assert {".json", ".npz", ".j2", ".cpp", ".lib", ".typed"} <= data
    assert len([n for n in names if n.startswith("intsim/catalogue/") and n.endswith(".json")]) == len(
        intsim.catalogue.names()
    )


def test_the_metadata_names_licence_readme_and_command(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    text = archive.read(metadata).decode()
    assert "License-Expression: Apache-2.0" in text
    assert f"Version: {intsim.__version__}" in text
    assert "Requires-Python: >=3.11" in text
    assert "# intsim" in text  # the README
    assert any(n.endswith("licenses/LICENSE") for n in archive.namelist())


def test_the_installed_wheel_works_from_another_folder(site, tmp_path):
    env = {"PYTHONPATH": str(site), "INTSIM_CACHE_DIR": str(tmp_path / "cache")}
    where = call(sys.executable, "-c", "import intsim, hdl; print(intsim.__file__, hdl.__file__)", cwd=tmp_path, **env)
    assert where.split() == [str(site / "intsim" / "__init__.py"), str(site / "hdl" / "__init__.py")]
    script = site / "bin" / "intsim"
    assert call(sys.executable, script, "--version", cwd=tmp_path, **env).strip() == f"intsim {intsim.__version__}"
    listed = json.loads(call(sys.executable, script, "list", "--json", cwd=tmp_path, **env))
    assert [unit["name"] for unit in listed] == list(intsim.catalogue.names())
    small = ["silu", "--x", "s6.3", "--y", "s6.3", "--intervals", "3", "--bins", "2", "-o", "small.json"]
    call(sys.executable, script, "design", *small, cwd=tmp_path, **env)
    checked = json.loads(call(sys.executable, script, "verify", "small.json", "--json", cwd=tmp_path, **env))
    assert (checked["inputs"], checked["equal"]) == (64, 64)
    gates = json.loads(
        call(sys.executable, script, "synth", "small.json", "--target", "nand2", "--json", cwd=tmp_path, **env)
    )
    assert gates["area"] > 0


def test_the_editable_installation_works_from_another_folder(tmp_path):
    direct = json.loads(importlib.metadata.distribution("intsim").read_text("direct_url.json") or "{}")
    assert direct["dir_info"]["editable"] is True
    script = Path(sys.executable).with_name("intsim")
    assert call(script, "--version", cwd=tmp_path).strip() == f"intsim {intsim.__version__}"
    found = call(sys.executable, "-c", "import intsim, hdl; print(intsim.__file__)", cwd=tmp_path).strip()
    assert found == str(ROOT / "intsim" / "__init__.py")


def test_every_dependency_is_declared_with_its_reason():
    text = (ROOT / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [item for group in groups for item in group]
    for requirement in requirements:
        assert re.search(rf'"{re.escape(requirement)}",? *# \w', text), f"{requirement}: say what it is for"
    assert {re.split(r"[<>=]", item)[0] for item in project["dependencies"]} == {"numpy", "numba", "typer", "rich"}


def test_the_command_for_continuous_integration_is_make_test_and_nothing_more():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', "make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
