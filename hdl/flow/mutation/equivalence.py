"""Whether a fault changes anything at all: design and faulty design side by side, by induction over clock cycles.

Both begin in the same state and see the same inputs. The induction keeps a relation between their states: that a
register holds the same in both, or the same while some small register is zero or is not (a valid bit, a counter), or
anything. A register that does not keep its part of the relation loses it, until what is left keeps itself; then the
outputs must agree:
``valid`` and ``ready`` always, the payload while ``valid``. Products are unknowns, equal for equal operands. What is
shown so holds for all inputs, pauses and resets, for ever. What is not shown may hold nevertheless.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import z3

from hdl.flow.mutation.netlist import SELECT, SELECT_BITS
from hdl.flow.products import Products
from hdl.flow.smt import Machine

__all__ = ["SideBySide"]

_WEAK = 16  # registers that may differ; where more do, nothing is shown
_NARROW = 6  # bits of a register under whose value others hold the same


@dataclass(frozen=True)
class _Guard:
    """A condition on a register that is the same in both states."""

    key: int
    when: z3.BoolRef


class SideBySide:
    """A design with planted faults as formulas.

    Parameters
    ----------
    verilog, top : the design with all faults, and its module
    timeout : seconds of this process for each fault; a fault that takes longer is not shown
    """

    def __init__(self, verilog: str, top: str, timeout: float = 3.0):
        self._machine = Machine(verilog, top)
        self._timeout = timeout
        self._end = 0.0
        self._registers = {register.get_id(): register for register in self._machine.registers}
        self._twins = {key: z3.FreshConst(register.sort(), "twin") for key, register in self._registers.items()}
        self._good, self._good_outputs = self._chosen(0)
        small = [(key, register) for key, register in self._registers.items() if register.size() <= _NARROW]
        self._guards = [_Guard(key, when) for key, register in small for when in (register != 0, register == 0)]

    def same(self, number: int) -> bool:
        """Whether fault `number` is shown to change nothing."""
        self._end = time.process_time() + self._timeout
        bad, outputs = self._chosen(number)
        weak: dict[int, list[_Guard]] = {}  # register -> under what it holds the same in both
        while True:
            before = {key: len(guards) for key, guards in weak.items()}
            relation = _Relation(self, weak)
            for key in self._registers:
                if key not in weak and not relation.keeps(self._good[key], bad[key]):
                    weak[key] = list(self._guards)
            if len(weak) > _WEAK:
                return False
            relation = _Relation(self, weak)
            for key, guards in weak.items():
                weak[key] = [guard for guard in guards if self._guarded(relation, weak, key, bad[key], guard)]
            if before == {key: len(guards) for key, guards in weak.items()}:
                return self._outputs_agree(relation, outputs)

    def _guarded(
        self, relation: _Relation, weak: Mapping[int, list[_Guard]], key: int, after: z3.ExprRef, guard: _Guard
    ) -> bool:
        if guard.key in weak or self._end < time.process_time():
            return False
        register = self._registers[guard.key]
        return relation.keeps(self._good[key], after, z3.substitute(guard.when, (register, self._good[guard.key])))

    def _outputs_agree(self, relation: _Relation, outputs: Mapping[str, z3.ExprRef]) -> bool:
        valid = self._good_outputs["m_axis_tvalid"]
        valid = valid if z3.is_bool(valid) else valid == 1
        for name, good in self._good_outputs.items():
            payload = name.startswith("m_axis") and not name.endswith("tvalid")
            if not relation.keeps(good, outputs[name], valid if payload else None):
                return False
        return True

    def _chosen(self, number: int) -> tuple[dict[int, z3.ExprRef], dict[str, z3.ExprRef]]:
        """Next state and outputs with one fault active, or none."""
        chosen = (self._machine.inputs[SELECT], z3.BitVecVal(number, SELECT_BITS))
        following = {r.get_id(): z3.substitute(after, chosen) for r, after in self._machine.registers.items()}
        return following, {name: z3.substitute(out, chosen) for name, out in self._machine.outputs.items()}

    def holds(self, formulas: list[z3.BoolRef]) -> bool:
        """Whether it is found in time that there is no solution."""
        left = self._end - time.process_time()
        if left <= 0:
            return False
        products = Products()
        solver = z3.SolverFor("QF_BV")
        solver.set("timeout", int(left * 1000) + 1)
        solver.add(*(products.hide(formula) for formula in formulas))
        return solver.check() == z3.unsat


class _Relation:
    """What is assumed of both states in one cycle."""

    def __init__(self, pair: SideBySide, weak: Mapping[int, list[_Guard]]):
        self._pair = pair
        registers, twins = pair._registers, pair._twins
        self._twins = [(registers[key], twins[key]) for key in weak]
        self._assumed = [
            z3.Implies(guard.when, registers[key] == twins[key]) for key, guards in weak.items() for guard in guards
        ]

    def keeps(self, good: z3.ExprRef, bad: z3.ExprRef, when: z3.BoolRef | None = None) -> bool:
        """Whether both expressions are equal (`when` something holds), for all states so related."""
        other = z3.substitute(bad, *self._twins)
        if z3.simplify(good).eq(z3.simplify(other)):
            return True
        return self._pair.holds([*self._assumed, *([] if when is None else [when]), good != other])
