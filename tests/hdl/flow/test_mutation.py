"""Planted faults: real ones are killed, harmless ones shown harmless, and a weak verification is found out."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from command_line import intsim
from flow_units import FromFirst, Mean

from hdl.flow.emission import rtl
from hdl.flow.mutation import campaign, mutate
from hdl.flow.mutation.cone import Cones
from hdl.flow.mutation.equivalence import SideBySide
from hdl.flow.mutation.faults import KINDS, bit_faults, word_faults
from hdl.flow.mutation.netlist import Netlist, constant_bits, prepare, to_verilog
from hdl.flow.mutation.trial import Planted, Trial
from hdl.flow.stimulus import Stimulus
from intsim import Fixed, Int, IntsimError, catalogue
from intsim.nonlinear.norm import L1Norm
from intsim.nonlinear.softmax import Shiftmax
from intsim.tables import Uniform


@dataclasses.dataclass(frozen=True)
class Weak(Stimulus):
    """Four inputs, all alike, that claim to be all there are."""

    @property
    def exhaustive(self) -> bool:
        return False

    def corners(self):
        return iter(())

    def batches(self):
        yield tuple(np.zeros(4, dtype=fmt.dtype) for fmt in self.formats)


def table(seed: int = 0) -> Uniform:
    """Sixteen random segments, eight bits in and out."""
    rng = np.random.default_rng(seed)
    words = rng.integers(-128, 127, size=17, endpoint=True)
    return Uniform(x=Fixed(8, 4), y=Fixed(8, 4), first=-128, step_bits=4, table=tuple(words.tolist()))


@pytest.fixture(scope="module")
def of_table():
    return mutate(table(), mutants=30)


def test_every_fault_of_a_small_table_is_accounted_for(of_table):
    verdicts = ("killed", "equivalent", "missed", "unexplained")
    for counts in (of_table, *of_table["kinds"].values()):
        assert sum(counts[verdict] for verdict in verdicts) == counts["mutants"]
    assert list(of_table["kinds"]) == list(KINDS)
    assert len(of_table["survivors"]) == of_table["mutants"] - of_table["killed"]
    assert of_table["share"] == round(of_table["killed"] / (of_table["mutants"] - of_table["equivalent"]), 4)
    assert of_table["share"] >= 0.95
    assert of_table["exhaustive"]
    assert of_table["inputs"] == 256


@pytest.mark.parametrize(
    ("kind", "least"), [("bit", 20), ("word", 4), ("rounding", 2), ("enable", 4), ("reset", 4), ("handshake", 4)]
)
def test_real_faults_of_each_kind_are_killed(of_table, kind, least):
    counts = of_table["kinds"][kind]
    assert counts["mutants"] >= least
    assert counts["killed"] >= 0.8 * counts["mutants"]


def planted(unit, plant):
    """A design with faults 1, 2, ... planted by the functions given, its simulation and its Verilog."""
    design = rtl(unit)
    netlist, _ = prepare(design, 1, 1)
    for number, one in enumerate(plant, 1):
        one(netlist, number)
    verilog = to_verilog(netlist, [])
    return Planted(design, verilog, "verilator", 1000), verilog, design.top


def cell_that_gives(netlist: Netlist, name: str):
    return next(c for c in netlist.cells.values() if netlist.called(c["connections"].get("Y", [])).startswith(name))


def twice_inverted(netlist: Netlist, number: int) -> None:
    """The handshake through two inverters: another netlist, the same function."""
    bits = netlist.ports["m_axis_tvalid"]["bits"]
    once = netlist.add("$not", {"A": bits}, 1, A_SIGNED=0)
    netlist.connect("m_axis_tvalid", netlist.choose(number, bits, netlist.add("$not", {"A": once}, 1, A_SIGNED=0)))


def one_word_of_data(netlist: Netlist, number: int) -> None:
    """A wrong answer where the right one is -1, and only there."""
    bits = netlist.ports["m_axis_tdata"]["bits"]
    here = netlist.equals(bits[:8], 255)
    netlist.connect("m_axis_tdata", netlist.choose(number, bits, netlist.mux(here, bits, constant_bits(1, len(bits)))))


def only_while_waiting(netlist: Netlist, number: int) -> None:
    """The payload is wrong while nothing is valid: nobody may look at it then."""
    bits = netlist.ports["m_axis_tdata"]["bits"]
    (valid,) = netlist.ports["m_axis_tvalid"]["bits"]
    nonsense = netlist.mux(valid, constant_bits(0x5A, len(bits)), bits)
    netlist.connect("m_axis_tdata", netlist.choose(number, bits, nonsense))


def test_an_equivalent_fault_is_shown_equivalent_and_a_real_one_is_killed():
    unit = Mean()
    device, verilog, top = planted(unit, [twice_inverted, one_word_of_data, only_while_waiting])
    trial, pair = Trial(unit, Stimulus(unit)), SideBySide(verilog, top)
    noticed = []
    for number in range(4):
        device.select(number)
        noticed.append(trial.notices(device) is not None)
    assert noticed == [False, False, True, False]
    assert [pair.same(number) for number in range(1, 4)] == [True, False, True]


def test_an_equivalent_fault_in_data_needs_every_input():
    """Of the table's words some are never reached: that is decided by inputs, and only by all of them."""
    words = (*table().table[:8], *([5] * 9))
    unit = dataclasses.replace(table(), table=words)
    found = mutate(unit, mutants=20, seed=3)
    equivalent = [s for s in found["survivors"] if s["verdict"] == "equivalent"]
    assert equivalent
    assert all("every one of 256 inputs" in s["shown_by"] or "SMT" in s["shown_by"] for s in equivalent)
    weak = mutate(unit, mutants=20, seed=3, stimulus=Weak(unit))
    assert weak["killed"] < found["killed"]
    assert weak["equivalent"] <= found["equivalent"]  # nothing that is killed above is excused below


def test_a_weak_verification_leaves_faults_missed(of_table):
    weak = mutate(table(), mutants=30, stimulus=Weak(table()))
    assert weak["share"] < 0.6 < 0.95 <= of_table["share"]
    assert weak["missed"] >= weak["mutants"] // 5
    assert all(s["shown_by"] for s in weak["survivors"])


def test_the_command_fails_below_the_share(tmp_path, monkeypatch):
    path = tmp_path / "unit.json"
    path.write_text(table().to_json())
    good = intsim("mutate", path, "--mutants", 10, "--json", "-o", tmp_path)
    assert good.code == 0
    assert json.loads((tmp_path / "uniform-mutation.json").read_text())["killed"] == good.json["killed"]
    monkeypatch.setattr(campaign, "Stimulus", Weak)
    weak = intsim("mutate", path, "--mutants", 3)
    assert weak.code == 1
    assert "is noticed" in weak.out
    assert intsim("mutate", path, "--mutants", 3, "--at-least", 0).code == 0
    for wrong in (("--at-least", 101), ("--mutants", 0)):
        refused = intsim("mutate", path, *wrong)
        assert refused.code == 2
        assert "error:" in refused.err


def test_a_design_that_fails_without_a_fault_is_refused(monkeypatch):
    monkeypatch.setattr(Trial, "notices", lambda self, device: "3 of 9 wrong")
    with pytest.raises(IntsimError, match=r"fails without any fault \(3 of 9 wrong\)"):
        mutate(Mean(), mutants=5)


def test_faults_of_data_alone_touch_neither_control_nor_memory():
    netlist, commands = prepare(rtl(table()), 60, 1)
    cones = Cones(netlist)
    for fault in [*word_faults(netlist, 20, 1), *bit_faults(netlist, commands)]:
        if fault.kind in ("enable", "reset", "handshake") or "valid" in fault.text or "tready" in fault.text:
            assert not cones.only_data(fault), fault.text
        if fault.kind == "word":
            assert cones.only_data(fault), fault.text


def test_a_row_unit_keeps_nothing_of_a_row_cut_off():
    """Enables, resets and ``last`` of a unit with state from element to element."""
    found = mutate(FromFirst(), mutants=30)
    reset = found["kinds"]["reset"]
    assert (reset["killed"], reset["killed"] + reset["equivalent"]) == (2, 4)
    assert found["kinds"]["handshake"]["killed"] >= 5
    assert found["share"] >= 0.95, found["survivors"]


def test_a_reset_finds_what_waits_in_whichever_cycle_it_waits():
    """A row's sum is finished for one cycle only; a word waits in front of the sum only while the receiver sleeps."""
    unit = L1Norm(max_row=8, x=Int(8))
    netlist, _ = prepare(rtl(unit), 1, 1)
    resets = {fault.text: fault for fault in word_faults(netlist, 200, 1) if fault.kind == "reset"}
    wanted = [resets[f"register unit_{name} without reset"] for name in ("mean_fold_full", "total_fold_stalled")]
    device, _, _ = planted(unit, [fault.plant for fault in wanted])
    trial = Trial(unit, Stimulus(unit, vectors=1 << 12))
    for number in (0, 1, 2):
        device.select(number)
        noticed = trial.notices(device)
        assert "after a reset in mid-stream" in noticed if number else noticed is None


def test_a_payload_without_reset_and_a_bit_of_ones_are_shown_to_change_nothing():
    """What nobody reads before it is written anew; what a pipeline has been filled with before anything is valid."""
    unit = Shiftmax(-20, max_row=8, x=Int(8))
    netlist, _ = prepare(rtl(unit), 1, 1)
    faults = {fault.text: fault for fault in word_faults(netlist, 500, 1)}
    harmless = [
        faults["register unit_sum_fold_o__payload[0] without reset"],
        faults["register unit_exp_s6_counts_0 always enabled"],
    ]
    real = faults["register unit_exp_s6_valid always enabled"]
    for number, fault in enumerate([*harmless, real], 1):
        fault.plant(netlist, number)
    pair = SideBySide(to_verilog(netlist, []), netlist.top, timeout=60.0)
    assert [pair.same(number) for number in range(1, 4)] == [True, True, False]


def test_the_same_seed_plants_the_same_faults():
    netlist, commands = prepare(rtl(table()), 20, 7)
    again, same = prepare(rtl(table()), 20, 7)
    assert commands == same != prepare(rtl(table()), 20, 8)[1]
    assert [f.text for f in word_faults(netlist, 5, 7)] == [f.text for f in word_faults(again, 5, 7)]


@pytest.mark.full
@pytest.mark.parametrize("name", ["nli_silu", "dulut_gelu", "exponent_exp_f16", "range_reduced_rsqrt_f16"])
def test_units_of_the_catalogue(name):
    found = mutate(catalogue.get(name), mutants=60)
    assert found["share"] >= 0.95, [s for s in found["survivors"] if s["verdict"] != "equivalent"]
    assert not found["missed"]
