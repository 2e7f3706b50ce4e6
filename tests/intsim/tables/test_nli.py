"""The NLI golden model: compiled against un-compiled, against exact fractions, and what its corners find."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import exact
from intsim.errors import DtypeError, IntsimError
from intsim.formats import Fixed
from intsim.rounding import TIES_TO_POS, Rounding
from intsim.tables import NLI
from intsim.tables.design import scale
from intsim.unit import Unit


@st.composite
def units(draw, x_bits=(3, 40), most_bins=7):
    """NLI units of any shape, with random words."""
    x = Fixed(draw(st.integers(*x_bits)), draw(st.integers(-2, 12)), draw(st.booleans()))
    y = Fixed(draw(st.integers(1, 24)), draw(st.integers(-2, 12)), draw(st.booleans()))
    count = draw(st.integers(2, min(8, x.hi - x.lo + 1)))
    cuts = sorted(draw(st.lists(st.integers(x.lo, x.hi), min_size=count, max_size=count, unique=True)))
    bins = draw(st.integers(1, most_bins))
    t_bits = draw(st.integers(1, 17))
    mantissa_bits = draw(st.integers(2, 17))
    intervals = len(cuts) - 1
    segments = [1 if I in (0, intervals - 1) else bins for I in range(intervals)]
    scales = [scale(b - a, n, t_bits, mantissa_bits) for a, b, n in zip(cuts, cuts[1:], segments, strict=False)]
    words = sum(segments) + 1
    table = draw(st.lists(st.integers(y.lo, y.hi), min_size=words, max_size=words))
    return NLI(
        x=x,
        y=y,
        cuts=tuple(cuts),
        bins=bins,
        mantissas=tuple(m for m, _ in scales),
        shifts=tuple(s for _, s in scales),
        t_bits=t_bits,
        table=tuple(table),
        rounding=draw(st.sampled_from(list(Rounding))),
    )


def round_fraction(value: Fraction, mode: Rounding) -> int:
    floor = value.numerator // value.denominator
    rest = value - floor
    if mode == Rounding.TO_NEG:
        return floor
    if mode == Rounding.TO_ZERO:
        return floor if value >= 0 or rest == 0 else floor + 1
    if rest != Fraction(1, 2):
        return floor + (rest > Fraction(1, 2))
    if mode == Rounding.TIES_TO_POS:
        return floor + 1
    if mode == Rounding.TIES_AWAY:
        return floor + (value >= 0)
    return floor + floor % 2


def by_definition(unit: NLI, x: int) -> int:
    """The docstring's equations with fractions and a search instead of a count."""
    xc = sorted((unit.cuts[0], x, unit.cuts[-1]))[1]
    I = max(i for i in range(unit.intervals) if i == 0 or xc >= unit.cuts[i])
    u = Fraction((xc - unit.cuts[I]) * unit.mantissas[I], 2 ** unit.shifts[I]).__floor__()
    a, t = divmod(u, 2**unit.t_bits)
    g = sum(unit.segments[:I]) + a
    assert a < unit.segments[I]
    return unit.table[g] + round_fraction(
        (unit.table[g + 1] - unit.table[g]) * Fraction(t, 2**unit.t_bits), unit.rounding
    )


@settings(max_examples=150)
@given(unit=units(), data=st.data())
def test_compiled_plain_and_the_definition_agree(unit, data):
    inputs = data.draw(st.lists(st.integers(unit.x.lo, unit.x.hi), min_size=1, max_size=12))
    near = [c + d for c in unit.cuts for d in (-1, 0, 1) if unit.x.lo <= c + d <= unit.x.hi]
    x = np.array(inputs + near, dtype=unit.x.dtype)
    compiled = unit(x)
    with exact.plain():
        plain = unit(x)
    assert compiled.dtype == plain.dtype == unit.y.dtype
    assert compiled.tolist() == plain.tolist() == [by_definition(unit, int(v)) for v in x]


@settings(max_examples=60)
@given(unit=units())
def test_trace_is_the_evaluation_with_its_intermediates(unit):
    x = np.unique(np.clip(np.array(unit.cuts) + 1, unit.x.lo, unit.x.hi)).astype(unit.x.dtype)
    nets = unit.trace(x)
    assert list(nets) == ["x", "clamped", "index", "dx", "position", "t", "address", "left", "step", "y"]
    with exact.plain():
        plain = unit.trace(x)
    for net, values in nets.items():
        assert values.tolist() == plain[net].tolist(), net
    cuts = np.array(unit.cuts)
    assert np.array_equal(nets["dx"], nets["clamped"] - cuts[nets["index"]])
    assert np.array_equal(nets["left"], np.array(unit.table)[nets["address"]])
    assert np.array_equal(nets["y"], unit(x))
    for net in ("index", "dx", "position", "t", "address"):
        assert int(nets[net].max()).bit_length() <= unit.widths[net], net
    most = 1 << (unit.widths["step"] - 1)
    assert -most <= nets["step"].min() <= nets["step"].max() < most


@settings(max_examples=100)
@given(unit=units())
def test_widths_hold_every_intermediate_and_json_is_lossless(unit):
    back = Unit.from_json(unit.to_json())
    assert back == unit
    assert hash(back) == hash(unit)
    assert back.sha256 == unit.sha256
    assert unit.widths["product"] <= 63
    assert unit.widths["scaled"] <= 63


def single_changes(unit: NLI):
    """Every unit that differs from `unit` by one in one table word, mantissa, shift or cut point."""
    for field in ("table", "mantissas", "shifts", "cuts"):
        values = getattr(unit, field)
        for at in range(len(values)):
            for change in (1, -1):
                nudged = (*values[:at], values[at] + change, *values[at + 1 :])
                try:
                    yield f"{field}[{at}] {change:+d}", replace(unit, **{field: nudged})
                except IntsimError:
                    continue  # such a unit cannot be built


def assert_corners_find_changes(unit: NLI) -> int:
    (corners,) = unit.corners()
    codes = unit.x.codes()
    expected, everywhere = unit(corners), unit(codes)
    found = 0
    for what, other in single_changes(unit):
        if np.any(other(corners) != expected):
            found += 1
        else:
            assert np.array_equal(other(codes), everywhere), f"{what} shows somewhere, but not on the corners"
    return found


@settings(max_examples=40)
@given(unit=units(x_bits=(3, 12)))
def test_corners_find_every_single_change(unit):
    assert_corners_find_changes(unit)


def test_corners_of_the_paper_layout_find_every_single_change():
    unit = NLI.design("silu", Fixed(16, 12), Fixed(16, 12), solver="equal")
    found = assert_corners_find_changes(unit)
    assert found >= 2 * (259 + 10 + 10 + 11) - 60  # the rest changes no output at all, or cannot be built
    (corners,) = unit.corners()
    assert corners.size < 4000
    assert {unit.x.lo, unit.x.hi, 0} <= set(corners.tolist())
    for rounding in Rounding:
        if rounding != unit.rounding:
            assert np.any(replace(unit, rounding=rounding)(corners) != unit(corners))


EXAMPLE = NLI(
    x=Fixed(4, 0),
    y=Fixed(8, 0),
    cuts=(-8, -4, 0, 7),
    bins=2,
    mantissas=(31, 63, 18),
    shifts=(3, 3, 3),
    t_bits=4,
    table=(0, 40, 60, 70, 0),
)


def test_a_hand_computed_unit():
    assert EXAMPLE(np.array([-8, -6, -4, -3, -2, 0, 7], dtype=np.int8)).tolist() == [0, 18, 40, 49, 59, 70, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuts": (-8, 0, -4, 7)}, "strictly ascending"),
        ({"cuts": (-9, -4, 0, 7)}, r"leave s4.0 = \[-8, 7\]"),
        ({"x": Fixed(64, 0, signed=False)}, "at most 63 bits"),
        ({"bins": 0}, "bins must be at least 1"),
        ({"table": (0, 1)}, "need 5 table words, got 2"),
        ({"table": (0, 40, 60, 70, 300)}, "table words 0..300 leave s8.0"),
        ({"mantissas": (31, 63)}, "need as many mantissas"),
        ({"mantissas": (64, 63, 18)}, "passes the last segment"),
        ({"shifts": (-1, 3, 3)}, "shifts 0..62"),
        ({"t_bits": 60, "mantissas": (1, 1, 1)}, "63 are available"),
    ],
)
def test_parameters_that_do_not_fit(change, message):
    with pytest.raises(IntsimError, match=message):
        replace(EXAMPLE, **change)


def test_hazards():
    coarse = [str(hazard) for hazard in EXAMPLE.hazards()]
    for text, interval, rise, percent in zip(coarse, range(3), (40, 30, 70), (379, 172, 825), strict=True):
        assert text.startswith(f"interval {interval} rises by {rise}: cutting off scale and position")
        assert f"may cost {percent} % of a step; use more than 6 mantissa bits" in text
    crowded = replace(EXAMPLE, bins=5, mantissas=(31, 159, 18), table=(0, 4, 5, 6, 7, 8, 9, 0))
    assert any("interval 1 has 5 segments on 4 input codes" in str(hazard) for hazard in crowded.hazards())
    assert NLI.design("silu", Fixed(16, 12), Fixed(16, 12), solver="equal").hazards() == ()


def test_inputs_that_do_not_fit():
    with pytest.raises(IntsimError, match=r"8 is outside s4\.0"):
        EXAMPLE(np.array([8]))
    with pytest.raises(DtypeError, match="encode real values first"):
        EXAMPLE(np.array([0.5]))
    with pytest.raises(IntsimError, match="empty array"):
        EXAMPLE(np.array([], dtype=np.int8))


def test_name_real_and_notes():
    silu = replace(EXAMPLE, fn="silu", origin="by hand")
    assert silu.sha256 == EXAMPLE.sha256
    assert silu == EXAMPLE
    assert (silu.name, EXAMPLE.name, replace(EXAMPLE, fn="<lambda>").name) == ("nli_silu", "nli", "nli")
    assert silu.real(np.array([0.0])) == 0
    assert EXAMPLE.real(np.array([0.0])) is None
    assert replace(EXAMPLE, fn="my_function").real(np.array([0.0])) is None
    assert EXAMPLE.rounding == TIES_TO_POS
