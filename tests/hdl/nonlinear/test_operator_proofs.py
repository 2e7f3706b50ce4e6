"""Division-free and constant-divisor operators: RTL equals specification for every input, by SMT."""

from __future__ import annotations

import numpy as np
import pytest
from operator_units import ELEMENTWISE

from hdl.flow import prove
from hdl.nonlinear import specifications
from intsim.formats import Int
from intsim.nonlinear.exp import DIExp

SPECIFIED = {
    "shift_exp": specifications.shift_exp,
    "shift_exp_tvm": specifications.shift_exp,
    "shift_exp_coarse": specifications.shift_exp,
    "shift_exp_signed": specifications.shift_exp,
    "ibert_exp": specifications.ibert_exp,
    "di_exp": specifications.di_exp,
    "di_exp_coarse": specifications.di_exp,
    "di_exp_literal": specifications.di_exp,
    "di_exp_headroom": specifications.di_exp,
    "ibert_gelu": specifications.ibert_gelu,
    "ibert_gelu_coarse": specifications.ibert_gelu,
    "hardswish": specifications.hardswish,
    "squared_relu": specifications.squared_relu,
}
FAST = ("shift_exp_coarse", "di_exp", "hardswish")


@pytest.mark.parametrize("name", SPECIFIED)
def test_specification_is_the_golden_model(name):
    unit, specification = ELEMENTWISE[name], SPECIFIED[name]
    codes = unit.inputs["x"].codes()
    expected = unit(codes)
    got = np.array([specification(unit, int(x))["y"] for x in codes])
    assert np.array_equal(got, expected)


def check(unit) -> None:
    result = prove(unit, timeout=900)
    assert result["proved"], result["counterexample"]
    assert result["covered"] > 0
    assert result["fault"]


@pytest.mark.formal
@pytest.mark.parametrize("name", FAST)
def test_proof(name):
    check(ELEMENTWISE[name])


@pytest.mark.formal
@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(SPECIFIED) - set(FAST)))
def test_longer_proof(name):
    check(ELEMENTWISE[name])


@pytest.mark.formal
@pytest.mark.full
def test_proof_of_a_32_bit_input():
    check(DIExp(200, 20, x=Int(32)))
