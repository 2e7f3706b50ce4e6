"""RTL == specification, for every input there is, by SMT.

The Verilog goes through Yosys into formulas and is unrolled `latency` clock cycles from any state whatever. The
specification is the golden model itself, un-compiled, on unknown integers (:mod:`hdl.flow.symbolic`), or one
registered with :func:`specifies`. z3 then looks for an input on which they differ.

A proof could hold because it says nothing: so each one also shows that results come out (the golden model's answers
to the corners, out of the same formulas), and that a fault planted in the netlist is found by the same question.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import z3

from hdl.flow import tools
from hdl.flow.emission import Rtl, rtl
from hdl.flow.products import Products
from hdl.flow.simulation import model
from hdl.flow.smt import Machine, faults
from hdl.flow.symbolic import Way, specifies, ways
from hdl.flow.terms import Rewriter, fit
from hdl.wrap.packing import Packing
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["prove", "specifies"]

_CORNERS = 8  # answers of the golden model that the formulas must give
_QUICK = 10.0  # seconds for a question that may remain open
_FAULTS = 20  # faults tried until one is found; some do not change the function


def prove(
    unit: Unit,
    *,
    timeout: float = 600.0,
    seed: int = 1,
    progress: Callable[[int], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Prove that the RTL of a unit computes its specification, or find an input on which it does not.

    Parameters
    ----------
    unit : an elementwise unit with hardware whose pipeline answers after `latency` cycles
    timeout : seconds for each question to the solver
    seed : which faults are planted
    progress : called with the number of ways through the specification that are proven
    **options : the component's own, such as ``stages``

    Returns
    -------
    dict
        ``unit``, ``sha256``, ``proved``, ``counterexample`` (None, or ``inputs``, ``expected`` and ``got`` as seen
        in simulation), ``ways`` (through the specification, each proven apart), ``covered`` (corners whose results
        were reached), ``fault`` (the planted fault that was found, and the ``inputs`` that show it), ``latency``,
        ``seconds``, ``tools``.

    Raises
    ------
    IntsimError
        The solver finds no answer in time; the specification cannot be formed; or the proof would be void: a
        result is never reached, no planted fault is found, or a counter-example does not occur in simulation.
    """
    tools.require("amaranth", "yosys", "z3")
    begin = time.perf_counter()
    if unit.is_row:
        raise IntsimError(f"{unit.name} works on rows, whose length is not bounded by its latency; use verify")
    design = rtl(unit, **options)
    verilog = design.verilog()
    question = _Question.of(design, Machine(verilog, design.top))
    covered = _cover(unit, question)
    found, count = _differs(unit, question, timeout, progress)
    counterexample = None
    if found is not None:
        counterexample = _replay(unit, found, options)
    fault = _planted(design, verilog, timeout, seed) if found is None else None
    return {
        "unit": unit.name,
        "sha256": unit.sha256,
        "proved": found is None,
        "counterexample": counterexample,
        "ways": count,
        "covered": covered,
        "fault": fault,
        "latency": design.component.latency,
        "seconds": round(time.perf_counter() - begin, 3),
        "tools": tools.versions("yosys", "z3"),
    }


@dataclass(frozen=True)
class _Question:
    """Formulas of one transfer through the hardware.

    Attributes
    ----------
    unit, inputs : the unit, and the bits of its input ports
    outputs : bits of the output ports, each with its padding, as they leave `latency` cycles later
    assumptions : the transfer is accepted, nobody stalls, every input is a code of its format
    valid : an answer is offered then
    """

    unit: Unit
    inputs: Mapping[str, z3.BitVecRef]
    outputs: Mapping[str, z3.BitVecRef]
    assumptions: tuple[z3.BoolRef, ...]
    valid: z3.BoolRef

    @classmethod
    def of(cls, design: Rtl, machine: Machine) -> _Question:
        latency = design.component.latency
        free = {name: port for name, port in machine.inputs.items() if name.endswith(("tdata", "tvalid"))}
        cycles: list[dict[str, z3.ExprRef]] = []
        for cycle in range(latency + 1):
            values: dict[str, z3.ExprRef] = {
                name: z3.Const(f"{name} {cycle}", port.sort()) for name, port in free.items()
            }
            values |= {"rst": z3.BoolVal(False), "m_axis_tready": z3.BoolVal(True)}
            cycles.append(values)
        cycles[0]["s_axis_tvalid"] = z3.BoolVal(True)
        outputs = machine.unroll(cycles)
        inputs = _fields(design.inputs, cycles[0]["s_axis_tdata"], padded=False)
        results = _fields(design.outputs, outputs[latency]["m_axis_tdata"], padded=True)
        known = Rewriter.substituting(_known_state(z3.simplify(outputs[0]["s_axis_tready"])))
        results = {port: known(bits) for port, bits in results.items()}
        return cls(
            unit=design.unit,
            inputs=inputs,
            outputs=results,
            assumptions=(outputs[0]["s_axis_tready"], *_within_formats(design.unit, inputs)),
            valid=known(outputs[latency]["m_axis_tvalid"]),
        )


def _fields(packing: Packing, data: z3.BitVecRef, *, padded: bool) -> dict[str, z3.BitVecRef]:
    """Bits of every port in a beat, with or without the padding to whole bytes."""
    return {
        field.port: z3.Extract(
            8 * field.offset + (8 * field.size if padded else field.bits) - 1, 8 * field.offset, data
        )
        for field in packing.fields
    }


def _known_state(ready: z3.BoolRef) -> list[tuple[z3.ExprRef, z3.ExprRef]]:
    """What the assumption that a transfer is accepted says about single registers."""
    for guess in (0, 1):
        for register in _bits_of(ready):
            if z3.is_true(z3.simplify(z3.substitute(z3.Not(ready), (register, z3.BitVecVal(1 - guess, 1))))):
                return [(register, z3.BitVecVal(guess, 1))]
    return []


def _bits_of(formula: z3.ExprRef) -> list[z3.BitVecRef]:
    if z3.is_bv(formula) and formula.size() == 1 and formula.num_args() == 0 and not z3.is_bv_value(formula):
        return [formula]
    return [bit for child in formula.children() for bit in _bits_of(child)]


def _within_formats(unit: Unit, inputs: Mapping[str, z3.BitVecRef]) -> Iterator[z3.BoolRef]:
    """Every input is a code of its format, where not every pattern is."""
    for fmt, bits in zip(unit.inputs.values(), inputs.values(), strict=True):
        if fmt.hi - fmt.lo + 1 < 1 << fmt.bits:
            at_least, at_most = (
                (bits >= fmt.lo, bits <= fmt.hi) if fmt.signed else (z3.UGE(bits, fmt.lo), z3.ULE(bits, fmt.hi))
            )
            yield from (at_least, at_most)


def _cover(unit: Unit, question: _Question) -> int:
    """The formulas answer corners as the golden model does, with a valid result: how many were asked."""
    columns = unit.corners()
    picked = np.unique(np.linspace(0, columns[0].size - 1, _CORNERS).astype(int))
    results = unit(*(column[picked] for column in columns))
    for k, row in enumerate(picked):
        solver = z3.SolverFor("QF_BV")
        solver.add(*question.assumptions, question.valid)
        for bits, column in zip(question.inputs.values(), columns, strict=True):
            solver.add(bits == int(column[row]))
        if solver.check() != z3.sat:
            raise IntsimError(f"{unit.name}: no result comes out after {row} is fed in; the proof would be void")
        answers = results if isinstance(results, tuple) else (results,)
        for bits, answer in zip(question.outputs.values(), answers, strict=True):
            got = solver.model().eval(bits, model_completion=True).as_long()
            if got != int(answer[k]) % (1 << bits.size()):
                inputs = [int(column[row]) for column in columns]
                raise IntsimError(f"{unit.name}: for {inputs} the formulas give {got}, the golden model {answer[k]}")
    return len(picked)


def _differs(
    unit: Unit, question: _Question, timeout: float, progress: Callable[[int], None] | None = None
) -> tuple[dict[str, int] | None, int]:
    """An input on which the RTL differs from the specification (or is silent), or None; and the ways looked at."""
    count = 0
    silent = _asked([*question.assumptions, z3.Not(question.valid)], timeout, unit)
    if silent is not None:
        return _inputs(unit, question, silent), count
    for way in ways(unit, question.inputs):
        answer = _differs_on(unit, question, way, timeout)
        if answer is not None:
            return _inputs(unit, question, answer), count
        count += 1
        if progress:
            progress(count)
    return None, count


def _differs_on(unit: Unit, question: _Question, way: Way, timeout: float) -> z3.ModelRef | None:
    """A difference on one way through the specification: with products unknown, then with products as they are."""
    conditions, outputs = way
    wrong = z3.Or(*(fit(outputs[port].bits, bits.size()) != bits for port, bits in question.outputs.items()))
    exact = [*question.assumptions, *conditions, wrong]
    ranges = [
        (bits, (fmt.lo, fmt.hi)) for fmt, bits in zip(unit.inputs.values(), question.inputs.values(), strict=True)
    ]
    products = Products(ranges)
    hidden = [*(products.hide(formula) for formula in exact), *products.facts()]
    if _asked(hidden, timeout, unit) is None:
        return None
    defined = [*hidden, *products.definitions()]
    for guess in products.guesses():  # a difference that shows with some plain multiplier is found at once
        answer = _asked([*defined, *guess], _QUICK)
        if answer is not None:
            return answer
    return _asked(defined, timeout, unit)


def _asked(formulas: list[z3.BoolRef], timeout: float, unit: Unit | None = None) -> z3.ModelRef | None:
    """A solution of all formulas, or None if there is none; without a unit also if none is found in time."""
    solver = z3.SolverFor("QF_BV")
    solver.set("timeout", int(timeout * 1000))
    solver.add(*formulas)
    outcome = solver.check()
    if outcome == z3.unknown and unit is not None:
        raise IntsimError(f"{unit.name}: z3 has no answer after {timeout:g} s; allow more, or use narrower formats")
    return solver.model() if outcome == z3.sat else None


def _inputs(unit: Unit, question: _Question, answer: z3.ModelRef) -> dict[str, int]:
    """The input codes of a solution."""
    values = {}
    for (port, fmt), bits in zip(unit.inputs.items(), question.inputs.values(), strict=True):
        value = answer.eval(bits, model_completion=True)
        values[port] = value.as_signed_long() if fmt.signed else value.as_long()
    return values


def _replay(unit: Unit, inputs: dict[str, int], options: Mapping[str, Any]) -> dict[str, Any]:
    """The counter-example in simulation, beside the golden model's answer."""
    columns = [np.array([value]) for value in inputs.values()]
    device = model(unit, **options)
    expected, got = (_plain(unit, answer(*columns)) for answer in (unit, device))
    if expected == got:
        raise IntsimError(
            f"{unit.name}: z3 says that {inputs} differs, simulation and golden model both give {got}; "
            "the specification is not the golden model's"
        )
    return {"inputs": inputs, "expected": expected, "got": got}


def _plain(unit: Unit, answer: Any) -> dict[str, int]:
    results = answer if isinstance(answer, tuple) else (answer,)
    return {port: int(np.asarray(result).reshape(-1)[0]) for port, result in zip(unit.outputs, results, strict=True)}


def _planted(design: Rtl, verilog: str, timeout: float, seed: int) -> dict[str, Any]:
    """A fault planted in the netlist that the same question finds, and an input that shows it."""
    for command in faults(verilog, design.top, _FAULTS, seed):
        question = _Question.of(design, Machine(verilog, design.top, command))
        found, _ = _differs(design.unit, question, timeout)
        if found is not None:
            return {"command": command, "inputs": found}
    raise IntsimError(f"{design.top}: none of {_FAULTS} planted faults is found; the proof would be void")
