"""The requantiser's RTL proven equal to the golden model for every accumulator, multiplier and shift."""

import dataclasses

import pytest

import hdl
from intsim import Int
from intsim.requant.conventions import INTEGER, from_scales

pytestmark = pytest.mark.formal

# Conventions that are one function are one unit: equal units have equal RTL. One name of each.
DISTINCT = {unit: name for name, unit in reversed(INTEGER.items())}
CHANNELS = from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3], y=Int(8), zero_point=-3)


def check(unit, **options):
    result = hdl.flow.prove(unit, **options)
    assert result["proved"], result["counterexample"]
    assert result["covered"] == 8
    assert result["fault"]


def test_every_convention_is_among_those_proven():
    assert len(DISTINCT) == 8
    assert all(unit in DISTINCT for unit in INTEGER.values())
    wide = [unit for unit in DISTINCT if unit.acc.bits == 32]
    assert all(unit.multiplier.hi >= (1 << 31) - 1 for unit in wide)
    assert len(wide) == 6


@pytest.mark.parametrize("name", DISTINCT.values())
def test_a_convention_at_its_real_width(name):
    check(INTEGER[name], stages=2)


@pytest.mark.parametrize("options", [{"stages": 2}, {"stages": 3, "memory": "block"}], ids=str)
def test_a_memory_of_constants(options):
    check(CHANNELS, **options)


def test_without_a_register():
    check(
        dataclasses.replace(INTEGER["tvm_tonearest"], y=Int(8), zero_point=7, zero_first=False, lo=-100, hi=100),
        stages=0,
    )


# 48 x 31 bits in partial products (and 32 x 32 spread over five registers): z3 has no answer in ten minutes.
# These depths have vectors only (test_requantizer_rtl.py).
UNDECIDED = {("hawq", 7), *(("tflite_int64", stages) for stages in (3, 4, 5, 6, 7))}
DEPTHS = [(name, stages) for name in DISTINCT.values() for stages in (1, 3, 4, 5, 6, 7)]


@pytest.mark.full
@pytest.mark.parametrize(("name", "stages"), sorted(set(DEPTHS) - UNDECIDED))
def test_every_depth(name, stages):
    """With three stages and more the product is the sum of partial products."""
    check(INTEGER[name], stages=stages)
