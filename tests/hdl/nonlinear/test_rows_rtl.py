"""The row operators: RTL equals golden model on telling and on random rows, in the cycles stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from operator_units import ROWS

import hdl
from intsim.formats import Int
from intsim.nonlinear.activations import ShiftGELU
from intsim.nonlinear.gated import DISigmoid

WIDE = ("shiftmax_masked", "ivit_layernorm_bias", "shift_gelu", "di_softmax", "di_swiglu_channels", "requantize")
CASES = [
    pytest.param(name, lanes, marks=[pytest.mark.full] if lanes > 1 and name not in WIDE else [])
    for name in ROWS
    for lanes in (1, 3)
]
RANDOM = 1500
LENGTHS = (1, 2, 3, 4, 5, 7, 9, 16)


def lengths(unit) -> tuple[int, ...]:
    return (unit.row_length,) if unit.row_length else (*LENGTHS, unit.max_row)


def random_rows(unit, n: int, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Rows of every magnitude and offset; a one-bit port is a mask."""
    columns = []
    for fmt in unit.inputs.values():
        wide = rng.integers(fmt.lo, fmt.hi, (rows, n), endpoint=True)
        if fmt.bits > 1:
            offset = rng.integers(fmt.lo, fmt.hi, (rows, 1), endpoint=True) >> rng.integers(0, fmt.bits, (rows, 1))
            wide = np.clip((wide >> rng.integers(0, fmt.bits, (rows, 1))) + offset, fmt.lo, fmt.hi)
        columns.append(wide.astype(fmt.dtype))
    return tuple(columns)


def shaped_rows(unit, n: int) -> tuple[np.ndarray, ...]:
    """Equal rows, one-hot rows, ramps and all-minimum rows."""
    columns = []
    for fmt in unit.inputs.values():
        rows = [np.full(n, value) for value in sorted({fmt.lo, fmt.lo // 3, 0, fmt.hi // 2, fmt.hi})]
        for place in sorted({0, n // 2, n - 1}):
            rows.append(np.where(np.arange(n) == place, fmt.hi, fmt.lo))
            rows.append(np.where(np.arange(n) == place, fmt.lo, fmt.hi))
        ramp = np.array([fmt.lo + (fmt.hi - fmt.lo) * k // max(n - 1, 1) for k in range(n)])
        rows += [ramp, ramp[::-1]]
        columns.append(rows)
    count = max(len(rows) for rows in columns)  # ports of different ranges have different numbers of rows
    padded = [np.array([rows[k % len(rows)] for k in range(count)]) for rows in columns]
    return tuple(rows.astype(fmt.dtype) for rows, fmt in zip(padded, unit.inputs.values(), strict=True))


def joined(answer, rows: int) -> np.ndarray:
    """All output ports side by side; one value per row, or one per element."""
    ports = answer if isinstance(answer, tuple) else (answer,)
    return np.concatenate([port.astype(np.int64).reshape(rows, -1) for port in ports], axis=1)


def compare(unit, device, columns, **options) -> int:
    got, expected = (joined(side, len(columns[0])) for side in (device(*columns, **options), unit(*columns)))
    wrong = np.flatnonzero((got != expected).any(axis=1))
    assert wrong.size == 0, (wrong.size, [column[wrong[0]] for column in columns], got[wrong[0]], expected[wrong[0]])
    return len(columns[0])


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
        ShiftGELU(-150, max_row=4, x=Int(8)),
        DISigmoid(241, 9, "row_max", max_row=4, x=Int(8)),
    ],
    ids=["shift_gelu", "shift_gelu_saturating", "di_sigmoid"],
)
def test_every_pair_of_value_and_maximum(unit):
    """The core depends on the element and on its row's maximum: all pairs of 8 bits, as rows of two."""
    codes = np.arange(-128, 128)
    pairs = np.array(np.meshgrid(codes, codes)).reshape(2, -1).T.astype(np.int8)
    assert compare(unit, hdl.flow.model(unit), (pairs,)) == 1 << 16


def longest(unit):
    """The unit for rows of 4096, its reciprocal table as wide as their sum needs."""
    wider = {"reciprocal": None} if hasattr(unit, "reciprocal") else {}
    return replace(unit, max_row=4096, **wider)


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
