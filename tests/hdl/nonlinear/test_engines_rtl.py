# amaranth: UnusedElaboratable=no
"""A table unit on every lane of a row unit: the words that its engines give, in the cycles stated, under any pause."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from unittest import mock

import numpy as np
import pytest
from amaranth.hdl import unsigned
from operator_units import ROWS
from row_inputs import compare, lengths, random_rows, shaped_rows

import hdl
from hdl.flow.emission import rtl
from hdl.nonlinear import qans
from hdl.nonlinear.rows import RowFlow
from hdl.registry import create
from intsim import catalogue
from intsim.errors import IntsimError
from intsim.formats import Fixed, Int
from intsim.nonlinear import QANSSoftmax
from intsim.schemes import fq_petr, nli
from intsim.tables import DULUT, Direct, NormalReciprocal

TABLE = NormalReciprocal.design(Int(22, False))
SHORT = DULUT.design(lambda v: np.exp(4.0 * v), Fixed(9, 8), Fixed(17, 15), n2=64, domain=(-1.0, 0.0))
UNITS = {
    "dulut": ROWS["qans_dulut"],
    "nli": ROWS["qans_nli"],
    "short_range": QANSSoftmax.design(2.0**-4, 4, exp=SHORT, reciprocal=TABLE, max_row=64, x=Int(9)),
    "direct": ROWS["qans_divider"],
}
FAST = {("short_range", 1), ("dulut", 2), ("dulut", 4), ("nli", 2), ("direct", 4)}
CASES = [
    pytest.param(name, lanes, marks=() if (name, lanes) in FAST else pytest.mark.full)
    for name in UNITS
    for lanes in (1, 2, 4)
]


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_every_number_of_lanes(name, lanes):
    unit = UNITS[name]
    result = hdl.flow.verify(unit, vectors=10_000, lanes=lanes)
    assert result["inputs"] == result["equal"] > 5_000, result["smallest"]


def test_what_is_beyond_the_range_still_counts():
    """Of the units above, with signed codes and with unsigned ones: the last word is not that before it, nor 0."""
    for unit in (UNITS["short_range"], ROWS["qans_uniform"]):
        assert unit.words[-2] > unit.words[-1] > 0


@pytest.mark.parametrize(("name", "lanes"), CASES)
def test_cycles_of_rows_of_every_length(name, lanes):
    unit = UNITS[name]
    device, part = hdl.flow.model(unit, lanes=lanes), hdl.create(unit, lanes=lanes)
    rng = np.random.default_rng(3)
    for n in lengths(unit):
        rows = random_rows(unit, n, 40, rng)
        device(*(column[:1] for column in rows))
        assert device.last_run.cycles - 1 == part.cycles(n)
        device(*rows)
        assert device.last_run.cycles - 1 <= part.cycles(n) + 39 * part.sustained(n)


def test_time_is_that_of_the_engine_and_of_the_divider():
    """Behind the quantiser a ROM takes two cycles and the engines of two tables sixteen; a divider of 17 bits ten."""
    table, divided = hdl.create(ROWS["qans"]), hdl.create(ROWS["qans_dulut"])
    look_up = create(catalogue.get("dulut_exp20")).latency
    assert look_up == 16
    assert divided.overhead - table.overhead == (look_up - 2) + (3 + 10 - 6)
    assert (table.pace, divided.pace) == (2, 11)


@pytest.mark.parametrize("pause", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["dulut", pytest.param("nli", marks=pytest.mark.full)])
def test_pauses(name, pause):
    unit = UNITS[name]
    device = hdl.flow.model(unit, lanes=2)
    rng = np.random.default_rng(4)
    for n in (1, 3, 16, 64):
        compare(unit, device, shaped_rows(unit, n), stalls=pause)
        compare(unit, device, random_rows(unit, n, 30, rng), stalls=pause)


@pytest.mark.parametrize("depths", [(1, 9), (9, 2)])
def test_engines_of_different_depth_keep_the_order(monkeypatch, depths):
    """What no unit does: a lane that is later than the other, and than the queue beside them was made for."""
    stages = cycle(depths)
    monkeypatch.setattr(qans, "create", lambda unit: create(unit, stages=next(stages)))
    unit = QANSSoftmax.design(2.0**-5, 16, exp=catalogue.get("uniform_exp"), max_row=64, x=Int(10), masked=True)
    device = hdl.flow.model(unit, lanes=2)
    rng = np.random.default_rng(5)
    for n in (1, 2, 5, 64):
        for pause in (0.0, 0.4):
            compare(unit, device, random_rows(unit, n, 60, rng), stalls=pause)


def test_a_word_of_the_engine_that_changes_shows_in_a_result():
    """The corners of the softmax tell an exponential from every other that differs in one word."""
    unit = ROWS["qans_nli"]
    corners = unit.corners()
    expected = unit(*corners)
    table = unit.exp.table
    for place in range(0, len(table), 5):
        for change in (-1, 1):
            words = (*table[:place], table[place] + change, *table[place + 1 :])
            if unit.exp.y.lo <= words[place] <= unit.exp.y.hi:
                other = replace(unit, exp=replace(unit.exp, table=words))
                assert (other(*corners) != expected).any(), (place, change)


@pytest.mark.parametrize("scheme", [fq_petr, nli], ids=lambda scheme: scheme.name)
def test_the_schemes_have_a_softmax_in_hardware(scheme):
    """Engines of the paper's own table, by name in the Verilog, and a divider."""
    unit = scheme.softmax.design(0.003, x=Int(16), max_row=128, masked=True)
    text = rtl(unit, lanes=2).verilog()
    for name in ("exp_engine0", "exp_engine1", "exp_beside", "sum_normaldivider1"):
        assert name in text
    assert "exp_table" not in text
    assert "exp_table0" in rtl(ROWS["qans_divider"]).verilog()
    assert isinstance(ROWS["qans_divider"].exp, Direct)


def test_an_engine_that_takes_several_cycles_is_refused():
    slow = hdl.create(NormalReciprocal(Int(8, signed=False)))
    assert slow.interval > 1
    with pytest.raises(IntsimError, match="a row needs one per cycle"):
        RowFlow(mock.Mock(), lanes=1, max_row=4).engines("slow", mock.Mock(), [slow], "q", "e", unsigned(4))
