"""The verbs for a designer's own RTL: exit codes are verdicts, bad use changes no file."""

import json
from pathlib import Path

import pytest
from command_line import intsim, listing, refuses

FOREIGN = Path(__file__).parent / "foreign"


@pytest.fixture
def unit(tmp_path):
    """A unit in a file of the user's own."""
    path = tmp_path / "own.py"
    path.write_text("from flow_units import Mean\n\nunit = Mean()\n")
    return f"{path}:unit"


def design(name, *more):
    return ("--rtl", FOREIGN / f"{name}.sv", "--top", name, "--ports", FOREIGN / f"{name}.toml", *more)


def test_right_is_0_and_wrong_is_1(unit, tmp_path):
    right = intsim("verify", unit, *design("mean_valid"), "-o", tmp_path / "waves", "--json")
    assert right.code == 0
    assert (right.json["inputs"], right.json["mismatches"]) == (2048, 0)
    assert not (tmp_path / "waves").exists()
    wrong = intsim("verify", unit, *design("mean_valid", "--param", "FAULT=1"), "-o", tmp_path / "waves", "--json")
    assert wrong.code == 1
    assert wrong.json["smallest"]["trace"]["sum"] is not None
    assert sorted(listing(tmp_path / "waves")) == ["mean.svg", "mean.vcd"]


def test_the_smallest_failing_input_is_printed_and_drawn(unit, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    said = intsim("verify", unit, *design("mean_comb", "--param", "FAULT=1"))
    assert said.code == 1
    assert sorted(listing(Path())) == ["mean-mismatch/mean.svg", "mean-mismatch/mean.vcd"]
    assert "smallest failing input" in said.out
    assert "{'a': 0, 'b': 16}" in said.out


def test_several_files_in_order(unit):
    files = ("--rtl", FOREIGN / "mean_types_pkg.sv", *design("mean_stream"))
    assert intsim("verify", unit, *files).code == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--param", "FAULTS=1"), "did you mean 'FAULT'"),
        (("--param", "FAULT"), "--param FAULT: expected NAME=VALUE"),
        (("--ports", "nowhere.toml"), "cannot read nowhere.toml"),
        (("--ports", FOREIGN / "mean_comb.toml"), "did you mean|leaves open|unknown port"),
        (("--top", "mean_valide"), "mean_valide"),
        (("--param", "FAULT=3"), ""),
    ],
)
def test_faults_of_the_set_up_are_2(unit, tmp_path, more, message):
    import re

    if more == ("--param", "FAULT=3"):  # a design that never answers
        files = ("--rtl", FOREIGN / "mean_types_pkg.sv", *design("mean_stream", *more, "--set", "timeout=1000"))
        assert "no transfer for 1000 cycles" in refuses(tmp_path, "verify", unit, *files)
        return
    assert re.search(message, refuses(tmp_path, "verify", unit, *design("mean_valid", *more)))


def test_vectors_and_c(unit, tmp_path):
    assert intsim("vectors", unit, "-o", tmp_path / "v").code == 0
    assert json.loads((tmp_path / "v" / "mean_vectors.json").read_text())["exhaustive"] is True
    paths = intsim("export-c", unit, "-o", tmp_path / "c", "--json").json
    assert sorted(paths) == ["dpi", "header", "source"]
    (tmp_path / "file").write_text("")
    for verb in ("vectors", "export-c"):
        assert "choose another path" in refuses(tmp_path, verb, unit, "-o", tmp_path / "file" / "below")
    assert "at least 1" in refuses(tmp_path, "vectors", unit, "-o", tmp_path / "w", "--count", "0")
