"""Proofs: true ones, false ones with a counter-example seen in simulation, and everything that would make one void."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import z3
from amaranth.hdl import Module, Mux, Signal, signed

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from flow_units import FromFirst, Mean

import hdl
from hdl.component import UnitComponent
from hdl.flow import proof
from hdl.flow.products import Products
from hdl.flow.smt import Machine, faults
from hdl.flow.terms import fit
from hdl.registry import realises
from intsim import Int, IntsimError
from intsim.cli.app import run
from intsim.requant import Requantizer

pytestmark = pytest.mark.formal


class Register(UnitComponent):
    """One register behind a function of the sum that subclasses spoil."""

    latency = 1

    def answer(self, total, payload):
        return total >> 1

    def offered(self):
        return self.i.valid

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(8))
        m.d.comb += [total.eq(self.i.payload.a + self.i.payload.b), self.i.ready.eq(~self.o.valid | self.o.ready)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.offered()), self.o.payload.y.eq(self.answer(total, self.i.payload))]
        return m


@dataclasses.dataclass(frozen=True)
class WrongOnce(Mean):
    """The golden model of Mean, hardware that is wrong on one input of 2048."""


@realises(WrongOnce)
class WrongOnceHardware(Register):
    def answer(self, total, payload):
        return Mux((payload.a == -7) & (payload.b == 23), 0, total >> 1)


@dataclasses.dataclass(frozen=True)
class Silent(Mean):
    """Hardware that never answers."""


@realises(Silent)
class SilentHardware(Register):
    def offered(self):
        return 0


@dataclasses.dataclass(frozen=True)
class Forgetful(Mean):
    """Hardware that does not answer one input."""


@realises(Forgetful)
class ForgetfulHardware(Register):
    def offered(self):
        return self.i.valid & (self.i.payload.b != 5)


@dataclasses.dataclass(frozen=True)
class Misread(Mean):
    """Right hardware, a specification that is not the golden model's."""


@realises(Misread)
class MisreadHardware(Register):
    pass


@hdl.flow.specifies(Misread)
def misread(unit, a, b):
    return {"y": (a + b + (a > 29)) >> 1}


@dataclasses.dataclass(frozen=True)
class Outside(Mean):
    """A golden model that goes on with NumPy behind its operator."""

    def _evaluate(self, a, b):
        return {"y": super()._evaluate(a, b)["y"] + 0}


@realises(Outside)
class OutsideHardware(Register):
    pass


def test_a_proof_with_all_that_shows_it_is_none_about_nothing():
    result = hdl.flow.prove(Mean())
    assert result["proved"]
    assert result["counterexample"] is None
    assert result["covered"] == 8
    assert result["fault"]["command"].startswith("mutate ")
    assert set(result["fault"]["inputs"]) == {"a", "b"}
    assert result["sha256"] == Mean().sha256


def test_one_wrong_input_is_found_and_replayed():
    result = hdl.flow.prove(WrongOnce())
    assert not result["proved"]
    assert result["counterexample"] == {"inputs": {"a": -7, "b": 23}, "expected": {"y": 8}, "got": {"y": 0}}


def test_hardware_without_answers():
    with pytest.raises(IntsimError, match="no result comes out"):
        hdl.flow.prove(Silent())
    with pytest.raises(IntsimError, match=r"no result|no transfer|answers"):
        hdl.flow.prove(Forgetful())


def test_a_specification_that_is_not_the_golden_models():
    with pytest.raises(IntsimError, match="the specification is not the golden model's"):
        hdl.flow.prove(Misread())


def test_no_specification_or_no_bound():
    with pytest.raises(IntsimError, match=r"register a specification with @hdl\.flow\.specifies"):
        hdl.flow.prove(Outside())
    with pytest.raises(IntsimError, match="works on rows"):
        hdl.flow.prove(FromFirst())


def test_a_proof_that_finds_no_planted_fault_is_refused(monkeypatch):
    monkeypatch.setattr(proof, "faults", lambda *_: [])
    with pytest.raises(IntsimError, match="would be void"):
        hdl.flow.prove(Mean())


def test_the_solvers_time_is_limited():
    unit = Requantizer(acc=Int(30), multiplier=Int(30, False), y=Int(32))
    design = hdl.flow.rtl(unit, stages=1)
    question = proof._Question.of(design, Machine(design.verilog(), design.top))
    x, y = z3.BitVecs("x y", 40)
    with pytest.raises(IntsimError, match="no answer after"):
        proof._asked(
            [*question.assumptions, x * y == 549755813881 * 1000003 % (1 << 40), x > y, y > 1, x * y * y == y],
            0.05,
            unit,
        )


def test_formulas_equal_simulation_cycle_by_cycle():
    design = hdl.flow.rtl(Mean())
    machine = Machine(design.verilog(), design.top)
    assert set(machine.outputs) == {"m_axis_tdata", "m_axis_tvalid", "s_axis_tready"}
    idle = {"rst": z3.BoolVal(True), "s_axis_tvalid": z3.BoolVal(False), "m_axis_tready": z3.BoolVal(True)}
    step = idle | {"rst": z3.BoolVal(False), "s_axis_tvalid": z3.BoolVal(True)}
    data = [z3.BitVecVal((a & 63) | b << 8, 16) for a, b in ((-32, 31), (31, 31), (-7, 23))]
    cycles = machine.unroll([idle | {"s_axis_tdata": data[0]}, *(step | {"s_axis_tdata": d} for d in data), idle])
    answers = [z3.simplify(cycle["m_axis_tdata"]) for cycle in cycles[2:]]
    assert [answer.as_signed_long() for answer in answers] == [-1, 31, 8]
    assert [z3.is_true(z3.simplify(c["m_axis_tvalid"])) for c in cycles[1:]] == [False, True, True, True]


def test_planted_faults_change_the_netlist():
    design = hdl.flow.rtl(Mean())
    commands = faults(design.verilog(), design.top, 5)
    assert len(commands) == 5
    right = Machine(design.verilog(), design.top)
    for command in commands:
        wrong = Machine(design.verilog(), design.top, command)
        assert [e.sexpr() for e in wrong.registers.values()] != [e.sexpr() for e in right.registers.values()] or [
            e.sexpr() for e in wrong.outputs.values()
        ] != [e.sexpr() for e in right.outputs.values()]


# Products -------------------------------------------------------------------------------------------------------


def test_the_facts_about_products_are_true_of_products():
    """With the unknowns defined as products, no fact can be violated: ranges, equal operands, digits."""
    word = z3.BitVec("word", 15)
    a, b, c = z3.Extract(6, 0, word), z3.Extract(12, 7, word), z3.Extract(14, 12, word)
    products = Products()
    whole = _wide(a, True) * _wide(b, False)
    digits = [((3, 0), False), ((6, 4), True)], [(2, 0), (5, 3)]
    parts = [
        _wide(z3.Extract(*x, a), keeps_sign) * _wide(z3.Extract(*y, b), False)
        for x, keeps_sign in digits[0]
        for y in digits[1]
    ]
    expressions = [whole, *parts, _wide(a, True) * _wide(c, False)]
    for expression in expressions:
        assert not _multiplies(products.hide(expression))
    facts = products.facts()
    assert len(facts) >= 2 * 6 + 1
    for fact in facts:
        solver = z3.SolverFor("QF_BV")
        solver.add(*products.definitions(), z3.Not(fact))
        assert solver.check() == z3.unsat, fact
    # and the digits' facts are there: without definitions the sum of the parts is the whole
    solver = z3.SolverFor("QF_BV")
    hidden = [products.hide(expression) for expression in (whole, *parts)]
    total = hidden[1] + (hidden[2] << 3) + (hidden[3] << 4) + (hidden[4] << 7)
    solver.add(*facts, hidden[0] != total)
    assert solver.check() == z3.unsat


def _wide(bits, is_signed: bool):
    return fit(bits, 20) if is_signed else z3.ZeroExt(20 - bits.size(), bits)


def _multiplies(expression) -> bool:
    return z3.is_app_of(expression, z3.Z3_OP_BMUL) or any(_multiplies(child) for child in expression.children())


# The command ----------------------------------------------------------------------------------------------------


def test_the_command(tmp_path, capsys):
    support = Path(__file__).parents[2] / "support" / "flow_units.py"
    assert run(["prove", f"{support}:Mean", "--json"]) == 2  # a class is no unit
    capsys.readouterr()
    path = tmp_path / "units.py"
    path.write_text(
        "from intsim import Int\nfrom intsim.requant import Requantizer\n"
        "small = Requantizer(acc=Int(6), multiplier=Int(4, False), shift=Int(4, False), y=Int(5), right=True)\n"
    )
    assert run(["prove", f"{path}:small", "--set", "stages=1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["proved"]
    assert found["fault"]["inputs"]
    assert run(["prove", "tflite_duble"]) == 2
    assert "did you mean 'tflite_double'" in capsys.readouterr().err
