"""Bit allocation against HAWQ-V3's own answers and against brute force."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from intsim import IntsimError
from intsim.prepare.allocation import Limit, allocate, bit_operations, model_size

CASES = json.loads((Path(__file__).parents[2] / "vectors/hawq/ilp.json").read_text())


def problem(name):
    """Perturbation, limit and ties of a stored case; columns are 4 and 8 bits."""
    case = CASES[name]
    gain = np.array(case["sens_diff"])
    limit = {
        "size": lambda: Limit("size", model_size(case["parameters"], (4, 8)), case["model_size_limit"]),
        "bops": lambda: Limit("bops", np.transpose([case["bops4"], case["bops8"]]), case["bops_limit"]),
        "latency": lambda: Limit("latency", np.transpose([case["lat4"], case["lat8"]]), case["latency_limit"]),
    }[name.split("_")[1]]()
    return np.transpose([np.zeros_like(gain), gain]), limit, case["eq"], case


@pytest.mark.parametrize("name", CASES)
def test_reproduces_the_project(name):
    perturbation, limit, ties, case = problem(name)
    result = allocate(perturbation, (4, 8), [limit], ties)
    assert result.bits == tuple(case["bits"])
    assert result.objective == pytest.approx(case["objective"], rel=1e-12)
    assert result.used[limit.name] <= limit.most
    if "published_bit_config" in case:
        assert result.bits == tuple(case["published_bit_config"]) == tuple(case["brute_bits"])


@pytest.mark.parametrize("name", [n for n in CASES if n.startswith("r18")])
def test_resnet18_against_brute_force(name):
    """Every one of the 2**16 choices that honour the ties, enumerated here."""
    perturbation, limit, ties, _ = problem(name)
    tied = {other: group[0] for group in ties for other in group[1:]}
    free = [i for i in range(len(perturbation)) if i not in tied]
    choices = (np.arange(2 ** len(free))[:, None] >> np.arange(len(free))) & 1
    columns = np.empty((len(choices), len(perturbation)), dtype=np.int64)
    columns[:, free] = choices
    for other, first in tied.items():
        columns[:, other] = columns[:, first]
    rows = np.arange(len(perturbation))
    total = perturbation[rows, columns].sum(axis=1)
    total[limit.cost[rows, columns].sum(axis=1) > limit.most] = np.inf
    best = columns[total.argmin()]
    assert allocate(perturbation, (4, 8), [limit], ties).bits == tuple(np.array([4, 8])[best])


def test_three_widths_and_two_limits():
    rng = np.random.default_rng(7)
    widths = (2, 4, 8)
    perturbation = np.sort(rng.random((6, 3)), axis=1)[:, ::-1]
    limits = [
        Limit("size", model_size(rng.random(6), widths), 1.4),
        Limit("bops", bit_operations(rng.random(6), widths), 80.0),
    ]
    result = allocate(perturbation, widths, limits, ties=[(0, 3)])
    rows = np.arange(6)
    feasible = [
        (perturbation[rows, list(c)].sum(), c)
        for c in itertools.product(range(3), repeat=6)
        if c[0] == c[3] and all(limit.cost[rows, list(c)].sum() <= limit.most for limit in limits)
    ]
    assert feasible
    assert result.bits == tuple(widths[c] for c in min(feasible)[1])


def test_refusals_say_bound_and_remedy():
    perturbation, limit, _, _ = problem("r18_size")
    with pytest.raises(IntsimError, match="least possible is"):
        allocate(perturbation, (4, 8), [Limit("size", limit.cost, 0.1)])
    with pytest.raises(IntsimError, match="one column per width"):
        allocate(perturbation, (2, 4, 8), [])
    with pytest.raises(IntsimError, match="names layer 99"):
        allocate(perturbation, (4, 8), [], ties=[(0, 99)])
    with pytest.raises(IntsimError, match="cost is"):
        allocate(perturbation, (4, 8), [Limit("size", limit.cost[:3], 1.0)])
