"""Whether a fault changes anything at all: design and faulty design side by side, by induction over clock cycles.

Both begin in the same state, no valid bit set, and see the same inputs. The induction keeps a relation between their
states: that a register holds the same in both, or the same while some small register of the good one is zero or is
not (a valid bit, a counter), or anything; and of the good one alone, that a bit has one value while some valid bit is
set (what a pipeline was filled with). Whatever part of the relation a clock cycle can break, by a counterexample of
the solver, is dropped, until what is left keeps itself; then the outputs must agree:
``valid`` and ``ready`` always, the payload while ``valid``. Products are unknowns, equal for equal operands. What is
shown so holds for all inputs, pauses and resets, for ever. What is not shown may hold nevertheless.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import z3

from hdl.flow.mutation.netlist import SELECT, SELECT_BITS
from hdl.flow.products import Products
from hdl.flow.smt import Machine

__all__ = ["SideBySide"]

_WEAK = 400  # registers that may differ; where more do, nothing is shown
# Under whose value others hold the same: registers that reset clears, of so many bits, that follow from so many others.
_NARROW = 6
_SIMPLE = 10
_FEW = 4  # the same for those that say so by being zero, and for a bit that has one value while a valid bit is set


@dataclass(frozen=True)
class _Guard:
    """A condition on a register of the good design: it is zero, or it is not."""

    key: int
    zero: bool

    def when(self, values: Mapping[int, z3.ExprRef]) -> z3.BoolRef:
        """In one state."""
        return values[self.key] == 0 if self.zero else values[self.key] != 0


@dataclass(frozen=True)
class _Filled:
    """A bit of the good design that has one value while a valid bit is set."""

    valid: int
    key: int
    value: int

    def holds(self, values: Mapping[int, z3.ExprRef]) -> z3.BoolRef:
        """In one state."""
        return z3.Implies(values[self.valid] == 1, values[self.key] == self.value)


class SideBySide:
    """A design with planted faults as formulas.

    Parameters
    ----------
    verilog, top : the design with all faults, and its module
    timeout : seconds of this process for each fault; a fault that takes longer is not shown
    """

    def __init__(self, verilog: str, top: str, timeout: float = 20.0):
        self._machine = Machine(verilog, top, split=True)
        self._timeout = timeout
        self._end = 0.0
        self._registers = {register.get_id(): register for register in self._machine.registers}
        self._twins = {key: z3.FreshConst(register.sort(), "twin") for key, register in self._registers.items()}
        self._all = [*self._machine.registers.values(), *self._machine.outputs.values()]
        self._support = _support(self._all, list(self._registers))
        self._plain = self._chosen(0)
        self._simple = _simplified(self._plain)
        self._right = _with_products(self._plain)  # next state and outputs of the good design
        self._good = dict(zip(self._registers, self._right, strict=False))
        rst = self._machine.inputs["rst"]
        reset = (rst, z3.BoolVal(True) if z3.is_bool(rst) else z3.BitVecVal(1, 1))
        after = {key: z3.simplify(z3.substitute(good, reset)) for key, good in self._good.items()}
        cleared = [key for key, value in after.items() if z3.is_bv_value(value)]
        read = dict(zip(self._registers, self._support, strict=False))
        narrow = [k for k in cleared if self._registers[k].size() <= _NARROW and read[k].bit_count() <= _SIMPLE]
        guards = [_Guard(key, False) for key in narrow]
        guards += [_Guard(key, True) for key in narrow if read[key].bit_count() <= _FEW]
        self._guards = {guard: (guard.when(self._registers), guard.when(self._good)) for guard in guards}
        self._valids = [key for key in cleared if self._registers[key].size() == 1 and after[key].as_long() == 0]

    def same(self, number: int) -> bool:
        """Whether fault `number` is shown to change nothing."""
        try:
            self._filled  # noqa: B018 - found once, on its own time
            self._end = time.process_time() + self._timeout
            return self._proven(number)
        except _TooSlow:
            return False

    def _proven(self, number: int) -> bool:
        chosen = self._chosen(number)
        faulty = [k for k, simple in enumerate(_simplified(chosen)) if not simple.eq(self._simple[k])]
        wrong = list(self._right)  # next state and outputs of the faulty one
        for k, expression in zip(faulty, _with_products([chosen[k] for k in faulty]), strict=True):
            wrong[k] = expression
        keys = list(self._registers)
        weak: dict[int, set[_Guard]] = {}  # register -> under what it holds the same in both
        while len(weak) <= _WEAK:
            differ = sum(1 << k for k, key in enumerate(keys) if key in weak)
            touched = [k for k in range(len(wrong)) if k in faulty or self._support[k] & differ]
            twins = [(self._registers[key], self._twins[key]) for key in weak]
            after = {k: z3.substitute(wrong[k], *twins) for k in touched}
            registers = {keys[k]: expression for k, expression in after.items() if k < len(keys)}
            broken = self._broken(weak, registers)
            if not broken:
                return self._outputs_agree(weak, {k: e for k, e in after.items() if k >= len(keys)})
            weak.update(broken)
        return False

    def _related(self, weak: Mapping[int, set[_Guard]]) -> list[z3.BoolRef]:
        """What is known of both states in one cycle."""
        facts = [fact.holds(self._registers) for fact in self._filled]
        for key, guards in weak.items():
            equal = self._registers[key] == self._twins[key]
            facts.append(z3.Implies(z3.Or([self._guards[guard][0] for guard in guards]), equal))
        return facts

    def _broken(self, weak: dict[int, set[_Guard]], after: Mapping[int, z3.ExprRef]) -> dict[int, set[_Guard]]:
        """Drops the guards that do not last; which registers were the same and are not any more, and their guards."""
        differs = {key: self._good[key] != bad for key, bad in after.items()}
        while True:
            goals = [
                z3.And(wrong, z3.Or([self._guards[guard][1] for guard in weak[key]])) if key in weak else wrong
                for key, wrong in differs.items()
            ]
            model = self._solved([*self._related(weak), z3.Or(goals)])
            if model is None:
                return {}
            seen = [key for key, wrong in differs.items() if z3.is_true(model.eval(wrong, model_completion=True))]
            left = {
                guard
                for guard, (_, following) in self._guards.items()
                if not z3.is_true(model.eval(following, model_completion=True))
            }
            strong = {key: set(left) for key in seen if key not in weak}
            for key in weak.keys() & seen:
                weak[key] &= left
            if strong:
                return strong

    @cached_property
    def _filled(self) -> list[_Filled]:
        """Bits that have one value while some valid bit is set; none if that is not found in time."""
        self._end = time.process_time() + self._timeout
        try:
            return self._constant_bits()
        except _TooSlow:
            return []

    def _constant_bits(self) -> list[_Filled]:
        read = {key: support.bit_count() for key, support in zip(self._registers, self._support, strict=False)}
        few = [key for key, register in self._registers.items() if register.size() == 1 and read[key] <= _FEW]
        valids = [key for key in self._valids if key in few]
        bits = [*few, *(key for key in self._valids if _FEW < read[key] <= _SIMPLE)]
        facts = [_Filled(valid, key, value) for valid in valids for key in bits for value in (0, 1)]
        following = {fact: fact.holds(self._good) for fact in facts}
        while facts:
            broken = z3.Or([z3.Not(following[fact]) for fact in facts])
            model = self._solved([*(fact.holds(self._registers) for fact in facts), broken])
            if model is None:
                return facts
            values = {key: model.eval(self._good[key], model_completion=True).as_long() for key in bits}
            facts = [fact for fact in facts if not values[fact.valid] or values[fact.key] == fact.value]
        return facts

    def _outputs_agree(self, weak: Mapping[int, set[_Guard]], bad: Mapping[int, z3.ExprRef]) -> bool:
        names = list(self._machine.outputs)
        valid = self._right[len(self._registers) + names.index("m_axis_tvalid")]
        valid = valid if z3.is_bool(valid) else valid == 1
        wrong = []
        for k, expression in bad.items():
            name, differs = names[k - len(self._registers)], self._right[k] != expression
            payload = name.startswith("m_axis") and not name.endswith("tvalid")
            wrong.append(z3.And(valid, differs) if payload else differs)
        return self._solved([*self._related(weak), z3.Or(wrong)]) is None

    def _chosen(self, number: int) -> list[z3.ExprRef]:
        """Next state, then outputs, with one fault active, or none."""
        chosen = (self._machine.inputs[SELECT], z3.BitVecVal(number, SELECT_BITS))
        return [z3.substitute(expression, chosen) for expression in self._all]

    def _solved(self, formulas: Sequence[z3.BoolRef]) -> z3.ModelRef | None:
        """A solution, None if there is none."""
        left = self._end - time.process_time()
        solver = z3.SolverFor("QF_UFBV")
        solver.set("timeout", max(int(left * 1000), 1))
        solver.add(*formulas)
        result = solver.check() if left > 0 else z3.unknown
        if result == z3.unknown:
            raise _TooSlow
        return solver.model() if result == z3.sat else None


class _TooSlow(Exception):
    """The time for one fault is over."""


def _simplified(expressions: Sequence[z3.ExprRef]) -> list[z3.ExprRef]:
    """All of them at once: what they share is simplified once."""
    return z3.simplify(_together(expressions)).children()


def _together(expressions: Sequence[z3.ExprRef]) -> z3.ExprRef:
    return z3.Function("together", *(expression.sort() for expression in expressions), z3.BoolSort())(*expressions)


def _with_products(expressions: Sequence[z3.ExprRef]) -> list[z3.ExprRef]:
    """With an unknown function in place of every product, the same one for operands of the same kind."""
    products = Products()
    hidden = [products.hide(expression) for expression in expressions]
    for unknown, application in reversed(products.applications()):
        hidden = [z3.substitute(expression, (unknown, application)) for expression in hidden]
    return hidden


def _support(expressions: Sequence[z3.ExprRef], variables: Sequence[int]) -> list[int]:
    """Which variables each expression reads, as a number with one bit for each."""
    known = {key: 1 << k for k, key in enumerate(variables)}
    for expression in expressions:
        stack = [expression]
        while stack:
            node = stack[-1]
            waiting = [child for child in node.children() if child.get_id() not in known]
            if waiting and node.get_id() not in known:
                stack.extend(waiting)
                continue
            stack.pop()
            if node.get_id() not in known:
                known[node.get_id()] = 0
                for child in node.children():
                    known[node.get_id()] |= known[child.get_id()]
    return [known[expression.get_id()] for expression in expressions]
