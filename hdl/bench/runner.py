"""Build a unit for Verilator, run cocotb tests on it, and trust nothing but the results file."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hdl.flow import tools
from hdl.flow.build import Source
from hdl.flow.design import read_design
from hdl.flow.portmap import PortMap
from hdl.registry import create, has_hardware
from intsim.errors import IntsimError
from intsim.files import write_text
from intsim.unit import Unit

__all__ = ["BenchFailed", "Results", "run"]

_BUILD_ARGS = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", "-O2"]
_TIMESCALE = ("1ns", "1ns")


# Stands before the compiler (make's OBJCACHE) and keeps the objects of Verilator's own sources: they are the same for
# every design and take most of a build's time.
_KEEP_OBJECTS = """\
kept="{folder}/$(printf '%s\\n' "$@" | cksum | tr ' ' -).o"
for word; do
  case "$previous" in -o) object="$word";; esac
  previous="$word"
done
case "$previous" in */include/verilated*.cpp) ;; *) exec "$@";; esac
[ -f "$kept" ] && exec cp "$kept" "$object"
"$@" && cp "$object" "$kept.$$" && mv "$kept.$$" "$kept"
"""


class BenchFailed(IntsimError):
    """Tests failed, or did not run; `results` says which."""

    def __init__(self, message: str, results: Results):
        super().__init__(message)
        self.results = results


@dataclass(frozen=True)
class Results:
    """Outcome of one simulator run, read from its results file.

    Attributes
    ----------
    passed : names of the tests that passed
    failed : name and message of those that did not
    compared : outputs compared with the golden model, in all tests together
    log : what the simulator printed
    """

    passed: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    compared: int
    log: str

    @property
    def ok(self) -> bool:
        """Whether there were tests, all of them passed, and something was compared."""
        return bool(self.passed) and not self.failed and self.compared > 0

    @property
    def verdict(self) -> str:
        """One line."""
        return f"{len(self.passed)} tests passed, {len(self.failed)} failed, {self.compared} outputs compared"


def run(
    unit: Unit,
    tests: str | Path,
    *,
    rtl: str | Path | Sequence[str | Path] | None = None,
    top: str | None = None,
    params: Mapping[str, int | str] | None = None,
    ports: PortMap | str | Path | None = None,
    testcase: str | Sequence[str] | None = None,
    seed: int = 0,
    check: bool = True,
    **options: Any,
) -> Results:
    """Simulate the hardware of `unit`, or a design of your own, with the cocotb tests of one Python file.

    Parameters
    ----------
    unit : any unit with hardware; with `rtl`, any unit. :func:`hdl.bench.given` hands it to the tests
    tests : Python file with the tests
    rtl : Verilog or SystemVerilog files to test in place of what `unit` generates
    top : name of the top module; the unit's name by default
    params : parameters of the top module, with `rtl`
    ports : how the design in `rtl` is connected, if it has other ports than the generated Verilog: a
        :class:`~hdl.flow.portmap.PortMap` or the TOML file of one. The tests' ``dut`` is then an adapter, and
        ``dut.dut`` the design
    testcase : names of the tests to run; all by default
    seed : of Python's ``random`` inside the simulator
    check : raise :class:`BenchFailed` unless all is well
    **options : ``shell`` (one of :data:`hdl.wrap.SHELLS`), and the component's own, such as ``stages``

    Returns
    -------
    Results

    Raises
    ------
    BenchFailed
        A test failed, there was none, none compared anything, or the simulator stopped early.
    IntsimError
        The design does not compile, the port map does not fit it, or a tool is missing.
    """
    path = Path(tests).resolve()
    if not path.is_file():
        raise IntsimError(f"there is no file {tests}; give a Python file with cocotb tests")
    tools.require("cocotb", "verilator", "g++", "make")
    design = read_design(unit, rtl, top=top, params=params, ports=ports, **options)
    build = _build(design.source)
    body = {"unit": json.loads(unit.to_json()), **_timing(unit, design.ports, options)}
    with tools.work_folder("bench") as folder:
        (folder / "bench.json").write_text(json.dumps(body))
        results = _simulate(design.source.top, build, path, folder, testcase, seed)
    if check and not results.ok:
        lines = [f"{unit.name}: {results.verdict}", *(f"{name}: {why}" for name, why in results.failed)]
        if not results.passed and not results.failed:
            lines.append(results.log[-2000:])
        raise BenchFailed("\n".join(lines), results)
    return results


def _timing(unit: Unit, ports: PortMap | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the tests may know of the design's time: its own, if it is the unit's hardware."""
    if ports is not None or not has_hardware(unit):
        return {"latency": None, "interval": None, "stallable": ports is None or ports.stallable}
    component = create(unit, **{name: value for name, value in options.items() if name != "shell"})
    return {"latency": component.latency, "interval": component.interval, "stallable": True}


def _build(source: Source) -> Path:
    """A folder with the compiled simulation; one per design, flags and tool versions, kept."""
    from cocotb_tools.runner import get_runner

    top, arguments = source.top, [*_BUILD_ARGS, *source.flags]
    texts = (
        f"{name}\n{text}" for group in (source.files, source.included, source.memories) for name, text in group.items()
    )
    # The simulation finds cocotb's libraries by the path they had when it was built.
    recipe = [top, *texts, *arguments, *_TIMESCALE, sys.prefix, *(f"{k} {v}" for k, v in _versions().items())]
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:32]
    home = tools.cache() / "bench"
    target = home / f"{top}-{key}"
    if (target / top).is_file():
        return target
    home.mkdir(parents=True, exist_ok=True)
    with tools.work_folder(f"cocotb-{top}") as folder:
        files = source.write(folder, target)
        made = folder / "build"
        log = folder / "build.log"
        with _environment(), contextlib.redirect_stdout(io.StringIO()):
            os.environ["OBJCACHE"] = f"sh {_object_keeper(home)}"
            try:
                get_runner("verilator").build(
                    sources=[folder / name for name in files],
                    includes=[folder],
                    hdl_toplevel=top,
                    build_dir=made,
                    build_args=arguments,
                    timescale=_TIMESCALE,
                    log_file=log,
                )
            except (SystemExit, RuntimeError, OSError) as error:
                said = log.read_text(errors="replace")[-2000:] if log.is_file() else str(error)
                raise IntsimError(f"{top} does not build for cocotb:\n{said}") from None
        staged = Path(f"{target}.{os.getpid()}")
        staged.mkdir(exist_ok=True)
        shutil.copy2(made / top, staged / top)
        for name, text in source.memories.items():
            (staged / Path(name).name).write_text(text)
        try:
            staged.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(staged, ignore_errors=True)
    return target


def _object_keeper(home: Path) -> Path:
    folder = home / "-".join(["objects", *(f"{k}-{v}" for k, v in sorted(_versions().items()))])
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "keep-objects"
    if not script.is_file():
        write_text(script, _KEEP_OBJECTS.format(folder=folder))
    return script


def _versions() -> dict[str, str]:
    return tools.versions("cocotb", "verilator", "g++")


def _simulate(top: str, build: Path, tests: Path, folder: Path, testcase, seed: int) -> Results:
    from cocotb_tools.runner import get_runner

    xml, log, counts = folder / "results.xml", folder / "test.log", folder / "counts"
    variables = {"INTSIM_BENCH": str(folder / "bench.json"), "INTSIM_BENCH_COUNTS": str(counts)}
    # A failing run may end in SystemExit or not; only the results file is believed.
    with _environment(tests.parent), contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        get_runner("verilator").test(
            test_module=tests.stem,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build,
            test_dir=folder,
            results_xml=str(xml),
            testcase=testcase,
            seed=seed,
            timescale=_TIMESCALE,
            log_file=log,
            extra_env=variables,
        )
    said = log.read_text(errors="replace") if log.is_file() else ""
    passed, failed = _results(xml)
    compared = sum(map(int, counts.read_text().split())) if counts.is_file() else 0
    return Results(tuple(passed), tuple(failed), compared, said)


def _results(xml: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the tests that passed; name and message of those that did not."""
    passed: list[str] = []
    failed: list[tuple[str, str]] = []
    if not xml.is_file():
        return passed, [("simulation", "it ended without a results file")]
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        name = case.get("name", "?")
        trouble = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if trouble:
            said = (trouble[0].text or trouble[0].tag).strip().splitlines()[-1]
            failed.append((name, trouble[0].get("error_msg") or trouble[0].get("message") or said))
        else:
            passed.append(name)
    return passed, failed


@contextmanager
def _environment(*folders: Path) -> Iterator[None]:
    """The tools' environment, and `folders` importable; both only while the runner works.

    The runner rebuilds PYTHONPATH from ``sys.path`` and would obey what pytest leaves in the environment.
    """
    variables, path = dict(os.environ), list(sys.path)
    try:
        tools.setup()
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        sys.path[:0] = [str(folder) for folder in folders]
        yield
    finally:
        os.environ.clear()
        os.environ.update(variables)
        sys.path[:] = path
