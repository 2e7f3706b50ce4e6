"""The equal-step engine computes what the golden model says: every input, depth, memory, layout and rounding."""

import pytest
from table_units import assert_equal, random_uniform, simulate

import hdl
import hdl.flow
from hdl.tables.uniform import CUTS
from intsim import Fixed, IntsimError
from intsim.rounding import Rounding
from intsim.tables import Uniform

SMALL = random_uniform(1, Fixed(8, 4), Fixed(8, 5), first=-100, step_bits=3, segments=20)


@pytest.mark.parametrize("simulator", ["cxxrtl", "verilator"])
def test_every_input_of_a_16_bit_unit(simulator):
    unit = Uniform.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), segments=256)
    result = hdl.flow.verify(unit, simulator)
    assert result["exhaustive"]
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.parametrize("memory", ["block", "logic", "registers"])
@pytest.mark.parametrize("stages", range(1, len(CUTS) + 1))
def test_every_depth_has_the_latency_it_states(stages, memory):
    codes = SMALL.x.codes()
    got, latency = simulate(SMALL, codes, stages=stages, memory=memory)
    assert_equal(SMALL, codes, got)
    assert latency == stages


@pytest.mark.parametrize("stages", [1, 8])
def test_stalls_and_gaps_change_nothing(stages):
    codes = SMALL.x.codes()
    got, _ = simulate(SMALL, codes, stall=0.5, gap=0.4, stages=stages)
    assert_equal(SMALL, codes, got)


@pytest.mark.parametrize("rounding", list(Rounding), ids=str)
@pytest.mark.parametrize(
    ("x", "y", "first", "step_bits", "segments"),
    [
        (Fixed(8, 4), Fixed(9, 5), -128, 4, 16),  # exactly the whole format: the last knot is one beyond it
        (Fixed(8, 4), Fixed(9, 5), -128, 4, 9),  # clamped above only
        (Fixed(8, 4), Fixed(9, 5), -50, 5, 6),  # clamped below only
        (Fixed(8, 4, signed=False), Fixed(7, 2), 13, 3, 11),  # clamped on both sides
        (Fixed(8, 4), Fixed(7, 2, signed=False), -127, 1, 127),  # the last knot is the last code
        (Fixed(8, 4), Fixed(8, 4), -128, 0, 255),  # a step of one code: no interpolation
        (Fixed(8, 4), Fixed(8, 4), -128, 8, 1),  # a single segment
    ],
)
def test_roundings_and_layouts(rounding, x, y, first, step_bits, segments):
    unit = random_uniform(2, x, y, first, step_bits, segments, rounding)
    codes = unit.x.codes()
    got, _ = simulate(unit, codes)
    assert_equal(unit, codes, got)


def test_one_multiplier_and_one_block_ram():
    unit = Uniform.design("tanh", x=Fixed(16, 12), y=Fixed(16, 14), segments=256)
    cells = hdl.flow.synth(unit, "ecp5")["cells"]
    assert (cells["MULT18X18D"], cells["DP16KD"]) == (1, 1)


@pytest.mark.parametrize("stages", [0, len(CUTS) + 1])
def test_impossible_depths_are_refused(stages):
    with pytest.raises(IntsimError, match=rf"1 to {len(CUTS)}"):
        hdl.create(SMALL, stages=stages)
