"""The row operators: RTL equals golden model on telling and on random rows, in the cycles stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from operator_units import ROWS
from row_inputs import compare, lengths, random_rows, shaped_rows

import hdl
from intsim.formats import Int
from intsim.linear.dynamic import DynamicRequantize
from intsim.nonlinear.activations import ShiftGELU
from intsim.nonlinear.gated import DISigmoid
from intsim.tables import NormalReciprocal

WIDE = (
    "shiftmax_masked",
    "ivit_layernorm_bias",
    "shift_gelu",
    "di_softmax",
    "di_swiglu_channels",
    "requantize",
    "qans_dulut",
)
CASES = [
    pytest.param(name, lanes, marks=[pytest.mark.full] if lanes > 1 and name not in WIDE else [])
    for name in ROWS
    for lanes in (1, 3)
]
RANDOM = 1500


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_rows(name, lanes):
    unit = ROWS[name]
    device = hdl.flow.model(unit, lanes=lanes)
    rng = np.random.default_rng(7)
    compare(unit, device, unit.corners())
    compared = 0
    for n in lengths(unit):
        compare(unit, device, shaped_rows(unit, n))
        compare(unit, device, random_rows(unit, n, 40, rng), stalls=0.4)
        compared += compare(unit, device, random_rows(unit, n, RANDOM // len(lengths(unit)), rng))
    assert compared > RANDOM - len(lengths(unit))


@pytest.mark.full
@pytest.mark.parametrize("name", ROWS)
def test_a_hundred_thousand_rows(name):
    unit = ROWS[name]
    device = hdl.flow.model(unit)
    rng = np.random.default_rng(8)
    each = 100_000 // len(lengths(unit)) + 1
    short = [n for n in lengths(unit) if n <= 16]
    assert sum(compare(unit, device, random_rows(unit, n, each * 9 // 8, rng)) for n in short) >= 100_000


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_cycles_per_row(name, lanes):
    """A lone row takes ``cycles(n)``, rows behind each other ``sustained(n)`` each: n / lanes where that is longer."""
    unit = ROWS[name]
    device, part = hdl.flow.model(unit, lanes=lanes), hdl.create(unit, lanes=lanes)
    rng = np.random.default_rng(9)
    for n in {lengths(unit)[0], lengths(unit)[-1]}:
        rows = random_rows(unit, n, 30, rng)
        device(*(column[:1] for column in rows))
        assert device.last_run.cycles - 1 == part.cycles(n)
        device(*rows)
        assert device.last_run.cycles - 1 <= part.cycles(n) + 29 * part.sustained(n)
        assert part.sustained(n) == max(-(-n // lanes), part.pace)


@pytest.mark.parametrize(
    "unit",
    [
        ShiftGELU(-20, max_row=4, x=Int(8)),
        ShiftGELU(-3, limit=31, max_row=4, x=Int(8)),
        ShiftGELU(-150, max_row=4, x=Int(8)),
        DISigmoid(241, 9, "row_max", max_row=4, x=Int(8)),
    ],
    ids=["shift_gelu", "shift_gelu_limited", "shift_gelu_saturating", "di_sigmoid"],
)
def test_every_pair_of_value_and_maximum(unit):
    """The core depends on the element and on its row's maximum: all pairs of 8 bits, as rows of two."""
    codes = np.arange(-128, 128)
    pairs = np.array(np.meshgrid(codes, codes)).reshape(2, -1).T.astype(np.int8)
    assert compare(unit, hdl.flow.model(unit), (pairs,)) == 1 << 16


@pytest.mark.parametrize(
    "unit",
    [
        DynamicRequantize(255, 0, 2, mantissa_bits=2, max_row=4, x=Int(3)),
        pytest.param(DynamicRequantize(1, 200, 16, mantissa_bits=16, max_row=4, x=Int(4)), marks=pytest.mark.full),
    ],
    ids=["negative", "above_200"],
)
def test_exponents_at_the_ends_of_their_port(unit):
    """A scale that no byte of a positive exponent holds: hardware and golden model agree on its sign."""
    device = hdl.flow.model(unit)
    assert unit.exponents[0] < 0 or unit.exponents[1] > 200
    for n in (1, 2, 3, 4):
        compare(unit, device, shaped_rows(unit, n))
        compare(unit, device, random_rows(unit, n, 40, np.random.default_rng(11)))


def longest(unit):
    """The unit for rows of 4096, its reciprocal, table or divider, as wide as their sum needs."""
    if not hasattr(unit, "reciprocal"):
        return replace(unit, max_row=4096)
    wide = replace(unit, max_row=4096, reciprocal=None).reciprocal
    make = NormalReciprocal.design if unit.reciprocal.index_bits else NormalReciprocal
    return replace(unit, max_row=4096, reciprocal=make(wide.x, wide.bits))


@pytest.mark.full
@pytest.mark.parametrize(
    "name", [name for name, unit in ROWS.items() if unit.row_length is None and unit.max_row == 64]
)
def test_the_longest_rows(name):
    """Rows of 4096 and 4095, equal, one-hot, rising and random, and short ones between them."""
    unit = longest(ROWS[name])
    device = hdl.flow.model(unit)
    rng = np.random.default_rng(10)
    for n in (4096, 1, 4095):
        compare(unit, device, shaped_rows(unit, n))
        compare(unit, device, random_rows(unit, n, 6, rng))
