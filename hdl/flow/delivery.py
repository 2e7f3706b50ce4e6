"""What an integrator is handed: Verilog, widths, a map of fields, a FuseSoC core, lint waivers, a synthesis script."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import intsim
from hdl.flow.emission import Rtl, rtl
from hdl.flow.synthesis import script
from hdl.wrap.packing import Field, Packing
from intsim.errors import UnknownName
from intsim.files import write_files
from intsim.formats import Fixed
from intsim.shell import element_words
from intsim.unit import Unit, one_input

__all__ = ["verilog"]

_WAIVERS = """\
`verilator_config
// Generated Verilog declares every value at the width its range needs, and leaves extension to the language:
lint_off -rule WIDTHEXPAND -file "*{top}.v"
// ... and drops bits that are known to be copies of others, or not needed further on:
lint_off -rule UNUSEDSIGNAL -file "*{top}.v"
// Registers have both a reset and an initial value (the latter for FPGAs):
lint_off -rule PROCASSINIT -file "*{top}.v"
// One file holds the shell and the unit:
lint_off -rule DECLFILENAME -file "*{top}.v"
// The package is for whoever imports it:
lint_off -rule UNUSEDPARAM -file "*{top}_pkg.sv"
"""

_CORE = """\
CAPI=2:
name: intsim:units:{top}:{version}
description: {description}
filesets:
  rtl:
    files:
{rtl}
  package:
    files:
      - {top}_pkg.sv: {{file_type: systemVerilogSource}}
{registers}  lint:
    files:
      - {top}.vlt: {{file_type: vlt}}
targets:
  default:
    filesets: [rtl]
    toplevel: {top}
  lint:
    default_tool: verilator
    filesets: [lint, rtl]
    toplevel: {top}
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""

_REGISTER_FILES = """\
      - {top}_registers_pkg.sv: {{file_type: systemVerilogSource}}
      - {top}_registers.h: {{file_type: user}}
"""

TABLES = ("inline", "mem")


def verilog(unit: Unit, folder: str | Path, *, tables: str = "inline", **options: Any) -> dict[str, Path]:
    """Write a unit's hardware as Verilog-2005 with everything an integrator needs beside it.

    Parameters
    ----------
    unit : any unit with hardware
    folder : where to; created if missing
    tables : ``"inline"``, or ``"mem"``: tables as files for ``$readmemh``
    **options : ``top`` (name of the module), ``shell`` (see :data:`hdl.wrap.SHELLS`), and the component's own, such as
        ``stages``

    Returns
    -------
    dict
        Paths by kind: ``verilog``, ``package`` (SystemVerilog: widths, signedness, types), ``map`` (JSON: where each
        field lies in the ports, and the nets that carry the golden model's intermediates), ``core`` (FuseSoC),
        ``waivers`` (with them ``verilator --lint-only -Wall`` is silent), ``synthesis`` (a script for stock Yosys),
        ``unit`` (the unit's JSON), ``memories`` (a list; only with ``tables="mem"``), and where there are registers
        ``header`` and ``registers`` (their map as a C header and as a SystemVerilog package).

    Raises
    ------
    IntsimError
        No hardware, an unknown option, or a folder that cannot be written; nothing is written then.

    Notes
    -----
    The files depend on the unit, the options and the tools' versions only: no time, no path, no machine.
    """
    if tables not in TABLES:
        raise UnknownName("kind of tables", tables, TABLES)
    design = rtl(unit, **options)
    sources = design.verilog_and_memories() if tables == "mem" else {f"{design.top}.v": design.verilog()}
    memories = [name for name in sources if name.endswith(".mem")]
    top = design.top
    files = {
        **sources,
        f"{top}_pkg.sv": _package(design),
        f"{top}.core": _core(design, memories),
        f"{top}.vlt": _WAIVERS.format(top=top),
        f"{top}.ys": "# Repeats the synthesis for ECP5 with stock Yosys: yosys " + f"{top}.ys\n" + script(top, "ecp5"),
        f"{top}.unit.json": unit.to_json(),
    }
    if design.registers is not None:
        files[f"{top}_registers.h"] = design.registers.c_header()
        files[f"{top}_registers_pkg.sv"] = design.registers.sv_package()
        files[f"{top}.vlt"] += f'lint_off -rule UNUSEDPARAM -file "*{top}_registers_pkg.sv"\n'
    files[f"{top}.json"] = json.dumps(_map(design, files), indent=2) + "\n"
    paths: dict[str, Any] = write_files(folder, files)
    kinds = {
        "verilog": f"{top}.v",
        "package": f"{top}_pkg.sv",
        "map": f"{top}.json",
        "core": f"{top}.core",
        "waivers": f"{top}.vlt",
        "synthesis": f"{top}.ys",
        "unit": f"{top}.unit.json",
    }
    result = {kind: paths[name] for kind, name in kinds.items()}
    if design.registers is not None:
        result |= {"header": paths[f"{top}_registers.h"], "registers": paths[f"{top}_registers_pkg.sv"]}
    if memories:
        result["memories"] = [paths[name] for name in memories]
    return result


def _core(design: Rtl, memories: list[str]) -> str:
    lines = [f"      - {design.top}.v: {{file_type: verilogSource-2005}}"]
    lines += [f"      - {name}: {{file_type: user, copyto: {name}}}" for name in memories]
    unit = design.unit
    return _CORE.format(
        top=design.top,
        version=intsim.__version__,
        description=f'"{type(unit).__name__} unit, sha256 {unit.sha256[:16]}"',
        rtl="\n".join(lines),
        registers="" if design.registers is None else _REGISTER_FILES.format(top=design.top),
    )


# The package ----------------------------------------------------------------------------------------------------


def _package(design: Rtl) -> str:
    """Widths, signedness and positions as SystemVerilog constants and types."""
    unit = design.unit
    lines = [
        f"// Widths and types of {design.top}; unit sha256 {unit.sha256}",
        f"package {design.top}_pkg;",
        f'  localparam string UNIT_SHA256 = "{unit.sha256}";',
        f"  localparam int LATENCY = {design.component.latency};",
        f"  localparam int INTERVAL = {design.component.interval};",
    ]
    if unit.is_row:
        lines.append(f"  localparam int MAX_ROW = {unit.max_row};")  # type: ignore[attr-defined]
    both = (("s_axis", design.inputs, design.outputs), ("m_axis", design.outputs, design.inputs))
    for stream, packing, other in both if design.streams else ():
        shared = {field.port for field in other.fields}
        lines += ["", f"  localparam int {stream.upper()}_LANES = {packing.lanes};"]
        lines += [f"  localparam int {stream.upper()}_ELEMENT_BYTES = {packing.element_bytes};"]
        lines += [f"  localparam int {stream.upper()}_TDATA_BITS = {8 * packing.data_bytes};"]
        for field in packing.fields:
            name = f"{stream}_{field.port}" if field.port in shared else field.port
            lines += _constants(name, field)
        lines += _element(stream, packing, shared)
    return "\n".join([*lines, "endpackage", ""])


def _constants(name: str, field: Field) -> list[str]:
    signed = "signed " if field.fmt.signed else ""
    lines = [
        f"  localparam int {name.upper()}_BITS = {field.bits};",
        f"  localparam bit {name.upper()}_SIGNED = 1'b{int(field.fmt.signed)};",
        f"  localparam int {name.upper()}_LSB = {8 * field.offset};",
    ]
    if isinstance(field.fmt, Fixed):
        lines.append(f"  localparam int {name.upper()}_FRAC = {field.fmt.frac};")
    return [*lines, f"  typedef logic {signed}[{field.bits - 1}:0] {name}_t;"]


def _element(stream: str, packing: Packing, shared: set[str]) -> list[str]:
    """One lane of ``tdata`` as a packed structure: the first field is the last member, in the low bits."""
    members = []
    for field in reversed(packing.fields):
        padding = 8 * field.size - field.bits
        if padding:
            members.append(f"    logic [{padding - 1}:0] {field.port}_padding;")
        members.append(f"    {f'{stream}_{field.port}' if field.port in shared else field.port}_t {field.port};")
    return ["  typedef struct packed {", *members, f"  }} {stream}_element_t;"]


# The map --------------------------------------------------------------------------------------------------------


def _map(design: Rtl, files: Mapping[str, str]) -> dict[str, Any]:
    unit, component = design.unit, design.component
    return {
        "generator": f"intsim {intsim.__version__}",
        "unit": unit.name,
        "type": type(unit).__name__,
        "sha256": unit.sha256,
        "top": design.top,
        "clock": "clk",
        "reset": {"port": "rst", "active": "high", "synchronous": True},
        "latency": component.latency,
        "interval": component.interval,
        "inputs": _fields("s_axis_tdata", design.inputs) if design.streams else _words(design, "INPUT"),
        "outputs": _fields("m_axis_tdata", design.outputs) if design.streams else _words(design, "OUTPUT"),
        "intermediates": _nets(design, files[f"{design.top}.v"]),
        "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }


def _fields(port: str, packing: Packing) -> dict[str, Any]:
    return {
        field.port: {
            "port": port,
            "format": str(field.fmt),
            "bits": field.bits,
            "signed": field.fmt.signed,
            "lanes": [
                {"lsb": lsb, "msb": lsb + field.bits - 1}
                for lane in range(packing.lanes)
                for lsb in [8 * (lane * packing.element_bytes + field.offset)]
            ],
        }
        for field in packing.fields
    }


def _words(design: Rtl, name: str) -> dict[str, Any]:
    """Where the ports of an element lie in an array of registers."""
    assert design.registers is not None
    ports = design.unit.inputs if name == "INPUT" else design.unit.outputs
    found: dict[str, Any] = {
        port: {"format": str(fmt), "bits": fmt.bits, "signed": fmt.signed, "words": []} for port, fmt in ports.items()
    }
    for index, (port, low, width) in enumerate(element_words(ports)):
        where = design.registers.address(name, index)
        found[port]["words"].append({"address": where, "lsb": low, "msb": low + width - 1})
    return found


def _nets(design: Rtl, text: str) -> dict[str, list[str]]:
    """Nets named like an intermediate of the golden model, alone or with a stage before it (``s3_index``)."""
    unit = design.unit
    names = [name for name in unit.trace(*one_input(unit)) if name not in unit.inputs and name not in unit.outputs]
    nets = list(_signals(text, design.top))
    found = {name: [net for net in nets if re.fullmatch(rf"(s\d+_)?{re.escape(name)}", net[-1])] for name in names}
    return {name: [".".join(net) for net in sorted(where, key=_natural)] for name, where in found.items() if where}


def _natural(net: tuple[str, ...]) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", ".".join(net))]


def _signals(text: str, top: str) -> Iterator[tuple[str, ...]]:
    """Every named net of emitted Verilog, as a path of instances."""
    modules = {m[1]: m[2] for m in re.finditer(r"^module (\w+)\(.*?\);$(.*?)^endmodule", text, re.M | re.S)}

    def walk(module: str, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for net in re.finditer(r"^  (?:wire|reg) (?:signed )?(?:\[\d+:\d+\] )?(\w+)(?: =.*)?;$", modules[module], re.M):
            yield (*path, net[1])
        for instance in re.finditer(r"^  (\w+) (\w+) \($", modules[module], re.M):
            if instance[1] in modules:
                yield from walk(instance[1], (*path, instance[2]))

    return walk(top, (top,))
