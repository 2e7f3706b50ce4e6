"""The nine published FP16 tables, on every code of their domains, and ours beside them.

The cut points are those of the NLI paper's Table 9 as a public reproduction transcribes them (SiLU, exp, rsqrt,
GELU, sigmoid, tanh, hardswish, mish, reciprocal). The errors were measured before this code existed, with an
independent float64 program: relative error ``|y - f| / max(|f|, 2**-14)``, its mean and maximum with unrounded
words and exact arithmetic, and its mean with FP16 words, a 24-bit inside and an FP16 output.
"""

from itertools import pairwise

import numpy as np
import pytest

from intsim import catalogue
from intsim.formats import Float16
from intsim.tables import FloatNLI, functions
from intsim.tables.design.float_cuts import FloatProblem, exact_error, solve

F16 = Float16()
TAU = 2.0**-14
TOP = 65504.0

# name: published cut points; mean and max in exact arithmetic; mean with FP16 words and output
PUBLISHED = {
    "silu": ((-20.359375, -17.109375, -8.3671875, -1.97558594, -0.25561523, -0.00724411, 0.00721741, 0.22851563,
              1.58203125, 10.46875, TOP), 2.2e-4, 7.8e-3, 3.2e-4),
    "gelu": ((-5.5390625, -5.15625, -3.18359375, -0.98046875, -0.12292480, -0.00374603, 0.00352478, 0.11322021,
              0.78076172, 4.10546875, TOP), 1.5e-4, 7.6e-3, 2.5e-4),
    "exp": ((-17.34375, -15.171875, -8.890625, -5.2734375, -2.35546875, -0.35839844, 0.91650391, 3.45117188,
             6.84765625, 10.9453125, 11.0859375), 2.2e-4, 4.8e-3, 3.3e-4),
    "sigmoid": ((-17.34375, -15.765625, -10.65625, -8.15625, -6.3046875, -4.421875, -2.6640625, -0.79980469,
                 1.94628906, 6.90234375, 8.3203125), 4.2e-5, 1.1e-3, 1.9e-4),
    "tanh": ((-4.5078125, -3.79296875, -1.55078125, -0.53027344, -0.02856445, 0.0364990, 0.42382813, 1.07617188,
              2.0390625, 4.0625, 4.5078125), 1.6e-5, 1.9e-4, 1.1e-4),
    "hardswish": ((-3.0, -2.984375, -1.87890625, -0.53906250, -0.05932617, -0.00074387, 0.00349426, 0.11968994,
                   0.78369141, 3.00195313, TOP), 3.9e-5, 4.6e-3, 1.5e-4),
    "mish": ((-20.34375, -19.90625, -10.921875, -6.2265625, -1.61523438, -0.23706055, -0.00699615, 0.01538849,
              0.49145508, 4.70703125, TOP), 2.1e-4, 8.3e-3, 2.9e-4),
    "reciprocal": ((1.5318394e-5, 2.2590160e-5, 4.6992302e-4, 7.0533752e-3, 0.088378906, 1.07421875, 15.546875,
                    244.5, 3694.0, 46560.0, TOP), 5.1e-3, 5.9e-2, 5.1e-3),
    "rsqrt": ((5.9604645e-8, 7.7486038e-7, 1.1140108e-4, 1.8644333e-3, 0.030029297, 0.48193359, 7.7734375, 129.75,
               2406.0, 47456.0, TOP), 3.1e-3, 0.71, 3.1e-3),
}  # fmt: skip
WIDTH = {"tanh": 20}  # significant bits inside; 18 serve all others


def as_published(figure: float, measured: float) -> bool:
    """Whether `measured`, written with two digits, is `figure`."""
    return float(f"{measured:.1e}") == figure


def domain_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """The published domain's codes and their values."""
    cuts = F16.decode(F16.encode(PUBLISHED[name][0]))
    codes = F16.finite_codes()
    values = F16.decode(codes)
    inside = (values >= cuts[0]) & (values <= cuts[-1])
    return codes[inside], values[inside]


def relative(y: np.ndarray, f: np.ndarray) -> np.ndarray:
    return np.abs(y - f) / np.maximum(np.abs(f), TAU)


def ideal(name: str, cuts: np.ndarray) -> np.ndarray:
    """The table's value at every code of the published domain: unrounded words, float64 arithmetic."""
    inner = [np.linspace(a, b, 33)[:-1] for a, b in pairwise(cuts[1:-1])]
    places = np.concatenate([cuts[:1], *inner, cuts[-2:]])
    return np.interp(domain_of(name)[1], places, functions.find(name)(places))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cut_points_reproduce_the_measured_errors(name):
    cuts, mean, most, rounded = PUBLISHED[name]
    codes, xs = domain_of(name)
    f = functions.find(name)(xs)
    exact = relative(ideal(name, F16.decode(F16.encode(cuts))), f)
    assert as_published(mean, exact.mean())
    assert as_published(most, exact.max())
    unit = FloatNLI.from_cuts(functions.find(name), cuts, x=F16, y=F16, width=22)
    assert len(unit.table) == 259
    assert as_published(rounded, relative(F16.decode(unit(codes)), f).mean())


@pytest.mark.parametrize("name", PUBLISHED)
def test_catalogue_table_is_at_least_as_good_as_the_published_one(name):
    """Rounded words, on the codes of the published domain; the catalogue's own arithmetic, not a wider one."""
    unit = catalogue.get(f"nli_{name}_f16")
    assert unit.width == WIDTH.get(name, 18)
    assert (len(unit.table), unit.intervals, unit.bins) == (259, 10, 32)
    codes, xs = domain_of(name)
    f = functions.find(name)(xs)
    ours = relative(F16.decode(unit(codes)), f).mean()
    theirs = FloatNLI.from_cuts(functions.find(name), PUBLISHED[name][0], x=F16, y=F16, width=22)
    assert ours <= relative(F16.decode(theirs(codes)), f).mean()
    assert ours <= PUBLISHED[name][3]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.full if n in ("silu", "gelu", "mish") else ()) for n in PUBLISHED]
)
def test_solver_is_at_least_as_good_as_the_published_cut_points(name):
    """Unrounded words, exact arithmetic; the solver starts from nothing."""
    problem = FloatProblem.pose(functions.find(name), F16, F16, domain=functions.domain(name))
    cuts = problem.xs[solve(problem, 10, 32)]
    f = functions.find(name)(domain_of(name)[1])
    ours, theirs = (relative(ideal(name, c), f).mean() for c in (cuts, F16.decode(F16.encode(PUBLISHED[name][0]))))
    assert ours <= theirs
    assert exact_error(problem, np.searchsorted(problem.xs, cuts), 32).mean() == pytest.approx(ours, rel=0.02)
