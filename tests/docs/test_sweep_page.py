"""The page of the SiLU sweep: its points are what the command gives, and the page is what is made of them."""

import re
import shlex
from itertools import pairwise, product
from pathlib import Path

import pytest

from intsim.cli.recipes import recipe_of
from intsim.sweep import Results, Sweep, read
from intsim.sweep.page import AXES, command, page, to_json
from intsim.sweep.pareto import LARGER_IS_BETTER

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAME = "sweep-silu"


@pytest.fixture(scope="module")
def results():
    return Results.load(DOCS / "reference" / f"{NAME}.json")


def test_the_page_is_made_of_the_points(results):
    assert (DOCS / "reference" / f"{NAME}.md").read_text() == page(results, NAME)
    assert (DOCS / "reference" / f"{NAME}.json").read_text() == to_json(results)
    title = f"<!-- silu: {len(results.points)} points, {len(results.front(AXES))} on the front -->"
    assert title in (DOCS / "pictures" / f"{NAME}.svg").read_text()


def test_at_least_a_hundred_points_with_hardware(results):
    assert len(results.points) >= 100
    assert results.failed == ()
    for point in results.points:
        assert {"error", "comb", "nand2", "fmax", "latency"} <= set(point.figures)
        assert point.figures["latency"] == point.settings["stages"]
    # every combination of the values that occur, once
    axes = [list(dict.fromkeys(p.settings[name] for p in results.points)) for name in results.varied if name != "y"]
    chosen = [tuple(p.settings[name] for name in results.varied if name != "y") for p in results.points]
    assert chosen == list(product(*axes))


def test_the_front_is_what_no_point_beats(results):
    def sign(axis):
        return -1 if axis in LARGER_IS_BETTER else 1

    values = [[sign(axis) * p.figures[axis] for axis in AXES] for p in results.points]
    best = {
        i
        for i in range(len(values))
        if not any(all(a <= b for a, b in zip(v, values[i], strict=True)) and v != values[i] for v in values)
    }
    assert {results.points.index(point) for point in results.front(AXES)} == best


def test_the_command_gives_these_points(results, tmp_path):
    """Those of the smallest tables are designed and measured again: same units, same errors."""
    words = shlex.split(command(results))
    assert words[:2] == ["intsim", "sweep"]
    vary, fixed = {}, {}
    for option, text in pairwise(words):
        names, _, values = text.partition("=")
        if option == "--vary":
            vary[tuple(names.split(","))] = values.split(",")
        elif option == "--set":
            fixed |= dict.fromkeys(names.split(","), read(values))
    assert fixed == {"objective": "mean_absolute"}
    fewest = {names: values[:1] if names != ("bins",) else values[:2] for names, values in vary.items()}
    del fewest[("stages",)]
    again = Sweep(recipe_of("silu", table=True), {**fewest, "table": ["nli"]}, fixed).run(tmp_path)
    assert len(again.points) == 2
    for point in again.points:
        same = [p for p in results.points if point.settings.items() <= p.settings.items()]
        assert len(same) == len(vary[("stages",)])
        for stored in same:
            assert stored.sha256 == point.sha256
            assert point.figures.items() <= stored.figures.items()


@pytest.mark.full
def test_the_hardware_costs_what_the_page_says(results, tmp_path):
    from hdl.flow.sweep import Hardware
    from intsim.tables import NLI

    point = results.points[0]
    x = read(point.settings["x"])
    sizes = {name: point.settings[name] for name in ("intervals", "bins", "objective")}
    found = Hardware()(NLI.design("silu", x, x, **sizes), {"stages": point.settings["stages"]})
    assert found.items() <= point.figures.items()


def test_the_page_names_its_command(results):
    text = (DOCS / "reference" / f"{NAME}.md").read_text()
    (shown,) = re.findall(r"^```sh\n(.*)\n```$", text, re.M)
    assert shown == command(results)
