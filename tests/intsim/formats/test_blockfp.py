"""Block floating point: the integer encoder against the definition in fractions and against the real encoder."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim.errors import DtypeError, IntsimError
from intsim.exact import plain
from intsim.formats.blockfp import BFP, DBFP, Blocks
from intsim.parameters import from_plain, to_plain
from intsim.rounding import TIES_TO_EVEN, TIES_TO_POS, TO_NEG, TO_ZERO, divide_round

FORMATS = {
    "db": DBFP(),  # clipped maximum, two exponents: the recommended one
    "max": DBFP(hi=12, lo=-20, delta=0),
    "median": DBFP(6, 5, 50, -4, 6, 0, rounding=TO_NEG),
    "percentile": DBFP(5, 7, 80, -6, 9, 3, signed=True, rounding=TIES_TO_EVEN),
    "bfp": BFP(8, 4),
    "bfp_zero": BFP(5, 16, rounding=TO_ZERO),
    "row": DBFP(8, 4096, 100, -8, 3, 2),
    "wide": DBFP(24, 3, 100, -30, 30, 4, signed=True),
}


def by_definition(fmt: DBFP, values: list[Fraction]) -> tuple[list[int], list[int], list[int]]:
    """Exponents, tags and mantissas, straight from the docstring."""

    def exponent_of(value: Fraction) -> int:
        if value == 0:
            return fmt.lo
        e = 0
        while abs(value) >= Fraction(2) ** (e + 1):
            e += 1
        while abs(value) < Fraction(2) ** e:
            e -= 1
        return min(max(e, fmt.lo), fmt.hi)

    exponents, tags, mantissas = [], [], []
    for start in range(0, len(values), fmt.group):
        block = values[start : start + fmt.group]
        wanted = -(-len(block) * fmt.pivot // 100)
        shared = next(e for e in range(fmt.lo, fmt.hi + 1) if sum(exponent_of(v) <= e for v in block) >= wanted)
        exponents.append(shared)
        for value in block:
            for tag in (0, 1) if fmt.delta else (1,):
                scaled = value / Fraction(2) ** (shared - (1 - tag) * fmt.delta + 1 - fmt.magnitude)
                q = divide_round(scaled.numerator, scaled.denominator, fmt.rounding)
                if abs(q) <= fmt.largest:
                    break
            tags.append(tag)
            mantissas.append(min(max(q, -fmt.largest if fmt.signed else 0), fmt.largest))
    return exponents, tags, mantissas


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_both_encoders_follow_the_definition(name, data):
    fmt = FORMATS[name]
    size = data.draw(st.sampled_from([4, 12, 40]))
    codes = data.draw(st.lists(st.integers(-(1 << size) if fmt.signed else 0, 1 << size), min_size=1, max_size=20))
    frac = data.draw(st.integers(-3, 40))
    expected = by_definition(fmt, [Fraction(c) / Fraction(2) ** frac for c in codes])
    row = np.array(codes, dtype=np.int64)
    blocks = [fmt.quantize(row, frac), fmt.encode(np.ldexp(row.astype(float), -frac))]
    with plain():
        blocks.append(fmt.quantize(row, frac))
    for found in blocks:
        assert (found.exponents.tolist(), found.tags.tolist(), found.mantissas.tolist()) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_decoding_is_within_half_a_step_unless_saturated(name):
    fmt = FORMATS[name]
    rng = np.random.default_rng(5)
    values = rng.normal(0, 2, (9, 37)) * np.exp2(rng.integers(-6, 3, (9, 1)))
    values = values if fmt.signed else np.abs(values)
    blocks = fmt.encode(values)
    assert blocks.mantissas.shape == values.shape
    assert blocks.exponents.shape == (9, -(-37 // fmt.group))
    shared = np.repeat(blocks.exponents.astype(int), fmt.group, axis=1)[:, :37]
    step = np.exp2(shared - (1 - blocks.tags.astype(int)) * fmt.delta + 1 - fmt.magnitude)
    error = np.abs(blocks.decode() - values)
    free = np.abs(blocks.mantissas) < fmt.largest
    limit = 0.5 if fmt.rounding in (TIES_TO_POS, TIES_TO_EVEN) else 1.0
    assert np.all(error[free] <= limit * step[free])
    assert free.mean() > 0.5
    assert np.all(np.abs(blocks.decode()) <= (fmt.largest * step))


def test_plain_bfp_never_loses_more_than_a_step_and_the_median_saturates():
    values = np.random.default_rng(2).normal(0, 1, (50, 32))
    blocks = BFP(8, 32).encode(values)
    largest = np.abs(values).max(axis=1)
    np.testing.assert_array_equal(blocks.exponents[:, 0], np.floor(np.log2(largest)))
    step = np.exp2(blocks.exponents + 1.0 - 7)
    assert np.all(np.abs(blocks.decode() - values) <= step)
    median = DBFP(8, 32, 50, -20, 20, 0, signed=True).encode(values)
    assert np.mean(np.abs(median.mantissas) == 127) > 0.1


def test_the_tag_takes_the_finer_exponent_wherever_it_holds():
    fmt = DBFP(4, 4, 100, -8, 8, 2)  # steps of 2**(E-3) and 2**(E-5)
    blocks = fmt.encode([8.0, 3.75, 3.9, 0.1])
    assert blocks.exponents.tolist() == [3]
    assert blocks.tags.tolist() == [1, 0, 1, 0]
    assert blocks.decode().tolist() == [8.0, 3.75, 4.0, 0.0]


def test_storage_counts_mantissas_tags_and_exponents():
    assert DBFP().storage(64) == 64 * 8 + 2 * 4
    assert BFP(8, 32).storage(33) == 33 * 8 + 2 * 8


def test_json_and_refusals():
    for fmt in FORMATS.values():
        assert from_plain(to_plain(fmt)) == fmt
    with pytest.raises(DtypeError, match="encode"):
        DBFP().quantize([0.5], 3)
    with pytest.raises(IntsimError, match="signed=True"):
        DBFP().quantize([-1], 3)
    with pytest.raises(IntsimError, match="signed=True"):
        DBFP().encode([-1.0])
    with pytest.raises(IntsimError, match="NaN"):
        DBFP().encode([np.nan])
    with pytest.raises(IntsimError, match="last axis"):
        DBFP().encode(3.0)
    with pytest.raises(IntsimError, match=r"2\*\*60"):
        DBFP().quantize([1 << 60], 3)
    for bad in ({"bits": 25}, {"group": 0}, {"pivot": 0}, {"lo": 4}, {"delta": 33}):
        with pytest.raises(IntsimError):
            DBFP(**bad)
    assert isinstance(DBFP().quantize([3], 0), Blocks)
