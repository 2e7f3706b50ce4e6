"""Compiled simulations: one shared library per design, harness, flags and tool versions, kept on disk."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hdl.flow import tools
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError

__all__ = ["SIMULATORS", "Source", "library"]

SIMULATORS = ("cxxrtl", "verilator")

_KEPT = 1000  # compiled models; a few hundred kilobytes each

# CXXRTL would abort the process where a bubble in a pipeline (no valid transfer) addresses a table beyond its end.
_FLAGS = ["-O3", "-fPIC", "-w", "-fno-strict-aliasing", "-DCXXRTL_NDEBUG"]
_VERILATED = ["-std=c++17", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-pthread"]
_VERILATE = ["--cc", "-O3", "--x-assign", "fast", "--output-split", "0", "-Wno-fatal", "-Wno-lint", "-Wno-style"]

_TO_CXXRTL = """\
read_verilog {defines}{files}
hierarchy -check -top {top}
write_cxxrtl design.cc
"""


@dataclass(frozen=True)
class Source:
    """Verilog text by file name, and the top module, which has the ports of an AXI4-Stream shell.

    Attributes
    ----------
    files : name -> text, in the order in which they are read
    memories : name -> text of files that the Verilog reads at start (``$readmemh``), by the name written there
    included : name -> text of files that the Verilog includes, by the name written there
    flags : further arguments for Verilator
    defines : macros for the harness
    harness : C++ text that follows the harness, with further functions for the simulation
    """

    top: str
    files: Mapping[str, str]
    memories: Mapping[str, str] = field(default_factory=dict)
    included: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    harness: str = ""

    def write(self, folder: Path, memories: Path) -> list[str]:
        """Put the files into `folder`; the names of those to compile are returned.

        Simulators look for memory files where the program runs: the Verilog is given their full names in `memories`.
        """
        for name, text in {**self.included, **self.files}.items():
            for memory in self.memories:
                text = text.replace(f'"{memory}"', f'"{memories / Path(memory).name}"')
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise IntsimError(f"{name} lies outside the sources' folder; give it beside them")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return list(self.files)


def library(source: Source, inputs: Packing, outputs: Packing, simulator: str, *, trace: bool = False) -> Path:
    """The shared library that simulates `source`; built unless it is there already.

    Raises
    ------
    IntsimError
        The design does not compile, or a tool is missing.
    """
    tools.require(*_needs(simulator))
    harness = importlib.resources.files("hdl.flow").joinpath("harness/harness.cpp").read_text() + source.harness
    macros = [*_macros(inputs, outputs), *(f"-D{name}" for name in source.defines)]
    recipe = [
        source.top,
        *(f"{name}\n{text}" for name, text in {**source.files, **source.memories, **source.included}.items()),
        *source.flags,
        harness,
        *_FLAGS,
        *(_VERILATED + _VERILATE if simulator == "verilator" else [_TO_CXXRTL]),
        *macros,
        simulator,
        *(f"{k} {v}" for k, v in tools.versions(*_needs(simulator)).items()),
        f"trace={trace}",
    ]
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:32]
    home = tools.cache() / "models"
    target = home / f"{source.top}-{simulator}-{key}.so"
    if target.is_file():
        os.utime(target)
        return target
    memories = home / key
    (memories if source.memories else home).mkdir(parents=True, exist_ok=True)
    with tools.work_folder(source.top) as folder:
        for name, text in source.memories.items():
            (folder / Path(name).name).write_text(text)
            _publish(folder / Path(name).name, memories / Path(name).name)
        # Yosys, in its sandbox, sees the work folder only; it reads memories while it compiles
        files = source.write(folder, memories if simulator == "verilator" else Path())
        (folder / "harness.cpp").write_text(harness)
        if simulator == "verilator":
            _verilate(source, files, macros, folder, trace)
        else:
            _cxxrtl(source, files, macros, folder)
        _publish(folder / "model.so", target)
    _forget_oldest(home)
    return target


def _forget_oldest(home: Path) -> None:
    """Keep the models used last."""
    models = sorted(home.glob("*.so"), key=lambda path: path.stat().st_mtime)
    for model in models[:-_KEPT]:
        model.unlink(missing_ok=True)


def _needs(simulator: str) -> tuple[str, ...]:
    return ("yosys", "g++") if simulator == "cxxrtl" else ("verilator", "g++")


def _macros(inputs: Packing, outputs: Packing) -> list[str]:
    return [
        f"-D{side}_{name}={value}"
        for side, packing in (("IN", inputs), ("OUT", outputs))
        for name, value in (
            ("DATA", packing.data_bytes),
            ("KEEP", packing.keep_bytes),
            ("LAST", int(packing.row)),
        )
    ]


def _cxxrtl(source: Source, files: list[str], macros: list[str], folder: Path) -> None:
    defines = "-sv " if any(name.endswith(".sv") for name in files) else ""
    tools.yosys(_TO_CXXRTL.format(defines=defines, files=" ".join(files), top=source.top), folder)
    design = "p_" + source.top.replace("_", "__")
    include: list[str | Path] = ["-I", tools.cxxrtl_include(), "-I", "."]
    tools.cxx(
        [*_FLAGS, "-std=c++14", *macros, f"-DDESIGN={design}", *include, "-shared", "-o", "model.so", "harness.cpp"],
        folder,
    )


def _verilate(source: Source, files: list[str], macros: list[str], folder: Path, trace: bool) -> None:
    flags = [*_VERILATE, *source.flags, *(["--trace-vcd"] if trace else [])]
    tools.verilator([*flags, "--top-module", source.top, "--prefix", "Vdut", "--Mdir", "obj", *files], folder)
    parts = sorted((folder / "obj").glob("*.cpp"))
    (folder / "all.cpp").write_text("".join(f'#include "obj/{part.name}"\n' for part in parts))
    runtime, traced = _runtime(), ["-DVM_TRACE=1", "-DVM_TRACE_VCD=1", "-DWITH_TRACE"] if trace else ["-DVM_TRACE=0"]
    shipped = tools.verilator_root() / "include"
    include: list[str | Path] = ["-I", shipped, "-I", shipped / "vltstd", "-I", "obj"]
    common = [*_FLAGS, *_VERILATED, *traced, *macros, "-DWITH_VERILATOR", *include]
    tools.cxx([*common, "-shared", "-o", "model.so", "harness.cpp", "all.cpp", *runtime], folder)


def _runtime() -> list[Path]:
    """Verilator's own code, compiled once for all designs."""
    root = tools.verilator_root() / "include"
    names = ["verilated.cpp", "verilated_threads.cpp", "verilated_vcd_c.cpp"]
    recipe = [*_FLAGS, *_VERILATED, *(f"{k} {v}" for k, v in tools.versions("verilator", "g++").items())]
    key = hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]
    home = tools.cache() / f"verilated-{key}"
    home.mkdir(parents=True, exist_ok=True)
    objects = [home / f"{Path(name).stem}.o" for name in names]
    for name, target in zip(names, objects, strict=True):
        if not target.is_file():
            with tools.work_folder("verilated") as folder:
                tools.cxx([*_FLAGS, *_VERILATED, "-I", root, "-c", root / name, "-o", "part.o"], folder)
                _publish(folder / "part.o", target)
    return objects


def _publish(made: Path, target: Path) -> None:
    """Into the cache in one step: another process may be building or loading the same file."""
    handle, name = tempfile.mkstemp(dir=target.parent)
    try:
        with open(handle, "wb") as stream:
            stream.write(made.read_bytes())
        shutil.move(name, target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise IntsimError(f"cannot write {target}: {error.strerror}; set INTSIM_CACHE_DIR to another folder") from None
