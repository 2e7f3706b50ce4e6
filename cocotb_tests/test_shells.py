"""Units in the shells with registers, under cocotb and Verilator, with an independent model of AXI4-Lite."""

from pathlib import Path

import pytest

import hdl.bench
from intsim import Fixed, Int, catalogue
from intsim.engine import Engine
from intsim.linear.dynamic import DynamicRequantize
from intsim.nonlinear.activations import IBertGELU
from intsim.nonlinear.softmax import Shiftmax
from intsim.requant.conventions import from_scales
from intsim.tables import NLI, Uniform

HERE = Path(__file__).parent
UNITS = {
    "silu": catalogue.get("silu"),
    "requantizer": from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3, 0.05], y=Int(8), zero_point=-3),
    "ibert_gelu": IBertGELU.design(1e-5, x=Int(32)),  # an output of two words
    "softmax": Shiftmax(-20, max_row=9, x=Int(8)),
    "dynamic": DynamicRequantize(37, 30, max_row=8, x=Int(32)),  # several outputs, some once a row
    "engine": Engine.design(max_row=6),  # registers of its own behind the shell's
}
TABLES = {
    "nli": NLI.design("silu", x=Fixed(8, 4), y=Fixed(8, 4), intervals=4, bins=4, solver="equal"),
    "uniform": Uniform.design("tanh", x=Fixed(8, 5), y=Fixed(10, 8), segments=16),
}
FAST = {"silu", "dynamic"}


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.full) for n in UNITS])
def test_elements_through_registers(name):
    results = hdl.bench.run(UNITS[name], HERE / "tb_lite.py", shell="lite")
    assert len(results.passed) == 4
    assert results.compared > 50


def test_streams_beside_registers():
    """The shell ``both`` changes nothing of the streams; the registers count what passes."""
    results = hdl.bench.run(UNITS["silu"], HERE / "tb_elements.py", shell="both")
    assert len(results.passed) == 7
    assert results.compared > 69_000
    results = hdl.bench.run(UNITS["softmax"], HERE / "tb_both.py", shell="both", lanes=2)
    assert len(results.passed) == 2
    assert results.compared > 100 + 270


@pytest.mark.parametrize("unit", [TABLES["nli"], pytest.param(TABLES["uniform"], marks=pytest.mark.full)])
def test_words_written_at_run_time(unit):
    results = hdl.bench.run(unit, HERE / "tb_loadable.py", memory="loadable")
    assert len(results.passed) == 2
    assert results.compared == 13_100
