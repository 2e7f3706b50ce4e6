"""The cut-point solver on floating-point grids: its cost against plain sums, its minimum against all choices."""

import itertools

import numpy as np
import pytest

from intsim.errors import IntsimError
from intsim.formats import Float16, Minifloat
from intsim.tables import functions
from intsim.tables.design.float_cuts import FloatProblem, exact_error, solve, useful_codes
from intsim.tables.design.nli_float import measured_error, polish
from intsim.tables.nli_float import FloatNLI

F16 = Float16()
SMALL = Minifloat(8, 4)  # 240 finite codes


def total(problem: FloatProblem, cuts, bins: int) -> float:
    """The objective as a plain sum: table inside, clamped outside."""
    cuts = np.asarray(cuts)
    return float(exact_error(problem, cuts, bins).sum())


@pytest.mark.parametrize("name", ["silu", "gelu", "tanh", "exp", "sin", "rsqrt", "hardswish"])
def test_cost_of_an_interval_is_the_sum_of_its_errors(name):
    """Prefix sums and bisection against adding up every code, over spans with none, one and several inflections."""
    domain = (-40.0, 40.0) if name == "sin" else functions.domain(name)
    problem = FloatProblem.pose(functions.find(name), F16, F16, domain=domain)
    rng = np.random.default_rng(3)
    size = problem.codes.size
    for bins in (1, 3, 32):
        firsts = rng.integers(0, size - 1, 25)
        lasts = np.minimum(firsts + 1 + (rng.random(25) ** 3 * (size - firsts - 1)).astype(int), size - 1)
        for first, last in zip(firsts, lasts, strict=True):
            knots = np.linspace(problem.xs[first], problem.xs[last], bins + 1)
            inside = slice(first, last)
            chords = np.interp(problem.xs[inside], knots, problem.function(knots))
            expected = float((np.abs(chords - problem.f[inside]) * problem.weight[inside]).sum())
            scale = float((np.abs(problem.f[inside]) * problem.weight[inside]).sum())
            found = problem.cost_to(int(first), np.array([last]), bins)[0]
            assert found == pytest.approx(expected, rel=1e-3, abs=1e-8 * scale)
            assert problem.cost_from(np.array([first]), int(last), bins)[0] == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize(("name", "intervals"), [("tanh", 1), ("tanh", 2), ("silu", 3), ("sigmoid", 3)])
def test_minimum_over_all_choices_of_cut_points(name, intervals):
    problem = FloatProblem.pose(functions.find(name), SMALL, SMALL, tau=2.0**-6, domain=(-3.0, 3.0))
    size = problem.codes.size
    step = 1 if intervals < 3 else 4
    choices = itertools.combinations(range(0, size, step), intervals + 1)
    best = min(total(problem, choice, 4) for choice in choices)
    found = total(problem, solve(problem, intervals, 4), 4)
    assert found <= best * (1 + 1e-9)
    if step == 1:
        assert found == pytest.approx(best, rel=1e-9)


def test_domain_ends_where_the_rounded_function_stops_changing():
    def ends(name):
        codes = useful_codes(functions.find(name), F16, F16, functions.domain(name))
        return F16.decode(codes[[0, -1]]).tolist()

    # The published cut points begin and end here.
    assert ends("exp") == [-17.34375, 11.0859375]
    assert ends("hardswish") == [-3.0, 65504.0]
    assert ends("sigmoid") == [-17.34375, 8.3203125]
    assert ends("tanh") == [-4.5078125, 4.5078125]
    assert ends("reciprocal")[1] == 65440.0  # published 65504: the same output word
    assert ends("reciprocal")[0] == pytest.approx(1.5318e-5, rel=1e-4)
    assert ends("rsqrt") == [2.0**-24, 65504.0]


def test_polish_lowers_the_error_of_the_finished_unit():
    problem = FloatProblem.pose(np.tanh, SMALL, SMALL, tau=2.0**-6, domain=(-3.0, 3.0))
    before = np.linspace(0, problem.codes.size - 1, 5).astype(int)
    after = polish(problem, before, 4, 18)

    def error(cuts):
        unit = FloatNLI.from_cuts(np.tanh, problem.xs[cuts], x=SMALL, y=SMALL, bins=4)
        return measured_error(problem, unit).sum()

    assert error(after) < error(before)


def test_progress_runs_to_one_and_too_few_codes_are_refused():
    problem = FloatProblem.pose(np.tanh, SMALL, SMALL, domain=(-3.0, 3.0))
    seen: list[float] = []
    solve(problem, 3, 4, seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    with pytest.raises(IntsimError, match="use fewer"):
        solve(problem, 1000, 4)
    with pytest.raises(IntsimError, match="tau"):
        FloatProblem.pose(np.tanh, SMALL, SMALL, tau=0.0)
