"""The floating-point engines and DULUT compute what the golden models say: every code, depth, memory and format."""

import numpy as np
import pytest
from table_units import assert_equal, simulate

import hdl
import hdl.flow
from hdl.tables import exponent, nli_float, pwl_float
from intsim import Fixed, IntsimError, catalogue
from intsim.formats import BFloat16, Float16, Minifloat
from intsim.rounding import TIES_TO_EVEN
from intsim.tables import DULUT, ExponentTable, FloatNLI, FloatPWL, RangeReduced, functions

F16, BF16, SMALL = Float16(), BFloat16(), Minifloat(8, 4)
SILU_CUTS = (-20.4, -17.1, -8.37, -1.98, -0.256, -0.00724, 0.00722, 0.229, 1.58, 10.47, 65504.0)


def random_floats(seed: int, x: Minifloat, y: Minifloat, intervals: int, bins: int, width: int) -> FloatNLI:
    """Random cut points and words: neighbouring words of any signs and sizes, subnormal ones and zeros too."""
    rng = np.random.default_rng(seed)
    finite = x.finite_codes()
    cuts = x.decode(finite[np.sort(rng.choice(finite.size, intervals + 1, replace=False))])
    unit = FloatNLI.from_cuts(np.zeros_like, cuts, x=x, y=y, bins=bins, width=width)
    words = y.finite_codes()[rng.integers(0, y.finite_codes().size, len(unit.table))]
    words[rng.integers(0, words.size, 3)] = [0, 1 << (y.bits - 1), 1]
    return FloatNLI(x, y, unit.cuts, bins, unit.mantissas, unit.exponents, tuple(words.tolist()), width)


UNITS = {
    "bfloat16": FloatNLI.from_cuts(functions.silu, SILU_CUTS, x=BF16, y=BF16),
    "mixed": FloatNLI.from_cuts(functions.silu, SILU_CUTS, x=F16, y=BF16, width=16),
    "random": random_floats(1, F16, F16, 6, 8, 18),
    "random_bfloat16": random_floats(2, BF16, F16, 5, 3, 12),
}


FAST = ("nli_silu_f16", "mixed", "random_bfloat16")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in FAST else pytest.mark.full) for n in ("nli_silu_f16", "nli_tanh_f16", *UNITS)],
)
def test_every_code(name):
    unit = UNITS[name] if name in UNITS else catalogue.get(name)
    result = hdl.flow.verify(unit)
    assert result["exhaustive"]
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.full
@pytest.mark.parametrize("fn", ["exp", "gelu", "hardswish", "mish", "reciprocal", "rsqrt", "sigmoid"])
@pytest.mark.parametrize("kind", ["nli_{}_f16", "pwl256_{}_f16"])
def test_every_code_of_the_whole_catalogue(kind, fn):
    result = hdl.flow.verify(catalogue.get(kind.format(fn)))
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.full
def test_second_simulator():
    result = hdl.flow.verify(catalogue.get("nli_rsqrt_f16"), "verilator")
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


TINY = random_floats(3, SMALL, SMALL, 4, 4, 11)


@pytest.mark.parametrize("stages", [1, 2, 5, 11, 17, len(nli_float.CUTS)])
@pytest.mark.parametrize("memory", ["block", "logic", "registers"])
def test_every_depth_has_the_latency_it_states(stages, memory):
    codes = np.arange(256, dtype=np.uint8)
    got, latency = simulate(TINY, codes, stages=stages, memory=memory)
    assert_equal(TINY, codes, got)
    assert latency == stages


@pytest.mark.parametrize("intervals", [1, 2, 3, 7])
@pytest.mark.parametrize("bins", [1, 3, 16])
def test_layouts(intervals, bins):
    unit = random_floats(4, SMALL, F16, intervals, bins, 13)
    codes = np.arange(256, dtype=np.uint8)
    got, _ = simulate(unit, codes, stages=6, stall=0.3, gap=0.2)
    assert_equal(unit, codes, got)


@pytest.mark.parametrize("name", ["pwl16_silu_f16", pytest.param("pwl16_rsqrt_f16", marks=pytest.mark.full)])
def test_slopes_and_intercepts_on_every_code(name):
    result = hdl.flow.verify(catalogue.get(name))
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.parametrize("stages", [1, 4, 8, len(pwl_float.CUTS)])
def test_slopes_and_intercepts_at_every_depth(stages):
    rng = np.random.default_rng(5)
    finite = SMALL.finite_codes()
    breaks = finite[np.sort(rng.choice(finite.size, 6, replace=False))]
    words = F16.finite_codes()[rng.integers(0, F16.finite_codes().size, 14)].tolist()
    for unit in (
        FloatPWL(SMALL, F16, tuple(breaks.tolist()), tuple(words[:7]), tuple(words[7:])),
        FloatPWL(SMALL, F16, (), (0x4200,), (0,)),
    ):
        codes = np.arange(256, dtype=np.uint8)
        got, latency = simulate(unit, codes, stages=stages)
        assert_equal(unit, codes, got)
        assert latency == stages


def random_rows(seed: int, x: Minifloat, y: Minifloat, width: int) -> ExponentTable:
    """An exponent-addressed table with random splits and words, zeros and subnormal ones among them."""
    rng = np.random.default_rng(seed)
    splits = rng.integers(0, min(x.fraction, 3) + 1, 2 * ((1 << x.exponent) - 1)).tolist()
    count = 2 + sum(1 << split for split in splits)
    words = y.finite_codes()[rng.integers(0, y.finite_codes().size, count)]
    words[rng.integers(0, count, 3)] = [0, 1 << (y.bits - 1), 1]
    return ExponentTable(x, y, tuple(splits), tuple(words.tolist()), width)


OTHERS = {
    "exponent_silu_f16": catalogue.get("exponent_silu_f16"),
    "exponent_exp_f16": catalogue.get("exponent_exp_f16"),
    "exponent_random": random_rows(1, SMALL, F16, 18),
    "exponent_narrow": random_rows(2, SMALL, SMALL, 11),
    "exponent_bfloat16": random_rows(3, BF16, F16, 12),
    "reciprocal_f16": catalogue.get("range_reduced_reciprocal_f16"),
    "rsqrt_f16": catalogue.get("range_reduced_rsqrt_f16"),
    "reciprocal_bfloat16": RangeReduced.design("reciprocal", BF16, F16),
    "rsqrt_mixed": RangeReduced.design("rsqrt", F16, BF16, index_bits=8, frac=10),
    "rsqrt_small": RangeReduced.design("rsqrt", SMALL, SMALL, index_bits=SMALL.fraction, frac=4),
    "reciprocal_overflowing": RangeReduced.design("reciprocal", F16, SMALL, index_bits=1, frac=20),
}
OTHERS_FAST = ("exponent_silu_f16", "exponent_random", "reciprocal_f16", "rsqrt_f16", "rsqrt_small")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in OTHERS_FAST else pytest.mark.full) for n in OTHERS])
def test_exponent_and_range_reduced_tables_on_every_code(name):
    unit = OTHERS[name]
    result = hdl.flow.verify(unit)
    assert result["inputs"] == result["equal"] == 1 << unit.x.bits, result["first"][:3]


@pytest.mark.parametrize("memory", ["block", "logic", "registers"])
@pytest.mark.parametrize(
    ("name", "stages"),
    [*(("exponent_narrow", n) for n in (1, 7, len(exponent.CUTS))), *(("rsqrt_small", n) for n in (1, 6, 12))],
)
def test_exponent_and_range_reduced_tables_at_every_depth(name, stages, memory):
    unit = OTHERS[name]
    codes = np.arange(256, dtype=np.uint8)
    got, latency = simulate(unit, codes, stages=stages, memory=memory)
    assert_equal(unit, codes, got)
    assert latency == stages


DULUTS = {
    "silu": DULUT.design("silu", Fixed(16, 12), Fixed(16, 12)),
    "clamped": DULUT.design(
        "exp", Fixed(12, 7), Fixed(16, 12), n1=13, n2=20, domain=(-7.3, 1.9), rounding=TIES_TO_EVEN
    ),
}


@pytest.mark.parametrize("name", DULUTS)
def test_dulut_on_every_code(name):
    unit = DULUTS[name]
    result = hdl.flow.verify(unit)
    assert result["inputs"] == result["equal"] == 1 << unit.x.bits, result["first"][:3]


@pytest.mark.parametrize("stages", [1, 5, 9])
@pytest.mark.parametrize("memory", ["block", "logic"])
def test_dulut_latency_is_that_of_two_engines(stages, memory):
    unit = DULUT.design("gelu", Fixed(8, 4), Fixed(8, 4), n1=8, n2=8)
    codes = unit.x.codes()
    got, latency = simulate(unit, codes, stages=stages, memory=memory)
    assert_equal(unit, codes, got)
    assert latency == 2 * stages


def test_impossible_options_are_refused():
    with pytest.raises(IntsimError, match="1 to"):
        hdl.create(TINY, stages=len(nli_float.CUTS) + 1)
    with pytest.raises(IntsimError, match="memory"):
        hdl.create(TINY, memory="disk")
