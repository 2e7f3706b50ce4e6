"""Bad input: one clear message with bound, value and remedy, exit code 2, nothing half-written, no traceback."""

import ctypes
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import intsim, listing, refuses

UNIT_FILE = """
import numpy as np
from intsim import Fixed
from intsim.tables import NLI

unit = NLI(Fixed(8, 4), Fixed(8, 4), (-93, -47, 2, 48, 126), 4, (2849, 2674, 2849, 3360), (6, 4, 4, 7), 11,
           (0, -2, -4, -4, -4, 1, 9, 21, 33, 46, 126), fn="silu")
other = 3
def make():
    return unit
def real(x):
    return x
def broken():
    raise RuntimeError("no luck")
def not_finite(x):
    return np.where(x == 1.0, np.nan, x)
"""


@pytest.fixture
def unit(tmp_path):
    """A small unit's JSON, in a folder of its own."""
    (tmp_path / "units.py").write_text(UNIT_FILE)
    from intsim import save
    from intsim.cli.units import resolve

    save(resolve(f"{tmp_path / 'units.py'}:unit"), tmp_path / "unit.json")
    return tmp_path / "unit.json"


# Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1.0, 2.0]), "x: expected integer codes of s8.4, got dtype float64; encode real values first"),
        (np.array([1.0], dtype=np.float32), "got dtype float32; encode real values first"),
        (np.array([True]), "got dtype bool; convert with .astype(np.uint8)"),
        (np.array([1j]), "got dtype complex128"),
        (np.array(["a"]), "got dtype <U1"),
        (np.array([128]), "x: 128 is outside s8.4 = [-128, 127]; saturate it or use a wider format"),
        (np.array([5, -129]), "x: -129 is outside s8.4"),
        (np.array([], dtype=np.int8), "x: empty array of shape (0,); give at least one value"),
        (np.zeros((0, 3), dtype=np.int8), "x: empty array of shape (0, 3)"),
    ],
)
def test_arrays_that_are_no_codes(unit, tmp_path, array, message):
    np.save(tmp_path / "in.npy", array)
    assert message in refuses(tmp_path, "run", unit, tmp_path / "in.npy", "-o", tmp_path / "out.npy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.5", "x: cannot read '1.5'; give integers (real values need --real) separated by commas, or a .npy file"),
        ("1,,2", "x: cannot read '1,,2'"),
        ("1 2", "x: cannot read '1 2'"),
        ("1e3", "x: cannot read '1e3'"),
        ("200", "x: 200 is outside s8.4 = [-128, 127]"),
        ("99999999999999999999999", "expected integer codes of s8.4, got dtype object"),
        ("", "there is no file"),
        ("abc", "there is no file abc; give a .npy file or integers such as 1,2,-3"),
    ],
)
def test_values_that_are_no_codes(unit, tmp_path, text, message):
    assert message in refuses(tmp_path, "run", unit, text, "-o", tmp_path / "out.npy")


def test_real_values_outside_the_format(unit, tmp_path):
    assert "8.0 is outside s8.4 = [-8.0, 7.9375]" in refuses(tmp_path, "run", unit, "--real", "8.0")
    np.save(tmp_path / "in.npy", np.array([np.nan]))
    assert "holds no NaN or infinity" in refuses(tmp_path, "run", unit, "--real", tmp_path / "in.npy")


def test_too_many_or_too_few_inputs(unit, tmp_path):
    assert "nli_silu takes 1 inputs (x: s8.4), got 2; give one per port" in refuses(tmp_path, "run", unit, "1", "2")
    assert "Missing argument" in refuses(tmp_path, "run", unit)


def test_the_wrong_suffix(unit, tmp_path):
    message = refuses(tmp_path, "run", unit, "1", "-o", tmp_path / "out.txt")
    assert "one output port is written as .npy; choose a name that ends so" in message


DAMAGED_ARRAYS = {
    "empty": b"",
    "no array": b"hello",
    "truncated": None,
    "zip": b"PK\x03\x04 no archive",
    "objects": b"",
}


@pytest.mark.parametrize("kind", DAMAGED_ARRAYS)
def test_damaged_arrays(unit, tmp_path, kind):
    path = tmp_path / "in.npy"
    if kind == "objects":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "truncated":
        np.save(path, np.arange(100, dtype=np.int8))
        path.write_bytes(path.read_bytes()[:-50])
    else:
        path.write_bytes(DAMAGED_ARRAYS[kind])
    message = refuses(tmp_path, "run", unit, path, "-o", tmp_path / "out.npy")
    assert "in.npy is no .npy file or is damaged" in message
    assert "write it again with numpy.save" in message


def test_several_arrays_in_one_file(unit, tmp_path):
    np.savez(tmp_path / "in.npz", a=np.arange(3), b=np.arange(3))
    assert "holds several arrays; give one .npy file per port" in refuses(tmp_path, "run", unit, tmp_path / "in.npz")


# Designs --------------------------------------------------------------------------------------------------------

DESIGNS = {
    "not finite": (
        ["reciprocal", "--x", "s8.4", "--y", "s16.8"],
        r"the function is inf at x = 0\.0 \(code 0\); pass domain",
    ),
    "undefined": (
        ["log2", "--x", "s8.4", "--y", "s16.8"],
        r"the function is nan at x = -8\.0 \(code -128\); pass domain",
    ),
    "does not fit": (
        ["exp", "--x", "s8.4", "--y", "s8.4"],
        r"is 8\.37\d* at x = 2\.125 \(code 34\), outside s8\.4 = \[-8\.0, 7\.9375\]; use a wider .* saturate=True",
    ),
    "more intervals than grid points": (
        ["silu", "--x", "s4.2", "--y", "s8.4", "--intervals", "40"],
        r"40 intervals.*(16|15)",
    ),
    "no intervals": (
        ["silu", "--x", "s8.4", "--y", "s8.4", "--intervals", "0"],
        "at least 1 interval and 1 bin, got 0 and 32",
    ),
    "no bins": (["silu", "--x", "s8.4", "--y", "s8.4", "--bins", "0"], "at least 1 interval and 1 bin, got 10 and 0"),
    "too wide": (["silu", "--x", "s64.60", "--y", "s64.60"], r"bits"),
    "unknown function": (["silo", "--x", "s8.4", "--y", "s8.4"], "unknown function 'silo'; did you mean 'silu'"),
    "unknown format": (["silu", "--x", "q8.4", "--y", "s8.4"], r"cannot read the format 'q8\.4'"),
    "impossible format": (["silu", "--x", "s99.4", "--y", "s8.4"], "1 to 64 bits, got 99"),
    "unknown objective": (
        ["silu", "--x", "s8.4", "--y", "s8.4", "--objective", "mean_relativ"],
        "unknown objective 'mean_relativ'; did you mean 'mean_relative'",
    ),
    "unknown table": (
        ["silu", "--x", "s8.4", "--y", "s8.4", "--table", "unifrom"],
        "unknown table 'unifrom'; did you mean 'uniform'",
    ),
    "empty domain": (["silu", "--x", "s8.4", "--y", "s8.4", "--domain", "2", "1"], "domain"),
    "no number": (["silu", "--x", "s8.4", "--y", "s8.4", "--bins", "many"], "Invalid value for '--bins'"),
    "format missing": (["silu", "--x", "s8.4"], "Missing option '--y'"),
}


@pytest.mark.parametrize(("arguments", "message"), DESIGNS.values(), ids=DESIGNS)
def test_impossible_designs(tmp_path, arguments, message):
    said = refuses(tmp_path, "design", *arguments, "-o", tmp_path / "out.json")
    assert re.search(message, said.replace("│", "")), said


def test_a_users_function_that_is_not_finite(tmp_path):
    (tmp_path / "units.py").write_text(UNIT_FILE)
    said = refuses(
        tmp_path, "design", f"{tmp_path}/units.py:not_finite", "--x", "s8.4", "--y", "s8.4", "-o", tmp_path / "out.json"
    )
    assert "the function is nan at x = 1.0 (code 16); pass domain=(lo, hi) where it is defined" in said


# Units ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["show", "error", "verify", "synth", "place", "report"])
def test_unknown_units(tmp_path, verb):
    (tmp_path / "nothing").write_text("")
    assert "unknown unit 'nli_sulu'; did you mean 'nli_silu" in refuses(tmp_path, verb, "nli_sulu")
    assert "there is no file" in refuses(tmp_path, verb, f"{tmp_path}/missing.py:unit")
    assert "cannot read" in refuses(tmp_path, verb, tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unti", "unknown name in .*units.py 'unti'; did you mean 'unit'"),
        ("other", "is a int; give a unit, or a function that returns one"),
        ("NLI", "is a type|is a ABCMeta|give a unit"),
        ("broken", "no luck"),
    ],
)
def test_names_in_a_file_that_are_no_unit(tmp_path, name, message):
    (tmp_path / "units.py").write_text(UNIT_FILE)
    assert re.search(message, refuses(tmp_path, "show", f"{tmp_path}/units.py:{name}"))


def test_a_file_with_an_error_in_it_is_named_with_the_line(tmp_path):
    (tmp_path / "wrong.py").write_text("x = 1\ny = x / 0\n")
    assert "wrong.py:2 raised ZeroDivisionError" in refuses(tmp_path, "show", f"{tmp_path}/wrong.py:y")
    (tmp_path / "syntax.py").write_text("x = 1\ny = = 2\n")
    assert "syntax.py:2 raised SyntaxError" in refuses(tmp_path, "show", f"{tmp_path}/syntax.py:y")
    (tmp_path / "raises.py").write_text("from intsim import Fixed\nunit = Fixed(99, 0)\n")
    assert "1 to 64 bits, got 99" in refuses(tmp_path, "show", f"{tmp_path}/raises.py:unit")


def test_a_unit_from_a_file_or_its_factory_is_accepted(tmp_path):
    (tmp_path / "units.py").write_text(UNIT_FILE)
    for name in ("unit", "make"):
        shown = intsim("show", f"{tmp_path}/units.py:{name}", "--json")
        assert shown.code == 0
        assert shown.json["name"] == "nli_silu"


@pytest.mark.parametrize("verb", ["show", "run", "verify", "rtl"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"bins": 4', '"bins": 5', "need 13 table words, got 11"),
        ("126", "125", "damaged unit: sha256 is"),
        ('"NLI"', '"NLJ"', "unknown type 'NLJ'; did you mean 'NLI'"),
        ("TIES_TO_POS", "TIES_TO_PAS", "did you mean 'TIES_TO_POS'"),
        ("}", "", "the JSON is damaged"),
        ('"t_bits": 11', '"t_bits": 11.0', "parameters are integers, found the float 11.0"),
    ],
)
def test_a_damaged_unit(unit, tmp_path, verb, old, new, message):
    text = unit.read_text()
    assert old in text
    unit.write_text(text.replace(old, new))
    more = {"run": ["1"], "rtl": ["-o", tmp_path / "rtl"]}.get(verb, [])
    said = refuses(tmp_path, verb, unit, *more)
    assert message in said
    assert "unit.json" in said


# Hardware -------------------------------------------------------------------------------------------------------


def test_unknown_targets_devices_simulators_and_options(unit, tmp_path):
    assert "unknown target 'ecp6'; did you mean 'ecp5'" in refuses(tmp_path, "synth", unit, "--target", "ecp6")
    assert "unknown device 'LFE5U-26F'; did you mean" in refuses(tmp_path, "place", unit, "--device", "LFE5U-26F")
    assert "speed grade 5 does not exist" in refuses(tmp_path, "place", unit, "--speed", "5")
    assert "no seeds given" in refuses(tmp_path, "place", unit, "--seeds", "0")
    assert "did you mean 'verilator'" in refuses(tmp_path, "verify", unit, "--simulator", "verilater")
    assert "expected NAME=VALUE" in refuses(tmp_path, "verify", unit, "--set", "stages")
    assert "stagess" in refuses(tmp_path, "rtl", unit, "-o", tmp_path / "rtl", "--set", "stagess=3")
    assert "there is no file" in refuses(tmp_path, "verify", unit, "--rtl", tmp_path / "missing.v").replace(
        "cannot read", "there is no file"
    )


def test_unknown_verbs_and_options(tmp_path):
    assert "No such command 'verfy'" in refuses(tmp_path, "verfy")
    assert "No such option" in refuses(tmp_path, "list", "--jsn")


# Tools ----------------------------------------------------------------------------------------------------------


def command(*arguments: object, folder: Path, **changes: object) -> subprocess.CompletedProcess:
    """``intsim`` as a process of its own, with a fresh cache."""
    options = {"env": {**os.environ, "INTSIM_CACHE_DIR": str(folder / "cache")}, **changes}
    words = [sys.executable, "-m", "intsim", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=folder, **options)
    assert "Traceback" not in done.stderr
    return done


def test_a_missing_compiler_is_named_with_its_remedy(unit, tmp_path):
    (tmp_path / "bin").mkdir()
    env = {"PATH": str(tmp_path / "bin"), "HOME": os.environ.get("HOME", "/"), "INTSIM_CACHE_DIR": str(tmp_path / "c")}
    done = command("verify", unit, folder=tmp_path, env=env)
    assert done.returncode == 2
    assert "g++ is missing, 9.0 or newer is needed to compile simulations: apt-get install g++" in done.stderr
    doctor = command("doctor", folder=tmp_path, env=env)
    assert doctor.returncode == 2
    assert "apt-get install g++ make" in " ".join(doctor.stdout.split())


def test_a_compiler_too_old_is_named_with_its_version(unit, tmp_path):
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "g++"
    fake.write_text("#!/bin/sh\necho 'g++ (Debian) 4.8.5'\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "INTSIM_CACHE_DIR": str(tmp_path / "c")}
    done = command("verify", unit, folder=tmp_path, env=env)
    assert done.returncode == 2
    assert "g++ is version 4.8.5, 9.0 or newer is needed" in done.stderr


def test_without_the_hardware_extra_the_remedy_is_named(unit, tmp_path):
    """A machine with the core packages only: the golden model works, hardware verbs say what to install."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfor name in ('amaranth', 'jinja2', 'matplotlib'):\n    sys.modules[name] = None\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "INTSIM_CACHE_DIR": str(tmp_path / "cache")}
    assert command("run", unit, "16", folder=tmp_path, env=env).returncode == 0
    assert command("show", unit, folder=tmp_path, env=env).returncode == 0
    for verb in (["verify", unit], ["synth", unit], ["report", unit], ["doctor"]):
        done = command(*verb, folder=tmp_path, env=env)
        assert done.returncode == 2
        assert "pip install 'intsim[hdl]'" in done.stderr
    drawn = command("error", unit, "--picture", tmp_path / "p.svg", folder=tmp_path, env=env)
    assert drawn.returncode == 2
    assert "intsim[plots]" in drawn.stderr


# Places that cannot be written ----------------------------------------------------------------------------------


@pytest.fixture
def read_only(unit, tmp_path):
    """Run a command that may read the folder ``closed`` and write nothing there; its cache cannot be written either."""
    closed = tmp_path / "closed"
    closed.mkdir()
    np.save(tmp_path / "in.npy", np.arange(5, dtype=np.int8))
    closed.chmod(0o555)
    env = {**os.environ, "INTSIM_CACHE_DIR": str(closed / "cache")}

    def run(*arguments):
        return command(*arguments, folder=tmp_path, env=env, preexec_fn=obey_permissions), listing(closed)

    return run


def obey_permissions() -> None:
    """Where tests run as root: give up the right to write everywhere, for the program about to start."""
    drop_from_bounding_set, may_override_permissions = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, may_override_permissions)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "unit.json", "in.npy", "-o", "closed/out.npy"],
        ["design", "silu", "--x", "s8.4", "--y", "s8.4", "--intervals", "4", "--bins", "4", "-o", "closed/out.json"],
        ["rtl", "unit.json", "-o", "closed/rtl"],
        ["rtl", "unit.json", "-o", "closed"],
        ["error", "unit.json", "--picture", "closed/picture.svg"],
    ],
    ids=lambda a: f"{a[0]} {a[-1]}",
)
def test_a_read_only_folder(read_only, arguments):
    done, left = read_only(*arguments)
    assert done.returncode == 2, done
    assert "Permission denied" in done.stderr
    assert "choose a" in done.stderr
    assert left == {}


def test_a_folder_that_is_missing_or_is_a_file(unit, tmp_path):
    said = refuses(tmp_path, "run", unit, "1", "-o", tmp_path / "missing" / "out.npy")
    assert "No such file or directory; choose a folder you can write to" in said
    (tmp_path / "file").write_text("")
    assert "choose another path" in refuses(tmp_path, "rtl", unit, "-o", tmp_path / "file")
