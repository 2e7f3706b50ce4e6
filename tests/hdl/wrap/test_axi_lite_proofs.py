"""AXI4-Lite for all time: what one clock does from any state, whatever the bus does.

Occupancy is seen from outside: an address or a word of data is held where its channel is not ready, an answer where it
is valid. Each law below is about two or three successive cycles from any state of the registers, reachable or not.
"""

import pytest
import z3
from amaranth.back import rtlil

from hdl.flow import tools
from hdl.flow.smt import Machine, faults
from hdl.wrap.axi_lite import OKAY, SLVERR, AxiLite, channels

pytestmark = pytest.mark.formal

ADDRESS_BITS = 6
BUS = ("write", "write_address", "write_data", "write_error", "read_address", "read_data", "read_error")


def verilog() -> str:
    """The subordinate alone, with plain port names."""
    part = AxiLite(ADDRESS_BITS)
    ports = [getattr(part.axil, name) for name in channels(ADDRESS_BITS)] + [getattr(part.bus, name) for name in BUS]
    text = rtlil.convert(part, name="top", ports=ports, emit_src=False)
    with tools.work_folder("axil") as folder:
        (folder / "top.il").write_text(text)
        tools.yosys("read_rtlil top.il\nproc -norom\nopt_clean\nwrite_verilog -noattr top.v", folder)
        return (folder / "top.v").read_text()


class Cycles:
    """Ports in three successive cycles as bit vectors; a reset in the first one or in none."""

    def __init__(self, machine: Machine, reset: bool = False):
        self.inputs = []
        for k in range(3):
            values = {name: z3.FreshConst(port.sort(), f"{name}{k}") for name, port in machine.inputs.items()}
            values["rst"] = z3.BoolVal(reset and k == 0)
            self.inputs.append(values)
        self.outputs = machine.unroll(self.inputs)

    def __call__(self, name: str, cycle: int) -> z3.BitVecRef:
        prefix = "bus__" if name in BUS else "axil__"
        term = {**self.inputs[cycle], **self.outputs[cycle]}[prefix + name]
        return z3.If(term, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)) if z3.is_bool(term) else term


def laws(at: Cycles) -> dict[str, z3.BoolRef]:
    """What must hold from cycle to cycle."""

    def one(name: str, cycle: int = 0) -> z3.BoolRef:
        return at(name, cycle) == 1

    def passes(channel: str) -> z3.BoolRef:
        return z3.And(one(f"{channel}valid"), one(f"{channel}ready"))

    def stays(*names: str) -> z3.BoolRef:
        return z3.And(*(at(name, 1) == at(name, 0) for name in names))

    def count(term: z3.BoolRef) -> z3.ArithRef:
        return z3.If(term, 1, 0)

    def inside(channel: str, answer: str, cycle: int) -> z3.ArithRef:
        return count(z3.Not(one(f"{channel}ready", cycle))) + count(one(f"{answer}valid", cycle))

    def conserved(channel: str, answer: str) -> z3.BoolRef:
        change = inside(channel, answer, 1) - inside(channel, answer, 0)
        return change == count(passes(channel)) - count(passes(answer))

    def held(channel: str, given: str, shown: str) -> z3.BoolRef:
        word = at(given, 0) if given == "wdata" else z3.Extract(ADDRESS_BITS - 1, 2, at(given, 0))
        return z3.Implies(passes(channel), at(shown, 1) == word)

    whole = z3.And(z3.Extract(1, 0, at("awaddr", 0)) == 0, at("wstrb", 0) == 15)
    written = z3.And(passes("aw"), passes("w"), z3.Not(one("bvalid", 1)))
    aligned = z3.And(z3.Extract(1, 0, at("araddr", 0)) == 0, z3.Not(one("read_error", 1)))
    read = z3.And(passes("ar"), z3.Not(one("rvalid", 1)))
    both = z3.And(z3.Not(one("awready")), z3.Not(one("wready")))
    goes = z3.And(both, z3.Not(one("bvalid")))
    reads = z3.And(z3.Not(one("arready")), z3.Not(one("rvalid")))
    return {
        "an answer to a write stays until taken": z3.Implies(
            z3.And(one("bvalid"), z3.Not(one("bready"))), z3.And(one("bvalid", 1), stays("bresp"))
        ),
        "an answer to a read stays until taken": z3.Implies(
            z3.And(one("rvalid"), z3.Not(one("rready"))), z3.And(one("rvalid", 1), stays("rresp", "rdata"))
        ),
        "one answer for each write address": conserved("aw", "b"),
        "one answer for each word of data": conserved("w", "b"),
        "one answer for each read": conserved("ar", "r"),
        "a whole write is answered in the next cycle": z3.Implies(goes, one("bvalid", 1)),
        "a read is answered in the next cycle": z3.Implies(reads, one("rvalid", 1)),
        "a word is written only where an answer begins": z3.Implies(one("write"), goes),
        "a refused write is answered by an error": z3.Implies(
            z3.And(goes, one("write_error")), at("bresp", 1) == SLVERR
        ),
        "a refused read is answered by an error and 0": z3.Implies(
            z3.And(reads, one("read_error")), z3.And(at("rresp", 1) == SLVERR, at("rdata", 1) == 0)
        ),
        "a read that is answered well gives the unit's word": z3.Implies(
            z3.And(reads, at("rresp", 1) == 0), at("rdata", 1) == at("read_data", 0)
        ),
        "a write that is answered well was made": z3.Implies(
            z3.And(goes, at("bresp", 1) == 0), z3.And(one("write"), z3.Not(one("write_error")))
        ),
        "a whole word at a whole address is written, nothing else": z3.Implies(written, one("write", 1) == whole),
        "a write that was made and not refused is answered well, nothing else": z3.Implies(
            written,
            at("bresp", 2)
            == z3.If(z3.And(whole, z3.Not(one("write_error", 1))), z3.BitVecVal(OKAY, 2), z3.BitVecVal(SLVERR, 2)),
        ),
        "a read of a whole address that is not refused is answered well, nothing else": z3.Implies(
            read, at("rresp", 2) == z3.If(aligned, z3.BitVecVal(OKAY, 2), z3.BitVecVal(SLVERR, 2))
        ),
        "what is taken is held": z3.And(
            held("aw", "awaddr", "write_address"),
            held("w", "wdata", "write_data"),
            held("ar", "araddr", "read_address"),
        ),
        "what is held does not change": z3.And(
            z3.Implies(z3.Not(z3.Or(one("awready"), one("awready", 1))), stays("write_address")),
            z3.Implies(z3.Not(z3.Or(one("wready"), one("wready", 1))), stays("write_data")),
            z3.Implies(z3.Not(z3.Or(one("arready"), one("arready", 1))), stays("read_address")),
        ),
    }


def empty(at: Cycles) -> dict[str, z3.BoolRef]:
    """What must hold behind a reset."""
    idle = {"awready": 1, "wready": 1, "arready": 1, "bvalid": 0, "rvalid": 0, "write": 0}
    return {"after a reset nothing is inside": z3.And(*(at(name, 1) == value for name, value in idle.items()))}


def broken(machine: Machine) -> list[str]:
    """Names of the laws that do not hold."""
    found = []
    for name, law in {**laws(Cycles(machine)), **empty(Cycles(machine, reset=True))}.items():
        solver = z3.Solver()
        solver.add(z3.Not(law))
        if solver.check() != z3.unsat:
            found.append(name)
    return found


def test_every_law_holds_from_any_state():
    assert broken(Machine(verilog(), "top")) == []


def test_the_laws_notice_faults():
    """Two of these 40 changed bits are no faults: a word that is not valid keeps its value in a reset, and an address

    bit is inverted by the other where 0 is asked of both.
    """
    text = verilog()
    planted = faults(text, "top", 40)
    missed = [fault for fault in planted if not broken(Machine(text, "top", fault))]
    assert len(planted) == 40
    assert len(missed) <= 2, missed
