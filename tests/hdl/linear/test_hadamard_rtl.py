"""The Hadamard transform in hardware equals its golden model, at the latency stated; proofs for all inputs."""

import numpy as np
import pytest
from hadamard_units import HADAMARDS

import hdl
import hdl.flow
from hdl.linear import specifications
from intsim.formats import Int
from intsim.linear import Hadamard
from intsim.rounding import TIES_AWAY

EXHAUSTIVE = ("growth_2", "growth_4", "shifted_4", "requantised_4")
SLOW = ("shifted_16", "requantised_20", "shifted_48")
PROVED = ("growth_4", "shifted_4", "requantised_4", "unsigned_8")


def check_rtl(name):
    unit = HADAMARDS[name]
    report = hdl.flow.verify(unit, vectors=1 << 14)
    assert report["mismatches"] == 0, report["first"]
    assert report["exhaustive"] == (name in EXHAUSTIVE)
    assert report["inputs"] >= 1 << 14


@pytest.mark.parametrize("name", sorted(set(HADAMARDS) - set(SLOW)))
def test_rtl(name):
    check_rtl(name)


@pytest.mark.full
@pytest.mark.parametrize("name", SLOW)
def test_wide_rtl(name):
    check_rtl(name)


@pytest.mark.parametrize("name", HADAMARDS)
def test_latency_and_interval(name):
    unit = HADAMARDS[name]
    device, part = hdl.flow.model(unit), hdl.create(unit)
    device(*(column[:20] for column in unit.corners()))
    assert device.last_run.first_answer == part.latency
    assert device.last_run.cycles == part.latency + min(20, unit.corners()[0].size)


@pytest.mark.full
def test_every_block_of_four_six_bit_numbers():
    report = hdl.flow.verify(Hadamard(4, "shifted", x=Int(6)))
    assert report["exhaustive"]
    assert report["inputs"] == 1 << 24
    assert report["mismatches"] == 0


@pytest.mark.full
@pytest.mark.parametrize("name", ["shifted_8", "requantised_16", "growth_12"])
def test_many_vectors(name):
    report = hdl.flow.verify(HADAMARDS[name], vectors=1 << 24)
    assert report["mismatches"] == 0
    assert report["inputs"] >= 1 << 24


@pytest.mark.parametrize(
    "unit",
    [
        Hadamard(4, x=Int(3)),
        Hadamard(4, "shifted", x=Int(3)),
        Hadamard(4, "requantised", 21, 4, 4, x=Int(3), rounding=TIES_AWAY),
        Hadamard(2, x=Int(6, signed=False)),
    ],
    ids=lambda unit: unit.form,
)
def test_specification_is_the_golden_model(unit):
    grid = np.meshgrid(*[fmt.codes() for fmt in unit.inputs.values()], indexing="ij")
    columns = [axis.reshape(-1) for axis in grid]
    expected = np.stack(unit(*columns), axis=1)
    ports = list(unit.inputs)
    got = [
        list(specifications.hadamard(unit, **dict(zip(ports, map(int, row), strict=True))).values())
        for row in zip(*columns, strict=True)
    ]
    np.testing.assert_array_equal(np.array(got), expected)


def test_specification_of_sizes_with_a_base():
    for name in ("growth_12", "requantised_20", "shifted_48"):
        unit = HADAMARDS[name]
        columns = unit.corners()
        expected = np.stack(unit(*columns), axis=1)
        for row, y in list(zip(zip(*columns, strict=True), expected, strict=True))[::10]:
            got = specifications.hadamard(unit, **dict(zip(unit.inputs, map(int, row), strict=True)))
            assert list(got.values()) == y.tolist()


def check_proof(unit):
    result = hdl.flow.prove(unit, timeout=900)
    assert result["proved"], result["counterexample"]
    assert result["covered"] > 0
    assert result["fault"]


@pytest.mark.formal
@pytest.mark.parametrize("name", PROVED)
def test_proof(name):
    check_proof(HADAMARDS[name])


@pytest.mark.formal
@pytest.mark.full
@pytest.mark.parametrize("name", sorted(set(HADAMARDS) - set(PROVED)))
def test_longer_proof(name):
    check_proof(HADAMARDS[name])


def test_a_wrong_sign_is_noticed():
    """The comparison can fail: a transform of another order differs on nearly every block."""
    unit = HADAMARDS["shifted_8"]
    device = hdl.flow.model(unit)
    columns = tuple(np.random.default_rng(1).integers(-128, 128, (8, 50), dtype=np.int8))
    swapped = (columns[1], columns[0], *columns[2:])
    assert not all(np.array_equal(a, b) for a, b in zip(device(*columns), unit(*swapped), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(device(*columns), unit(*columns), strict=True))
