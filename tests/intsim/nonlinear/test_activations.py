"""Integer activations: the projects' outputs, both ways of computing, extreme rows, errors and hazards."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operators import assert_corners, assert_exact, rows_of, surviving_mutants
from vectors import cases, load_case

from intsim import Int, IntsimError, UnknownName
from intsim.nonlinear.activations import DISigmoid, DISwiGLU, HardSwish, IBertGELU, ShiftGELU, SquaredReLU
from intsim.rounding import TIES_TO_EVEN, TO_NEG

ALPHA = ((128, 7), (200, 8), (90, 5), (255, 4), (1, 0))
UNITS = [
    ShiftGELU(-10),
    ShiftGELU(-38, x=Int(8), max_row=16),
    ShiftGELU(-3, limit=31, x=Int(8), max_row=16),
    ShiftGELU(-3, n=15, out_bits=12, x=Int(12)),
    IBertGELU.design(0.0005),
    IBertGELU.design(0.02, x=Int(8)),
    IBertGELU(-161, -28366, -2, shift=3),
    DISigmoid(205, 12, x=Int(8)),
    DISigmoid(205, 12, "row_max", out_bits=12),
    DISigmoid(130, 9, form="literal", x=Int(12)),
    DISigmoid(205, 12, "row_max", form="headroom"),
    DISwiGLU(205, 12, x=Int(9)),
    DISwiGLU(205, 12, "row_max", x=Int(9), up=Int(7)),
    DISwiGLU(205, 12, "two_branch", "headroom", 12, alpha=ALPHA, x=Int(16)),
    DISwiGLU(205, 12, "row_max", "fixed16", 16, alpha=ALPHA[1:2], x=Int(16)),
    SquaredReLU(),
    SquaredReLU(7, TIES_TO_EVEN, x=Int(16)),
    SquaredReLU(9, TO_NEG, x=Int(8)),
    HardSwish.design(1 / 16),
    HardSwish.design(0.1, x=Int(8)),
]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda u: f"{u.name}-{u.sha256[:4]}")
rows_only = pytest.mark.parametrize(
    "unit", [u for u in UNITS if u.is_row and not getattr(u, "alpha", ())], ids=lambda u: f"{u.name}-{u.sha256[:4]}"
)


@each_unit
def test_corners_are_exact_and_json_is_lossless(unit):
    assert_corners(unit)


def everything(unit):
    """A domain on which a changed constant that shows nowhere is another spelling of the same function."""
    grids = [np.arange(max(fmt.lo, -(1 << 17)), min(fmt.hi, 1 << 17) + 1) for fmt in unit.inputs.values()]
    if unit.is_row:
        width = len(getattr(unit, "alpha", ())) or 8
        rng = np.random.default_rng(0)
        return tuple(rng.choice(grid[np.abs(grid) < 1 << 12], (20_000, max(width, 5))) for grid in grids)
    return tuple(np.resize(grid, grids[0].shape) for grid in grids)


@each_unit
def test_corners_kill_every_constant_mutant(unit):
    skip = ("max_row",) if getattr(unit, "form", "headroom") == "headroom" else ("max_row", "headroom")
    assert surviving_mutants(unit, skip, everything(unit)) == []


@rows_only
@pytest.mark.parametrize("n", [1, 2, 3, 1023, 4096])
def test_extreme_rows_of_every_length(unit, n):
    ports = list(unit.inputs.values())
    columns = [rows_of(fmt, n, seed=i, spread=1 << 20) for i, fmt in enumerate(ports)]
    if n > 100:  # un-compiled: a few rows
        columns = [c[[0, 3, 5]] if n == 1023 else c[[4]] for c in columns]
    assert assert_exact(unit, *columns).shape == columns[0].shape


@settings(deadline=None)
@given(st.sampled_from(UNITS), st.data())
def test_compiled_equals_unbounded(unit, data):
    n = len(getattr(unit, "alpha", ())) or data.draw(st.integers(1, 12))
    n = n if n > 1 else 5
    columns = []
    for fmt in unit.inputs.values():
        bits = data.draw(st.integers(1, min(fmt.bits, 26)))
        element = st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        columns.append(np.array(data.draw(st.lists(element, min_size=n, max_size=n))))
    assert_exact(unit, *columns)


@pytest.mark.parametrize("case", cases("ivit_nonlinear", "gelu"))
def test_shift_gelu_is_ivits(case):
    constants, arrays = load_case("ivit_nonlinear", case)
    unit = ShiftGELU(constants["x0"])
    assert unit == ShiftGELU.design(constants["scale"])
    nets = unit.trace(arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["e"], arrays["exp"])
    np.testing.assert_array_equal(nets["e_minus_max"][..., None], arrays["expmax"])
    np.testing.assert_array_equal(nets["factor"], arrays["factor"])
    np.testing.assert_array_equal(nets["sig"], arrays["sig"])
    assert constants["scale"] * 2**-7 == constants["out_scale"]
    assert_exact(unit, arrays["x"].reshape(-1, arrays["x"].shape[-1])[:4])


@pytest.mark.parametrize("case", cases("ibert_nonlinear", "gelu"))
def test_ibert_gelu_is_iberts(case):
    constants, arrays = load_case("ibert_nonlinear", case)
    unit = IBertGELU(constants["b"], constants["c"], constants["shift_int"])
    assert unit == IBertGELU.design(constants["scale"])
    nets = unit.trace(arrays["x"])
    np.testing.assert_array_equal(nets["y"], arrays["out"])
    np.testing.assert_array_equal(nets["erf"], arrays["erf"])


def relative_to_range(unit, *columns):
    """Largest error against the real function, in parts of its largest value."""
    real = unit.real(*columns)
    return float(np.abs(unit(*columns).astype(float) - real).max() / np.abs(real).max())


def test_errors_over_whole_domains():
    x8 = np.arange(-128, 128)
    assert round(relative_to_range(ShiftGELU.design(4 / 128), x8), 3) == 0.062  # F = 13 for 13.5
    assert round(relative_to_range(ShiftGELU.design(4 / 128, n=15), x8), 3) == 0.016
    wide = np.arange(-(1 << 13), 1 << 13)
    assert round(relative_to_range(IBertGELU.design(4 / (1 << 13)), wide), 3) == 0.005
    gate = DISigmoid.design(8 / 128)
    assert round(float(np.abs(gate(x8) / 128 - gate.real(x8)).max()), 3) == 0.022
    swish = HardSwish.design(4 / 128)
    assert relative_to_range(swish, x8) < 1e-12


def test_the_published_frame_fails_where_the_maximum_is_large():
    """The figures for s = 0.05: the row-maximum sigmoid loses everything in its literal form."""
    x = np.arange(-128, 128)
    worst = {}
    for frame in ("row_max", "two_branch"):
        for form in ("literal", "headroom", "fixed16"):
            unit = DISigmoid(205, 12, frame, form)
            worst[frame, form] = round(float(np.abs(unit(x) / 128 - unit.real(x)).max()), 2)
    assert worst["row_max", "literal"] > 0.5
    assert worst["two_branch", "literal"] < 0.07
    assert worst["two_branch", "headroom"] < 0.03
    assert worst["two_branch", "fixed16"] < 0.03
    assert any("vanish" in h.what for h in DISigmoid(205, 12, "row_max").hazards())
    assert DISigmoid(205, 12, x=Int(8)).hazards() == ()


def test_swiglu_is_gate_times_sigmoid_times_up():
    gate, up = np.meshgrid(np.arange(-255, 256), np.arange(-255, 256, 15))
    unit = DISwiGLU(205, 12, x=Int(9))
    sigma = DISigmoid(205, 12, x=Int(9))(gate).astype(np.int64)
    np.testing.assert_array_equal(unit(gate, up), gate * sigma * up)
    nets = unit.trace(gate, up)
    np.testing.assert_array_equal(nets["sigma"], sigma)
    assert unit.outputs["y"].bits <= 26


def test_alpha_smooths_the_sigmoid_only():
    x = np.random.default_rng(0).integers(-30000, 30000, (50, 5))
    up = np.ones_like(x)
    unit = DISwiGLU(205, 12, "two_branch", "fixed16", 12, alpha=ALPHA, x=Int(16))
    smoothed = np.array([[(int(v) * ma) >> ka for v, (ma, ka) in zip(row, ALPHA, strict=True)] for row in x])
    sigma = DISigmoid(205, 12, out_bits=12)(smoothed).astype(np.int64)
    np.testing.assert_array_equal(unit(x, up), x * sigma)
    with pytest.raises(IntsimError, match="5 channels"):
        unit(x[:, :4], up[:, :4])
    designed = DISwiGLU.design(0.05, alpha=[1.0, 2.0, 0.5])
    assert designed.alpha == ((128, 7), (128, 8), (128, 6))


def test_per_row_scales_equal_the_unit():
    rng = np.random.default_rng(1)
    gate, up = rng.integers(-255, 256, (2, 3, 40)).astype(np.int32)
    scales = [(205, 12), (130, 9), (255, 20)]
    nets = DISwiGLU(1, 0).rows(gate, up, *(np.array(v) for v in zip(*scales, strict=True)))
    for i, (m, k) in enumerate(scales):
        np.testing.assert_array_equal(nets["y"][i], DISwiGLU(m, k)(gate[i], up[i]))


def test_shift_gelu_hazards():
    assert any("292" in h.what or "passes" in h.what for h in ShiftGELU(-292, x=Int(8)).hazards())
    assert not any("|x0|" in h.what for h in ShiftGELU(-128, x=Int(8)).hazards())
    unit = ShiftGELU(-10, x=Int(8), limit=104)
    (hazard,) = unit.hazards()
    first = int(hazard.what.split("maximum is ")[1].split()[0])
    assert first < 0
    # the bound is where it says: the sum passes 2**31 - 1 at this row maximum, not at the next
    for top, passes in ((first, True), (first + 1, False)):
        nets = unit.trace(np.array([top]))
        assert (int(nets["e"][0]) + int(nets["e_minus_max"]) > (1 << 31) - 1) is passes
    assert any("1 in 7" in h.what for h in ShiftGELU(-38, x=Int(8)).hazards())
    garbage = ShiftGELU(-600, x=Int(12))
    assert int(garbage.trace(np.array([0, -1, 5]))["sig"].max()) > 127
    assert garbage.sig_max == 600 >> 1


def test_shift_gelu_of_rows_with_a_large_maximum():
    """Negative elements come out as half of themselves; with the maximum limited they go to zero as GELU does."""
    step = 0.2
    published, limited = (ShiftGELU.design(step, limited=choice, x=Int(8)) for choice in (False, True))
    row = np.array([120, 40, 5, 0, -5, -30, -60], dtype=np.int8)
    np.testing.assert_array_equal(published(row)[-2:], row[-2:].astype(int) * 63)  # of 128
    np.testing.assert_allclose(limited(row) / 128 * step, limited.real(row) / 128 * step, atol=step)
    assert limited.limit == 15 * 3 * 16 // 23
    assert any("as large as 1/2" in h.what and f"limit={limited.limit}" in h.remedy for h in published.hazards())
    assert not any("1/2" in h.what for h in limited.hazards())
    small = np.random.default_rng(2).integers(-128, limited.limit + 1, (50, 9)).astype(np.int8)
    np.testing.assert_array_equal(limited(small), published(small))


def test_ibert_gelu_levels_are_a_hazard():
    assert "3 levels" in IBertGELU.design(1 / 16).hazards()[0].what
    assert IBertGELU.design(1e-4).hazards() == ()


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.sampled_from([1e-3, 1 / 16, 0.3]))
def test_ibert_gelu_by_its_definition(x, scale):
    unit = IBertGELU.design(scale)
    a = min(abs(x), -unit.b)
    sign = (x > 0) - (x < 0)
    erf = math.floor(Fraction(sign * ((a + unit.b) ** 2 + unit.c), 1 << 14))
    assert int(unit(np.array([x]))[0]) == x * (erf + unit.one)


def test_values_decide_what_overflows():
    unit = DISwiGLU(205, 12)  # 32 + 8 + 32 bits by format
    assert "71 bits" in unit.hazards()[-1].what
    assert int(unit(np.array([1 << 28]), np.array([1 << 27]))[0]) == 1 << 62
    with pytest.raises(IntsimError, match="64; use narrower inputs"):
        unit(np.array([1 << 28]), np.array([1 << 28]))
    assert unit(np.array([1 << 28, 1]), np.array([1, 1 << 28])).shape == (2,)  # no element overflows
    with pytest.raises(IntsimError, match="square"):
        SquaredReLU(x=Int(40))(np.array([1 << 32]))


REFUSED = {
    "frame": lambda: DISigmoid(205, 12, "rowmax"),
    "form": lambda: DISwiGLU(205, 12, form="fixed"),
    "k": lambda: DISwiGLU(205, 41),
    "alpha": lambda: DISwiGLU(205, 12, alpha=((0, 3),)),
    "x0": lambda: ShiftGELU(1),
    "limit": lambda: ShiftGELU(-3, limit=-1),
    "b positive": lambda: IBertGELU(3, -4, -1),
    "polynomial": lambda: IBertGELU(-(1 << 31), -(1 << 62), -1),
    "shift": lambda: SquaredReLU(63),
    "three": lambda: HardSwish(0, 6),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(IntsimError, match=r"did you mean|;"):
        make()
    with pytest.raises(UnknownName, match="two_branch"):
        DISigmoid(205, 12, "twobranch")
