"""Conventions with an integer multiplier: the projects' own outputs, the definitions, ties, ranges and refusals."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from operators import assert_exact
from reference import clamp, requantize_exactly

from intsim import DtypeError, Int, IntsimError, UnknownName
from intsim.exact import plain
from intsim.requant import CONVENTIONS, Requantizer, compare
from intsim.requant.conventions import INTEGER, from_scales, lookup, scale_rule
from intsim.requant.corners import near_ties
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG, shift_round

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"

# name -> (rounding, first of two), as the projects define them
DEFINITIONS = {
    **dict.fromkeys(
        ("tflite_single", "cmsis_single", "ruy", "tvm_upward", "tosa_single", "tosa_scale16"), (TIES_TO_POS, None)
    ),
    **dict.fromkeys(("tflite_double", "cmsis_double", "tosa_double", "gemmlowp"), (TIES_AWAY, TIES_TO_POS)),
    **dict.fromkeys(("hawq", "ibert", "ivit"), (TIES_TO_EVEN, None)),
    **dict.fromkeys(("tvm_truncate", "pulp_rqs"), (TO_NEG, None)),
    "tvm_tonearest": (TIES_AWAY, None),
    "tflite_int64": (TIES_TO_POS, None),
    "cmsis_int64": (TIES_TO_POS, None),
}
REDUCED = {"tflite_int64", "cmsis_int64"}

COLUMNS = [
    ("tflite_double", "y_tflite_double", "valid"),
    ("tflite_single", "y_tflite_single", "valid_single"),
    ("cmsis_double", "y_cmsis_double", "valid"),
    ("cmsis_single", "y_cmsis_single", "valid_single"),
    ("ruy", "y_ruy", "valid_single"),
    ("tvm_upward", "y_tvm_per_axis", "valid_single"),
    ("tosa_single", "y_tosa_single", "valid_tosa"),
    ("tosa_double", "y_tosa_double", "valid_tosa"),
    ("tosa_scale16", "y_tosa_single", "valid_tosa"),
    ("tvm_tonearest", "exact_y_half_away", "valid_single"),
    ("tvm_truncate", "exact_y_floor", "valid_single"),
    ("pulp_rqs", "exact_y_floor", "valid_single"),
    ("hawq", "exact_y_half_even", "valid_single"),
    ("ibert", "exact_y_half_even", "valid_single"),
    ("ivit", "exact_y_half_even", "valid_single"),
]


@pytest.fixture(scope="module")
def int32_rows():
    with np.load(VECTORS / "requant_int32.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def int64_rows():
    with np.load(VECTORS / "requant_int64_reduced_multiplier.npz") as stored:
        return dict(stored)


def expected(name, acc, multiplier, shift):
    """The definition, on Python integers."""
    factor = min((multiplier + (1 << 15)) >> 16, 0x7FFF) if name in REDUCED else multiplier
    amount = (15 if name in REDUCED else 31) - shift
    value = requantize_exactly(acc * factor, amount, *DEFINITIONS[name])
    return clamp(value, -(1 << 31), (1 << 31) - 1)


# The projects' own outputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "column", "valid"), COLUMNS)
def test_the_projects_own_outputs(int32_rows, name, column, valid):
    rows = int32_rows[valid]
    got = CONVENTIONS[name](*(int32_rows[port][rows] for port in ("x", "multiplier", "shift")))
    assert got.dtype == np.int32
    assert got.size > 18000
    np.testing.assert_array_equal(got, int32_rows[column][rows])


def test_gemmlowp_is_tflite_without_left_shifts(int32_rows):
    rows = int32_rows["shift"] <= 0
    got = CONVENTIONS["gemmlowp"](*(int32_rows[port][rows] for port in ("x", "multiplier", "shift")))
    np.testing.assert_array_equal(got, int32_rows["y_tflite_double"][rows])
    assert got.size > 10000
    with pytest.raises(IntsimError, match="outside"):
        CONVENTIONS["gemmlowp"](1, 1 << 30, 1)


@pytest.mark.parametrize(
    ("name", "column", "valid"),
    [("tflite_int64", "y_tflite", "valid"), ("tflite_int64", "y_tflite_sr1", "valid"),
     ("cmsis_int64", "y_cmsis_s64", "valid_cmsis")],
)  # fmt: skip
def test_64_bit_accumulators(int64_rows, name, column, valid):
    rows = int64_rows[valid]
    inputs = [int64_rows[port][rows] for port in ("x", "multiplier", "shift")]
    np.testing.assert_array_equal(CONVENTIONS[name](*inputs, strict=True), int64_rows[column][rows])
    assert inputs[0].size > 9000


def test_rows_outside_the_documented_ranges_never_wrap(int32_rows):
    beyond = ~int32_rows["valid_single"]
    inputs = [int32_rows[port][beyond] for port in ("x", "multiplier", "shift")]
    got = CONVENTIONS["tflite_single"](*inputs)
    limits = np.iinfo(np.int32)
    np.testing.assert_array_equal(got, np.clip(int32_rows["exact_y_half_up"][beyond], limits.min, limits.max))
    with pytest.raises(IntsimError, match="32-bit result"):
        CONVENTIONS["tflite_single"](*inputs, strict=True)


# The definitions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", INTEGER)
def test_near_ties_follow_the_definition(name):
    unit = INTEGER[name]
    acc, multiplier, shift = near_ties(unit, 3000, seed=11)
    got = unit(acc, multiplier, shift)
    want = [expected(name, int(a), int(m), int(s)) for a, m, s in zip(acc, multiplier, shift, strict=True)]
    np.testing.assert_array_equal(got, want)


def test_near_ties_are_near_ties():
    for name in ("tflite_single", "hawq", "tosa_scale16"):
        acc, multiplier, shift = near_ties(INTEGER[name], 3000, seed=5)
        amount = (31 - shift).astype(object)
        doubled = (acc.astype(object) * multiplier.astype(object)) * 2
        rest = doubled % np.array([2 << int(a) for a in amount], dtype=object)
        exact = np.mean([r == 1 << int(a) for r, a in zip(rest, amount, strict=True)])
        assert exact > 0.15  # exact ties, where the modes part


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(INTEGER)),
    acc=st.integers(-(1 << 31), (1 << 31) - 1),
    multiplier=st.integers(0, (1 << 31) - 1),
    shift=st.integers(-200, 200),
)
def test_any_input_follows_the_definition(name, acc, multiplier, shift):
    if name == "gemmlowp":
        shift = min(shift, 0)
    want = expected(name, acc, multiplier, shift)
    assert CONVENTIONS[name](acc, multiplier, shift) == want
    with plain():
        assert CONVENTIONS[name](acc, multiplier, shift) == want


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["tflite_int64", "cmsis_int64", "tosa_scale16"]),
    acc=st.integers(-(1 << 47), (1 << 47) - 1),
    multiplier=st.integers(0, (1 << 31) - 1),
    shift=st.integers(-200, 200),
)
def test_64_bit_accumulators_follow_the_definition(name, acc, multiplier, shift):
    multiplier >>= 16 if name == "tosa_scale16" else 0
    assert CONVENTIONS[name](acc, multiplier, shift) == expected(name, acc, multiplier, shift)


@pytest.mark.parametrize("name", INTEGER)
def test_compiled_equals_unbounded(name):
    unit = INTEGER[name]
    assert_exact(unit, *(column[::7] for column in unit.corners()))


@pytest.mark.parametrize("shift", [-31, -32, -33, -34, -64, -65, -1000, -5000])
@pytest.mark.parametrize("name", INTEGER)
def test_far_shifts(name, shift):
    acc = np.array([-(1 << 31), -1, 0, 1, (1 << 31) - 1])
    want = [expected(name, int(a), (1 << 31) - 1, shift) for a in acc]
    np.testing.assert_array_equal(CONVENTIONS[name](acc, (1 << 31) - 1, np.int64(shift)), want)


def test_the_farthest_shift():
    limits = np.iinfo(np.int32)
    np.testing.assert_array_equal(CONVENTIONS["tvm_truncate"]([-7, 7], 1 << 30, limits.min), [-1, 0])
    np.testing.assert_array_equal(CONVENTIONS["tvm_truncate"]([-7, 7], 1, limits.max), [limits.min, limits.max])


def test_hawq_takes_a_multiplier_of_32_bits():
    for name in ("hawq", "ibert", "ivit"):
        np.testing.assert_array_equal(CONVENTIONS[name]([-(1 << 31), 5, -5], 1 << 31, -1), [-(1 << 30), 2, -2])
        with pytest.raises(IntsimError, match="outside"):
            CONVENTIONS[name](1, (1 << 31) + 1, 0)
    with pytest.raises(IntsimError, match="outside"):
        CONVENTIONS["tflite_single"](1, 1 << 31, 0)
    assert compare("hawq", "ivit", count=4096).differing == 0


def test_tosa_scale16_takes_wide_multipliers_with_32_bit_accumulators():
    assert CONVENTIONS["tosa_scale16"](1 << 30, 1 << 30, -20) == expected("tosa_scale16", 1 << 30, 1 << 30, -20)
    with pytest.raises(IntsimError, match="outside s32"):
        CONVENTIONS["tosa_scale16"](1 << 40, 1 << 30, 0)


@settings(max_examples=400, deadline=None)
@given(acc=st.integers(-(1 << 31), (1 << 31) - 1), multiplier=st.integers(0, (1 << 31) - 1), amount=st.integers(2, 62))
def test_tosa_writes_two_roundings_as_one(acc, multiplier, amount):
    """TOSA adds +-2**30 besides half a unit and shifts once: the same as the pair of gemmlowp's primitives."""
    half = 1 << (amount - 1)
    if amount > 31:
        half += 1 << 30 if acc >= 0 else -(1 << 30)
    want = clamp((acc * multiplier + half) >> amount, -(1 << 31), (1 << 31) - 1)
    assert CONVENTIONS["tosa_double"](acc, multiplier, 31 - amount) == want


# Parameters of the instance -------------------------------------------------------------------------------------


def test_channels_broadcast():
    acc = np.arange(-600, 600, dtype=np.int32).reshape(20, 60)
    multiplier = np.linspace(1 << 30, (1 << 31) - 1, 60).astype(np.int64)
    shift = -(np.arange(60) % 9)
    whole = CONVENTIONS["tflite_double"](acc, multiplier, shift)
    assert whole.shape == (20, 60)
    for c in range(60):
        np.testing.assert_array_equal(whole[:, c], CONVENTIONS["tflite_double"](acc[:, c], multiplier[c], shift[c]))


@pytest.mark.parametrize("zero_point", [-300, -128, 0, 5, 127, 1000])
def test_zero_point_and_clamp_belong_to_the_instance(zero_point):
    acc = np.arange(-2000, 2000)
    bare = CONVENTIONS["tflite_double"](acc, 1 << 30, -1).astype(np.int64)
    before = dataclasses.replace(INTEGER["tflite_double"], y=Int(8), zero_point=zero_point, lo=-100, hi=100)
    np.testing.assert_array_equal(before(acc, 1 << 30, -1), np.clip(bare + zero_point, -100, 100))
    assert before(0, 0, 0).dtype == np.int8
    behind = dataclasses.replace(before, y=Int(16), zero_first=False)
    np.testing.assert_array_equal(behind(acc, 1 << 30, -1), np.clip(bare, -100, 100) + zero_point)


def test_from_scales():
    scales = [0.0123, 0.7, 1.9e-5]
    unit = from_scales("tflite_double", scales, y=Int(8), zero_point=-3)
    m, k = scale_rule("tflite_double")(scales)
    acc = np.arange(-40000, 40000, 17)[:, None]
    want = CONVENTIONS["tflite_double"](acc, m, 31 - k) - 3
    np.testing.assert_array_equal(unit(acc, np.arange(3)), np.clip(want, -128, 127))
    real = unit.real(acc, np.arange(3))
    assert np.max(np.abs(unit(acc, np.arange(3)) - real)) < 0.76  # two roundings: more than half a unit
    assert from_scales("tosa_scale16", 0.3).multiplier.hi >> 15 == 0
    with pytest.raises(UnknownName, match="tflite_double"):
        from_scales("tflite_dubble", 0.5)


# Documented ranges ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("tflite_double", (1, 1 << 30, 31), "shift 31"),
        ("tflite_double", (1 << 20, 1, 15), "acc << shift"),
        ("cmsis_double", (1, 1 << 30, -32), "shift -32"),
        ("ruy", (1, 1 << 30, 8), "shift 8"),
        ("tosa_single", (8, 1 << 30, 27), "acc within"),
        ("tosa_scale16", (8, 1 << 15, 0), "multiplier 32768"),
        ("hawq", (1, (1 << 30) - 1, 0), "multiplier 1073741823"),
        ("pulp_rqs", (1 << 20, 1 << 20, 20), "32-bit product"),
        ("gemmlowp", (1, 1 << 30, -32), "shift -32"),
        ("tvm_upward", (1 << 20, 1 << 30, 12), "32-bit result"),
        ("cmsis_int64", (3 << 29, 1 << 30, 1), "31-bit result"),
        ("tflite_int64", (1, 1 << 30, 8), "shift 8"),
    ],
)
def test_strict_refuses_what_is_not_documented(name, inputs, message):
    CONVENTIONS[name](*inputs)  # accepted otherwise
    with pytest.raises(IntsimError, match=message):
        CONVENTIONS[name](*inputs, strict=True)
    with pytest.raises(IntsimError, match=message):
        dataclasses.replace(CONVENTIONS[name], strict=True)(*inputs)


@pytest.mark.parametrize("name", ["tflite_double", "cmsis_double", "tflite_single", "cmsis_single", "tosa_single"])
def test_strict_accepts_what_is_documented(int32_rows, name):
    rows = int32_rows["valid_tosa" if "tosa" in name else "valid" if "double" in name else "valid_single"]
    inputs = [int32_rows[port][rows] for port in ("x", "multiplier", "shift")]
    np.testing.assert_array_equal(CONVENTIONS[name](*inputs, strict=True), CONVENTIONS[name](*inputs))


def test_refusals():
    with pytest.raises(DtypeError, match="acc: expected integer"):
        CONVENTIONS["ruy"](1.5, 1, 0)
    with pytest.raises(DtypeError, match="shift"):
        CONVENTIONS["ruy"](1, 1, 0.5)
    with pytest.raises(IntsimError, match="multiplier: -1"):
        CONVENTIONS["ruy"](1, -1, 0)
    with pytest.raises(IntsimError, match="takes 3 inputs"):
        CONVENTIONS["ruy"](1, 1)
    with pytest.raises(IntsimError, match="do not fit together"):
        CONVENTIONS["ruy"]([1, 2], [1, 2, 3], 0)
    with pytest.raises(UnknownName, match="tflite_double"):
        lookup("tflite_duoble")


def test_the_names():
    floats = """xnnpack_fp32 xnnpack_rndnu xnnpack_rndnu16 qnnpack_q31 qnnpack_precise qnnpack_fp32 qnnpack_gemmlowp
        fbgemm_float fbgemm_fixed onnx"""
    assert set(INTEGER) == set(DEFINITIONS)
    assert len(INTEGER) == 18
    assert set(CONVENTIONS) - set(INTEGER) == set(floats.split())
    assert all(isinstance(unit, Requantizer) and unit.name == name for name, unit in INTEGER.items())


def test_the_plain_definitions(int32_rows):
    """The vectors' own columns of plain roundings, against the rounding every unit is built on."""
    product = int32_rows["x"].astype(object) * int32_rows["multiplier"].astype(object)
    for column, mode in (("floor", 0), ("trunc", 1), ("half_up", 2), ("half_away", 3), ("half_even", 4)):
        want = int32_rows[f"exact_y_{column}"]
        got = [shift_round(p, 31 - int(s), mode) for p, s in zip(product, int32_rows["shift"], strict=True)]
        np.testing.assert_array_equal(want, np.array(got, dtype=np.int64))
