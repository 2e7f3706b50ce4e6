"""The requantiser as a unit: constants by channel, limits of its parameters, storage, intermediates, corners."""

import dataclasses
import itertools
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from operators import assert_exact, surviving_mutants
from reference import clamp, requantize_exactly, round_fraction

from intsim import Fixed, Int, IntsimError, Unit, UnknownName, catalogue
from intsim.exact import compiled
from intsim.requant import Requantizer
from intsim.requant.arithmetic import LIMIT, shift_left_limited
from intsim.requant.conventions import INTEGER, from_scales
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG, Rounding

SMALL = Requantizer(acc=Int(6), multiplier=Int(3, False), shift=Int(4), y=Int(4), point=3)
MODES = list(Rounding)


@pytest.mark.parametrize(("rounding", "first"), list(itertools.product(MODES, [None, *MODES])))
def test_every_input_of_a_small_one_by_every_pair_of_modes(rounding, first):
    unit = dataclasses.replace(SMALL, rounding=rounding, first=first, zero_point=1)
    acc, multiplier, shift = np.meshgrid(*(fmt.codes() for fmt in unit.inputs.values()), indexing="ij")
    got = unit(acc, multiplier, shift)
    for a, m, s, y in zip(acc.flat, multiplier.flat, shift.flat, got.flat, strict=True):
        amount = 3 - int(s)
        product = int(a) * int(m)
        if first is None or amount <= 3:
            value = requantize_exactly(product, amount, rounding if first is None else first)
        else:
            value = requantize_exactly(requantize_exactly(product, 3, first), amount - 3, rounding)
        assert y == clamp(value + 1, -8, 7), (a, m, s)


@settings(max_examples=300, deadline=None)
@given(
    acc=st.integers(-(1 << 31), (1 << 31) - 1),
    multiplier=st.integers(0, (1 << 20) - 1),
    addend=st.integers(-(1 << 55), 1 << 55),
    shift=st.integers(-10, 60),
    pre_shift=st.integers(0, 10),
    rounding=st.sampled_from(MODES),
    zero_point=st.integers(-300, 300),
)
def test_constants_addend_and_pre_shift(acc, multiplier, addend, shift, pre_shift, rounding, zero_point):
    unit = Requantizer(
        multiplier=Int(20, False), y=Int(8), rounding=rounding, right=True, pre_shift=pre_shift,
        zero_point=zero_point, channels=((multiplier, shift, addend),),
    )  # fmt: skip
    product = (acc << pre_shift) * multiplier + addend
    value = round_fraction(Fraction(product) / 2**shift, rounding)
    assert unit(acc) == clamp(value + zero_point, -128, 127)


def test_channels_equal_single_ones():
    unit = from_scales("tflite_double", [0.3, 1e-3, 5.5], y=Int(8), zero_point=4)
    acc = np.random.default_rng(1).integers(-30000, 30000, (50, 3))
    got = unit(acc, np.arange(3))
    for c, constants in enumerate(unit.channels):
        single = dataclasses.replace(unit, channels=(constants,))
        np.testing.assert_array_equal(got[:, c], single(acc[:, c]))
    with pytest.raises(IntsimError, match="channel: 3 is outside"):
        unit(acc, 3)


def test_reduced_multipliers_are_constants_too():
    unit = dataclasses.replace(INTEGER["tflite_int64"], channels=((0x7FFF_8000, -3), (0x4000_7FFF, 2)))
    acc = np.array([-(1 << 47), -12345, 0, 12345, (1 << 47) - 1])[:, None]
    want = INTEGER["tflite_int64"](acc, [0x7FFF_8000, 0x4000_7FFF], [-3, 2])
    np.testing.assert_array_equal(unit(acc, [0, 1]), want)


@pytest.mark.parametrize(
    "unit",
    [
        from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3], y=Int(8), zero_point=-3),
        from_scales("hawq", 0.05, y=Int(16)),
        dataclasses.replace(INTEGER["pulp_rqs"], right=True, channels=((77, 9, -1000), (3, 0, 12345)), y=Int(8)),
        dataclasses.replace(SMALL, first=TIES_TO_POS, rounding=TIES_AWAY, zero_first=False, zero_point=2, lo=-8, hi=5),
        INTEGER["tosa_scale16"],
    ],
    ids=lambda unit: unit.name,
)
def test_compiled_equals_unbounded_and_the_trace_is_consistent(unit):
    columns = [column[::3] for column in unit.corners()]
    assert_exact(unit, *columns)
    nets = unit.trace(*columns)
    assert set(nets) == {*unit.inputs, "factor", "amount", "product", "rounded", "y"}
    bits = {name: int(np.max(np.abs(nets[name]))).bit_length() + 1 for name in ("factor", "amount", "product")}
    assert bits["factor"] - 1 <= unit.widths["factor"]
    assert bits["amount"] <= unit.widths["amount"]
    assert bits["product"] <= unit.widths["product"]


def test_real_is_what_is_approximated():
    unit = from_scales("tflite_single", [0.0123, 0.7], y=Int(16), zero_point=100)
    acc = np.random.default_rng(2).integers(-100000, 100000, 500)[:, None]
    assert np.max(np.abs(unit(acc, [0, 1]) - unit.real(acc, [0, 1]))) <= 0.5
    run_time = INTEGER["tflite_single"]
    assert abs(run_time(12345, 1 << 30, -2) - run_time.real(12345, 1 << 30, -2)) <= 0.5


def test_corners_notice_a_change_in_any_constant():
    # a short multiplier makes exact ties, so the rounding mode shows as well
    per_tensor = from_scales("tflite_single", 3 / 256, y=Int(8), zero_point=-3, lo=-100, hi=90)
    assert surviving_mutants(per_tensor) == []
    multiplier, shift = per_tensor.channels[0]
    for constants in ((multiplier + (1 << 18), shift), (multiplier - (1 << 18), shift), (multiplier, shift + 1)):
        other = dataclasses.replace(per_tensor, channels=(constants,))
        assert np.any(per_tensor(*per_tensor.corners()) != other(*per_tensor.corners()))


@pytest.mark.parametrize("name", ["tflite_double", "hawq", "tvm_tonearest", "tflite_int64", "tosa_scale16"])
def test_corners_tell_the_rounding_modes_apart(name):
    unit = INTEGER[name]
    for rounding in MODES:
        if rounding != unit.rounding:
            other = dataclasses.replace(unit, rounding=rounding)
            assert np.any(unit(*unit.corners()) != other(*unit.corners())), rounding


def test_hazards_name_channels_that_saturate_or_vanish():
    unit = from_scales("tflite_single", [0.5, 1e-11], y=Int(8))
    first, second = unit.hazards()
    assert "channel 0: results reach" in str(first)
    assert "channel 1: every result is 0 or -1" in str(second)
    assert from_scales("tflite_single", 0.5, acc=Int(8), y=Int(8)).hazards() == ()


@pytest.mark.parametrize("unit", [*INTEGER.values(), from_scales("hawq", [0.1, 0.2])], ids=lambda unit: unit.name)
def test_json(unit):
    again = Unit.from_json(unit.to_json())
    assert again == unit
    assert again.documented == unit.documented
    assert again.sha256 == unit.sha256


def test_conventions_are_found_like_units_of_the_catalogue():
    assert all(catalogue.get(name) is unit for name, unit in INTEGER.items())
    with pytest.raises(UnknownName, match="did you mean 'tosa_scale16'"):
        catalogue.get("tosa_scale_16")


def test_equal_conventions_are_equal_units():
    """Names and documentation are notes: what is computed decides."""
    assert INTEGER["ruy"] == INTEGER["tflite_single"] == INTEGER["tvm_upward"]
    assert INTEGER["hawq"].sha256 == INTEGER["ivit"].sha256
    assert INTEGER["tvm_truncate"] != INTEGER["tvm_upward"]
    assert len(set(INTEGER.values())) == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"acc": Int(48)}, "accumulators of more than 32 bits go with multipliers of at most 15 bits"),
        ({"acc": Fixed(16, 4)}, "acc is an integer port"),
        ({"multiplier": Int(16)}, "the multiplier is never negative"),
        ({"multiplier": Int(32, False), "acc": Int(8), "reduced": True}, "starts from 31 bits"),
        ({"point": 63}, "point 63"),
        ({"pre_shift": 32}, "pre_shift 32"),
        ({"lo": 5, "hi": 4}, "is empty"),
        ({"y": Int(8), "lo": -129}, "leave s8"),
        ({"y": Int(8), "zero_first": False, "lo": 0, "hi": 100, "zero_point": 50}, "leave s8"),
        ({"zero_point": 1 << 50}, "must stay below"),
        ({"channels": ((1,),)}, "channel 0: expected"),
        ({"channels": ((1, 2), (1 << 31, 0))}, "channel 1: multiplier 2147483648"),
        ({"channels": ((1, 200),)}, "channel 0: shift 200"),
    ],
)
def test_impossible_parameters(changes, message):
    with pytest.raises(IntsimError, match=message):
        Requantizer(**changes)


def test_left_shifts_are_limited_far_beyond_every_clamp():
    shift_left = compiled(shift_left_limited)
    for value in (0, 1, -1, 5, -7, (1 << 47) - 1, 1 << 48, -(1 << 62)):
        for count in (0, 1, 10, 47, 48, 63, 200):
            assert shift_left(value, count) == clamp(value << count, -(1 << LIMIT), 1 << LIMIT)


def test_the_names_of_the_modes_in_use():
    assert {unit.rounding for unit in INTEGER.values()} == {TIES_TO_POS, TIES_AWAY, TIES_TO_EVEN, TO_NEG}
