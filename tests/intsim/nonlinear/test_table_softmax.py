"""QANS and DB-Attn softmax: against their equations written with Python integers, and against the exact softmax."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim.errors import IntsimError, UnknownName
from intsim.exact import plain
from intsim.formats import Fixed, Int
from intsim.measure.softmax import row_distance, synthetic_rows
from intsim.nonlinear import DBAttnSoftmax, QANSSoftmax
from intsim.nonlinear.qans import design_beta
from intsim.rounding import TIES_TO_EVEN, shift_round
from intsim.tables import DULUT, Direct, NormalReciprocal
from intsim.unit import Unit

X = Int(16)
STEP = 2.0**-8
DULUT_EXP = DULUT.design(lambda v: np.exp(20 * v), Fixed(9, 8), Fixed(17, 15), n1=32, n2=32, domain=(-1.0, 0.0))
QANS = {
    "direct": QANSSoftmax.design(STEP, x=X),
    "dulut": QANSSoftmax.design(STEP, exp=DULUT_EXP, x=X),
    "table": QANSSoftmax.design(
        0.037, 12, 6, reciprocal=NormalReciprocal.design(Int(28, False)), x=Int(10), masked=True
    ),
    "even": QANSSoftmax.design(STEP, 16, out_bits=8, rounding=TIES_TO_EVEN, x=X, max_row=64),
}
DB = {
    "tag": DBAttnSoftmax.design(STEP, x=X),
    "factored": DBAttnSoftmax.design(STEP, low_bits=3, group=5, x=X, masked=True),
    "median": DBAttnSoftmax.design(0.0371, pivot=50, hi=6, delta=0, group=7, x=Int(12), out_bits=8),
    "online": DBAttnSoftmax.design(STEP, online=True, group=4, x=X, masked=True),
    "online_row": DBAttnSoftmax.design(STEP, online=True, group=4096, x=X),
    "divider": DBAttnSoftmax.design(STEP, x=X, max_row=100, reciprocal=NormalReciprocal(Int(22, False))),
}
UNITS = {f"qans_{k}": v for k, v in QANS.items()} | {f"db_{k}": v for k, v in DB.items()}


def qans_by_definition(unit, row, valid):
    words = unit.words.tolist()
    top = max((v for v, keep in zip(row, valid, strict=True) if keep), default=0)
    e = []
    for value, keep in zip(row, valid, strict=True):
        q = min(shift_round((top - value) * unit.multiplier, unit.shift, unit.rounding), unit.top)
        e.append(words[q] if keep else 0)
    return finish(unit, e)


def finish(unit, e):
    factor, exponent = (int(v) for v in unit.factor(np.array(sum(e)))) if sum(e) else (0, 0)
    return [shift_round(v * factor, exponent - unit.out_bits + 1, unit.rounding) for v in e]


def exp_of(unit, distances):
    """Exponentials of one block of distances, through the public encoder and table."""
    if not distances:
        return []
    blocks = dataclasses.replace(unit.format, group=len(distances)).quantize(np.array(distances), unit.frac)
    exponent = blocks.exponents[0].astype(int) - (1 - blocks.tags.astype(int)) * unit.format.delta
    return unit.table(exponent, blocks.mantissas).tolist()


def db_by_definition(unit, row, valid):
    frac, group = unit.table.frac, unit.format.group
    kept = [v for v, keep in zip(row, valid, strict=True) if keep]
    top = None if unit.online else max(kept, default=0)
    total, parts, tops = 0, [], []
    for start in range(0, len(row), group):
        block = [(v, k) for v, k in zip(row[start : start + group], valid[start : start + group], strict=True)]
        if unit.online:
            fresh = max([v for v, k in block if k], default=top)
            if top is not None and fresh is not None and fresh > top:
                (rise,) = exp_of(unit, [(fresh - top) * unit.multiplier])
                total = shift_round(total * rise, frac, unit.rounding)
            top = fresh if top is None or (fresh is not None and fresh > top) else top
        e = iter(exp_of(unit, [(top - v) * unit.multiplier for v, k in block if k]))
        parts.append([next(e) if k else 0 for _, k in block])
        tops.append(top)
        total += sum(parts[-1])
    final = []
    for part, local in zip(parts, tops, strict=True):
        if local is not None and top > local:
            (fall,) = exp_of(unit, [(top - local) * unit.multiplier])
            part = [shift_round(v * fall, frac, unit.rounding) for v in part]
        final += part
    factor, exponent = (int(v) for v in unit.factor(np.array(total))) if total else (0, 0)
    return [shift_round(v * factor, exponent - unit.out_bits + 1, unit.rounding) for v in final]


@pytest.mark.parametrize("name", UNITS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_rows_follow_the_equations(name, data):
    unit = UNITS[name]
    n = data.draw(st.sampled_from([1, 2, 3, 9, 23]))
    reach = data.draw(st.sampled_from([3, 200, 2000, unit.x.hi]))
    centre = data.draw(st.integers(unit.x.lo + reach + 1, max(unit.x.hi - reach, unit.x.lo + reach + 1)))
    row = data.draw(st.lists(st.integers(centre - reach, min(centre + reach, unit.x.hi)), min_size=n, max_size=n))
    valid = data.draw(st.lists(st.booleans(), min_size=n, max_size=n)) if unit.masked else [True] * n
    definition = qans_by_definition if name.startswith("qans") else db_by_definition
    arguments = (np.array(row), np.array(valid)) if unit.masked else (np.array(row),)
    assert unit(*arguments).tolist() == definition(unit, row, valid)


@pytest.mark.parametrize("name", UNITS)
def test_compiled_equals_unbounded_integers(name):
    unit = UNITS[name]
    columns = tuple(c[:60] for c in unit.corners())
    fast, nets = unit(*columns), unit.trace(*columns)
    with plain():
        np.testing.assert_array_equal(unit(*columns), fast)
    np.testing.assert_array_equal(nets["y"], fast)
    for n in (1, 2, 3, 1023, 4096):
        rng = np.random.default_rng(n)
        row = rng.integers(unit.x.lo // 4, unit.x.hi // 4, (1, n))
        y = unit(row)
        # the reciprocal is off by 1/8192 at most, and rounding by half a step per element
        assert abs(unit.outputs["y"].decode(y).sum() - 1) < 2.0**-13 + n * 2.0**-unit.out_bits
        assert y.shape == (1, n)
    for row in (np.full((1, 17), unit.x.hi), np.full((1, 17), unit.x.lo)):
        y = unit.outputs["y"].decode(unit(row))
        np.testing.assert_allclose(y, 1 / 17, atol=2.0 ** (1 - unit.out_bits))
    hot = np.full(33, unit.x.lo)
    hot[5] = unit.x.hi
    y = unit(hot)
    assert y[5] >= unit.outputs["y"].hi // 2
    assert np.all(np.delete(y, 5) <= 1)


@pytest.mark.parametrize("name", [n for n in UNITS if UNITS[n].masked])
def test_masked_elements_take_no_part(name):
    unit = UNITS[name]
    rng = np.random.default_rng(2)
    row = rng.integers(-100, 100, 12)
    keep = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1])
    full = row.copy()
    full[keep == 0] = unit.x.hi
    np.testing.assert_array_equal(unit(full, keep), unit(row, keep))
    assert np.all(unit(full, keep)[keep == 0] == 0)
    assert np.all(unit(row, keep * 0) == 0)
    if "online" not in name and not name.startswith("db"):
        np.testing.assert_array_equal(unit(row, keep)[keep == 1], unit(row[keep == 1]))


@pytest.mark.parametrize("name", UNITS)
def test_json_keeps_everything(name):
    unit = UNITS[name]
    assert Unit.from_json(unit.to_json()) == unit
    assert unit.real(np.zeros((2, 4))).tolist() == [[0.25] * 4] * 2
    assert unit.widths["product"] < 63


# Total variation to the exact softmax, 1024 keys, 7-bit mantissas, groups of 32, and 8-bit QANS codes: figures that an
# independent program measured on rows of the same kinds (the sum not rounded to 16 bits)
TV = {
    "max": (dict(hi=12, delta=0), 3.9e-3, 1.7e-2, 2.0e-2),
    "median": (dict(hi=12, delta=0, pivot=50), 3.0e-2, 1.2e-2, 1.1e-2),
    "clipped": (dict(delta=0), 3.9e-3, 1.2e-2, 5.4e-3),
    "tag": ({}, 3.2e-3, 5.5e-3, 1.8e-3),
}


def rows_of(kinds=("flat N(0, 0.5)", "N(0, 3)", "N(0, 8)")):
    fixed = Fixed(16, 8)
    rows = synthetic_rows(rows=40)
    return [fixed.encode(rows[kind], saturate=True) for kind in kinds]


@pytest.mark.parametrize("name", TV)
def test_block_formats_keep_the_distances_measured(name):
    options, *figures = TV[name]
    unit = DBAttnSoftmax.design(STEP, x=X, out_bits=24, **options)
    for rows, figure in zip(rows_of(), figures, strict=True):
        assert row_distance(unit, rows).mean() == pytest.approx(figure, rel=0.25)


def test_one_more_mantissa_bit_halves_the_distance():
    rows = rows_of()[1]
    found = [row_distance(DBAttnSoftmax.design(STEP, bits=b, x=X, out_bits=24), rows).mean() for b in (5, 6, 7)]
    assert found[0] / found[1] == pytest.approx(2, rel=0.15)
    assert found[1] / found[2] == pytest.approx(2, rel=0.2)


def test_beta_by_rows_and_by_the_closed_rule():
    flat, moderate, wide = rows_of()
    figures = {8: 5.8e-2, 10: 7.8e-3, 12: 4.6e-3, 16: 5.7e-3, 20: 7.1e-3, 32: 1.2e-2}
    for beta, figure in figures.items():
        unit = QANSSoftmax.design(STEP, beta, x=X, out_bits=24)
        # at 8 the clipped mass depends on the largest score of the sample, and on the last code's word being 0
        assert row_distance(unit, moderate).mean() == pytest.approx(figure, rel=0.2 if beta > 10 else 0.9)
    best = QANSSoftmax.from_rows(moderate, STEP, x=X, out_bits=24)
    other = QANSSoftmax.from_rows(moderate, STEP, distance="kl", x=X, out_bits=24)
    reach = [unit.top * unit.halving * unit.multiplier / (1 << unit.shift) for unit in (best, other)]
    assert all(r > 0 for r in reach)
    betas = {QANSSoftmax.design(STEP, beta, x=X, out_bits=24): beta for beta in range(8, 34, 2)}
    assert betas[best] in (10, 12)
    assert 10 <= betas[other] <= 16
    assert design_beta(1024) == pytest.approx(16.14, abs=0.01)
    assert design_beta(32768) == pytest.approx(19.6, abs=0.01)
    assert flat.shape == wide.shape
    with pytest.raises(UnknownName, match="tv"):
        QANSSoftmax.from_rows(moderate, STEP, distance="vt", x=X)
    with pytest.raises(IntsimError, match="no candidate"):
        QANSSoftmax.from_rows(moderate, STEP, candidates=(), x=X)


def test_dulut_in_place_of_the_direct_table():
    """An absolute error of 2e-4 (32 + 32 words) on a thousand small exponentials shows; 64 words suffice."""
    rows = rows_of()[1]
    larger = DULUT.design(lambda v: np.exp(20 * v), Fixed(9, 8), Fixed(17, 15), n1=32, n2=64, domain=(-1.0, 0.0))

    def distance(exp):
        return row_distance(QANSSoftmax.design(STEP, exp=exp, x=X, out_bits=24), rows).mean()

    direct, small, large = distance(None), distance(DULUT_EXP), distance(larger)
    assert 2 * direct < small < 5 * direct
    assert large < 1.5 * direct


def test_what_cannot_work_is_refused():
    direct = QANS["direct"]
    for change, says in [
        ({"multiplier": 0}, "multiplier"),
        ({"shift": 63}, "shift"),
        ({"exp": DB["tag"]}, "one fixed-point input"),
        ({"exp": Direct(Int(2, False), Fixed(8, 7), (1, 1, 0, -1))}, "nowhere negative"),
        ({"x": Int(60)}, "62"),
        ({"reciprocal": NormalReciprocal(Int(20, False))}, "use 28 bits"),
    ]:
        with pytest.raises(IntsimError, match=says):
            dataclasses.replace(direct, **change)
    tag = DB["tag"]
    for change, says in [
        ({"format": dataclasses.replace(tag.format, signed=True)}, "no sign"),
        ({"format": dataclasses.replace(tag.format, hi=4)}, "needs 7 bits and exponents"),
        ({"frac": 63}, "frac"),
        ({"x": Int(62)}, "60"),
        ({"reciprocal": NormalReciprocal(Int(20, False))}, "use 28 bits"),
        ({"out_bits": 25}, "out_bits"),
    ]:
        with pytest.raises(IntsimError, match=says):
            dataclasses.replace(tag, **change)
    with pytest.raises(IntsimError, match="beta"):
        QANSSoftmax.design(STEP, 0.0)
    fine = DBAttnSoftmax.design(STEP, frac=30, x=X)
    with pytest.raises(IntsimError, match="46 bits"):
        fine(np.zeros(1 << 16, dtype=np.int16))
