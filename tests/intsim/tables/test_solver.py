"""The breakpoint solver against brute force: every choice of cut points, each built as a unit and run."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed
from intsim.rounding import TIES_TO_EVEN, TIES_TO_POS, TO_NEG, Rounding
from intsim.tables.design import Problem, evaluate, search, target_for
from intsim.tables.design.nli import unit_from_cuts
from intsim.tables.design.problem import OBJECTIVES
from intsim.tables.functions import find


def pose(fn, x, y, intervals, bins, objective="mean_absolute", *, tau=None, rounding=TIES_TO_POS, domain=None):
    target = target_for(find(fn), x, y, domain, False)
    return Problem.pose(target, intervals=intervals, bins=bins, objective=objective, tau=tau, rounding=rounding)


def cost_of_unit(problem, cuts, unit=None):
    """The objective from its definition, with the outputs of the unit itself."""
    unit = unit or unit_from_cuts(problem, cuts, "f", "")
    target = problem.target
    codes = np.arange(target.first, target.last + 1)
    real = target.function(np.ldexp(codes.astype(float), -target.x.frac))
    error = np.abs(np.ldexp(unit(codes).astype(float), -target.y.frac) - real)
    if problem.objective == "mean_relative":
        return float(np.mean(error / np.maximum(np.abs(real), problem.tau)))
    error *= 2.0**target.y.frac
    return float(error.max() if problem.objective == "max_absolute" else error.mean())


def brute_force(problem):
    """The least cost over all cut points whose scales are no wider than the solver may use."""
    best = np.inf
    for cuts in itertools.combinations(range(problem.size), problem.intervals + 1):
        unit = unit_from_cuts(problem, cuts, "f", "")
        if max(unit.mantissas[1:-1], default=0) >> problem.mantissa_bits:
            continue
        best = min(best, cost_of_unit(problem, cuts, unit))
    return best


SMALL = [
    ("silu", Fixed(4, 1), Fixed(8, 4), 4, 2, None),
    ("exp", Fixed(5, 2), Fixed(10, 9, signed=False), 3, 3, (-4, 0)),
    ("sigmoid", Fixed(4, 0), Fixed(6, 6, signed=False), 2, 1, (-8, 3)),
    ("sin", Fixed(5, 2), Fixed(9, 7), 1, 4, None),
    ("reciprocal", Fixed(6, 4, signed=False), Fixed(8, 6, signed=False), 3, 2, (1, 2.25)),
    ("tanh", Fixed(5, 2), Fixed(17, 15), 3, 2, (-3, 3)),  # 25 points: spans shorter than the bins are refused
]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("fn", "x", "y", "intervals", "bins", "domain"), SMALL, ids=[case[0] for case in SMALL])
def test_exact_is_the_minimum_over_all_cut_points(fn, x, y, intervals, bins, domain, objective):
    problem = pose(fn, x, y, intervals, bins, objective, domain=domain)
    found = search(problem, "exact")
    assert found.exact
    assert found.cost == pytest.approx(brute_force(problem), rel=1e-12)
    assert cost_of_unit(problem, found.cuts) == pytest.approx(found.cost, rel=1e-12)


@pytest.mark.parametrize("rounding", [TO_NEG, TIES_TO_EVEN])
def test_exact_with_other_roundings(rounding):
    problem = pose("gelu", Fixed(4, 1), Fixed(8, 4), 3, 2, rounding=rounding)
    assert search(problem, "exact").cost == pytest.approx(brute_force(problem), rel=1e-12)


def test_short_spans_are_left_out_where_the_mantissa_has_no_room():
    problem = pose("tanh", Fixed(5, 2), Fixed(17, 15), 3, 2, domain=(-3, 3))
    assert problem.size >= 4 * problem.intervals * problem.bins
    assert int(problem.mantissas[1]) >> problem.mantissa_bits


@settings(max_examples=60)
@given(
    fn=st.sampled_from(["silu", "sigmoid", "sin", "softplus"]),
    objective=st.sampled_from(OBJECTIVES),
    rounding=st.sampled_from(list(Rounding)),
    intervals=st.integers(1, 6),
    bins=st.integers(1, 9),
    data=st.data(),
)
def test_the_cost_is_what_the_golden_model_computes(fn, objective, rounding, intervals, bins, data):
    problem = pose(fn, Fixed(9, 6), Fixed(12, 8), intervals, bins, objective, rounding=rounding)
    cuts = sorted(
        data.draw(
            st.lists(st.integers(0, problem.size - 1), min_size=intervals + 1, max_size=intervals + 1, unique=True)
        )
    )
    assert evaluate(problem, cuts) == pytest.approx(cost_of_unit(problem, cuts), rel=1e-11)


@functools.cache
def optimum(objective):
    return search(pose("silu", Fixed(10, 6), Fixed(12, 8), 4, 8, objective), "exact")


@settings(max_examples=60)
@given(objective=st.sampled_from(OBJECTIVES), data=st.data())
def test_nothing_beats_the_exact_solver(objective, data):
    problem = pose("silu", Fixed(10, 6), Fixed(12, 8), 4, 8, objective)
    found = optimum(objective)
    cuts = data.draw(st.lists(st.integers(0, problem.size - 1), min_size=5, max_size=5, unique=True))
    assert evaluate(problem, sorted(cuts)) >= found.cost * (1 - 1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_order_of_the_solvers_and_the_measured_gap(objective):
    """Floor <= exact <= multigrid <= equal; on this grid the multigrid solver is within 3 % of the optimum."""
    problem = pose("silu", Fixed(11, 7), Fixed(14, 10), 6, 16, objective)
    exact, multigrid, equal = (search(problem, solver) for solver in ("exact", "multigrid", "equal"))
    assert exact.floor <= exact.cost <= multigrid.cost * (1 + 1e-12)
    assert multigrid.cost < equal.cost
    assert multigrid.cost <= 1.03 * exact.cost
    assert (exact.exact, multigrid.exact, equal.exact) == (True, False, False)


def test_a_larger_choice_never_costs_more():
    """Every table on every second grid point is a table on the grid too."""
    problem = pose("gelu", Fixed(10, 6), Fixed(12, 8), 5, 8)
    coarse = search(problem.coarser(2), "exact")
    lifted = evaluate(problem, 2 * np.array(coarse.cuts))
    assert search(problem, "exact").cost <= lifted


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_runs_agree(objective):
    problem = pose("mish", Fixed(10, 6), Fixed(12, 8), 5, 4, objective)
    for solver in ("exact", "multigrid"):
        assert search(problem, solver) == search(problem, solver)


def test_exact_on_4096_points():
    """The paper's layout on a 12-bit input; the optimum as found once, to keep it found."""
    problem = pose("silu", Fixed(12, 8), Fixed(16, 12), 10, 32, "mean_absolute")
    done = []
    found = search(problem, progress=done.append)
    assert (found.solver, found.exact) == ("exact", True)
    assert found.cost == pytest.approx(0.27324493, rel=1e-7)
    assert found.cost == pytest.approx(cost_of_unit(problem, found.cuts), rel=1e-12)
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert "the optimum on this grid" in found.summary(problem)


@pytest.mark.full
@pytest.mark.parametrize("fn", ["exp", "gelu", "sigmoid", "sin", "tanh"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gap_on_4096_points(fn, objective):
    """The multigrid solver against the optimum, in the paper's layout."""
    y = Fixed(16, 14) if fn != "gelu" else Fixed(16, 11)
    problem = pose(fn, Fixed(12, 8), y, 10, 32, objective, domain=(-8, 0.5))
    assert search(problem, "multigrid").cost <= 1.06 * search(problem, "exact").cost


def test_a_multigrid_result_says_how_far_it_can_be():
    problem = pose("silu", Fixed(11, 7), Fixed(12, 8), 5, 8)
    found = search(problem, "multigrid")
    assert not found.exact
    text = found.summary(problem)
    assert "multigrid solver on 2048 grid points" in text
    assert "every 2nd point" in text
    assert f"at most {found.cost / found.floor:.3g} times the optimum" in text


def test_wide_inputs_are_sampled():
    problem = pose("silu", Fixed(20, 16), Fixed(16, 12), 3, 4)
    assert problem.stride == 16
    unit = unit_from_cuts(problem, (0, 20_000, 40_000, problem.size - 1), "silu", "")
    assert unit.cuts == (-(1 << 19), -(1 << 19) + 320_000, -(1 << 19) + 640_000, (1 << 19) - 1)
    assert unit(np.array([(1 << 19) - 1])) == unit.table[-1]


def test_unknown_solver_and_tables_that_do_not_fit():
    problem = pose("silu", Fixed(5, 2), Fixed(8, 4), 3, 2)
    with pytest.raises(UnknownName, match="did you mean 'exact'"):
        search(problem, "exakt")
    tight = pose("tanh", Fixed(10, 7), Fixed(12, 10), 30, 8)
    assert search(tight, "exact").exact
    with pytest.raises(IntsimError, match="60 intervals need 61 input codes, the domain has 32"):
        pose("silu", Fixed(5, 2), Fixed(8, 4), 60, 2)
