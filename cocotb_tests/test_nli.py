"""The NLI engine under cocotb and Verilator; inside runs ``tb_every_pause.py``."""

from pathlib import Path

import pytest

import hdl.bench
from intsim import Fixed
from intsim.tables import NLI

TESTS = Path(__file__).with_name("tb_every_pause.py")
SILU = NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), intervals=10, bins=32, solver="equal")


def test_protocol():
    results = hdl.bench.run(SILU, TESTS)
    assert len(results.passed) == 1 + 16 + 1 + 1
    assert results.compared > 18 * 10_000 + 9_900


@pytest.mark.parametrize("options", [{"stages": 1, "memory": "logic"}, {"stages": 4, "memory": "registers"}], ids=str)
@pytest.mark.full
def test_protocol_of_other_shapes(options):
    results = hdl.bench.run(SILU, TESTS, **options)
    assert len(results.passed) == 1 + 16 + 1 + 1
    assert results.compared > 18 * 10_000 + 9_900
