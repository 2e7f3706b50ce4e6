"""RTL as z3 formulas: Verilog through Yosys, unrolled clock by clock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import z3

from hdl.flow import tools
from hdl.flow.terms import Rewriter
from intsim.errors import IntsimError

__all__ = ["Machine", "faults"]

# Case tables must not become memories, whose contents would hold in the initial state only (-norom); memories that
# remain become gates and registers. Enables and resets become logic in front of plain flip-flops.
_TO_SMT = """\
read_verilog design.v
hierarchy -check -top {top}
proc -norom
flatten
memory -nomap
memory_map
opt -full
dffunmap
opt_clean -purge
{split}
{fault}
write_smt2 design.smt2
"""

_FUNCTION = re.compile(r"\(define-fun \|([^|]*)\| \(\(state \|[^|]*\|\)\) (.*)$")
_DECLARED = re.compile(r"\(declare-fun \|([^|]*)\| \(\|[^|]*\|\) (.*?)\)(?: ;.*)?$")
_REGISTER = re.compile(r"\(= \(\|([^|]*)\| state\) \(\|([^|]*)\| next_state\)\)")
_PORT = re.compile(r"; yosys-smt2-(input|output) (\S+) (\d+)")


class Machine:
    """A synchronous design: how its outputs and its next state follow from its state and inputs.

    Parameters
    ----------
    verilog : text
    top : name of the top module
    fault : a ``mutate`` command of Yosys that plants a fault, as :func:`faults` lists them
    split : whether the bits of a register that are used apart become registers of their own; unused ones vanish

    Attributes
    ----------
    inputs, outputs : port name -> z3 expression
    registers : state variable -> its next value
    """

    def __init__(self, verilog: str, top: str, fault: str = "", *, split: bool = False):
        text = _convert(verilog, top, fault, "splitcells\nopt_clean -purge" if split else "")
        names = {name: kind for kind, name, _ in _PORT.findall(text)}
        pairs = [(b, a) for a, b in _REGISTER.findall(text)]
        wanted = {f"{top}_n {port}" for port in names} | {name for pair in pairs for name in pair}
        expressions = _parse(text, wanted)
        self.inputs = {port: expressions[f"{top}_n {port}"] for port, kind in names.items() if kind == "input"}
        self.outputs = {port: expressions[f"{top}_n {port}"] for port, kind in names.items() if kind == "output"}
        self.registers = {expressions[state]: expressions[following] for state, following in pairs}

    def unroll(self, inputs: Sequence[Mapping[str, z3.ExprRef]]) -> list[dict[str, z3.ExprRef]]:
        """Outputs clock by clock, from any state, as expressions of the state at the beginning.

        Nothing is simplified: z3 would cut products down to the bits that are used, and no two would look alike.

        Parameters
        ----------
        inputs : for every cycle the value of every input port but the clock
        """
        state = {register: register for register in self.registers}
        cycles = []
        for values in inputs:
            known = list(state.items())
            for name, port in self.inputs.items():
                if name in values:
                    known += _assigned(port, values[name])
            rewrite = Rewriter.substituting(known)
            cycles.append({name: rewrite(out) for name, out in self.outputs.items()})
            state = {register: rewrite(following) for register, following in self.registers.items()}
        return cycles


def _assigned(port: z3.ExprRef, value: z3.ExprRef) -> list[tuple[z3.ExprRef, z3.ExprRef]]:
    """The variables of an input port with their values; a port used in slices is several variables side by side."""
    if not z3.is_app_of(port, z3.Z3_OP_CONCAT):
        return [(port, value)]
    found, high = [], port.size()
    for child in port.children():
        high -= child.size()
        found += _assigned(child, z3.Extract(high + child.size() - 1, high, value))
    return found


def faults(verilog: str, top: str, count: int, seed: int = 1) -> list[str]:
    """Commands that plant one fault each: a changed bit somewhere in the netlist."""
    with tools.work_folder("faults") as folder:
        (folder / "design.v").write_text(verilog)
        script = _TO_SMT.format(top=top, split="", fault=f"mutate -list {count} -seed {seed} -o faults.ys")
        tools.yosys(script, folder)
        return (folder / "faults.ys").read_text().splitlines()


def _convert(verilog: str, top: str, fault: str, split: str) -> str:
    with tools.work_folder("smt") as folder:
        (folder / "design.v").write_text(verilog)
        tools.yosys(_TO_SMT.format(top=top, fault=fault, split=split), folder)
        return (folder / "design.smt2").read_text()


def _parse(text: str, wanted: set[str]) -> dict[str, z3.ExprRef]:
    """The named functions of the state as expressions of its variables."""
    lines, sorts = [], {}
    for line in text.split("\n"):
        declared, function = _DECLARED.match(line), _FUNCTION.match(line)
        if declared and not declared[1].endswith("_is"):
            sorts[declared[1]] = declared[2]
            lines.append(f"(declare-fun |{declared[1]}| () {declared[2]})")
        elif function and ("#" in function[1] or "_n " in function[1]):  # nets and ports
            body = re.sub(r" ;[^|]*$| ; .*$", "", re.sub(r"\(\|([^|]*)\| state\)", r"|\1|", function[2]))
            lines.append(f"(define-fun |{function[1]}| () {body}")
            sorts[function[1]] = "Bool" if body.startswith("Bool") else re.match(r"\(_ BitVec \d+\)", body)[0]  # type: ignore[index]
    missing = wanted - set(sorts)
    if missing:
        raise IntsimError(f"the SMT text lacks {sorted(missing)[:3]}; this version of Yosys writes it in another way")
    order = sorted(wanted)
    for k, name in enumerate(order):
        lines.append(f"(declare-fun |wanted {k}| () {sorts[name]})")
        lines.append(f"(assert (= |wanted {k}| |{name}|))")
    found = z3.parse_smt2_string("\n".join(lines))
    return {name: assertion.arg(1) for name, assertion in zip(order, found, strict=True)}
