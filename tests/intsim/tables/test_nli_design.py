"""What NLI.design refuses, what it derives, and that it does the same every time."""

import math

import numpy as np
import pytest

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed
from intsim.rounding import TO_NEG
from intsim.tables import NLI, Uniform
from intsim.tables.design import position_bits, scale
from intsim.tables.functions import silu

S16, S12, S10 = Fixed(16, 12), Fixed(12, 8), Fixed(10, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("exp", S16, S16),
            r"the function is 8\.001\d* at x = 2\.07958984375 \(code 8518\), outside s16\.12 = \[-8\.0",
        ),
        (("rsqrt", Fixed(8, 4, signed=False), S16), r"inf at x = 0\.0 \(code 0\); pass domain=\(lo, hi\).*saturate"),
        (("log2", S12, S16), r"nan at x = -8\.0 \(code -2048\); pass domain=\(lo, hi\) where it is defined$"),
        (("silu", Fixed(3, 0), S16), r"10 intervals need 11 input codes, the domain has 8; use intervals=7"),
        (("silu", S12, Fixed(40, 30)), r"step \* t needs \d+ bits .* 63 are available"),
        (("silu", Fixed(62, 58), S16), r"at most 61 bits|63"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(IntsimError, match=message):
        NLI.design(*arguments, solver="equal")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domain": (3, 3)}, r"the domain \[3\.0, 3\.0\] holds fewer than two codes of s12\.8"),
        ({"domain": (9, 12)}, "fewer than two codes"),
        ({"domain": (math.nan, 1)}, "fewer than two codes"),
        ({"intervals": 0}, "at least 1 interval"),
        ({"bins": 0}, "at least 1 interval and 1 bin"),
        ({"intervals": 2.5}, "at least 1 interval and 1 bin, got 2.5"),
        ({"tau": 0}, "tau must be above 0"),
        ({"tau": "small"}, "tau must be above 0, got 'small'"),
        ({"objective": "mean_relativ"}, "did you mean 'mean_relative'"),
        ({"solver": "fastest"}, "unknown solver"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(IntsimError, match=message):
        NLI.design("silu", S12, S16, **options)


def test_names_are_checked_and_callables_taken():
    with pytest.raises(UnknownName, match="did you mean 'silu'"):
        NLI.design("silo", S12, S12)
    with pytest.raises(IntsimError, match="a function's name or a callable, got int"):
        NLI.design(3, S12, S12)

    def parabola(x):
        return x * x / 16

    own = NLI.design(parabola, S12, S12, intervals=4, bins=4, solver="equal")
    assert (own.fn, own.name, own.real(1.0)) == ("parabola", "nli_parabola", None)
    known = NLI.design(silu, S12, S12, intervals=4, bins=4, solver="equal")
    assert known.fn == "silu"
    assert known == NLI.design("silu", S12, S12, intervals=4, bins=4, solver="equal")


def test_saturated_values_become_the_ends():
    unit = NLI.design("exp", S10, S10, intervals=4, bins=8, saturate=True, solver="exact", objective="mean_absolute")
    codes = unit.x.codes()
    real = np.clip(np.exp(codes / 64) * 64, None, 511)
    assert int(unit(np.array([511]))[0]) == 511
    assert np.mean(np.abs(unit(codes) - real)) < 1.5
    infinite = NLI.design("reciprocal", Fixed(8, 4, signed=False), S10, saturate=True, intervals=4, bins=8)
    assert infinite(np.array([0]))[0] == S10.hi


def test_domain_is_kept():
    unit = NLI.design("log2", Fixed(10, 6, signed=False), Fixed(12, 8), domain=(1, math.inf), intervals=4, bins=8)
    assert unit.domain == (64, 1023)
    assert unit.cuts[0] >= 64
    assert NLI.design("silu", S10, S10, intervals=4, bins=4).domain is None


def test_the_same_every_time_and_says_how_it_was_found():
    first, second = (NLI.design("tanh", Fixed(10, 7), S12, intervals=5, bins=8) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert "exact solver on 1024 grid points: mean_relative" in first.origin
    assert "the optimum on this grid" in first.origin
    with_floor = NLI.design("tanh", Fixed(10, 7), S12, intervals=5, bins=8, rounding=TO_NEG)
    assert with_floor.rounding == TO_NEG
    assert with_floor != first


@pytest.mark.parametrize("fn", ["silu", "gelu", "sigmoid"])
def test_sixteen_bits_fit_signed_18_bit_multipliers(fn):
    unit = NLI.design(fn, S16, Fixed(16, 12), solver="equal")
    widths = unit.widths
    assert max(widths["dx"], widths["mantissa"], widths["t"]) <= 17
    assert widths["step"] <= 18


@pytest.mark.parametrize("rise", [1, 2, 100, 255, 256, 8000, 8191, 70_000, 200_000, (1 << 29) - 1])
def test_truncation_costs_less_than_a_quarter_of_a_step(rise):
    """Where the widths are not held at 17 bits, whichever way the whole rise happens."""
    t_bits, mantissa_bits = position_bits(rise, 16)
    if rise.bit_length() > 13 and rise.bit_length() <= 17:
        assert (t_bits, mantissa_bits) == (17, 17)
    else:
        assert rise / 2**t_bits + rise / 2 ** (mantissa_bits - 1) <= 0.25


@pytest.mark.parametrize("segments", [1, 3, 32])
@pytest.mark.parametrize(("t_bits", "mantissa_bits"), [(17, 17), (11, 12), (4, 30)])
def test_a_scale_is_the_largest_that_stays_inside(segments, t_bits, mantissa_bits):
    for span in [*range(1, 70), 255, 256, 1000, 65535, 65536, 1 << 24]:
        mantissa, shift = scale(span, segments, t_bits, mantissa_bits)
        assert (span * mantissa) >> shift < segments << t_bits
        # one more would reach the end, exactly or with the fraction
        assert span * (mantissa + 1) >= (segments << t_bits) << shift or mantissa + 1 == 1 << mantissa_bits
        assert mantissa.bit_length() == mantissa_bits or shift in (0, 62)
        if shift:
            assert mantissa.bit_length() <= mantissa_bits


@pytest.mark.full
@pytest.mark.parametrize("objective", ["mean_relative", "mean_absolute", "max_absolute"])
def test_sixteen_bits_within_two_minutes(objective):
    import time

    NLI.design("silu", Fixed(8, 4), Fixed(8, 4), intervals=3, bins=4)  # compiles
    start = time.perf_counter()
    unit = NLI.design("silu", S16, S16, objective=objective)
    assert time.perf_counter() - start < 120
    assert "multigrid solver on 65536 grid points" in unit.origin


@pytest.mark.parametrize("table", [NLI, Uniform], ids=lambda t: t.__name__)
def test_functions_of_single_numbers_are_as_good_as_functions_of_arrays(table):
    x, y = Fixed(8, 4), Fixed(8, 4)

    def ramp(v):
        return v if v > 0 else 0.0

    assert table.design(math.sin, x, y).table == table.design(np.sin, x, y).table
    assert table.design(ramp, x, y).table == table.design(lambda v: np.maximum(v, 0.0), x, y).table
    assert table.design(ramp, x, y).fn == "ramp"


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda v: math.log(v), r"the function is nan at x = -8.0 \(code -128\)"),
        (lambda v: 1 / 0, r"the function is nan at x = -8.0"),
        (lambda v: v + 1j, r"the function fails at x = -8.0: .*complex"),
        (lambda v: v[:3], r"the function fails at x = -8.0"),
    ],
    ids=["outside", "division", "complex", "too_few"],
)
def test_functions_that_give_no_number_are_refused(fn, message):
    with pytest.raises(IntsimError, match=message):
        NLI.design(fn, Fixed(8, 4), Fixed(8, 4))
