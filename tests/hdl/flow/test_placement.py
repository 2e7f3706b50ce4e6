"""Clock rate between registers."""

import statistics

import pytest
from flow_units import Mean

from hdl import flow
from hdl.flow.placement import pack
from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed, Int
from intsim.tables import NLI


@pytest.fixture(scope="module")
def placed():
    return flow.place(Mean(Int(12), Int(11, signed=False)), seeds=(1, 2, 3))


def test_median_of_the_seeds(placed):
    rates = placed["fmax_by_seed"]
    assert list(rates) == ["1", "2", "3"]
    assert placed["fmax_mhz"] == statistics.median(rates.values())


def test_critical_path_adds_up_to_the_period(placed):
    period = sum(step["delay_ns"] for step in placed["critical_path"])
    assert any(1000 / rate == pytest.approx(period, rel=0.01) for rate in placed["fmax_by_seed"].values())
    assert placed["critical_path"][0]["type"] == "clk-to-q"
    assert placed["critical_path"][-1]["type"] == "setup"


def test_the_harness_is_registers_only_and_counted(placed):
    """Inputs 32 + valid + ready + reset, outputs 16 + valid + ready; they cost no logic."""
    assert placed["harness_ff"] == 32 + 3 + 16 + 2
    # sign-extension copies of one register are merged: never more than both together
    own = placed["summary"]["ff"]
    assert own < placed["utilisation"]["TRELLIS_FF"] <= own + placed["harness_ff"]
    assert placed["utilisation"]["MULT18X18D"] == placed["utilisation"]["DP16KD"] == 0


def test_bad_requests():
    with pytest.raises(UnknownName, match="did you mean 'LFE5U-25F'"):
        flow.place(Mean(), device="LFE5U-25")
    with pytest.raises(IntsimError, match="speed grade 5 does not exist"):
        flow.place(Mean(), speed=5)
    with pytest.raises(IntsimError, match="no seeds"):
        flow.place(Mean(), seeds=())


def test_packing_counts_what_placing_counts(placed):
    packed = pack(Mean(Int(12), Int(11, signed=False)))
    assert packed == {name: placed[name] for name in ("utilisation", "harness_ff")}
    with pytest.raises(UnknownName, match="LFE5U-25F"):
        pack(Mean(Int(12), Int(11, signed=False)), device="ice40")


@pytest.mark.full
def test_the_16_bit_silu_engine_reaches_130_mhz():
    """10 intervals of 32 bins on LFE5U-25F, speed grade 6: at most 600 TRELLIS_COMB, 2 multipliers, 1 block RAM."""
    unit = NLI.design("silu", x=Fixed(16, 12), y=Fixed(16, 12), intervals=10, bins=32, solver="equal")
    result = flow.place(unit)
    assert result["fmax_mhz"] >= 130
    assert result["utilisation"]["TRELLIS_COMB"] <= 600
    assert result["utilisation"]["MULT18X18D"] <= 2
    assert result["utilisation"]["DP16KD"] <= 1
