"""Settings, recipes, points: what is made, once each, and what is refused."""

import json

import numpy as np
import pytest
from sweep_parts import Counted, stubborn, table

from intsim import Fixed, Int, load, measure
from intsim.errors import IntsimError, UnknownName
from intsim.nonlinear import ISqrt, Shiftmax
from intsim.rounding import TIES_TO_EVEN
from intsim.sweep import Fields, Made, Results, Sweep, TableOf, read, read_list
from intsim.tables import DULUT, NLI, Uniform

S8 = Fixed(8, 4)


# Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("-3", -3),
        ("0.001", 0.001),
        ("1e-4", 1e-4),
        ("yes", True),
        ("none", None),
        ("s16.12", Fixed(16, 12)),
        ("TIES_TO_EVEN", TIES_TO_EVEN),
        ("(-8, 8)", (-8, 8)),
        ("block", "block"),
        ("mean_absolute", "mean_absolute"),
    ],
)
def test_values_from_text(text, value):
    assert read(text) == value
    assert type(read(text)) is type(value)


def test_lists_from_text():
    assert read_list("8,16, 32") == (8, 16, 32)
    assert read_list("2..5") == (2, 3, 4, 5)
    assert read_list("1,4..16..4") == (1, 4, 8, 12, 16)
    assert read_list("-2..1") == (-2, -1, 0, 1)
    assert read_list("(-8, 8),(0, 8)") == ((-8, 8), (0, 8))
    assert read_list("s8.4,f16")[0] == S8
    for bad in ("1,,2", "5..2", "1..9..0"):
        with pytest.raises(IntsimError, match="write"):
            read_list(bad)


# What is made ---------------------------------------------------------------------------------------------------


def test_tables_are_those_of_design_and_errors_those_of_measure(tmp_path):
    sweep = Sweep(TableOf("silu"), {("x", "y"): ["s8.4", Fixed(9, 5)], "bins": [2, 4]}, {"intervals": 4})
    results = sweep.run(tmp_path)
    assert results.varied == ("x", "y", "bins")
    assert [dict(p.settings) for p in results.points] == [
        {"intervals": 4, "x": text, "y": text, "bins": bins} for text in ("s8.4", "s9.5") for bins in (2, 4)
    ]
    for point in results.points:
        fmt = S8 if point.settings["x"] == "s8.4" else Fixed(9, 5)
        unit = NLI.design("silu", fmt, fmt, intervals=4, bins=point.settings["bins"])
        assert load(tmp_path / point.file) == unit
        assert point.sha256 == unit.sha256
        found = measure.error(unit)
        assert point.figures["error"] == found.mean
        assert point.figures["max_lsb"] == found.max_lsb
        assert point.figures["words"] == len(unit.table)
    assert Results.load(tmp_path) == results


def test_kinds_of_table_side_by_side(tmp_path):
    """A setting of one kind makes no further points of another."""
    vary = {"table": ["nli", "uniform", "dulut"], "bins": [2, 4], "segments": [8, 16, 32]}
    sweep = Sweep(TableOf("tanh"), vary, {"x": S8, "y": S8, "intervals": 3, "saturate": True})
    assert len(sweep) == 2 + 3 + 1
    results = sweep.run(tmp_path)
    kinds = [type(load(tmp_path / point.file)) for point in results.points]
    assert kinds == [NLI, NLI, Uniform, Uniform, Uniform, DULUT]
    plan = load(tmp_path / results.points[-1].file)
    assert results.points[-1].figures["words"] == len(plan.mapper.table) + len(plan.values.table)


def test_a_function_of_ones_own_is_compared_with_itself(tmp_path):
    def bump(x):
        return np.exp(-x * x)

    results = Sweep(TableOf(bump), {"bins": [2, 8]}, {"x": "s8.5", "y": "s8.6", "intervals": 4}).run(tmp_path)
    for point in results.points:
        unit = load(tmp_path / point.file)
        x = np.arange(-128, 128)
        off = np.abs(unit.y.decode(unit(x)) - np.clip(bump(x / 32), -2, 127 / 64))
        assert point.figures["error"] == off.mean()
        assert point.figures["max_error"] == off.max()
    few, many = results.points
    assert many.figures["error"] < few.figures["error"]


def test_fields_of_an_operator(tmp_path):
    unit = Shiftmax(-20, x=Fixed(8, 0), max_row=16)
    results = Sweep(Fields(unit), {"out_bits": [8, 12]}).run(tmp_path)
    for point, bits in zip(results.points, (8, 12), strict=True):
        assert load(tmp_path / point.file) == Shiftmax(-20, x=Fixed(8, 0), max_row=16, out_bits=bits)
    assert results.points[0].figures["error"] > results.points[1].figures["error"]
    # a setting is an axis as well: here both points are worth having
    assert results.front(["out_bits", "error"]) == list(results.points)
    assert results.front(["error"]) == [results.points[1]]


def test_a_class_and_a_function_that_make_units(tmp_path):
    settings = {"fn": "silu", "x": S8, "y": S8, "intervals": 3}
    by_class = Sweep(Made(NLI), {"bins": [2, 4]}, settings).run(tmp_path / "class")
    assert [load(tmp_path / "class" / p.file) for p in by_class.points] == [
        NLI.design("silu", S8, S8, intervals=3, bins=bins) for bins in (2, 4)
    ]
    # `design` passes fields on, such as the port and the longest row
    designed = Sweep(Made(Shiftmax), {"out_bits": [8, 12]}, {"scale": 0.05, "x": "s8", "max_row": 4})
    points = designed.run(tmp_path / "passed").points
    assert [load(tmp_path / "passed" / p.file) for p in points] == [
        Shiftmax.design(0.05, x=Int(8), max_row=4, out_bits=bits) for bits in (8, 12)
    ]
    constructed = Sweep(Made(ISqrt), {"x": ["u8", "u10"]}).run(tmp_path / "constructed")
    assert [load(tmp_path / "constructed" / p.file).x.bits for p in constructed.points] == [8, 10]
    results = Sweep(Made(table), {"intervals": [3, 4]}, {"bins": 2}).run(tmp_path / "function")
    assert load(tmp_path / "function" / results.points[1].file) == table(4, 2)


# What is refused ------------------------------------------------------------------------------------------------


def test_unknown_names(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown setting .* 'binz'; did you mean 'bins'"):
        Sweep(Made(table), {"binz": [2]}, {"intervals": 3}).run(tmp_path / "a")
    with pytest.raises(UnknownName, match="'segments'"):  # of another kind of table
        Sweep(TableOf("silu"), {"segments": [8]}, {"x": S8, "y": S8}).run(tmp_path / "b")
    with pytest.raises(UnknownName, match=r"'stages'.*known"):
        Sweep(Made(table), {"stages": [2]}, {"intervals": 3, "bins": 2}).run(tmp_path / "c")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UnknownName, match="unknown setting 'stagez'; did you mean 'stages'"):
        Sweep(Made(table), {"stagez": [2]}, {"intervals": 3, "bins": 2}, Counted()).run(tmp_path / "d")
    with pytest.raises(UnknownName, match="unknown table 'nly'"):
        Sweep(TableOf("silu"), {"table": ["nly"]}).run(tmp_path / "e")


def test_nothing_to_vary_and_names_given_twice():
    with pytest.raises(IntsimError, match="nothing to vary"):
        Sweep(Made(table), {})
    with pytest.raises(IntsimError, match="bins has no values"):
        Sweep(Made(table), {"bins": []})
    with pytest.raises(IntsimError, match="bins is given twice"):
        Sweep(Made(table), {"bins": [2]}, {"bins": 3})


def test_unknown_figures_of_a_front(tmp_path):
    results = Sweep(Made(table), {"bins": [2, 4]}, {"intervals": 3}).run(tmp_path)
    with pytest.raises(UnknownName, match="unknown figure 'wordz'; did you mean 'words'"):
        results.front(["error", "wordz"])
    assert [p.figures["words"] for p in results.front(["words"])] == [5]


# Failures -------------------------------------------------------------------------------------------------------


def test_a_point_that_fails_is_a_result(tmp_path):
    vary = {"intervals": [4, 6], "bins": [2, 5], "stages": [3, 13, 14]}
    results = Sweep(Made(table), vary, hardware=Counted()).run(tmp_path)
    assert len(results.points) == 12
    by_settings = {tuple(p.settings.values()): p for p in results.points}
    for (intervals, bins, stages), point in by_settings.items():
        if (intervals, bins) == (6, 5):
            assert point.error == "no such table"
        elif stages == 13:
            assert point.error == "13 stages bring bad luck; use 12"
        elif stages == 14:
            assert point.error == "ZeroDivisionError: a defect"
        else:
            assert point.error is None
            assert point.figures["comb"] == (intervals - 2) * bins + 3 + 30
    assert len(results.failed) == 3 + 2 * 3
    body = json.loads((tmp_path / "sweep.json").read_text())
    assert sum("error" in point for point in body["points"]) == 9
    assert results.front(["error", "comb"])


def test_failed_points_are_tried_again_when_asked(tmp_path):
    sweep = Sweep(Made(stubborn), {"bins": [2, 4]}, {"marker": str(tmp_path / "disk")})
    assert [p.error for p in sweep.run(tmp_path / "sweep").points] == [None, "OSError: the disk is away"]
    (tmp_path / "disk").touch()
    assert sweep.run(tmp_path / "sweep").failed != ()  # what is recorded stays
    assert sweep.run(tmp_path / "sweep", retry=True).failed == ()
    assert sweep.run(tmp_path / "sweep").failed == ()


def test_settings_that_a_design_does_not_take(tmp_path):
    results = Sweep(TableOf("silu"), {"bins": [2, "many"]}, {"x": S8, "y": S8, "intervals": 3}).run(tmp_path)
    assert results.points[0].error is None
    assert "got 3 and 'many'" in results.points[1].error
    (point,) = Sweep(Made(table), {"saturate": [True]}, {"intervals": 3, "bins": "two"}).run(tmp_path / "a").points
    assert "'two'" in point.error
    assert "needs the format of y" in Sweep(TableOf("silu"), {"x": [S8]}).run(tmp_path / "b").points[0].error
