"""The NLI engine computes what the golden model says: every input, depth, memory, layout and rounding."""

import re

import numpy as np
import pytest
from cones import cone
from table_units import assert_equal, random_nli, simulate

import hdl
import hdl.flow
from hdl.tables.nli import CUTS, share_shifts
from intsim import Fixed, IntsimError
from intsim.rounding import Rounding
from intsim.tables import NLI

SMALL = random_nli(1, Fixed(8, 4), Fixed(8, 5), intervals=10, bins=5)
WORDS16 = random_nli(2, Fixed(16, 12), Fixed(16, 12), intervals=10, bins=32, t_bits=12, mantissa_bits=17)


@pytest.mark.parametrize("simulator", ["cxxrtl", "verilator"])
def test_every_input_of_a_16_bit_unit(simulator):
    result = hdl.flow.verify(WORDS16, simulator)
    assert result["exhaustive"]
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.parametrize("memory", ["logic", "registers"])
def test_every_input_of_a_16_bit_unit_from_other_memories(memory):
    unit = random_nli(3, Fixed(16, 8), Fixed(16, 10, signed=False), intervals=4, bins=11, t_bits=14, mantissa_bits=15)
    result = hdl.flow.verify(unit, memory=memory)
    assert result["inputs"] == result["equal"] == 1 << 16, result["first"][:3]


@pytest.mark.parametrize("memory", ["block", "logic", "registers"])
@pytest.mark.parametrize("stages", range(1, len(CUTS) + 1))
def test_every_depth_has_the_latency_it_states(stages, memory):
    codes = SMALL.x.codes()
    got, latency = simulate(SMALL, codes, stages=stages, memory=memory)
    assert_equal(SMALL, codes, got)
    assert latency == stages


@pytest.mark.parametrize("stages", [1, 4, 12])
def test_stalls_and_gaps_change_nothing(stages):
    codes = SMALL.x.codes()
    got, _ = simulate(SMALL, codes, stall=0.5, gap=0.4, stages=stages)
    assert_equal(SMALL, codes, got)


@pytest.mark.parametrize("rounding", list(Rounding), ids=str)
@pytest.mark.parametrize("intervals", [1, 2, 3, 10])
def test_roundings_and_layouts(rounding, intervals):
    unit = random_nli(4, Fixed(8, 4), Fixed(9, 5), intervals, bins=3, rounding=rounding)
    codes = unit.x.codes()
    got, _ = simulate(unit, codes)
    assert_equal(unit, codes, got)


@pytest.mark.parametrize("x_signed", [False, True])
@pytest.mark.parametrize("y_signed", [False, True])
@pytest.mark.parametrize("reach", ["full", "inside"])
@pytest.mark.parametrize("bins", [1, 7])
def test_formats_and_reach(x_signed, y_signed, reach, bins):
    unit = random_nli(5, Fixed(8, 4, x_signed), Fixed(6, 2, y_signed), intervals=5, bins=bins, reach=reach)
    codes = unit.x.codes()
    got, _ = simulate(unit, codes)
    assert_equal(unit, codes, got)


@pytest.mark.parametrize(("t_bits", "mantissa_bits"), [(1, 11), (3, 25), (20, 22)])
def test_narrow_and_wide_scales(t_bits, mantissa_bits):
    unit = random_nli(6, Fixed(9, 4), Fixed(8, 2), intervals=6, bins=4, t_bits=t_bits, mantissa_bits=mantissa_bits)
    codes = unit.x.codes()
    got, _ = simulate(unit, codes)
    assert_equal(unit, codes, got)


def test_the_16_bit_engine_uses_two_multipliers_and_one_block_ram():
    cells = hdl.flow.synth(WORDS16, "ecp5")["cells"]
    assert cells["DP16KD"] == 1
    assert cells["MULT18X18D"] == 2
    assert hdl.flow.synth(WORDS16, "ecp5", memory="logic")["cells"].get("DP16KD", 0) == 0


def test_registers_hold_the_table_in_flip_flops():
    with_registers = hdl.flow.synth(SMALL, "ecp5", memory="registers")["cells"]
    without = hdl.flow.synth(SMALL, "ecp5", memory="logic")["cells"]
    assert with_registers["TRELLIS_FF"] - without["TRELLIS_FF"] >= len(SMALL.table) * SMALL.y.bits


def test_the_golden_models_names_are_in_the_verilog():
    text = hdl.flow.rtl(WORDS16).verilog()
    for name in ("index", "dx", "position", "t", "address", "left", "step"):
        assert re.search(rf"\bs\d+_{name};", text), name


@pytest.mark.parametrize(("stages", "memory"), [(1, "block"), (1, "registers"), (12, "block")])
def test_no_output_depends_combinationally_on_any_input(stages, memory):
    for wire in ("i__ready", "o__valid", "o__payload"):
        assert cone(hdl.create(SMALL, stages=stages, memory=memory), wire) == set()


@pytest.mark.parametrize("stages", [0, len(CUTS) + 1, True, 2.5])
def test_impossible_depths_are_refused(stages):
    with pytest.raises(IntsimError, match=rf"1 to {len(CUTS)}"):
        hdl.create(SMALL, stages=stages)


def test_unknown_memories_are_refused_and_the_nearest_is_offered():
    with pytest.raises(IntsimError, match="'block'"):
        hdl.create(SMALL, memory="blok")


@pytest.mark.parametrize("bits", [9, 12, 18])
def test_shared_shifts_are_fewer_and_change_nothing(bits):
    rng = np.random.default_rng(bits)
    mantissas = (rng.integers(1, 512, size=10) | 1).tolist()
    shifts = rng.integers(0, 12, size=10).tolist()
    moved, shared = share_shifts(mantissas, shifts, bits)
    assert max(m.bit_length() for m in moved) <= max(bits, 9)
    assert len(set(shared)) <= len(set(shifts))
    for m, s, m2, s2 in zip(mantissas, shifts, moved, shared, strict=True):
        for dx in (0, 1, 2, 3, 255, 1000, 65535):
            assert dx * m >> s == dx * m2 >> s2


def test_one_shift_is_enough_where_the_mantissas_have_room():
    _, shared = share_shifts((3, 5, 7), (0, 4, 2), bits=18)
    assert len(set(shared)) == 1


@pytest.mark.full
def test_the_16_bit_silu_engine_reaches_130_mhz_on_ecp5():
    unit = NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), intervals=10, bins=32)
    placed = hdl.flow.place(unit, device="LFE5U-25F", speed=6, seeds=(1, 2, 3, 4, 5))
    used = placed["utilisation"]
    assert placed["fmax_mhz"] >= 130
    assert used["TRELLIS_COMB"] <= 600
    assert (used["MULT18X18D"], used["DP16KD"]) == (2, 1)
