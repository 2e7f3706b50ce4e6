"""The elementwise operators: RTL equals golden model on every input, at the latency stated."""

from __future__ import annotations

import numpy as np
import pytest
from operator_units import ELEMENTWISE

import hdl
from intsim.errors import IntsimError
from intsim.formats import Int
from intsim.nonlinear.activations import IBertGELU
from intsim.nonlinear.exp import DIExp, IBertExp, ShiftExp
from intsim.nonlinear.gated import DISigmoid
from intsim.nonlinear.roots import ISqrt, NewtonSqrt, Reciprocal
from intsim.operators import non_positive


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_input(name):
    unit = ELEMENTWISE[name]
    report = hdl.flow.verify(unit)
    assert report["mismatches"] == 0, report["first"]
    assert report["exhaustive"]
    assert report["inputs"] == np.prod([fmt.hi - fmt.lo + 1 for fmt in unit.inputs.values()])


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_latency_and_interval(name):
    unit = ELEMENTWISE[name]
    device, part = hdl.flow.model(unit), hdl.create(unit)
    device(*(column[:20] for column in unit.corners()))
    assert device.last_run.first_answer == part.latency
    assert device.last_run.cycles == part.latency + min(20, unit.corners()[0].size)


@pytest.mark.parametrize(
    "unit",
    [
        ShiftExp(-2000, 15, x=non_positive(32)),
        IBertExp.design(3e-5, x=non_positive(32)),
        DIExp(200, 20, x=Int(32)),
        DIExp(65535, 35, x=Int(32)),
        IBertGELU.design(1e-5, x=Int(32)),
    ],
    ids=["shift_exp", "ibert_exp", "di_exp", "di_exp_16_bit_mantissa", "ibert_gelu"],
)
def test_wide_inputs(unit):
    report = hdl.flow.verify(unit, vectors=1 << 18)
    assert report["mismatches"] == 0, report["first"]
    assert report["inputs"] > 1 << 18


@pytest.mark.parametrize(
    "unit",
    [
        ISqrt(x=Int(14, False)),
        ISqrt(x=Int(45, False)),
        NewtonSqrt(x=Int(14, False)),
        NewtonSqrt(x=Int(45, False)),
        Reciprocal(31, x=Int(31, False)),
        Reciprocal(9, x=Int(12, False)),
    ],
    ids=["isqrt", "isqrt_wide", "newton", "newton_wide", "reciprocal", "reciprocal_short"],
)
def test_roots_and_reciprocal(unit):
    report = hdl.flow.verify(unit, vectors=1 << 13)
    assert report["mismatches"] == 0, report["first"]
    device, part = hdl.flow.model(unit), hdl.create(unit)
    device(unit.corners()[0][:10])
    assert device.last_run.first_answer == part.latency
    assert device.last_run.cycles == part.latency + 9 * part.interval + 1


def test_parameters_the_hardware_cannot_hold_are_refused():
    with pytest.raises(IntsimError, match="non_positive"):
        hdl.create(ShiftExp(-20, 15, x=Int(32)))
    with pytest.raises(IntsimError, match="non_positive"):
        hdl.create(IBertExp.design(0.01, x=Int(16)))
    with pytest.raises(IntsimError, match="lanes"):
        hdl.create(DISigmoid(241, 12, x=Int(8)), lanes=2)
