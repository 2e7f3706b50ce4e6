"""The integer operators under cocotb and Verilator: stalls on both sides, resets in mid-row."""

from __future__ import annotations

from pathlib import Path

import pytest
from operator_units import ELEMENTWISE, ROWS

import hdl.bench

HERE = Path(__file__).parent
FAST_ROWS = {"shiftmax_masked": 3, "ivit_layernorm_bias": 1, "shift_gelu": 1}
FAST_ELEMENTS = ("ibert_exp",)


def check_rows(name: str, lanes: int) -> None:
    results = hdl.bench.run(ROWS[name], HERE / "tb_rows.py", lanes=lanes)
    assert len(results.passed) == 6
    assert results.compared > 5 * 10_000


def check_elements(name: str) -> None:
    results = hdl.bench.run(ELEMENTWISE[name], HERE / "tb_elements.py")
    assert len(results.passed) == 7
    assert results.compared > 69_000


@pytest.mark.parametrize(("name", "lanes"), FAST_ROWS.items())
def test_rows(name, lanes):
    check_rows(name, lanes)


@pytest.mark.parametrize("name", FAST_ELEMENTS)
def test_elements(name):
    check_elements(name)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(ROWS) - set(FAST_ROWS)))
def test_other_rows(name):
    check_rows(name, 2)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(ELEMENTWISE) - set(FAST_ELEMENTS)))
def test_other_elements(name):
    check_elements(name)
