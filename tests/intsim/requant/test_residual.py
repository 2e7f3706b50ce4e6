"""Residual addition: HAWQ's, I-BERT's, I-ViT's and transformers' own outputs, TFLite's ADD, and the limits."""

import dataclasses
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from operators import assert_exact
from reference import clamp, round_fraction

from intsim import Int, IntsimError, Unit
from intsim.requant import Requantizer, ResidualAdd
from intsim.requant.conventions import INTEGER, from_scales
from intsim.rounding import TIES_AWAY, TIES_TO_POS

VECTORS = Path(__file__).parents[2] / "vectors" / "requant"
HAWQ = dataclasses.replace(INTEGER["hawq"], right=True)


@pytest.fixture(scope="module")
def rows():
    with np.load(VECTORS / "dyadic_requant.npz") as stored:
        return dict(stored)


def scaled(m, e, **changes) -> Requantizer:
    return dataclasses.replace(HAWQ, channels=((int(np.ravel(m)[0]), int(np.ravel(e)[0])),), **changes)


@pytest.mark.parametrize("case", ["hawq_rq0", "hawq_rq1"])
def test_hawqs_requantisation(rows, case):
    lo, hi = (int(v) for v in rows[f"{case}_lohi"])
    unit = scaled(rows[f"{case}_m"], rows[f"{case}_e"], lo=lo, hi=hi)
    np.testing.assert_array_equal(unit(rows[f"{case}_z"]), rows[f"{case}_y"])


@pytest.mark.parametrize("case", ["hawq_tie0", "hawq_tie1"])
def test_hawqs_exact_ties(rows, case):
    np.testing.assert_array_equal(HAWQ(*(rows[f"{case}_{port}"] for port in "zme")), rows[f"{case}_y"])


@pytest.mark.parametrize("project", ["ivit", "ibert", "hf"])
def test_one_step_of_three_projects(rows, project):
    unit = scaled(rows["fpm0_m"], rows["fpm0_e"], y=Int(8))
    np.testing.assert_array_equal(unit(rows["fpm0_z"]), rows[f"fpm0_y_{project}"])
    add = ResidualAdd(scaled(rows["fpm0_m_id"], rows["fpm0_e_id"]), scaled(rows["fpm0_m"], rows["fpm0_e"]))
    np.testing.assert_array_equal(add(rows["fpm0_identity"], rows["fpm0_z"]), rows[f"fpm0_yres_{project}"])


def test_hawqs_residual_never_saturates(rows):
    terms = scaled(rows["hawq_res0_m_id"], rows["hawq_res0_e_id"]), scaled(rows["hawq_res0_m"], rows["hawq_res0_e"])
    add = ResidualAdd(*terms, y=Int(33), saturating=False)
    got = add(rows["hawq_res0_identity"], rows["hawq_res0_z"])
    np.testing.assert_array_equal(got, rows["hawq_res0_y"])
    assert np.max(np.abs(got)) > 1 << 16  # beyond the 16 bits the stream is said to have
    with pytest.raises(IntsimError, match="sums reach"):
        ResidualAdd(*terms, y=Int(32), saturating=False)


def test_tflites_add_shifts_left_rescales_adds_and_requantises():
    term = from_scales("tflite_single", 0.5, acc=Int(9), pre_shift=20)
    other = from_scales("tflite_single", 0.37, acc=Int(9), pre_shift=20, y=Int(31))
    output = dataclasses.replace(
        INTEGER["tflite_single"], y=Int(8), zero_point=-5, channels=((round(1.1 * 2**28), -16),)
    )
    unit = ResidualAdd(dataclasses.replace(term, y=Int(31)), other, output=output)
    a, b = np.meshgrid(np.arange(-256, 256, 7), np.arange(-256, 256, 5))
    got = unit(a, b)

    def rescaled(value, constants, pre=0):
        m, s = constants
        return round_fraction(Fraction((value << pre) * m) / Fraction(2) ** (31 - s), TIES_TO_POS)

    for x, y, z in zip(a.flat, b.flat, got.flat, strict=True):
        total = rescaled(int(x), term.channels[0], 20) + rescaled(int(y), other.channels[0], 20)
        assert z == clamp(rescaled(total, output.channels[0]) - 5, -128, 127)
    assert np.unique(got).size > 100


def test_channels_and_both_orders_of_evaluation():
    left, right = (from_scales("tflite_double", scales, acc=Int(16)) for scales in ([0.5, 0.01], [0.3, 1.7]))
    unit = ResidualAdd(left, right, y=Int(8))
    rng = np.random.default_rng(3)
    a, b = rng.integers(-200, 200, (2, 500, 2))
    channel = np.arange(2)
    want = left(a, channel).astype(int) + right(b, channel)
    np.testing.assert_array_equal(unit(a, b, channel), np.clip(want, -128, 127))
    assert_exact(unit, a, b, np.broadcast_to(channel, a.shape))
    assert Unit.from_json(unit.to_json()) == unit
    assert_exact(unit, *(column[::5] for column in unit.corners()))
    assert np.max(np.abs(unit(a, b, channel) - unit.real(a, b, channel))) <= 1.6
    assert any("saturates them" in str(hazard) for hazard in unit.hazards())


def test_each_term_is_rounded_on_its_own():
    half = dataclasses.replace(HAWQ, rounding=TIES_AWAY, channels=((1, 1),))
    assert ResidualAdd(half, half)(1, 1) == 2  # 0.5 + 0.5, each rounded up


def test_impossible_parameters():
    one, two = from_scales("hawq", 0.5), from_scales("hawq", [0.5, 0.25])
    with pytest.raises(IntsimError, match="same number of constants"):
        ResidualAdd(one, two)
    with pytest.raises(IntsimError, match="same number of constants"):
        ResidualAdd(HAWQ, HAWQ)
    with pytest.raises(IntsimError, match="per tensor"):
        ResidualAdd(one, one, output=two, y=Int(32))
    with pytest.raises(IntsimError, match="make them equal"):
        ResidualAdd(one, one, output=one)
