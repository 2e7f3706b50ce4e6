"""Learned factors: the gradient is that of the formula stated, the descent lowers the error, the network stays."""

import importlib.util

import numpy as np
import pytest

from intsim import IntsimError
from intsim.prepare.learned import LEAST, junction_error, learn_factors, torch_error
from intsim.prepare.quantize import quantize_weights
from intsim.prepare.steps import Junction, apply
from intsim.prepare.transforms import Linear
from intsim.schemes import Step

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((40, 24))
JUNCTION = Junction.of(
    RNG.standard_normal((64, 24)) * np.exp(1.5 * RNG.standard_normal(24)), Linear(WEIGHT, np.zeros(40))
)


def test_the_gradient_is_that_of_the_error_with_constant_rounding():
    s = np.exp(0.3 * np.random.default_rng(1).standard_normal(24))
    x, w = JUNCTION.samples, JUNCTION.weights
    r = quantize_weights(x / s, 4, symmetric=False).real() - x / s
    t = quantize_weights(w * s, 4, symmetric=False).real() - w * s

    def with_constant_rounding(factors):
        return (((x / factors + r) @ (w * factors + t).T - x @ w.T) ** 2).mean()

    error, gradient = junction_error(JUNCTION, 4, 4)({"factors": s})
    assert error == pytest.approx(with_constant_rounding(s), rel=1e-12)
    for channel in range(24):
        step = np.zeros(24)
        step[channel] = 1e-5
        slope = (with_constant_rounding(s + step) - with_constant_rounding(s - step)) / 2e-5
        assert gradient["factors"][channel] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_the_descent_finds_a_known_minimum():
    goal = np.array([0.5, -2.0, 3.0])
    found = learn_factors(
        lambda f: (float(((f["a"] - goal) ** 2).sum()), {"a": 2 * (f["a"] - goal)}),
        {"a": np.array([1.0, -1.0, 1.0])},
        steps=600,
        rate=0.02,
    )
    np.testing.assert_allclose(found.factors["a"], goal, atol=1e-3)
    # the first step of Adam is the rate, against the sign of the gradient
    one = learn_factors(lambda f: (float(f["a"][0]), {"a": np.array([3.0])}), {"a": np.array([1.0])}, steps=1, rate=0.1)
    np.testing.assert_allclose(one.factors["a"], 0.9, rtol=1e-7)


def test_learned_factors_are_better_and_the_outputs_stay():
    start = {"factors": np.ones(24)}
    found = learn_factors(junction_error(JUNCTION, 4, 4), start, steps=80, rate=0.02)
    assert found.after < 0.75 * found.before
    assert found.step > 0
    moved = JUNCTION.divided(found.factors["factors"])
    before, after = (j.samples @ j.weights.T for j in (JUNCTION, moved))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9 * np.abs(before).max())


def test_factors_never_reach_zero_and_a_bad_descent_changes_nothing():
    def uphill(factors):
        return float(-factors["a"][0]) + 2, {"a": np.array([1.0])}

    found = learn_factors(uphill, {"a": np.array([0.5])}, steps=50, rate=0.1)
    assert found.step == 0
    assert found.factors["a"] == 0.5
    seen = []
    learn_factors(lambda f: (seen.append(f["a"][0]) or 1.0, {"a": np.ones(1)}), {"a": np.ones(1)}, steps=50, rate=0.1)
    assert min(seen) == LEAST


def test_refusals():
    with pytest.raises(IntsimError, match="clamp"):
        learn_factors(junction_error(JUNCTION), {"factors": np.zeros(24)})
    with pytest.raises(IntsimError, match="smaller rate"):
        learn_factors(lambda f: (np.inf, f), {"a": np.ones(2)})
    with pytest.raises(IntsimError, match="one target per input"):
        torch_error(lambda f, x: x, [], [])
    if importlib.util.find_spec("torch") is None:
        with pytest.raises(IntsimError, match=r"pip install 'intsim\[learn\]'"):
            torch_error(lambda f, x: x, [WEIGHT], [WEIGHT])


@pytest.mark.parametrize(
    "steps",
    [
        [Step.of("smooth")],
        [Step.of("smooth", strength="4/5"), Step.of("hadamard")],
        [Step.of("gps", bits=6)],
        [Step.of("klt_hadamard")],
    ],
    ids=lambda steps: "+".join(step.name for step in steps),
)
def test_every_step_keeps_the_products(steps):
    done = apply(steps, JUNCTION)
    before, after = (j.samples @ j.weights.T for j in (JUNCTION, done))
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9 * np.abs(before).max())
    np.testing.assert_allclose(JUNCTION.samples @ done.moved, done.samples, rtol=1e-9, atol=1e-9)
    assert np.abs(done.samples - JUNCTION.samples).max() > 0.1


def test_a_junction_refuses_what_does_not_fit():
    layer = JUNCTION.linears[0]
    for samples, layers, message in (
        (np.ones((3, 5)), [layer], "reads 24 channels, the samples have 5"),
        (np.full((3, 24), np.nan), [layer], "finite"),
        (np.ones((3, 24)), [], "at least one"),
    ):
        with pytest.raises(IntsimError, match=message):
            Junction.of(samples, *layers)
