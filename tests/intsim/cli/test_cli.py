"""The command line does what its help says, and its exit code is the verdict."""

import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import intsim, listing

from intsim import Fixed, catalogue, load, save
from intsim.cli.app import VERBS
from intsim.tables import NLI

SMALL = ["silu", "--x", "s8.4", "--y", "s8.4", "--intervals", "4", "--bins", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small unit and its RTL."""
    folder = tmp_path_factory.mktemp("cli")
    made = intsim("design", *SMALL, "-o", folder / "small.json", "--json")
    assert made.code == 0
    assert intsim("rtl", folder / "small.json", "-o", folder / "rtl").code == 0
    return folder


# Units ----------------------------------------------------------------------------------------------------------


def test_list_names_every_unit_with_class_and_ports():
    listed = intsim("list", "--json")
    assert listed.code == 0
    by_name = {unit["name"]: unit for unit in listed.json}
    assert tuple(by_name) == catalogue.names()
    for name, unit in by_name.items():
        stored = catalogue.get(name)
        assert unit["class"] == type(stored).__name__
        assert unit["inputs"] == {port: str(fmt) for port, fmt in stored.inputs.items()}
        assert unit["outputs"] == {port: str(fmt) for port, fmt in stored.outputs.items()}
        assert unit["sha256"] == stored.sha256
    table = intsim("list").out
    assert all(re.search(rf"^{name} ", table, re.M) for name in by_name)


def test_show_gives_ports_parameters_and_hardware(folder):
    shown = intsim("show", folder / "small.json", "--json").json
    unit = load(folder / "small.json")
    assert shown["sha256"] == unit.sha256
    assert shown["ports"]["x"] == {"direction": "in", "format": "s8.4", "bits": 8, "lo": -128, "hi": 127}
    assert shown["unit"]["unit"]["table"] == list(unit.table)
    assert shown["widths"] == unit.widths
    assert shown["hardware"]["interval"] == 1
    assert shown["hardware"]["latency"] >= 1
    text = intsim("show", folder / "small.json").out
    assert "s8.4" in text
    assert unit.sha256 in text


def test_design_states_what_it_made(folder):
    made = intsim("design", *SMALL, "-o", folder / "again.json", "--json").json
    assert load(folder / "again.json") == load(folder / "small.json")
    assert made["words"] == 11
    assert made["sha256"] == load(folder / "again.json").sha256
    assert "exact solver" in made["origin"]


def test_design_of_the_users_own_function_and_of_a_uniform_table(folder):
    (folder / "mine.py").write_text("import numpy as np\ndef bump(x):\n    return np.exp(-x * x)\n")
    own = [f"{folder}/mine.py:bump", "--x", "s8.5", "--y", "s8.6"]
    assert intsim("design", *own, "-o", folder / "bump.json", "--intervals", "5", "--bins", "4").code == 0
    unit = load(folder / "bump.json")
    assert abs(int(unit(0)) - 64) <= 1
    assert abs(int(unit(32)) - round(64 * np.exp(-1))) <= 1
    assert intsim("design", *own, "-o", folder / "u.json", "--table", "uniform", "--segments", "16").code == 0
    assert type(load(folder / "u.json")).__name__ == "Uniform"


def test_design_then_verify_reports_every_input_equal(tmp_path):
    """The path a newcomer takes first."""
    path = tmp_path / "silu.json"
    assert intsim("design", "silu", "--x", "s16.12", "--y", "s16.12", "-o", path).code == 0
    result = intsim("verify", path, "--json")
    assert result.code == 0
    assert (result.json["inputs"], result.json["equal"], result.json["mismatches"]) == (65536, 65536, 0)
    assert result.json["exhaustive"] is True
    assert result.json["sha256"] == load(path).sha256


# The golden model -----------------------------------------------------------------------------------------------


def test_run_on_values(folder):
    unit = load(folder / "small.json")
    got = intsim("run", folder / "small.json", "-16,0,16", "--json")
    assert got.code == 0
    assert got.json == {"y": unit([-16, 0, 16]).tolist()}
    text = intsim("run", folder / "small.json", "-16,0,16").out.split()
    assert text == ["x", "y", *(str(v) for pair in zip([-16, 0, 16], unit([-16, 0, 16]), strict=True) for v in pair)]
    real = intsim("run", folder / "small.json", "--real", "-1,0.5", "--json").json
    assert real == {"y": (unit([-16, 8]) / 16).tolist()}


def test_run_on_files(folder):
    unit = load(folder / "small.json")
    x = np.arange(-128, 128, dtype=np.int16).reshape(2, 128)
    np.save(folder / "in.npy", x)
    assert intsim("run", folder / "small.json", folder / "in.npy", "-o", folder / "out.npy").code == 0
    y = np.load(folder / "out.npy")
    assert y.dtype == np.int8
    np.testing.assert_array_equal(y, unit(x))
    shown = intsim("run", folder / "small.json", folder / "in.npy")
    assert "256 values in all" in shown.err
    assert len(shown.out.splitlines()) == 33


def test_error_over_the_domain_and_its_picture(folder):
    from intsim import measure

    figures = intsim("error", folder / "small.json", "--picture", folder / "p.svg", "--json").json
    assert figures == {**measure.error(load(folder / "small.json")).as_dict(), "worst": figures["worst"]}
    assert figures["count"] == 256
    assert (folder / "p.svg").read_text().rstrip().endswith("</svg>")


# Hardware -------------------------------------------------------------------------------------------------------


def test_rtl_writes_everything_it_names(folder):
    paths = intsim("rtl", folder / "small.json", "-o", folder / "again", "--json").json
    assert {"verilog", "package", "map", "core", "waivers", "synthesis", "unit"} <= set(paths)
    assert listing(folder / "again") == listing(folder / "rtl")
    assert load(paths["unit"]) == load(folder / "small.json")
    lite = intsim("rtl", folder / "small.json", "-o", folder / "lite", "--shell", "lite", "--json").json
    assert set(lite) == {*paths, "header", "registers"}
    assert "s_axis" not in (folder / "lite" / "nli_silu.v").read_text()
    assert "did you mean 'lite'" in intsim("rtl", folder / "small.json", "-o", folder / "no", "--shell", "light").err


def test_options_of_the_hardware_reach_it(folder):
    shallow = intsim("rtl", folder / "small.json", "-o", folder / "shallow", "--set", "stages=4")
    assert shallow.code == 0
    assert (folder / "shallow" / "nli_silu.v").read_text() != (folder / "rtl" / "nli_silu.v").read_text()


def changed(unit: NLI, **change) -> NLI:
    import dataclasses

    return dataclasses.replace(unit, **change)


def emitted(unit: NLI, folder) -> str:
    save(unit, folder / "changed.json")
    assert intsim("rtl", folder / "changed.json", "-o", folder / "changed").code == 0
    return (folder / "changed" / "nli_silu.v").read_text()


def test_the_unchanged_verilog_holds(folder):
    result = intsim("verify", folder / "small.json", "--rtl", folder / "rtl" / "nli_silu.v", "--json")
    assert result.code == 0
    assert (result.json["inputs"], result.json["equal"], result.json["mismatches"]) == (256, 256, 0)


@pytest.mark.parametrize("part", ["table word", "scale", "adder"])
def test_changed_verilog_differs(folder, tmp_path, part):
    unit = load(folder / "small.json")
    original = (folder / "rtl" / "nli_silu.v").read_text()
    if part == "table word":
        text = emitted(changed(unit, table=(*unit.table[:6], unit.table[6] + 1, *unit.table[7:])), tmp_path)
    elif part == "scale":
        text = emitted(
            changed(unit, mantissas=(unit.mantissas[0], unit.mantissas[1] - 256, *unit.mantissas[2:])), tmp_path
        )
    else:
        text = original.replace(" + ", " - ", 1)
    assert text != original
    (tmp_path / "nli_silu.v").write_text(text)
    result = intsim("verify", folder / "small.json", "--rtl", tmp_path / "nli_silu.v", "--no-waves", "--json")
    assert result.code == 1
    assert result.json["mismatches"] > 0
    assert result.json["equal"] + result.json["mismatches"] == result.json["inputs"] == 256
    first = result.json["first"][0]
    assert first["expected"] != first["got"]
    assert first["expected"] == {"y": int(unit(first["inputs"]["x"]))}
    assert {"index", "dx", "step"} <= set(first["trace"])
    assert "DIFFERS" in intsim("verify", folder / "small.json", "--rtl", tmp_path / "nli_silu.v", "--no-waves").out


@pytest.mark.parametrize(
    "text", ["", "this is no Verilog", "module nli_silu(input clk);\nendmodule\n", "module other(input a); endmodule\n"]
)
def test_verilog_that_cannot_be_built_is_impossible(folder, tmp_path, text):
    (tmp_path / "nli_silu.v").write_text(text)
    result = intsim("verify", folder / "small.json", "--rtl", tmp_path / "nli_silu.v", "--json")
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")


def test_synth_counts_cells(folder):
    counted = intsim("synth", folder / "small.json", "--target", "ecp5", "--json").json
    assert counted["target"] == "ecp5"
    assert counted["summary"]["dsp"] >= 1
    assert counted["cells"]["TRELLIS_FF"] == counted["summary"]["ff"] > 0
    assert "TRELLIS_FF" in intsim("synth", folder / "small.json").out


def test_report_writes_one_page_and_its_figures(folder):
    import json

    result = intsim("report", folder / "small.json", "-o", folder / "report", "--json", "--set", "stages=5")
    assert result.code == 0
    stored = json.loads((folder / "report" / "nli_silu.json").read_text())
    assert stored == result.json
    unit = load(folder / "small.json")
    assert stored["unit"]["sha256"] == unit.sha256
    assert stored["unit"]["widths"] == unit.widths
    assert (stored["verification"]["equal"], stored["verification"]["mismatches"]) == (256, 0)
    assert len(stored["placement"]["fmax_by_seed"]) == 5
    assert stored["options"] == {"stages": 5}
    page = (folder / "report" / "nli_silu.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)  # nothing is loaded from anywhere
    for figure in (unit.sha256, stored["verilog_sha256"], "256", "TRELLIS_COMB", "cxxrtl", "data:image/svg+xml"):
        assert figure in page
    assert f"{stored['placement']['fmax_mhz']:.4g} MHz" in page
    assert stored["versions"]["yosys"] in page


# The program ----------------------------------------------------------------------------------------------------


def test_doctor_lists_every_tool_and_all_are_there():
    found = intsim("doctor", "--json")
    assert found.code == 0
    assert {"amaranth", "yosys", "nextpnr-ecp5", "verilator", "cocotb", "z3", "g++", "make"} <= {
        t["name"] for t in found.json
    }
    assert all(tool["ok"] and tool["version"] and tool["minimum"] for tool in found.json)
    assert "verilator" in intsim("doctor").out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_that_parses(verb):
    shown = intsim(verb, "--help")
    assert shown.code == 0
    examples = re.findall(rf"intsim {verb}[^│\n]*?(?=  or  |$)", re.sub(r"\s*\n ", " ", shown.out.split("╭")[0]), re.M)
    assert f"intsim {verb}" in shown.out
    assert examples or verb in ("list", "doctor", "demo")


def test_help_lists_every_verb_and_needs_no_arguments():
    shown = intsim("--help")
    assert shown.code == 0
    assert all(re.search(rf"│ {verb} ", shown.out) for verb in VERBS)
    assert intsim().code == 2


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom intsim.cli.app import run\nrun(['--help'])\n"
        "heavy = {'numba', 'amaranth', 'matplotlib', 'scipy', 'hdl', 'jinja2'} & sys.modules.keys()\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.8


def test_version_by_every_door():
    import intsim as package

    expected = f"intsim {package.__version__}"
    assert intsim("--version").out.strip() == expected
    script = os.path.join(os.path.dirname(sys.executable), "intsim")
    for words in ([script, "--version"], [sys.executable, "-m", "intsim", "--version"]):
        assert subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.strip() == expected


def test_a_defect_is_reported_without_a_traceback(monkeypatch):
    module = importlib.import_module("intsim.cli.list")

    def broken() -> None:
        """Broken."""
        raise RuntimeError("something unforeseen")

    monkeypatch.setattr(module, "command", broken)
    monkeypatch.delenv("INTSIM_TRACEBACK", raising=False)
    result = intsim("list")
    assert result.code == 2
    assert "this is a defect of intsim (RuntimeError: something unforeseen); please report it" in result.err


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MemoryError(), 2), (OSError(28, "No space"), 2)]
)
def test_interruptions_end_cleanly(monkeypatch, error, code):
    module = importlib.import_module("intsim.cli.list")

    def broken() -> None:
        """Broken."""
        raise error

    monkeypatch.setattr(module, "command", broken)
    assert intsim("list").code == code


@pytest.mark.parametrize("later", [0.0, 0.09, 0.4])
def test_ctrl_c_leaves_no_file_and_no_traceback(tmp_path, later):
    words = [sys.executable, "-m", "intsim", "design", "silu", "--x", "s16.12", "--y", "s16.12", "-o", "silu.json"]
    (tmp_path / "work").mkdir()
    env = {**os.environ, "INTSIM_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(
        words,
        cwd=tmp_path / "work",
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        # a run in the background inherits an ignored SIGINT, which Python then leaves ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(6000):
        if (tmp_path / "cache").exists():  # the solver is being compiled: the work has begun
            break
        time.sleep(0.01)
    time.sleep(later)  # while the compiler is imported, calls back, and makes functions of text
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert listing(tmp_path / "work") == {}


def test_a_reader_that_leaves_early_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m intsim list | head -n 1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("unit")


def test_python_users_reach_the_same_units():
    assert isinstance(catalogue.get("silu"), NLI)
    assert catalogue.get("silu").x == Fixed(16, 12)
