"""The requantiser under cocotb and Verilator; inside runs ``tb_every_pause.py``."""

import dataclasses
from pathlib import Path

import pytest

import hdl.bench
from intsim import Int
from intsim.requant.conventions import INTEGER, from_scales

TESTS = Path(__file__).with_name("tb_every_pause.py")
CHANNELS = from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3, 0.05], y=Int(8), zero_point=-3)
SHAPES = [
    (INTEGER["tflite_double"], {"stages": 3}),
    (CHANNELS, {"stages": 2, "memory": "block"}),
    (INTEGER["tflite_double"], {"stages": 1}),
    (INTEGER["hawq"], {"stages": 5}),
    (INTEGER["tosa_scale16"], {"stages": 7}),
    (dataclasses.replace(CHANNELS, y=Int(16), zero_first=False, lo=-300, hi=300), {"stages": 2, "memory": "logic"}),
    (CHANNELS, {"stages": 3, "memory": "registers"}),
]


def test_protocol():
    """Seven tests of 10,000 transfers each; all sixteen pairs of pauses are in the full runs."""
    results = hdl.bench.run(CHANNELS, TESTS.with_name("tb_elements.py"), stages=2, memory="block")
    assert len(results.passed) == 7
    assert results.compared > 69_000


@pytest.mark.full
@pytest.mark.parametrize(("unit", "options"), SHAPES, ids=lambda value: getattr(value, "name", str(value)))
def test_protocol_in_full(unit, options):
    results = hdl.bench.run(unit, TESTS, **options)
    assert len(results.passed) == 1 + 16 + 1 + 1
    assert results.compared > 18 * 10_000 + 9_900
