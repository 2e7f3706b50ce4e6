"""The real functions against 60-digit decimal arithmetic."""

import math
from decimal import Decimal, getcontext, localcontext

import numpy as np
import pytest

from intsim.errors import UnknownName
from intsim.tables import functions

POINTS = (-7.96875, -5.5, -3.0, -2.71875, -1.0, -0.40625, -(2.0**-9), 0.0, 2.0**-11, 0.3125, 1.0, 2.984375, 5.25, 7.75)

# Arguments far from zero multiply their own rounding error by the slope of the logarithm of the function.
BOUND = {"gelu": 4e-14, "gelu_tanh": 4e-14, "silu": 2e-15, "cos": 4e-15, "sin": 4e-15}


@pytest.fixture(autouse=True)
def sixty_digits():
    with localcontext() as context:
        context.prec = 60
        yield


def series(x: Decimal, first: Decimal, ratio) -> Decimal:
    """Sum of a series whose term k + 1 is ``ratio(k)`` times term k."""
    total, term, k = Decimal(0), first, 0
    while abs(term) > Decimal(10) ** -(getcontext().prec + 5) or k < 3:
        total += term
        term *= ratio(k)
        k += 1
    return total


def d_sin(x: Decimal) -> Decimal:
    return series(x, x, lambda k: -x * x / ((2 * k + 2) * (2 * k + 3)))


def d_cos(x: Decimal) -> Decimal:
    return series(x, Decimal(1), lambda k: -x * x / ((2 * k + 1) * (2 * k + 2)))


def d_erf(x: Decimal) -> Decimal:
    """``2/sqrt(pi) * exp(-x*x) * sum of 2**n x**(2n+1) / (2n+1)!!``, all terms of one sign."""
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
    return 2 / pi.sqrt() * (-x * x).exp() * series(x, x, lambda k: 2 * x * x / (2 * k + 3))


def d_tanh(x: Decimal) -> Decimal:
    return 1 - 2 / ((2 * x).exp() + 1)


def d_gelu_tanh(x: Decimal) -> Decimal:
    inner = (2 / Decimal("3.14159265358979323846264338327950288419716939937510582097")).sqrt()
    return x / 2 * (1 + d_tanh(inner * (x + Decimal("0.044715") * x**3)))


REFERENCE = {
    "cos": d_cos,
    "erf": d_erf,
    "exp": lambda x: x.exp(),
    "gelu": lambda x: x / 2 * (1 + d_erf(x / Decimal(2).sqrt())),
    "gelu_tanh": d_gelu_tanh,
    "hardswish": lambda x: x * min(max(x + 3, Decimal(0)), Decimal(6)) / 6,
    "log2": lambda x: x.ln() / Decimal(2).ln(),
    "mish": lambda x: x * d_tanh((1 + x.exp()).ln()),
    "reciprocal": lambda x: 1 / x,
    "rsqrt": lambda x: 1 / x.sqrt(),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "silu": lambda x: x / (1 + (-x).exp()),
    "sin": d_sin,
    "softplus": lambda x: (1 + x.exp()).ln(),
    "sqrt": lambda x: x.sqrt(),
    "tanh": d_tanh,
}


def test_every_function_has_a_reference():
    assert set(functions.names()) == set(REFERENCE)
    assert len(functions.names()) == 16


@pytest.mark.parametrize("name", functions.names())
def test_accurate_relative_to_the_value(name):
    lo, hi = functions.domain(name)
    points = [p for p in POINTS if lo <= p <= hi]
    assert len(points) >= 5
    got = functions.find(name)(np.array(points))
    for point, value in zip(points, got, strict=True):
        exact = REFERENCE[name](Decimal(point))
        if exact == 0:
            assert value == 0
        else:
            assert abs(Decimal(float(value)) - exact) <= Decimal(BOUND.get(name, 1.5e-15)) * abs(exact), point


@pytest.mark.parametrize("name", functions.names())
def test_finite_to_the_ends_of_the_domain_and_no_further(name):
    lo, hi = functions.domain(name)
    function = functions.find(name)
    for end in (lo, hi):
        inside = math.copysign(1e3, end) if math.isinf(end) else end
        assert np.isfinite(function(np.array([inside])))[0]
    with np.errstate(over="ignore"):
        for end, beyond in ((lo, -math.inf), (hi, math.inf)):
            if not math.isinf(end):
                assert not np.isfinite(function(np.nextafter(end, [beyond])))[0]


@pytest.mark.parametrize("name", functions.names())
def test_arrays_of_any_shape_and_single_values(name):
    function = functions.find(name)
    grid = np.array([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]])
    values = function(grid)
    assert values.shape == grid.shape
    assert values.dtype == np.float64
    assert float(function(1.5)) == values[0, 2]


def test_lookup_and_find():
    assert functions.lookup("silu") is functions.silu
    assert functions.lookup("swish") is None
    assert functions.lookup(None) is None
    with pytest.raises(UnknownName, match="did you mean 'sigmoid'"):
        functions.find("sigmod")
    with pytest.raises(UnknownName, match="unknown function"):
        functions.domain("nothing like it")
