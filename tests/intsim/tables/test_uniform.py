"""The equal-step table: compiled against un-compiled and fractions, its design, and what its corners find."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim import exact
from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed
from intsim.rounding import TIES_TO_EVEN, TO_NEG, Rounding
from intsim.tables import Uniform
from intsim.tables.functions import find
from intsim.unit import Unit


@st.composite
def units(draw, x_bits=(2, 12)):
    x = Fixed(draw(st.integers(*x_bits)), draw(st.integers(-2, 12)), draw(st.booleans()))
    y = Fixed(draw(st.sampled_from([1, 8, 11, 16, 30])), draw(st.integers(-2, 12)), draw(st.booleans()))
    first = draw(st.integers(x.lo, x.hi - 1))
    step_bits = draw(st.integers(0, x.bits))
    most = min(((x.hi - first) >> step_bits) + 1, 20)
    count = draw(st.integers(1, max(most, 1)))
    table = draw(st.lists(st.integers(y.lo, y.hi), min_size=count + 1, max_size=count + 1))
    return Uniform(x, y, first, step_bits, tuple(table), draw(st.sampled_from(list(Rounding))))


def line(unit: Uniform, x: int) -> Fraction:
    """The unrounded interpolation, by the real line through the two knots around the clamped input."""
    size = 1 << unit.step_bits
    knots = [unit.first + g * size for g in range(len(unit.table))]
    xc = max(knots[0], min(x, knots[-1]))
    g = max(i for i in range(unit.segments) if knots[i] <= xc)
    return unit.table[g] + (unit.table[g + 1] - unit.table[g]) * Fraction(xc - knots[g], size)


@settings(max_examples=150)
@given(unit=units(), data=st.data())
def test_compiled_plain_and_fractions_agree(unit, data):
    drawn = data.draw(st.lists(st.integers(unit.x.lo, unit.x.hi), min_size=1, max_size=10))
    x = np.array([*drawn, unit.x.lo, unit.x.hi], dtype=unit.x.dtype)
    compiled = unit(x)
    with exact.plain():
        plain = unit(x)
    assert compiled.dtype == unit.y.dtype
    assert compiled.tolist() == plain.tolist()
    for code, got in zip(x.tolist(), compiled.tolist(), strict=True):
        value = line(unit, code)
        if value.denominator == 1:
            assert got == value
        elif unit.rounding == TO_NEG:
            assert got == value.__floor__()
        else:
            assert abs(got - value) < 1
        if unit.rounding == TIES_TO_EVEN:
            g = min((max(code - unit.first, 0)) >> unit.step_bits, unit.segments - 1)
            assert got == unit.table[g] + round(value - unit.table[g])  # Python rounds fractions ties to even


@settings(max_examples=60)
@given(unit=units())
def test_trace_widths_and_json(unit):
    x = unit.x.codes()
    nets = unit.trace(x)
    assert list(nets) == ["x", "distance", "t", "address", "left", "step", "y"]
    with exact.plain():
        plain = unit.trace(x[:: max(x.size // 16, 1)])
    for net, values in plain.items():
        assert np.array_equal(nets[net][:: max(x.size // 16, 1)], values), net
    for net in ("distance", "t", "address"):
        assert int(nets[net].max()).bit_length() <= unit.widths[net], net
    assert int(np.abs(nets["step"]).max()) < 1 << (unit.widths["step"] - 1)
    assert Unit.from_json(unit.to_json()) == unit


@settings(max_examples=40)
@given(unit=units())
def test_corners_find_every_single_change(unit):
    (corners,) = unit.corners()
    codes = unit.x.codes()
    for field, values in (("table", unit.table), ("first", (unit.first,))):
        for at in range(len(values)):
            for change in (1, -1):
                nudged = (*values[:at], values[at] + change, *values[at + 1 :])
                try:
                    other = replace(unit, **{field: nudged if field == "table" else nudged[0]})
                except IntsimError:
                    continue
                if np.array_equal(other(corners), unit(corners)):
                    assert np.array_equal(other(codes), unit(codes)), f"{field}[{at}] {change:+d}"


@pytest.mark.parametrize("segments", [1, 7, 16, 100, 256])
def test_design_takes_the_function_at_the_knots(segments):
    unit = Uniform.design("sigmoid", Fixed(12, 8), Fixed(16, 14), segments=segments)
    assert unit.segments <= segments
    assert unit.segments << unit.step_bits >= 4095
    assert (segments << unit.step_bits - 1) < 4095
    knots = unit.first + (np.arange(unit.segments) << unit.step_bits)
    assert np.array_equal(np.array(unit.table[:-1]), np.rint(find("sigmoid")(knots / 256) * 2**14))
    last = float(find("sigmoid")(2047 / 256)) * 2**14
    assert abs(int(unit(np.array([2047]))[0]) - last) <= 1


def test_design_ends_exactly_on_a_closed_domain():
    unit = Uniform.design("exp", Fixed(16, 11), Fixed(16, 15, signed=False), domain=(-16, 0))
    assert (unit.first, unit.last, unit.segments, unit.step_bits) == (-32768, 0, 256, 7)
    assert unit(np.array([0, 1, 32767])).tolist() == [32768] * 3
    assert unit.domain == (-32768, 0)


def test_design_never_leaves_the_domain():
    """1/x is asked for at 1 and above only, although the last knot lies beyond the format."""
    asked = []

    def reciprocal(x):
        asked.append(x)
        return 1.0 / x

    unit = Uniform.design(reciprocal, Fixed(8, 6, signed=False), Fixed(8, 7, signed=False), segments=5, domain=(1, 3.9))
    assert min(a.min() for a in asked) == 1.0
    assert max(a.max() for a in asked) <= 3.9
    assert unit.fn == "user_reciprocal"
    assert unit.real(1.0) is None


def test_refusals():
    with pytest.raises(IntsimError, match=r"the function is 8\.00\d* at x = 2\.0\d* .*, outside s16\.12"):
        Uniform.design("exp", Fixed(16, 12), Fixed(16, 12))
    with pytest.raises(UnknownName, match="did you mean 'tanh'"):
        Uniform.design("tan", Fixed(8, 4), Fixed(8, 4))
    with pytest.raises(IntsimError, match="at least 1 segment, got 0"):
        Uniform.design("silu", Fixed(8, 4), Fixed(8, 4), segments=0)
    with pytest.raises(IntsimError, match="at most 63 bits"):
        Uniform(Fixed(64, 0, signed=False), Fixed(8, 0), 0, 4, (1, 2))
    good = Uniform(Fixed(8, 0), Fixed(8, 0), -128, 6, (0, 10, 20, 30, 40))
    for change, message in [
        ({"step_bits": 9}, "step_bits must be 0 to 8"),
        ({"table": (1,)}, "at least two words"),
        ({"table": (0, 200)}, "leave s8.0"),
        ({"first": 127}, "first knot 127 is outside"),
        ({"first": 0}, "begin beyond s8.0"),
    ]:
        with pytest.raises(IntsimError, match=message):
            replace(good, **change)
    with pytest.raises(IntsimError, match="product needs 67 bits, 63 are available"):
        Uniform(Fixed(60, 0), Fixed(8, 0), 0, 58, (-128, 127))


def test_saturation_is_a_choice():
    unit = Uniform.design("exp", Fixed(16, 12), Fixed(16, 12), saturate=True)
    assert int(unit(np.array([32767]))[0]) == 32767
