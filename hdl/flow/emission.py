"""From a unit to Verilog text, the same bytes on every machine."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from amaranth.back import rtlil as amaranth_rtlil

import intsim
from hdl.component import UnitComponent
from hdl.flow import naming, tools
from hdl.registry import create
from hdl.wrap import AxiStream, wrap
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError
from intsim.files import make_folder, write_text
from intsim.registers import RegisterMap
from intsim.unit import Unit

__all__ = ["Rtl", "rtl"]

# Clocked processes with enables, expressions of declared widths, the source's names. Nothing narrower than written:
# a designer compares these nets with the golden model's.
_TO_VERILOG = """\
read_rtlil design.il
proc
setattr -mod -set keep_hierarchy 1
{memories}
flatten -separator _
opt
opt_clean -purge
memory_collect
setattr -mod -unset src -unset generator -unset top -unset hdlname -unset keep_hierarchy
setattr -unset src -unset hdlname -unset unused_bits -unset full_case -unset parallel_case
write_verilog -noparallelcase {options} design.v
"""


@dataclass(frozen=True)
class Rtl:
    """A unit's hardware as text.

    Attributes
    ----------
    unit, component : what it was made from
    top : name of the top module
    inputs, outputs : where each port lies in the two streams, where there are streams
    ports : name, width and whether it is an input, of every port of the module in order
    rtlil : the design in Yosys's own language
    registers : the map of what is behind AXI4-Lite; None where there is nothing
    """

    unit: Unit
    component: UnitComponent
    top: str
    inputs: Packing
    outputs: Packing
    ports: tuple[tuple[str, int, bool], ...]
    rtlil: str
    registers: RegisterMap | None = None

    @property
    def streams(self) -> bool:
        """Whether elements go over streams; otherwise they go through registers."""
        return any(name == "s_axis_tdata" for name, _, _ in self.ports)

    @property
    def key(self) -> str:
        """A digest of the text and of what turns it into Verilog."""
        recipe = [self.rtlil, _TO_VERILOG, tools.versions("yosys")["yosys"]]
        return hashlib.sha256("\0".join(recipe).encode()).hexdigest()

    def verilog(self) -> str:
        """Verilog-2005 with every table inline."""
        return _print_verilog(self, extmem=False)[f"{self.top}.v"]

    def verilog_and_memories(self) -> dict[str, str]:
        """The Verilog and its tables as files for ``$readmemh``, by file name."""
        return _print_verilog(self, extmem=True)


def rtl(unit: Unit | UnitComponent, *, top: str | None = None, shell: str = "stream", **options: Any) -> Rtl:
    """The hardware of a unit, in one of the shells.

    Parameters
    ----------
    unit : a unit, or a component made from one
    shell : one of :data:`hdl.wrap.SHELLS`
    top : name of the top module; the unit's name by default
    **options : the component's own (only with a unit)

    Raises
    ------
    IntsimError
        No hardware for this unit, an unknown option, or a name that Verilog does not allow.
    """
    tools.require("amaranth", "yosys")
    if isinstance(unit, UnitComponent) and options:
        raise IntsimError(f"options {sorted(options)} belong to the unit, a finished component was given")
    name = top or (unit.unit.name if isinstance(unit, UnitComponent) else unit.name)
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise IntsimError(f"{name!r} is no name of a Verilog module; use letters, digits and underscores")
    component = unit if isinstance(unit, UnitComponent) else create(unit, **options)
    around = wrap(component, shell)
    text = naming.plain_names(amaranth_rtlil.convert(around, name=name, ports=around.ports, emit_src=False))
    text = naming.order_ports(text, [port.name for port in around.ports])
    ports = tuple((port.name, len(port), around.directions[port.name]) for port in around.ports)
    if isinstance(around, AxiStream):
        packings = around.inputs, around.outputs
    else:
        packings = Packing.of(component.unit.inputs), Packing.of(component.unit.outputs)
    registers = getattr(around.inner, "registers", None)
    return Rtl(component.unit, component, name, *packings, ports, text, registers)


def _print_verilog(design: Rtl, *, extmem: bool) -> dict[str, str]:
    """The files by name, kept on disk under the digest of what they are made from."""
    kept = tools.cache() / "verilog" / f"{design.top}-{design.key[:32]}{'-mem' * extmem}.json"
    try:
        files = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        files = _run_yosys(design, extmem)
        write_text(make_folder(kept.parent) / kept.name, json.dumps(files))
    files[f"{design.top}.v"] = header(design) + files[f"{design.top}.v"]
    return files


def _run_yosys(design: Rtl, extmem: bool) -> dict[str, str]:
    with tools.work_folder("verilog") as folder:
        (folder / "design.il").write_text(design.rtlil)
        memories = "\n".join(
            f"setattr -mod -unset keep_hierarchy {name}" for name in naming.memory_modules(design.rtlil)
        )
        tools.yosys(_TO_VERILOG.format(memories=memories, options="-extmem" if extmem else ""), folder)
        lines = (folder / "design.v").read_text().splitlines()
        tables = {path.name: path.read_text() for path in sorted(folder.glob("*.mem"))}
    body = "\n".join(lines[1:]).strip() + "\n"  # the first line names the Yosys build
    body = body.replace(" = ! ", " = ~| ")  # the same bit; linters want one-bit operands of "!"
    renamed = {}
    for name, content in tables.items():
        target = name.replace("design-", f"{design.top}_")
        body = body.replace(f'"{name}"', f'"{target}"')
        renamed[target] = content
    return {f"{design.top}.v": body, **renamed}


def header(design: Rtl) -> str:
    """The comment on top of every emitted file."""
    unit = design.unit
    return (
        "\n".join(
            f"// {line}".rstrip()
            for line in [
                f"{design.top}: {type(unit).__name__}, generated by intsim {intsim.__version__}",
                f"inputs  {_ports(unit.inputs)}",
                f"outputs {_ports(unit.outputs)}",
                f"unit sha256 {unit.sha256}",
                f"latency {design.component.latency} cycles, interval {design.component.interval}",
                "This file belongs to whoever generated it: the authors of intsim claim no licence on emitted RTL.",
            ]
        )
        + "\n\n"
    )


def _ports(ports) -> str:
    return ", ".join(f"{name} {fmt}" for name, fmt in ports.items())
