"""Integer softmax: the projects' outputs, both ways of computing, extreme rows and lengths, masks, hazards."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, assert_exact, rows_of, surviving_mutants
from vectors import cases, load_case

from intsim import Int, IntsimError
from intsim.exact import plain
from intsim.nonlinear.softmax import DIClippedSoftmax, IBertSoftmax, Shiftmax, from_act_scale
from intsim.rounding import TIES_AWAY
from intsim.rows import near_halvings

UNITS = [
    Shiftmax(-16),
    Shiftmax(-16, out_bits=8, x=Int(8), max_row=64),
    Shiftmax(-1, masked=True),
    Shiftmax.ivit_tvm(-17, x=Int(8)),
    IBertSoftmax.design(0.05),
    IBertSoftmax.design(0.003, out_bits=12, x=Int(16), masked=True),
    DIClippedSoftmax(241, 20),
    DIClippedSoftmax(241, 12, x=Int(16), out_bits=8, masked=False),
    DIClippedSoftmax(65025, 30, exp="literal", bits=12),
    DIClippedSoftmax(200, 18, exp="headroom", clip=12, rounding=TIES_AWAY),
    DIClippedSoftmax(1, 24, out_bits=15),
]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda u: f"{u.name}-{u.sha256[:4]}")


@each_unit
def test_corners_are_exact_and_json_is_lossless(unit):
    assert_corners(unit)


@each_unit
def test_corners_kill_every_constant_mutant(unit):
    skip = ["max_row", "rounding"]  # results are not negative: some modes agree
    if getattr(unit, "exp", "") in ("literal", "fixed16"):
        skip.append("headroom")
    if isinstance(unit, IBertSoftmax):
        skip.append("e16_multiplier")  # below
    assert surviving_mutants(unit, tuple(skip)) == []


@pytest.mark.parametrize("unit", [unit for unit in UNITS if isinstance(unit, IBertSoftmax)], ids=lambda u: u.sha256[:4])
def test_every_e16_multiplier_that_tells_is_noticed(unit):
    """A part in 2**31 may tell in no exponential at all: then, and then only, the corners need not notice it."""
    reach = min(unit.x.hi - unit.x.lo, -31 * unit.x0)  # the exponential is constant beyond
    rows = np.stack([np.full(reach + 1, unit.x.hi), unit.x.hi - np.arange(reach + 1)], axis=1).astype(unit.x.dtype)
    noticed = 0
    for change in (-(1 << 20), -1, 1, 1 << 20):
        other = dataclasses.replace(unit, e16_multiplier=unit.e16_multiplier + change)
        tells = not np.array_equal(other.trace(rows)["e16"], unit.trace(rows)["e16"])
        seen = not np.array_equal(other(*unit.corners()), unit(*unit.corners()))
        assert seen or not tells
        noticed += seen
    assert noticed >= 2


@each_unit
@pytest.mark.parametrize("n", [1, 2, 3, 1023, 4096])
def test_extreme_rows_of_every_length(unit, n):
    rows = rows_of(unit.x, n, seed=n)
    if n > 100:  # un-compiled: a few rows
        rows = rows[[0, 3, 5]] if n == 1023 else rows[[4]]
    y = assert_exact(unit, rows)
    assert y.shape == rows.shape
    compiled = unit(rows_of(unit.x, n, seed=n))
    equal = compiled[:3].astype(int)
    assert np.all(equal == equal[:, :1]), "an equal row has equal results"
    assert np.all(equal == equal[:1]), "only distances count"
    hot = compiled[3].astype(int)
    assert hot.argmax() == n // 2


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.data())
def test_compiled_equals_unbounded(unit, data):
    n = data.draw(st.integers(1, 12))
    bits = data.draw(st.integers(1, unit.x.bits))
    element = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    x = np.array(data.draw(st.lists(st.lists(element, min_size=n, max_size=n), min_size=1, max_size=3)))
    if unit.masked:
        keep = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
        assert np.all(assert_exact(unit, x, np.array(keep))[:, ~np.array(keep)] == 0)
    else:
        assert_exact(unit, x)


@pytest.mark.parametrize("case", cases("ivit_nonlinear", "softmax"))
def test_shiftmax_is_ivits(case):
    constants, arrays = load_case("ivit_nonlinear", case)
    unit = Shiftmax(constants["x0"], 15, constants["out_bit"])
    assert unit == Shiftmax.design(constants["scale"], out_bits=constants["out_bit"])
    nets = assert_and_trace(unit, arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["e"], arrays["exp"])
    np.testing.assert_array_equal(nets["factor"][..., None], arrays["factor"])
    assert float(unit.outputs["y"].decode(1)) == constants["out_scale"]


@pytest.mark.parametrize("case", cases("ibert_nonlinear", "softmax"))
def test_ibert_softmax_is_iberts(case):
    constants, arrays = load_case("ibert_nonlinear", case)
    inner = from_act_scale(constants["act_scale"])
    unit = IBertSoftmax(constants["x0"], constants["b"], constants["c"], *inner, constants["out_bit"])
    assert unit == IBertSoftmax.design(constants["scale"], constants["out_bit"])
    nets = assert_and_trace(unit, arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["e16"], arrays["e16"])
    np.testing.assert_array_equal(nets["factor"].ravel(), arrays["factor"].ravel())
    assert float(unit.outputs["y"].decode(1)) == constants["out_scale"]


def assert_and_trace(unit, x):
    few = x.reshape(-1, x.shape[-1])[:8]
    assert_exact(unit, few)
    return unit.trace(x)


def test_masked_elements_take_no_part():
    rng = np.random.default_rng(3)
    x = rng.integers(-5000, 5000, (2, 3, 20))
    for unit in (Shiftmax(-64, masked=True), IBertSoftmax.design(0.01, masked=True), DIClippedSoftmax(200, 16)):
        keep = rng.random((3, 20)) < 0.6
        keep[1] = False
        y = unit(x, keep)
        assert np.all(y[:, ~keep] == 0)
        assert np.all(y[:, 1] == 0), "a row without a valid element"
        for i in (0, 2):
            np.testing.assert_array_equal(y[:, i][:, keep[i]], unit(x[:, i][:, keep[i]]))
        # what a masked element holds is of no consequence
        poisoned = np.where(keep, x, 2_000_000_000)
        np.testing.assert_array_equal(unit(poisoned, keep), y)
        np.testing.assert_array_equal(unit(x), unit(x, np.ones(20, dtype=np.uint8)))
    with pytest.raises(IntsimError, match="masked=True"):
        Shiftmax(-16)(x, keep)


def test_one_hot_of_ibert_is_255():
    """256 in the project's float32; integers give 255, which fits 8 bits."""
    unit = IBertSoftmax.design(0.05)
    assert unit(np.array([[1000, -9000, -9000]]))[0].tolist() == [255, 0, 0]
    assert unit.outputs["y"].bits == 8
    whole = IBertSoftmax(-14, 53, 1 << 10, 1 << 30, 30 + 26)  # a row maximum of 2**14: 2**32 / 2**14 * 2**14
    assert whole.e16_top == 1 << 14
    assert whole.outputs["y"].bits == 9
    assert int(whole(np.array([0]))[0]) == 256


def di_softmax_by_fractions(row, m, k, clip, bits, out_bits):
    """Reading R1 in rationals, exponential in its 16-bit form."""
    q = (1 << bits) - 1
    top = max(row)
    low = max(min(row), top - int(Fraction(clip * 2**k, m)))
    span = max(top - low, 1)
    codes = [int(Fraction((max(v, low) - low) * q, span) + Fraction(1, 2)) for v in row]
    ky = 40
    while ky > 0 and int(Fraction(span * m * 2**ky, q * 2**k)) > 255:
        ky -= 1
    my = min(int(Fraction(span * m * 2**ky, q * 2**k)), 255)
    exps = []
    for code in codes:
        octaves = Fraction((max(codes) - code) * my * 369, 1 << (ky + 8))
        whole = int(octaves)
        part = int((octaves - whole) * 2 ** (ky + 8)) // 2
        exps.append(((1 << (ky + 8)) - part) * 2**16 // 2 ** (ky + 8 + whole))
    return [int(Fraction(e << (out_bits - 1), sum(exps))) for e in exps]


@settings(deadline=None)
@given(
    st.lists(st.integers(-(1 << 20), 1 << 20), min_size=1, max_size=12),
    st.integers(128, 255),
    st.integers(8, 20),
    st.sampled_from([8, 12, 16]),
)
def test_clipped_softmax_is_reading_r1(row, m, k, out_bits):
    unit = DIClippedSoftmax(m, k, out_bits=out_bits)
    assert unit(np.array(row)).tolist() == di_softmax_by_fractions(row, m, k, 15, 8, out_bits)


def test_per_row_scales_equal_the_unit():
    unit = DIClippedSoftmax(200, 14)
    x = np.random.default_rng(0).integers(-3000, 3000, (4, 32)).astype(np.int32)
    scales = [(200, 14), (131, 12), (255, 9), (1, 3)]
    nets = unit.rows(x, np.ones(x.shape, np.uint8), *(np.array(v) for v in zip(*scales, strict=True)))
    for i, (m, k) in enumerate(scales):
        np.testing.assert_array_equal(nets["y"][i], DIClippedSoftmax(m, k)(x[i]))


def errors(unit, scale, width=64, rows=64):
    """Mean L1 distance of rows to the real softmax and their mean sum: Gaussian scores with one raised by 9."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (rows, width))
    scores[np.arange(rows), rng.integers(0, width, rows)] += 9
    x = np.rint(scores / scale).astype(np.int64)
    y = unit.outputs["y"].decode(unit(x))
    return float(np.abs(y - unit.real(x)).sum(-1).mean()), float(y.sum(-1).mean())


def test_forms_of_the_exponential_rank_as_documented():
    """One logit in front: literal loses the tail, the other forms keep it."""
    m, k = 241, 20
    distance = {
        form: errors(DIClippedSoftmax(m, k, exp=form), m / 2**k, 512)[0] for form in ("literal", "headroom", "fixed16")
    }
    assert distance["fixed16"] < distance["headroom"] < distance["literal"] / 5


def test_long_rows_lose_mass_at_8_bits():
    m, k = 241, 20
    short = DIClippedSoftmax(m, k, out_bits=8, max_row=2048)
    wide = DIClippedSoftmax(m, k, out_bits=16, max_row=2048)
    assert errors(short, m / 2**k, 2048)[1] < 0.75 < 0.98 < errors(wide, m / 2**k, 2048)[1]
    assert any("mass" in h.what for h in short.hazards())
    assert any("mass" in h.what for h in DIClippedSoftmax(m, k, out_bits=8).hazards())
    assert wide.hazards() == ()
    assert any("levels" in h.what for h in DIClippedSoftmax(m, k, exp="literal").hazards())


def test_saturating_sum_is_a_hazard():
    unit = Shiftmax(-16)
    assert "4095" in unit.hazards()[0].remedy
    assert Shiftmax(-16, max_row=4095).hazards() == ()
    full = unit.trace(np.zeros((2, 4096), dtype=np.int32))
    assert full["sum"].tolist() == [1 << 31, 1 << 31]
    assert full["factor"].tolist() == [1, 1]
    assert Shiftmax.ivit_tvm(-8).trace(np.zeros(4096, dtype=int))["factor"] == 0
    large = Shiftmax(-(1 << 20), max_row=8)  # e alone passes 2**31
    assert large.outputs["y"].bits > 16
    assert large.hazards()
    assert int(large(np.zeros(3, dtype=int))[0]) == (1 << 35) >> 16


REFUSED = {
    "k above 40": lambda: DIClippedSoftmax(200, 41),
    "clip below a code": lambda: DIClippedSoftmax(65535, 0),
    "clip of 0": lambda: DIClippedSoftmax(200, 10, clip=0),
    "out_bits": lambda: DIClippedSoftmax(200, 10, out_bits=17),
    "rows too long for the sum": lambda: Shiftmax(-(1 << 40), max_row=4096),
    "ibert scale": lambda: IBertSoftmax.design(1e-6),
    "row maximum vanishes": lambda: IBertSoftmax(-14, 53, 1082, 1, 63),
    "max_row": lambda: Shiftmax(-16, max_row=0),
    "wide headroom": lambda: DIClippedSoftmax(128, 40, exp="headroom", headroom=20),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(IntsimError, match=r"\d.*(use|choose|is|take|drop|suit)"):
        make()


def test_rows_longer_than_the_hardware_are_taken_while_they_fit():
    unit = Shiftmax(-16, max_row=8)
    x = np.arange(100)
    np.testing.assert_array_equal(unit(x), Shiftmax(-16)(x))
    with plain():
        np.testing.assert_array_equal(unit(x), Shiftmax(-16)(x))


@pytest.mark.parametrize("max_row", [8, 64])
def test_corners_tell_one_exponential_off_by_one(max_row):
    """At every distance near a halving, also where an exponential is a part in 2**15 of the sum."""
    unit = Shiftmax(-20, x=Int(8), max_row=max_row)
    (rows,) = unit.corners()
    known = unit.trace(rows)
    below = rows.max(axis=1, keepdims=True).astype(np.int64) - rows
    distances = near_halvings(unit.x, Fraction(20 * 16, 23), unit.n)
    assert {206, 207, 208, 209, 210} < set(distances)  # where the exponential stops falling
    for distance in distances:
        for step in (-1, 1):
            e = known["e"] + step * (below == distance)
            y = e * ((2**31 - 1) // np.maximum(e.sum(axis=1, keepdims=True), 1)) >> 16
            assert (y != known["y"]).any(), (distance, step)
