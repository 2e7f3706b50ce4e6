"""The nonlinear engine under cocotb and Verilator, its registers reached over AXI4-Lite by an independent bus model."""

from pathlib import Path

import pytest

import hdl.bench
from intsim.engine import Engine, Mode, stored_bank

HERE = Path(__file__).parent


def test_the_driver_programs_the_engine():
    results = hdl.bench.run(Engine.design(max_row=1536), HERE / "tb_engine.py", lanes=2)
    assert len(results.passed) == 7
    assert results.compared > 20_000


@pytest.mark.full
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_the_driver_programs_other_lanes(lanes):
    results = hdl.bench.run(Engine.design(max_row=1536), HERE / "tb_engine.py", lanes=lanes)
    assert len(results.passed) == 7
    assert results.compared > 20_000


@pytest.mark.full
@pytest.mark.parametrize(
    ("mode", "fn", "lanes"),
    [(0, "silu", 1), (1, "exp", 4), (2, "exp", 3), (3, "exp", 1), (1, "exp", 16), (2, "exp", 16), (3, "gelu", 4)],
)
def test_rows_under_stalls(mode, fn, lanes):
    engine = Engine.design(max_row=64).load(1, stored_bank(fn)).select(Mode(mode), 1)
    results = hdl.bench.run(engine, HERE / "tb_rows.py", lanes=lanes)
    assert len(results.passed) == 6
    assert results.compared > 5 * 10_000
