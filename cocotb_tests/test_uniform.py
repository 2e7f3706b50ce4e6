"""The equal-step table under cocotb and Verilator; inside runs ``tb_elements.py``."""

from pathlib import Path

import hdl.bench
from intsim import Fixed
from intsim.tables import Uniform

TESTS = Path(__file__).with_name("tb_elements.py")


def test_protocol():
    unit = Uniform.design("gelu", x=Fixed(16, 12), y=Fixed(16, 12), segments=256)
    results = hdl.bench.run(unit, TESTS)
    assert len(results.passed) == 1 + 4 + 1 + 1
    assert results.compared > 6 * 10_000 + 9_900
