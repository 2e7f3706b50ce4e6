"""The integer Hadamard transform against the matrix, in integers and in real numbers."""

import numpy as np
import pytest
from hadamard_units import HADAMARDS
from operators import assert_exact, assert_integer_only, surviving_mutants

from intsim import Int, IntsimError
from intsim.errors import UnknownName
from intsim.linear import Hadamard
from intsim.prepare.hadamard import hadamard, rotation
from intsim.unit import Unit

SIZES = [2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 52, 60, 64, 96, 128]


def codes_of(unit, rows=200, seed=0):
    return np.random.default_rng(seed).integers(unit.x.lo, unit.x.hi, (rows, unit.size), endpoint=True)


@pytest.mark.parametrize("name", HADAMARDS)
def test_compiled_equals_unbounded_integers(name):
    unit = HADAMARDS[name]
    assert_exact(unit, *unit.corners())
    assert_exact(unit, *codes_of(unit).T)
    assert_integer_only(unit, *(column[:20] for column in unit.corners()))
    assert surviving_mutants(unit) == []
    assert Unit.from_json(unit.to_json()) == unit


@pytest.mark.parametrize("size", SIZES)
def test_growth_is_the_matrix_itself(size):
    unit = Hadamard(size)
    x = np.concatenate([codes_of(unit), np.stack(unit.corners(), 1)])
    expected = x.astype(np.int64) @ hadamard(size)
    np.testing.assert_array_equal(unit.rows(x), expected)
    assert unit.base.shape[0] << unit.stages == size
    assert unit.outputs["y0"].hi >= expected.max()
    assert unit.outputs["y0"].bits - 1 <= int(np.abs(expected).max()).bit_length() + 1  # not wider than needed


@pytest.mark.parametrize("size", [4, 8, 16, 64, 48])
def test_halving_errs_by_less_than_a_code_per_half_stage(size):
    unit = Hadamard(size, "shifted")
    x = codes_of(unit, 2000)
    error = unit.rows(x) - x @ hadamard(size) * float(unit.factor)
    # each halving errs by half a code at most; later pairs of stages sum four such errors and halve them again
    bound = sum(0.5 * 2.0 ** (unit.halvings - 1 - i) for i in range(unit.halvings))
    bound *= 2.0 ** (unit.stages % 2)
    assert 0 < np.abs(error).max() <= bound
    assert abs(error.mean()) < 0.02  # ties to even do not drift


@pytest.mark.parametrize(("size", "scale"), [(16, 0.5), (20, 2.0), (64, 1.0), (12, 0.03)])
def test_design_is_the_rotation(size, scale):
    unit = Hadamard.design(size, scale, 0.5, out_bits=24, x=Int(12))
    x = codes_of(unit)
    got = unit.rows(x) * 0.5
    np.testing.assert_allclose(got, x * scale @ rotation(size), rtol=2.0**-15, atol=0.26)
    values = unit.real(*x.T)
    np.testing.assert_allclose(np.stack(values, 1), unit.rows(x), atol=0.51)


def test_hazards_and_refusals():
    assert Hadamard(16, "shifted").hazards() == ()
    assert "sqrt(8)" in str(Hadamard(8).hazards()[0])
    assert "saturates" in str(Hadamard.design(16).hazards()[0])
    assert Hadamard.design(16, out_bits=11).hazards() == ()
    with pytest.raises(UnknownName, match="shifted"):
        Hadamard(8, "shiftd")
    with pytest.raises(IntsimError, match="no Hadamard matrix of size 6"):
        Hadamard(6)
    with pytest.raises(IntsimError, match="only the form 'requantised'"):
        Hadamard(8, "shifted", 3)
    with pytest.raises(IntsimError, match="multiplier"):
        Hadamard(8, "requantised", 0)
    with pytest.raises(IntsimError, match="needs 82 bits, 64 fit"):
        Hadamard(8, "requantised", 65535, out_bits=8, x=Int(63))
    with pytest.raises(IntsimError, match="blocks of 8"):
        Hadamard(8).rows(np.zeros((3, 7), dtype=np.int8))
