"""The requantiser's RTL against the golden model: every input of small ones, hard and random inputs of real ones."""

import dataclasses
import itertools

import pytest

import hdl
from intsim import Int, IntsimError
from intsim.requant import Requantizer
from intsim.requant.conventions import INTEGER, from_scales
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG, TO_ZERO, Rounding

SMALL = Requantizer(acc=Int(7), multiplier=Int(4, False), shift=Int(5), y=Int(5), point=4)
REFERENCE = Requantizer(acc=Int(32), multiplier=Int(16, False), shift=Int(6, False), y=Int(8), right=True)
CHANNELS = from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3, 0.05], y=Int(8), zero_point=-3)
DISTINCT = {unit: name for name, unit in reversed(INTEGER.items())}
SHAPES = [
    (TIES_TO_POS, None, {}),
    (TIES_AWAY, TIES_TO_POS, {"zero_point": -3}),
    (TIES_TO_EVEN, TO_ZERO, {"zero_point": 40, "lo": -9, "hi": 3}),
    (TO_NEG, TIES_TO_EVEN, {"zero_first": False, "zero_point": 2, "lo": -11, "hi": 6}),
    (TO_ZERO, TIES_AWAY, {"pre_shift": 2, "y": Int(9)}),
]


def check(unit, vectors=1 << 18, **options):
    result = hdl.flow.verify(unit, vectors=vectors, **options)
    assert result["mismatches"] == 0, result["first"]
    assert result["inputs"] >= vectors if not result["exhaustive"] else result["inputs"] > 1000
    return result


@pytest.mark.parametrize(("rounding", "first", "changes"), SHAPES, ids=str)
def test_every_input_of_a_small_one(rounding, first, changes):
    unit = dataclasses.replace(SMALL, rounding=rounding, first=first, **changes)
    assert check(unit, stages=1)["exhaustive"]


def test_every_accumulator_of_constants():
    unit = dataclasses.replace(CHANNELS, acc=Int(18))
    assert check(unit, stages=2)["inputs"] == 5 << 18


@pytest.mark.parametrize(("name", "stages"), [("tflite_double", 2), ("tflite_int64", 4), ("hawq", 7)])
def test_a_convention(name, stages):
    check(INTEGER[name], vectors=1 << 20, stages=stages)


@pytest.mark.parametrize("memory", ["block", "registers"])
def test_memories_of_constants(memory):
    check(CHANNELS, stages=1, memory=memory)


def test_without_a_register():
    assert check(REFERENCE, stages=0)["mismatches"] == 0
    assert hdl.flow.rtl(REFERENCE, stages=0).component.latency == 0


def test_addends_and_a_reduced_multiplier():
    pulp = dataclasses.replace(INTEGER["pulp_rqs"], right=True, channels=((77, 9, -1000), (3, 0, 12345)), y=Int(8))
    check(pulp, stages=3)
    check(dataclasses.replace(INTEGER["tflite_int64"], channels=((0x7FFF_8000, -3),)), stages=2)


def test_verilator_agrees():
    check(REFERENCE, simulator="verilator", stages=2)


def test_options():
    assert hdl.flow.rtl(CHANNELS, stages=3).component.latency == 3
    assert hdl.flow.rtl(CHANNELS, stages=3, memory="block").component.latency == 4
    with pytest.raises(IntsimError, match="1 to 7 stages"):
        hdl.create(REFERENCE, stages=8)
    with pytest.raises(IntsimError, match="kind of memory"):
        hdl.create(CHANNELS, memory="disk")
    with pytest.raises(IntsimError, match="memory='logic'"):
        hdl.create(CHANNELS, stages=0, memory="block")


def test_size_and_clock_rate():
    """32 by 16 bits with a 6-bit shift on an LFE5U-25F of speed grade 6, the registers around it included.

    A first trial of such a unit took 616 cells and reached 72 MHz with two stages.
    """
    placed = hdl.flow.place(dataclasses.replace(REFERENCE, y=Int(16)), seeds=(1,), stages=2)
    assert placed["utilisation"]["TRELLIS_COMB"] < 500
    assert placed["fmax_mhz"] > 95
    deeper = hdl.flow.place(REFERENCE, seeds=(1,), stages=4)
    assert deeper["utilisation"]["TRELLIS_COMB"] < 320
    assert deeper["fmax_mhz"] > 120


@pytest.mark.full
@pytest.mark.parametrize(("rounding", "first"), list(itertools.product(Rounding, [None, *Rounding])))
def test_every_input_of_every_pair_of_modes(rounding, first):
    assert check(dataclasses.replace(SMALL, rounding=rounding, first=first), stages=1)["exhaustive"]


@pytest.mark.full
@pytest.mark.parametrize("stages", [0, 1, 3, 5])
@pytest.mark.parametrize("name", DISTINCT.values())
def test_conventions_in_full(name, stages):
    check(INTEGER[name], vectors=1 << 24, stages=stages)
