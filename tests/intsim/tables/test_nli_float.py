"""NLI on binary16 and bfloat16: against the equations in exact fractions, and on every code there is."""

import dataclasses
import functools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import tables
from intsim.errors import IntsimError, UnknownName
from intsim.exact import plain
from intsim.formats import BFloat16, Fixed, Float16, Minifloat
from intsim.tables import NLI, FloatNLI, functions
from intsim.unit import Unit

F16 = Float16()
ALL = np.arange(1 << 16, dtype=np.uint16)
CUTS = {
    "silu": [-20.4, -17.1, -8.37, -1.98, -0.256, -0.00724, 0.00722, 0.229, 1.58, 10.47, 65504],
    "tanh": [-4.5, -3.79, -1.55, -0.53, -0.0286, 0.0365, 0.424, 1.08, 2.04, 4.06, 4.5],
    "rsqrt": [2.0**-24, 7.75e-7, 1.114e-4, 1.864e-3, 0.03003, 0.4819, 7.773, 129.8, 2406, 47456, 65504],
}
EXACT = dict(min_size=1, max_size=40)


def unit(name="silu", fmt=F16, width=18, bins=32) -> FloatNLI:
    return FloatNLI.from_cuts(functions.find(name), CUTS[name], x=fmt, y=fmt, width=width, bins=bins, fn=name)


def value(fmt: Minifloat, code: int) -> Fraction:
    return Fraction(float(fmt.decode(code)))


def cut(number: Fraction, width: int) -> Fraction:
    """`number` cut to `width` significant bits, toward zero."""
    if number == 0:
        return number
    magnitude, power = abs(number), 0
    while magnitude >= 1 << width:
        magnitude, power = magnitude / 2, power + 1
    while magnitude < 1 << (width - 1):
        magnitude, power = magnitude * 2, power - 1
    return (magnitude // 1) * Fraction(2) ** power * (1 if number > 0 else -1)


def nearest(fmt: Minifloat, number: Fraction) -> int:
    """The code nearest to a fraction, ties to even, by comparing with its two neighbours exactly."""
    code = int(fmt.encode(float(abs(number))))  # off by one place at most: float() rounds once more
    around = [c for c in (code - 1, code, code + 1) if 0 <= c < fmt.infinity]
    best = min(around, key=lambda c: (abs(value(fmt, c) - abs(number)), c & 1))
    return best | (1 << (fmt.bits - 1) if number < 0 else 0)


def by_definition(u: FloatNLI, code: int) -> int:
    """The class's equations in exact rational arithmetic."""
    real = u.x.decode(code)
    if np.isnan(real):
        return u.nan
    points = [value(u.x, c) for c in u.cuts]
    x = min(max(Fraction(float(np.clip(real, -1e300, 1e300))), points[0]), points[-1])
    I = sum(x >= p for p in points[1:-1])
    dx = cut(x - points[I], u.width)
    position = dx * u.mantissas[I] * Fraction(2) ** u.exponents[I]
    a = position // 1
    g = u.bases[I] + int(a)
    left, right = value(u.y, u.table[g]), value(u.y, u.table[g + 1])
    return nearest(u.y, left + cut(position - a, u.width) * cut(right - left, u.width))


UNITS = {
    "silu": unit(),
    "silu16": unit(width=16),
    "rsqrt": unit("rsqrt"),
    "tanh22": unit("tanh", width=22),
    "narrow": unit("tanh", width=11, bins=5),
    "bfloat16": unit("silu", BFloat16()),
    "mixed": FloatNLI.from_cuts(functions.silu, CUTS["silu"], x=F16, y=BFloat16()),
    "one": FloatNLI.from_cuts(functions.exp, [-1.0, 1.0], x=F16, y=F16),
    "two": FloatNLI.from_cuts(functions.exp, [-1.0, 0.0, 1.0], x=F16, y=F16),
}


@functools.cache
def corners_of(name: str) -> np.ndarray:
    return UNITS[name].corners()[0]


@pytest.mark.parametrize("name", UNITS)
@given(codes=st.lists(st.integers(0, 0xFFFF), **EXACT), data=st.data())
@settings(max_examples=60, deadline=None)
def test_golden_follows_the_equations(name, codes, data):
    u = UNITS[name]
    corners = corners_of(name)
    codes += [int(corners[data.draw(st.integers(0, corners.size - 1))]) for _ in range(10)]
    assert u(np.array(codes, dtype=np.uint16)).tolist() == [by_definition(u, c) for c in codes]


@pytest.mark.parametrize("name", UNITS)
def test_compiled_equals_unbounded_integers(name):
    u = UNITS[name]
    codes = np.concatenate([corners_of(name)[::3], np.random.default_rng(1).integers(0, 1 << 16, 2000)])
    codes = codes.astype(np.uint16)
    fast, nets = u(codes), u.trace(codes)
    with plain():
        np.testing.assert_array_equal(u(codes), fast)
        for net, values in u.trace(codes).items():
            np.testing.assert_array_equal(values, nets[net], err_msg=net)


@pytest.mark.full
@pytest.mark.parametrize("name", UNITS)
def test_compiled_equals_unbounded_integers_on_every_code(name):
    u = UNITS[name]
    fast = u(ALL)
    with plain():
        np.testing.assert_array_equal(u(ALL), fast)


@pytest.mark.parametrize("name", UNITS)
def test_special_values_on_every_code(name):
    u = UNITS[name]
    x, y = u.x.decode(ALL), u(ALL)
    nan = np.isnan(x)
    assert nan.sum() == 2 * ((1 << u.x.fraction) - 1)
    assert np.all(y[nan] == u.nan)
    result = u.y.decode(y[~nan])
    words = u.y.decode(u.table)
    assert np.all((words.min() <= result) & (result <= words.max()))  # finite: nothing leaves the table
    first, last = u.x.decode(u.cuts[0]), u.x.decode(u.cuts[-1])
    ends = u(np.array([u.cuts[0], u.cuts[-1]], dtype=np.uint16))
    assert np.all(y[~nan & (x <= first)] == ends[0])  # minus infinity among them
    assert np.all(y[~nan & (x >= last)] == ends[1])
    assert y[0x0000] == y[0x8000]  # zero has no sign


@pytest.mark.parametrize("name", UNITS)
def test_knots_are_met(name):
    """At a cut point the result is its table word; the last one to one place (the scale is rounded down)."""
    u = UNITS[name]
    y = u(np.array(u.cuts, dtype=np.uint16))
    words = np.array([u.table[b] for b in u.bases])
    keep = u.y.decode(words) != 0  # a table word of -0 comes out as +0
    np.testing.assert_array_equal(y[:-1][keep[:-1]], words[:-1][keep[:-1]])
    assert np.abs(y.astype(int) - words)[-1] <= 1


def test_trace_names_what_a_designer_sees():
    u = UNITS["silu"]
    codes = F16.encode([-30.0, -1.0, 3.0, np.nan])
    nets = u.trace(codes)
    assert next(iter(nets)) == "x"
    assert list(nets)[-1] == "y"
    assert nets["index"].tolist() == [0, 3, 8, 0]
    dx = np.ldexp(nets["dx_mantissa"].astype(float), nets["dx_exponent"])
    np.testing.assert_allclose(dx[:3], [0, -1 - F16.decode(u.cuts[3]), 3 - F16.decode(u.cuts[8])], rtol=2**-17)


@pytest.mark.parametrize("name", ["silu", "rsqrt", "bfloat16"])
def test_corners_find_every_change_that_any_input_finds(name):
    u = UNITS[name]
    corners = corners_of(name)
    before, before_all = u(corners), u(ALL)
    changed = [dataclasses.replace(u, nan=u.nan ^ 1)]
    for g in range(0, len(u.table), 2):
        words = list(u.table)
        words[g] ^= 1
        changed.append(dataclasses.replace(u, table=tuple(words)))
    for I in range(u.intervals):
        less = [m - (k == I) * 64 for k, m in enumerate(u.mantissas)]
        half = [e - (k == I) for k, e in enumerate(u.exponents)]
        changed += [dataclasses.replace(u, mantissas=tuple(less)), dataclasses.replace(u, exponents=tuple(half))]
    grid = u.x.decode(u.x.finite_codes())
    for k in range(1, u.intervals):
        points = u.x.decode(u.cuts)
        points[k] = grid[np.searchsorted(grid, points[k]) + 1]
        moved = FloatNLI.from_cuts(functions.find(u.fn), points, x=u.x, y=u.y)
        changed.append(dataclasses.replace(moved, table=u.table))
    killed = 0
    for mutant in changed:
        if np.any(mutant(ALL) != before_all):
            assert np.any(mutant(corners) != before), mutant
            killed += 1
    assert killed >= 0.6 * len(changed)  # the rest changes no output: words between which no input falls


@pytest.mark.parametrize("name", UNITS)
def test_json_keeps_everything(name):
    u = UNITS[name]
    again = Unit.from_json(u.to_json())
    assert again == u
    assert again.sha256 == u.sha256


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 10}, "11 to 22"),
        ({"width": 23}, "11 to 22"),
        ({"cuts": (0, 0)}, "ascend"),
        ({"cuts": (0x7C00, 0x7C01)}, "finite"),
        ({"cuts": (0x3C00,)}, "at least two"),
        ({"bins": 0}, "bins"),
        ({"table": (0, 1)}, "table words"),
        ({"table": (0x7C00,) * 259}, "finite"),
        ({"nan": 1 << 16}, "nan"),
        ({"mantissas": (1,)}, "as many"),
        ({"mantissas": (1 << 18,) * 10}, "1 to 18 bits"),
        ({"exponents": (0,) * 10}, "last segment"),
    ],
)
def test_impossible_parameters_are_refused(change, says):
    with pytest.raises(IntsimError, match=says):
        dataclasses.replace(UNITS["silu"], **change)


def test_nli_design_serves_floating_point_ports():
    u = NLI.design("tanh", x=F16, y=F16, intervals=4, bins=4, solver="ideal")
    assert isinstance(u, FloatNLI)
    assert (u.x, u.y, u.intervals, u.bins, u.width) == (F16, F16, 4, 4, 18)
    assert u.name == "nli_tanh_f16"
    assert "mean relative error" in u.origin
    np.testing.assert_array_equal(u.real([0.5]), np.tanh([0.5]))
    assert tables.FloatNLI is FloatNLI


def test_design_refuses_what_it_cannot_do():
    with pytest.raises(IntsimError, match="mean_relative"):
        NLI.design("tanh", x=F16, y=F16, objective="max_absolute")
    with pytest.raises(IntsimError, match="floating point as the other"):
        NLI.design("tanh", x=F16, y=Fixed(16, 12))
    with pytest.raises(UnknownName, match="auto"):
        NLI.design("tanh", x=F16, y=F16, solver="auot")
    with pytest.raises(IntsimError, match="constant"):
        NLI.design(lambda x: x * 0, x=F16, y=F16)
    with pytest.raises(IntsimError, match="not finite"):
        NLI.design(np.log, x=F16, y=F16, domain=(-3.0, -1.0))
    with pytest.raises(IntsimError, match="interval"):
        NLI.design("tanh", x=F16, y=F16, intervals=0)
