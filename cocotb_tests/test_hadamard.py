"""The Hadamard transform under cocotb and Verilator: stalls on both sides, bursts, resets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hadamard_units import HADAMARDS

import hdl.bench

HERE = Path(__file__).parent
FAST = "requantised_4"


def check(name: str) -> None:
    results = hdl.bench.run(HADAMARDS[name], HERE / "tb_elements.py")
    assert len(results.passed) == 7
    assert results.compared > 69_000


def test_fast():
    check(FAST)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(HADAMARDS) - {FAST}))
def test_others(name):
    check(name)
