"""Cycles of a network's rows; what is placed is tested with :func:`hdl.flow.cost.cost`."""

import pytest

import hdl
from hdl.flow import network_cost
from intsim.nonlinear import Shiftmax

PLACED = {"comb": 1, "ff": 2, "dsp": 3, "bram": 4, "fmax": 100.0, "nand2": 5.0, "critical": [], "memories": 0}


@pytest.fixture(autouse=True)
def placed(monkeypatch):
    monkeypatch.setattr(network_cost, "cost", lambda *_, **__: PLACED)


def test_a_row_of_the_unit():
    unit = Shiftmax(-11, max_row=64)
    part = hdl.create(unit)
    found = network_cost.unit_cost(unit, 40)
    assert (found["first"], found["sustained"], found["row"]) == (part.cycles(40), part.sustained(40), 40)
    assert found["fmax"] == 100.0


def test_many_rows_where_the_unit_holds_two_elements():
    unit = Shiftmax(-11, max_row=2)
    part = hdl.create(unit)
    found = network_cost.unit_cost(unit, 2 * 30)
    assert found["sustained"] == 30 * part.sustained(2)
    assert found["first"] == part.cycles(2) + 29 * part.sustained(2)
