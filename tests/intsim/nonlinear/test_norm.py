"""Integer normalisation: the projects' outputs, both ways of computing, extreme rows and lengths, hazards."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, assert_exact, rows_of, surviving_mutants
from vectors import cases, load_case

from intsim import Int, IntsimError, UnknownName
from intsim.nonlinear.norm import DINorm, IBertLayerNorm, IViTLayerNorm, L1Norm, from_gamma
from intsim.rounding import TO_NEG

BIAS = (0, 5, -7, 1 << 29, -(1 << 30), 123_456)
UNITS = [
    IViTLayerNorm(),
    IViTLayerNorm(BIAS, x=Int(16)),
    IViTLayerNorm(profile="ivit_tvm", x=Int(8)),
    IBertLayerNorm(),
    IBertLayerNorm(BIAS, shift=3, x=Int(22)),
    DINorm(),
    DINorm(center=True, x=Int(16)),
    DINorm(F=0, G=6, x=Int(8)),
    DINorm((200, 130, 255, 180, 128), (9, 7, 11, 8, 10), x=Int(8)),
    DINorm((200, 130, 255, 180, 128), (9, 7, 11, 8, 10), center=True, ratios="literal", x=Int(12)),
    L1Norm(x=Int(16)),
    L1Norm(6, False, TO_NEG, x=Int(8)),
]
ANY_LENGTH = [u for u in UNITS if not getattr(u, "bias", ()) and len(getattr(u, "m", ())) < 2]
ids = lambda u: f"{u.name}-{u.sha256[:4]}"  # noqa: E731
each_unit = pytest.mark.parametrize("unit", UNITS, ids=ids)


@each_unit
def test_corners_are_exact_and_json_is_lossless(unit):
    assert_corners(unit)


@each_unit
def test_corners_kill_every_constant_mutant(unit):
    width = len(getattr(unit, "m", ()))
    domain = np.random.default_rng(0).integers(-127, 128, (20_000, width if width > 1 else 6))
    # one channel's scale cancels, and literal ratios are coarse: those changes show nowhere
    assert surviving_mutants(unit, domain=(domain,) if width else ()) == []


@pytest.mark.parametrize("unit", ANY_LENGTH, ids=ids)
@pytest.mark.parametrize("n", [1, 2, 3, 1023, 4096])
def test_extreme_rows_of_every_length(unit, n):
    spread = {IViTLayerNorm: 1 << 15, IBertLayerNorm: 1 << 24, DINorm: 1 << 16, L1Norm: None}[type(unit)]
    if isinstance(unit, IViTLayerNorm) and unit.profile == "ivit_tvm":
        spread = 100
    rows = rows_of(unit.x, n, seed=n, spread=spread)
    y = unit(rows)
    if n > 100:  # un-compiled: a few rows
        rows = rows[[0, 3, 5]] if n == 1023 else rows[[4]]
    assert assert_exact(unit, rows).shape == rows.shape
    if not isinstance(unit, DINorm) or unit.center:
        centred = not isinstance(unit, L1Norm) or unit.center
        assert np.all(y[:3] == 0) or not centred, "a constant row has no deviation"


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.data())
def test_compiled_equals_unbounded(unit, data):
    n = len(getattr(unit, "bias", ())) or len(getattr(unit, "m", "1"))
    n = n if n > 1 else data.draw(st.integers(1, 12))
    bits = data.draw(st.integers(1, min(unit.x.bits, 20 if isinstance(unit, DINorm) else 28)))
    if getattr(unit, "profile", "") == "ivit_tvm":
        bits = min(bits, 12)
    element = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    offset = data.draw(st.integers(unit.x.lo >> 2, unit.x.hi >> 2)) if unit.x.bits > 16 and bits < 16 else 0
    if isinstance(unit, DINorm) and not unit.center:
        offset = 0
    x = np.array(data.draw(st.lists(st.lists(element, min_size=n, max_size=n), min_size=1, max_size=3)))
    assert_exact(unit, x + offset)


@pytest.mark.parametrize("case", cases("ivit_nonlinear", "ln"))
def test_layer_norm_is_ivits(case):
    _, arrays = load_case("ivit_nonlinear", case)
    unit = IViTLayerNorm(tuple(arrays["bias_int"].tolist()))
    nets = unit.trace(arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["root"][..., None], arrays["std"])
    np.testing.assert_array_equal(nets["root"][..., None], arrays["newton"][-1])
    np.testing.assert_array_equal(nets["factor"][..., None], arrays["factor"])
    np.testing.assert_array_equal(nets["y"].astype(np.int64) - arrays["bias_int"], arrays["core"])
    assert_exact(unit, arrays["x"])


@pytest.mark.parametrize("case", cases("ibert_nonlinear", "ln"))
def test_layer_norm_is_iberts(case):
    constants, arrays = load_case("ibert_nonlinear", case)
    unit = IBertLayerNorm(arrays["bias_int"], shift=constants["shift"])
    nets = unit.trace(arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["root"][..., None], arrays["std"])
    np.testing.assert_array_equal(nets["factor"][..., None], arrays["factor"])
    np.testing.assert_array_equal(nets["y"].astype(np.int64) - arrays["bias_int"], arrays["core"])


def test_design_folds_beta_over_gamma():
    gamma, beta = np.array([0.5, -0.25, 2.0, 1.0]), np.array([0.1, 0.2, -0.3, 0.0])
    unit = IBertLayerNorm.design(gamma, beta)
    assert unit.bias == tuple(math.floor(b / g * 2**30 / 2) for g, b in zip(gamma, beta, strict=True))
    x = np.random.default_rng(0).integers(-5000, 5000, (20, 4))
    real = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) * gamma + beta
    np.testing.assert_allclose(unit(x) * from_gamma(gamma), real, atol=2e-3)
    with pytest.raises(IntsimError, match="channel 1"):
        IViTLayerNorm.design([1.0, 0.0], [0.0, 0.0])


def error(unit, x):
    """Largest error in parts of the largest real value."""
    real = unit.real(x)
    return float(np.abs(unit.outputs["y"].decode(unit(x)) - real).max() / np.abs(real).max())


def test_errors():
    x = np.random.default_rng(0).normal(0, 1000, (200, 192)).astype(np.int64)
    assert error(IViTLayerNorm(), x) < 6e-4  # the mean's rounding and the root's floor
    assert error(IBertLayerNorm(), x) < 6e-4
    assert error(DINorm(center=True), x) < 3e-4
    assert error(L1Norm(), x) < 3e-4
    small = np.random.default_rng(0).integers(-3, 4, (200, 192))
    assert error(IViTLayerNorm(), small) > 0.1, "ten Newton steps do not converge for small sums"
    assert error(DINorm(F=0), small) > 0.1 > 0.01 > error(DINorm(F=8), small)


def test_constant_rows():
    x = np.full((2, 6), 77)
    assert np.all(IBertLayerNorm(BIAS)(x) == BIAS)
    assert np.all(IViTLayerNorm(BIAS)(x) == BIAS)
    assert IViTLayerNorm(BIAS).trace(x)["root"].tolist() == [64, 64]
    assert np.all(L1Norm()(x) == 0)
    assert np.all(DINorm(center=True)(x) == 0)
    assert np.all(DINorm()(np.zeros((1, 5), dtype=int)) == 0)
    low = IBertLayerNorm(shift=8).trace(np.array([[100, 101, 103, 90]]))
    assert low["root"][0] == 1 << 8


def tvm_layer_norm(row):
    """The authors' TVM layer in Python's integers."""
    mean = int(Fraction(sum(row), len(row)))  # int() truncates
    energy = sum((v - mean) ** 2 for v in row)
    k = 1 << 16
    for _ in range(10):
        k = (k + energy // k) // 2
    return [int(Fraction((v - mean) * (((1 << 31) - 1) // k), 2)) for v in row]


@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=20))
def test_the_tvm_layer(row):
    assert IViTLayerNorm(profile="ivit_tvm")(np.array(row)).tolist() == tvm_layer_norm(row)


def test_the_tvm_layers_sum_wraps():
    unit = IViTLayerNorm(profile="ivit_tvm", x=Int(16))
    with pytest.raises(IntsimError, match="of 32; shift"):
        unit(np.array([-32768, 32767] * 4))
    assert any("wraps" in h.what for h in unit.hazards())


def di_norm_by_fractions(row, factors, F, G, center):
    a = [v * f for v, f in zip(row, factors, strict=True)]
    if center:
        mean = round(Fraction(sum(a), len(a)))  # Python rounds ties to even
        a = [v - mean for v in a]
    root = max(math.isqrt((sum(v * v for v in a) << 2 * F) // len(a)), 1)
    return [int(abs(Fraction(v << (F + G), root)) + Fraction(1, 2)) * (1 if v >= 0 else -1) for v in a]


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=5, max_size=5), st.booleans(), st.integers(0, 8), st.data())
def test_di_norm_is_reading_r1(row, center, F, data):
    m, k = (128, 255, 200, 131, 170), tuple(data.draw(st.lists(st.integers(5, 9), min_size=5, max_size=5)))
    unit = DINorm(m, k, F=F, G=9, center=center)
    shifted = [c << (max(k) - e) for c, e in zip(m, k, strict=True)]
    factors = [s // math.gcd(*shifted) for s in shifted]
    assert list(unit.factors) == factors
    assert unit(np.array(row)).tolist() == di_norm_by_fractions(row, factors, F, 9, center)


def test_channel_ratios():
    m, k = (200, 130, 255), (9, 7, 11)
    assert DINorm(m, k, ratios="literal").factors == ((200 >> 2) // 15, 130 // 15, 15 // 15)
    assert any("off by up to" in h.what for h in DINorm(m, k, ratios="literal").hazards())
    assert not any("off by" in h.what for h in DINorm(m, k).hazards())
    with pytest.raises(IntsimError, match="division by zero"):
        DINorm((200, 200), (3, 11), ratios="literal")
    assert DINorm((200, 200), (3, 11)).factors == (256, 1)
    with pytest.raises(IntsimError, match="closer together"):
        DINorm((200, 201), (0, 60))


def test_values_decide_what_overflows():
    x = np.array([[1 << 30, -(1 << 30), 5, 7]])
    assert IViTLayerNorm()(x).shape == (1, 4)  # 2**61: fits, although Int(32) rows of 4096 may not
    assert any("ten Newton steps" in h.what for h in IViTLayerNorm().hazards())
    with pytest.raises(IntsimError, match="bits of 63"):
        IBertLayerNorm()(np.tile(x, (1, 4)))
    assert IBertLayerNorm(shift=4)(np.tile(x, (1, 4))).shape == (1, 16)
    assert "shift >=" in IBertLayerNorm().hazards()[0].remedy
    remedy = int(IBertLayerNorm().hazards()[0].remedy.split(">= ")[1])
    assert dataclasses.replace(IBertLayerNorm(), shift=remedy).hazards() == ()
    with pytest.raises(IntsimError, match="lower F"):
        DINorm()(x)
    assert DINorm(F=0)(x // 4).shape == (1, 4)
    assert any("lower F" in h.remedy for h in DINorm().hazards())
    assert DINorm(x=Int(16), F=8).hazards() == ()
    with pytest.raises(IntsimError, match="lower G"):
        L1Norm(24)(np.full((1, 4096), 1 << 26))


REFUSED = {
    "bias does not fit the rows": lambda: IViTLayerNorm(BIAS)(np.zeros((2, 5), dtype=int)),
    "channels do not fit the rows": lambda: DINorm((1, 2), (0, 0))(np.zeros((2, 5), dtype=int)),
    "max_row below the channels": lambda: IBertLayerNorm(BIAS, max_row=4),
    "bias": lambda: IBertLayerNorm((1 << 61,)),
    "shift": lambda: IBertLayerNorm(shift=40),
    "lengths": lambda: DINorm((1, 2), (0,)),
    "m": lambda: DINorm((0,), (0,)),
    "F": lambda: DINorm(F=17),
    "G": lambda: L1Norm(25),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_refused(make):
    with pytest.raises(IntsimError, match=r"\d.*;"):
        make()
    with pytest.raises(UnknownName, match="aligned"):
        DINorm(ratios="exact")
