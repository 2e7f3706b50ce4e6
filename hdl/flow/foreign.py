"""Designs of somebody else's: read, checked against a port map, and wrapped to look like any unit's shell.

An adapter in SystemVerilog is written around the design; it has the ports of
:class:`hdl.wrap.axi_stream.AxiStream`, so that everything made for those works.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hdl.flow import tools
from hdl.flow.build import Source
from hdl.flow.portmap import Binding, PortMap, Slice
from hdl.wrap.packing import Field, Packing
from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit

__all__ = ["Port", "adapt", "examine", "read_sources"]


@dataclass(frozen=True)
class Port:
    """A port of the design as Verilator sees it."""

    name: str
    direction: str
    bits: int
    signed: bool


@dataclass(frozen=True)
class Design:
    """The design's top module: its ports, and the names of its parameters."""

    ports: Mapping[str, Port]
    parameters: tuple[str, ...]


# Reading ----------------------------------------------------------------------------------------------------------


def read_sources(paths: Sequence[str | Path], top: str) -> Source:
    """Verilog files, the files they include, and the tables they read; all stand beside them.

    Raises
    ------
    IntsimError
        A file is missing.
    """
    files: dict[str, str] = {}
    included: dict[str, str] = {}
    memories: dict[str, str] = {}
    folders = list(dict.fromkeys(Path(path).parent for path in paths))
    for path in map(Path, paths):
        text = _read(path, "a Verilog file")
        name = path.name if path.name not in files else f"{len(files)}_{path.name}"
        files[name] = text
        for place, content in _walk(path, text, folders, included):
            for memory in re.findall(r'\$readmem[hb]\s*\(\s*"([^"]+)"', content):
                memories[memory] = _read(place / memory, f"the table that {path.name} reads")
    return Source(top, files, memories, included)


def _walk(path: Path, text: str, folders: Sequence[Path], included: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """The folder and text of a file and of all it includes."""
    yield path.parent, text
    for name in re.findall(r'^\s*`include\s+"([^"]+)"', text, re.MULTILINE):
        if name in included:
            continue
        places = [folder / name for folder in (path.parent, *folders)]
        found = next((place for place in places if place.is_file()), places[0])
        included[name] = _read(found, f"the file that {path.name} includes")
        yield from _walk(found, included[name], folders, included)


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give {what}") from None


# Examining --------------------------------------------------------------------------------------------------------


def examine(source: Source, parameters: Mapping[str, int | str]) -> Design:
    """Ports and parameters of the top module, with `parameters` applied.

    Raises
    ------
    IntsimError
        It does not compile, there is no such module, or it has no such parameter.
    """
    with tools.work_folder("examine") as folder:
        files = source.write(folder, folder)
        overrides = [f"-G{name}={_literal(value)}" for name, value in parameters.items()]
        quiet = ["-Wno-fatal", "-Wno-lint", "-Wno-style"]
        base = ["--json-only", *quiet, "--top-module", source.top, "--prefix", "Vdut", "--Mdir", "obj"]
        tools.verilator([*base, *files], folder)
        module = _top(json.loads((folder / "obj" / "Vdut.tree.json").read_text()), source.top)[0]
        known = tuple(node["origName"] for node in module["stmtsp"] if node.get("isGParam"))
        for name in parameters:
            if name not in known:
                raise UnknownName(f"parameter of {source.top}", name, known)
        if overrides:
            tools.verilator([*base, *overrides, *files], folder)
        module, types = _top(json.loads((folder / "obj" / "Vdut.tree.json").read_text()), source.top)
    ports = {}
    for node in module["stmtsp"]:
        if node.get("type") == "VAR" and node.get("direction", "NONE") != "NONE":
            bits, signed = _width(types, node["dtypep"], node["origName"])
            ports[node["origName"]] = Port(node["origName"], node["direction"].lower(), bits, signed)
    return Design(ports, known)


def _top(tree: dict[str, Any], top: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The top module's node, and every type by address."""
    for module in tree["modulesp"]:
        if module["type"] == "MODULE" and module.get("level") == 1:
            return module, {node["addr"]: node for node in _nodes(tree["miscsp"])}
    raise IntsimError(f"there is no module {top!r} in the files given; name it with --top")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "addr" in value:
            yield value
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _nodes(item)


def _width(types: Mapping[str, dict[str, Any]], address: str, port: str) -> tuple[int, bool]:
    """Bits of a type, and whether it is declared signed."""
    node = types[address]
    signed = bool(node.get("signed"))
    match node["type"]:
        case "BASICDTYPE":
            high, _, low = node.get("range", "0:0").partition(":")
            return abs(int(high) - int(low)) + 1, signed
        case "REFDTYPE" | "ENUMDTYPE":
            return _width(types, node["refDTypep"], port)
        case "PACKARRAYDTYPE":
            high, low = re.findall(r"-?\d+", node["declRange"])
            return (abs(int(high) - int(low)) + 1) * _width(types, node["refDTypep"], port)[0], signed
        case "STRUCTDTYPE" if node.get("packed"):
            return sum(_width(types, member["dtypep"], port)[0] for member in node["membersp"]), signed
    raise IntsimError(f"port {port} is neither packed nor plain ({node['type'].lower()}); wrap the design once more")


# Checking ---------------------------------------------------------------------------------------------------------


def check(design: Design, top: str, ports: PortMap, inputs: Packing, outputs: Packing) -> None:
    """Refuse a port map that does not fit the design.

    Raises
    ------
    IntsimError
        A port that is missing, of the wrong direction, width or signedness, or an input left open.
    """
    for field in inputs.fields:
        _check_field(design, top, ports.inputs[field.port], field, inputs.lanes, "input")
    for field in outputs.fields:
        _check_field(design, top, ports.outputs[field.port], field, outputs.lanes, "output")
    reset = ports.reset.port if ports.reset else None
    single: dict[str, list[str | None]] = {
        "input": [ports.clock, reset, ports.in_valid, ports.out_ready, ports.in_last],
        "output": [ports.in_ready, ports.out_valid, ports.out_last],
    }
    for direction, names in single.items():
        for name in filter(None, names):
            _check_width(_find(design, top, name, direction), top, 1)
    for keep, direction, lanes in ((ports.in_keep, "input", inputs.lanes), (ports.out_keep, "output", outputs.lanes)):
        if keep:
            _check_width(_find(design, top, keep, direction), top, lanes)
    for name, value in ports.constants.items():
        found = _find(design, top, name, "input")
        if value >> found.bits:
            raise IntsimError(f"[constants] {name} = {value} does not fit {found.bits} bits")
    _check_complete(design, top, ports, list(filter(None, [*single["input"], ports.in_keep])))


def _check_width(port: Port, top: str, bits: int) -> None:
    if port.bits != bits:
        raise IntsimError(f"{top}.{port.name} has {port.bits} bits, {bits} expected; correct the port map")


def _find(design: Design, top: str, name: str, direction: str) -> Port:
    if name not in design.ports:
        raise UnknownName(f"port of {top}", name, design.ports)
    found = design.ports[name]
    if found.direction != direction:
        raise IntsimError(f"{top}.{name} is an {found.direction}, an {direction} is expected; correct the port map")
    return found


def _check_field(design: Design, top: str, binding: Binding, field: Field, lanes: int, direction: str) -> None:
    if len(binding.slices) not in (1, lanes):
        raise IntsimError(f"{field.port}: {len(binding.slices)} ports for {lanes} lanes; give one, or one per lane")
    wanted = field.bits if len(binding.slices) == lanes else field.bits * lanes
    for part in binding.slices:
        found = _find(design, top, part.port, direction)
        if part.msb is not None and part.msb >= found.bits:
            raise IntsimError(f"{field.port}: {part} is beyond the {found.bits} bits of {top}.{part.port}")
        bits = found.bits if part.msb is None else part.msb - (part.lsb or 0) + 1
        if bits != wanted:
            raise IntsimError(
                f"{field.port}: {top}.{part} has {bits} bits, the unit's {field.fmt} needs {wanted}; "
                "name the right port or slice, or design the unit for that width"
            )
        states = binding.signed
        if states is None and part.msb is None and found.signed:
            states = True
        if states is not None and states != field.fmt.signed:
            kinds = {True: "signed", False: "unsigned"}
            raise IntsimError(
                f"{field.port}: {top}.{part} is {kinds[states]}, the unit's {field.fmt} is {kinds[field.fmt.signed]}; "
                "name the right port, or design the unit for that format"
            )


def _check_complete(design: Design, top: str, ports: PortMap, single: Sequence[str]) -> None:
    """Every input of the design is driven, and no bit twice."""
    driven: dict[str, list[Slice]] = {name: [Slice(name)] for name in (*single, *ports.constants)}
    if len(driven) != len(single) + len(ports.constants):
        raise IntsimError(f"a port of {top} is named twice among clock, reset, handshake, row and constants")
    for binding in ports.inputs.values():
        for part in binding.slices:
            driven.setdefault(part.port, []).append(part)
    for name, port in design.ports.items():
        if port.direction == "inout":
            raise IntsimError(f"{top}.{name} is an inout; wrap the design once more")
        if port.direction != "input":
            continue
        if name not in driven:
            raise IntsimError(
                f"{top}.{name} is an input that the port map leaves open; connect it, or add it to [constants]"
            )
        taken: set[int] = set()
        for part in driven[name]:
            bits = set(range(part.lsb or 0, (port.bits if part.msb is None else part.msb + 1)))
            if bits & taken:
                raise IntsimError(f"{top}.{name} is driven twice; correct the port map")
            taken |= bits
        if len(taken) != port.bits:
            missing = min(set(range(port.bits)) - taken)
            raise IntsimError(f"{top}.{name}[{missing}] is left open by the port map; connect every bit of an input")


# The adapter ------------------------------------------------------------------------------------------------------


def packings(unit: Unit, ports: PortMap, lanes: int) -> tuple[Packing, Packing]:
    """Both streams of the adapter. The output has ``last`` only if the design tells where a row ends."""
    told = ports.out_last is not None and (lanes == 1 or bool(ports.out_keep) or not ports.in_keep)
    if lanes > 1 and unit.is_row and not ports.in_keep and (ports.row_length or 1) % lanes:
        raise IntsimError(f"{lanes} lanes need [row] in_keep, or a length that fills them; complete the port map")
    return Packing.of(unit.inputs, lanes, unit.is_row), Packing.of(unit.outputs, lanes, told)


def with_parameters(source: Source, parameters: Mapping[str, int | str]) -> Source:
    """`source` with parameters of its top module set, for a design that has the shell's ports already."""
    if not parameters:
        return source
    examine(source, parameters)
    return replace(source, flags=tuple(f"-G{name}={_literal(value)}" for name, value in parameters.items()))


def adapt(source: Source, ports: PortMap, inputs: Packing, outputs: Packing) -> Source:
    """The design inside an adapter with the ports of an AXI4-Stream shell.

    Raises
    ------
    IntsimError
        The port map does not fit the design.
    """
    design = examine(source, ports.parameters)
    check(design, source.top, ports, inputs, outputs)
    text = _adapter(source.top, design, ports, inputs, outputs)
    top = f"{source.top}_adapter"
    defines = ("RESET_WITHOUT_CLOCK",) if ports.reset and ports.reset.asynchronous else ()
    return replace(source, top=top, files={**source.files, f"{top}.sv": text}, defines=defines)


def _adapter(top: str, design: Design, ports: PortMap, inputs: Packing, outputs: Packing) -> str:
    """SystemVerilog: a wire per port of the design, what drives each, and the handshake the design lacks."""
    lines = [f"module {top}_adapter(input logic clk, input logic rst,"]
    lines += [f"  input logic [{width - 1}:0] s_axis_{name}," for name, width in inputs.signals]
    lines += [f"  output logic [{width - 1}:0] m_axis_{name}," for name, width in outputs.signals]
    lines += ["  input logic m_axis_tready, output logic s_axis_tready);"]
    used = list(design.ports.values())
    lines += [f"  logic [{port.bits - 1}:0] w_{port.name};" for port in used]
    parameters = ", ".join(f".{name}({_literal(value)})" for name, value in ports.parameters.items())
    connections = ", ".join(f".{port.name}(w_{port.name})" for port in used)
    lines += [f"  {top} {f'#({parameters}) ' if parameters else ''}dut({connections});"]
    lines += list(_inputs(ports, inputs))
    lines += list(_outputs(ports, outputs))
    lines += [f"  assign w_{name} = {design.ports[name].bits}'d{value};" for name, value in ports.constants.items()]
    if ports.clock:
        lines += [f"  assign w_{ports.clock} = clk;"]
    if ports.reset:
        lines += [f"  assign w_{ports.reset.port} = {'~rst' if ports.reset.active_low else 'rst'};"]
    lines += list(_rows(ports, inputs, outputs))
    lines += list(_handshake(ports))
    return "\n".join([*lines, "endmodule", ""])


def _literal(value: int | str) -> str:
    """A parameter as Verilog: numbers as they stand, anything else that is no number quoted."""
    if isinstance(value, int) or re.fullmatch(r"-?\d+|\d*'s?[bdhoBDHO][0-9a-fA-F_]+", value):
        return str(int(value)) if isinstance(value, int) else value
    return '"' + value.strip('"').replace('"', '\\"') + '"'


def _lanes(binding: Binding, field: Field, lanes: int) -> Iterator[tuple[int, str]]:
    """For each lane, the bits of the design's port that hold the field."""
    for lane in range(lanes):
        if len(binding.slices) == lanes:
            part, base, bits = binding.slices[lane], 0, field.bits
        else:
            part, base, bits = binding.slices[0], lane * field.bits, field.bits
        low = (part.lsb or 0) + base
        yield lane, f"w_{part.port}[{low + bits - 1}:{low}]"


def _inputs(ports: PortMap, packing: Packing) -> Iterator[str]:
    for field in packing.fields:
        for lane, bits in _lanes(ports.inputs[field.port], field, packing.lanes):
            low = 8 * (lane * packing.element_bytes + field.offset)
            yield f"  assign {bits} = s_axis_tdata[{low + field.bits - 1}:{low}];"


def _outputs(ports: PortMap, packing: Packing) -> Iterator[str]:
    for field in packing.fields:
        for lane, bits in _lanes(ports.outputs[field.port], field, packing.lanes):
            low = 8 * (lane * packing.element_bytes + field.offset)
            extended = f"$signed({bits})" if field.fmt.signed else bits
            yield f"  assign m_axis_tdata[{low + 8 * field.size - 1}:{low}] = {8 * field.size}'({extended});"


def _rows(ports: PortMap, inputs: Packing, outputs: Packing) -> Iterator[str]:
    if ports.in_last:
        yield f"  assign w_{ports.in_last} = s_axis_tlast;"
    if ports.in_keep:
        bits = ", ".join(f"s_axis_tkeep[{lane * inputs.element_bytes}]" for lane in reversed(range(inputs.lanes)))
        yield f"  assign w_{ports.in_keep} = {{{bits}}};"
    if outputs.row:
        yield f"  assign m_axis_tlast = w_{ports.out_last};"
    if outputs.keep_bytes:
        kept = [f"w_{ports.out_keep}[{lane}]" if ports.out_keep else "1'b1" for lane in range(outputs.lanes)]
        bits = ", ".join(f"{{{outputs.element_bytes}{{{bit}}}}}" for bit in reversed(kept))
        yield f"  assign m_axis_tkeep = {{{bits}}};"


def _handshake(ports: PortMap) -> Iterator[str]:
    if ports.interface == "combinational" or (ports.interface == "latency" and ports.latency == 0):
        yield "  assign m_axis_tvalid = s_axis_tvalid;"
        yield "  assign s_axis_tready = m_axis_tready;"
    elif ports.interface == "latency":
        last = ports.latency - 1
        yield f"  logic [{last}:0] filled;"
        yield f"  always_ff @(posedge clk) filled <= rst ? '0 : {ports.latency}'({{filled, s_axis_tvalid}});"
        yield f"  assign m_axis_tvalid = filled[{last}];"
        yield "  assign s_axis_tready = 1'b1;"
    else:
        yield f"  assign w_{ports.in_valid} = s_axis_tvalid;"
        yield f"  assign m_axis_tvalid = w_{ports.out_valid};"
        yield f"  assign s_axis_tready = {f'w_{ports.in_ready}' if ports.in_ready else chr(49) + chr(39) + 'b1'};"
        if ports.out_ready:
            yield f"  assign w_{ports.out_ready} = m_axis_tready;"
