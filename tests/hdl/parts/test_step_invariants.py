"""Dividers and roots at full width, by the invariant of one step.

What has been divided so far is ``H``, the leading bits of the dividend: ``H = q d + r`` with ``0 <= r < d``. The
product ``q d`` enters as an unknown number P that the step changes by a digit times d, so no multiplier has to be
understood. The same for the root, with the unknown square S. Together with the loading of the registers and the
number of steps, which are shown as well, that is the whole division.
"""

from __future__ import annotations

import pytest
import z3
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Fragment, Module, Mux, Signal

import hdl.parts.divider as dividers
from hdl.flow import tools
from hdl.flow.smt import Machine
from hdl.parts.divider import IterativeDivider
from hdl.parts.isqrt import IterativeSqrt

pytestmark = pytest.mark.formal


class Registers:
    """A part's registers before and after one clock, by name, as z3 terms."""

    def __init__(self, part: Elaboratable, names: tuple[str, ...]):
        fragment = Fragment.get(part, None)
        statements = (statement for domain in fragment.statements.values() for statement in domain)
        signals = {s.name: s for statement in statements for s in statement._lhs_signals() if s.name in names}
        assert set(signals) == set(names), f"{set(names) - set(signals)} not found"
        watched = {name: Signal.like(s, name=f"watch_{name}") for name, s in signals.items()}
        module = Module()
        module.submodules.part = fragment
        for name, s in signals.items():
            module.d.comb += watched[name].eq(s)
        ports = [part.i.valid, part.i.ready, part.i.payload.as_value(), part.o.valid, part.o.ready]
        text = rtlil.convert(module, name="top", ports=[*ports, *watched.values()], emit_src=False)
        with tools.work_folder("step") as folder:
            (folder / "top.il").write_text(text)
            tools.yosys("read_rtlil top.il\nproc -norom\nwrite_verilog -noattr top.v", folder)
            self.machine = Machine((folder / "top.v").read_text(), "top")
        self.names = names
        self.inputs = {port: z3.FreshConst(term.sort(), port) for port, term in self.machine.inputs.items()}
        self.inputs["rst"] = z3.BoolVal(False)
        self.before, self.after = self.machine.unroll([self.inputs, self.inputs])

    def __call__(self, name: str, width: int, *, after: bool = False, signed: bool = False) -> z3.BitVecRef:
        term = (self.after if after else self.before)[f"watch_{name}"]
        if z3.is_bool(term):
            term = z3.If(term, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        return (z3.SignExt if signed else z3.ZeroExt)(width - term.size(), term)


def holds(assumptions: list, claim) -> bool:
    """Whether the claim follows; and the assumptions can be met, else it would follow from nothing."""
    solver = z3.SolverFor("QF_BV")
    solver.set(timeout=300_000)
    solver.add(*assumptions)
    assert solver.check() == z3.sat
    solver.add(z3.Not(claim))
    result = solver.check()
    assert result != z3.unknown
    return result == z3.unsat


def division_step(bits: int, radix: int, restoring: bool) -> bool:
    """One busy cycle keeps ``H = P + r``, ``0 <= r < d`` and everything else in place."""
    part = IterativeDivider(bits, bits, radix=radix, restoring=restoring)
    names = ("d", "rest", "low", "left", "busy") + (("triple",) if radix == 4 else ())
    state = Registers(part, names)
    per_step = radix.bit_length() - 1
    width = 2 * bits + 6
    P, H = z3.BitVecs("P H", width)
    d, low = state("d", width), state("low", width)
    rest = state("rest", width, signed=not restoring)
    true_rest = z3.If(rest < 0, rest + d, rest)
    assumptions = [
        state("busy", 1) == 1,
        P + true_rest == H,
        z3.ULT(H, z3.BitVecVal(1, width) << bits),
        z3.ULT(true_rest, d),
        rest >= -d,
    ]
    if radix == 4:
        assumptions.append(state("triple", width) == 3 * d)
    if not restoring:
        assumptions.append(state("left", 8) != 0)  # the last cycle corrects the remainder
    new_low = state("low", width, after=True)
    digit = new_low & (radix - 1)
    digits_times_d = sum(z3.If(digit == k, k * d, z3.BitVecVal(0, width)) for k in range(1, radix))
    quotient_bits = part.digits * per_step
    entering = z3.LShR(low, quotient_bits - per_step)
    new_rest = state("rest", width, after=True, signed=not restoring)
    new_d = state("d", width, after=True)
    new_true = z3.If(new_rest < 0, new_rest + new_d, new_rest)
    kept = [
        (H << per_step) + entering == (P << per_step) + digits_times_d + new_true,
        z3.ULT(new_true, new_d),
        new_rest >= -new_d,
        new_d == d,
        new_low == ((low << per_step) & ((1 << quotient_bits) - 1)) + digit,
        state("left", 8, after=True) == ((state("left", 8) - 1) & ((1 << len_of(state, "left")) - 1)),
    ]
    return holds(assumptions, z3.And(kept))


def len_of(state: Registers, name: str) -> int:
    return state.before[f"watch_{name}"].size()


STEPS = [(32, 2, True), (32, 4, True), (32, 2, False)]


@pytest.mark.parametrize(("bits", "radix", "restoring"), STEPS)
def test_division_step(bits, radix, restoring):
    assert division_step(bits, radix, restoring)


@pytest.mark.parametrize("radix", [2, 4])
def test_a_fault_in_the_division_step_is_refuted(radix, monkeypatch):
    sound = dividers._restore

    def faulty(partial, d, radix, triple=None):
        digit, rest = sound(partial, d, radix, triple)
        return digit, Mux(partial == d, partial[: len(d)], rest)  # a remainder equal to the divisor is left over

    monkeypatch.setattr(dividers, "_restore", faulty)
    assert not division_step(16, radix, True)


@pytest.mark.parametrize(("radix", "restoring"), [(2, True), (4, True), (2, False)])
def test_division_begins_and_ends_as_the_invariant_needs(radix, restoring):
    """Loading: the registers hold the dividend and the divisor; `left` counts the steps down to the answer."""
    part = IterativeDivider(32, 32, radix=radix, restoring=restoring)
    names = ("d", "rest", "low", "left", "busy", "done") + (("triple",) if radix == 4 else ())
    state = Registers(part, names)
    payload = state.inputs["i__payload"]
    n, d = z3.Extract(31, 0, payload), z3.Extract(63, 32, payload)
    start = [state("busy", 1) == 0, state("done", 1) == 0, state.inputs["i__valid"]]
    loaded = [
        state("low", 40, after=True) == z3.ZeroExt(8, n),
        state("rest", 40, after=True) == 0,
        state("d", 40, after=True) == z3.ZeroExt(8, d),
        state("busy", 1, after=True) == 1,
        state("left", 8, after=True) == part.latency - 2,
    ]
    if radix == 4:
        loaded.append(state("triple", 40, after=True) == 3 * z3.ZeroExt(8, d))
    assert holds(start, z3.And(loaded))
    last = [state("busy", 1) == 1, state("done", 1) == 0, state("left", 8) == 0]
    assert holds(last, z3.And(state("done", 1, after=True) == 1, state("busy", 1, after=True) == 0))
    going = [state("busy", 1) == 1, state("done", 1) == 0, state("left", 8) != 0]
    assert holds(going, z3.And(state("done", 1, after=True) == 0, state("busy", 1, after=True) == 1))
    assert part.latency - 1 == part.digits + (not restoring)  # cycles from `left` down to 0, both included


def root_step(bits: int) -> bool:
    """One busy cycle keeps ``X = S + rest`` and ``rest <= 2 root``, S standing for ``root**2``."""
    state = Registers(IterativeSqrt(bits), ("x", "root", "rest", "busy"))
    width = bits + 8
    S, X = z3.BitVecs("S X", width)
    root, rest, x = (state(name, width) for name in ("root", "rest", "x"))
    digits = (bits + 1) // 2
    assumptions = [
        state("busy", 1) == 1,
        S + rest == X,
        z3.ULE(rest, 2 * root),
        z3.ULT(X, z3.BitVecVal(1, width) << (bits - 2)),
        z3.ULT(root, z3.BitVecVal(1, width) << (digits - 1)),
    ]
    entering = z3.LShR(x, 2 * digits - 2)
    new_root, new_rest = state("root", width, after=True), state("rest", width, after=True)
    bit = new_root & 1
    square = (S << 2) + z3.If(bit == 1, (root << 2) + 1, z3.BitVecVal(0, width))  # (2 root + bit)**2
    kept = [
        (X << 2) + entering == square + new_rest,
        z3.ULE(new_rest, 2 * new_root),
        new_root == (root << 1) + bit,
        state("x", width, after=True) == ((x << 2) & ((1 << 2 * digits) - 1)),
    ]
    return holds(assumptions, z3.And(kept))


@pytest.mark.parametrize("bits", [16, 32, 62])
def test_root_step(bits):
    assert root_step(bits)


def test_a_fault_in_the_root_step_is_refuted(monkeypatch):
    import hdl.parts.isqrt as roots

    class Wrong:
        def __call__(self, value, width):
            return roots_C(2 if (value, width) == (1, 2) else value, width)

    roots_C = roots.C
    monkeypatch.setattr(roots, "C", Wrong())
    assert not root_step(16)
