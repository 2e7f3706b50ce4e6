"""Sweeps with hardware: figures are those of the flows, time is what the component states."""

import pytest
from command_line import intsim, refuses
from flow_units import Mean

import hdl
from hdl.flow.cost import cost
from hdl.flow.sweep import Hardware, _time
from hdl.nonlinear.rows import RowComponent
from intsim.engine import Engine
from intsim.errors import IntsimError
from intsim.formats import Fixed, Int
from intsim.nonlinear import Shiftmax
from intsim.sweep import Fields, Made, Sweep
from intsim.tables import NLI, Direct


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        (NLI.design("silu", Fixed(8, 4), Fixed(8, 4), intervals=3, bins=2), ("stages", "memory")),
        (Shiftmax(-20, x=Int(8), max_row=8), ("lanes",)),
        (Engine.design(max_row=8), ("lanes",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_options_are_those_of_the_component(unit, names):
    assert set(Hardware().names(unit)) == set(names)


def test_a_unit_without_hardware_is_refused_point_by_point(tmp_path):
    unit = Direct.design("silu", Fixed(4, 1), Fixed(6, 3))
    with pytest.raises(IntsimError, match="has no hardware"):
        Hardware().names(unit)
    results = Sweep(Fields(unit), {"y": ["s6.3"]}, hardware=Hardware()).run(tmp_path)
    assert "Direct has no hardware" in results.points[0].error


@pytest.mark.parametrize("lanes", [1, 4])
def test_time_of_rows_is_that_of_the_longest(lanes):
    component = hdl.create(Shiftmax(-20, x=Int(8), max_row=24), lanes=lanes)
    assert isinstance(component, RowComponent)
    latency, pace, elements = _time(component)
    assert elements == 24
    assert pace == max(24 // lanes, component.pace)
    assert latency == 3 * (24 // lanes - 1) + component.overhead


def test_figures_are_those_of_the_flow(tmp_path):
    results = Sweep(Fields(Mean()), {"a": ["s6", "s9"]}, hardware=Hardware()).run(tmp_path)
    assert results.failed == ()
    assert "error" not in results.points[0].figures  # it approximates nothing
    for point, bits in zip(results.points, (6, 9), strict=True):
        found = cost(Mean(Int(bits)), known_only=True)  # measured by the sweep
        expected = {name: found[name] for name in ("comb", "ff", "dsp", "bram", "nand2", "fmax")}
        expected |= {"latency": 1, "pace": 1}
        expected |= {"delay": round(1000 / found["fmax"], 3), "rate": round(found["fmax"], 3)}
        assert dict(point.figures) == expected
    assert results.points[0].figures["comb"] < results.points[1].figures["comb"]
    assert results.front(["comb"]) == [results.points[0]]


def test_the_command_varies_the_pipeline(tmp_path):
    command = ["sweep", "silu", "--table", "nli", "--set", "x,y=s6.2", "--set", "intervals=3", "--set", "bins=2"]
    command += ["--vary", "stages=2,6", "--workers", "1", "-o", tmp_path]
    got = intsim(*command, "--json")
    assert got.code == 0
    slow, fast = (point["figures"] for point in got.json["points"])
    assert got.json["pareto"] == ["error", "comb"]
    assert (slow["latency"], fast["latency"]) == (2, 6)
    assert slow["error"] == fast["error"]
    assert slow["fmax"] < fast["fmax"]
    unit = NLI.design("silu", Fixed(6, 2), Fixed(6, 2), intervals=3, bins=2)
    assert fast["nand2"] == cost(unit, known_only=True, stages=6)["nand2"]
    text = intsim(*command).out
    assert "error" in text
    assert "fmax" in text
    message = refuses(tmp_path, *command[:-6], "--vary", "stagez=2,6", "-o", tmp_path)
    assert "unknown setting 'stagez'; did you mean 'stages'" in message


@pytest.mark.full
def test_lanes_of_a_softmax(tmp_path):
    """Twice the lanes: half the time and more cells."""
    sweep = Sweep(Made(Shiftmax), {"lanes": [1, 2]}, {"scale": 0.05, "x": "s8", "max_row": 16}, Hardware())
    one, two = (point.figures for point in sweep.run(tmp_path).points)
    assert two["latency"] < one["latency"]
    assert two["pace"] < one["pace"]
    assert two["comb"] > one["comb"]
    assert two["nand2"] > one["nand2"]
    assert one["error"] == two["error"]
