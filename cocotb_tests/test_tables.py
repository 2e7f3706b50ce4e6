"""Floating-point tables and block units under cocotb and Verilator: stalls on both sides, bursts, resets."""

from __future__ import annotations

from pathlib import Path

import pytest

import hdl.bench
from intsim import catalogue
from intsim.formats import BFP, DBFP, Fixed, Int
from intsim.linear import BlockDot, BlockEncoder
from intsim.tables import NormalReciprocal

HERE = Path(__file__).parent
FAST = "nli_silu_f16"
TABLES = ("nli_tanh_f16", "pwl16_gelu_f16", "exponent_exp_f16", "range_reduced_rsqrt_f16", "dulut_silu", "dulut_exp20")
BLOCKS = {
    "dot": (BlockDot(DBFP(7, 16), BFP(8, 16)), 4),
    "encoder": (BlockEncoder(DBFP(7, 8), Fixed(14, 8, False)), 3),
    "encoder_signed": (BlockEncoder(DBFP(6, 8, 100, -3, 7, 1, signed=True), Fixed(12, 4)), 1),
}


def check_table(name: str) -> None:
    results = hdl.bench.run(catalogue.get(name), HERE / "tb_elements.py")
    assert len(results.passed) == 7
    assert results.compared > 69_000


def test_fp16_nli():
    check_table(FAST)


@pytest.mark.full
@pytest.mark.parametrize("name", TABLES)
def test_other_tables(name):
    check_table(name)


@pytest.mark.full
@pytest.mark.parametrize(
    "unit", [NormalReciprocal.design(Int(22, False)), NormalReciprocal(Int(22, False), 4)], ids=["table", "divider"]
)
def test_normalised_reciprocal(unit):
    results = hdl.bench.run(unit, HERE / "tb_elements.py")
    assert len(results.passed) == 7
    assert results.compared > 69_000


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "dot" else pytest.mark.full) for n in BLOCKS])
def test_blocks(name):
    unit, lanes = BLOCKS[name]
    results = hdl.bench.run(unit, HERE / "tb_rows.py", lanes=lanes)
    assert len(results.passed) == 6
    assert results.compared > 3_000  # a dot product gives one output per row
