"""Error figures on units whose errors are known beforehand."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from intsim import catalogue
from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed, Int
from intsim.measure import error
from intsim.tables import Uniform
from intsim.unit import Unit

# Words are the function itself at every code: what is left is the rounding of the output.
X, Y = Fixed(8, 4), Fixed(12, 8)
DIRECT = Uniform.design("tanh", X, Y, segments=256)


def test_rounding_alone():
    figures = error(DIRECT)
    real = np.tanh(X.codes() / 16)
    rounded = np.rint(real * 256) / 256
    assert (figures.count, figures.complete) == (256, True)
    assert figures.mean == pytest.approx(np.abs(rounded - real).mean(), rel=1e-12)
    assert figures.rmse == pytest.approx(np.sqrt(((rounded - real) ** 2).mean()), rel=1e-12)
    assert figures.max_lsb == pytest.approx(256 * np.abs(rounded - real).max(), rel=1e-12)
    assert figures.correctly_rounded == 1.0
    assert (figures.rounding_mean, figures.rounding_max) == (figures.mean, figures.max)
    assert figures.tau == 2.0**-8


def test_one_wrong_word_is_found():
    words = list(DIRECT.table)
    words[100] += 3  # code -28: the table is exact at every code, so the error there is 3 +- 0.5
    wrong = replace(DIRECT, table=tuple(words))
    figures = error(wrong)
    assert figures.worst == (-28,)
    assert figures.worst_output == words[100]
    assert figures.worst_real == pytest.approx(np.tanh(-28 / 16), rel=1e-12)
    assert 2.5 <= figures.max_lsb <= 3.5
    assert figures.correctly_rounded == 255 / 256
    expected = abs(words[100] / 256 - figures.worst_real) / abs(figures.worst_real)
    assert figures.max_relative == pytest.approx(expected, rel=1e-12)


def test_tau_limits_the_relative_error():
    figures, strict = error(DIRECT, tau=0.5), error(DIRECT, tau=2.0**-20)
    assert figures.tau == 0.5
    assert figures.mean_relative < strict.mean_relative
    assert figures.mean == strict.mean


def test_given_inputs():
    codes = np.array([[3, -4], [100, 100]], dtype=np.int8)
    figures = error(DIRECT, codes)
    assert (figures.count, figures.complete) == (4, False)
    real = np.tanh(codes / 16)
    assert figures.mean == pytest.approx(np.abs(np.rint(real * 256) / 256 - real).mean(), rel=1e-12)
    assert error(DIRECT, (codes,)) == figures


def test_real_values_beyond_the_output_count_as_its_ends():
    unit = Uniform.design("exp", Fixed(8, 4), Fixed(8, 6, signed=False), segments=256, saturate=True)
    figures = error(unit)
    assert figures.max_lsb <= 0.5
    assert figures.worst_real <= 255 / 64


def test_only_the_noted_domain_is_measured():
    unit = Uniform.design("reciprocal", Fixed(8, 6, signed=False), Fixed(8, 7, signed=False), domain=(1, 2))
    figures = error(unit)
    assert (figures.count, figures.complete) == (65, True)


def test_where_the_function_is_undefined():
    unit = replace(DIRECT, fn="log2")
    assert error(unit).count == 128  # of 256 codes; at 0 it is minus infinity, which counts as the output's end
    with pytest.raises(IntsimError, match=r"undefined at input \(-5,\)"):
        error(unit, np.array([3, -5], dtype=np.int8))


def test_wide_inputs_are_sampled_the_same_every_time():
    unit = Uniform.design("silu", Fixed(25, 20), Fixed(16, 10), segments=32)
    figures = error(unit)
    assert not figures.complete
    assert figures.count >= 1 << 20
    assert error(unit) == figures
    assert error(unit, seed=1) != figures
    # chord error of a segment of width 1: at most h*h/8 times the largest second derivative, which is 1/2
    assert figures.max <= 1 / 16 + 2**-10


@dataclass(frozen=True)
class HalfSum(Unit):
    """Two inputs, two outputs: (a + b) // 2 and a - b, of which the first is half a step off on odd sums."""

    bits: int = 5

    @property
    def inputs(self):
        return {"a": Int(self.bits), "b": Int(self.bits)}

    @property
    def outputs(self):
        return {"mean": Int(self.bits), "difference": Int(self.bits + 1)}

    def _evaluate(self, *columns):
        a, b = (c.astype(np.int64) for c in columns)
        return {"mean": ((a + b) >> 1).astype(np.int8), "difference": (a - b).astype(np.int8)}

    def real(self, *values):
        a, b = values
        return (a + b) / 2, a - b


def test_several_inputs_and_outputs():
    mean = error(HalfSum())
    assert (mean.count, mean.complete) == (1024, True)
    assert (mean.mean_lsb, mean.max_lsb) == (0.25, 0.5)
    assert error(HalfSum(), port="difference").max == 0
    with pytest.raises(UnknownName, match="did you mean 'difference'"):
        error(HalfSum(), port="differences")


@dataclass(frozen=True)
class RowMean(Unit):
    """Each element minus the floor of the row's mean."""

    max_row: int = 4

    @property
    def inputs(self):
        return {"x": Int(8)}

    @property
    def outputs(self):
        return {"y": Int(10)}

    def _evaluate(self, *columns):
        x = columns[0].astype(np.int64)
        return {"y": (x - (x.sum(axis=-1, keepdims=True) // x.shape[-1])).astype(np.int16)}

    def real(self, *values):
        return values[0] - values[0].mean(axis=-1, keepdims=True)

    def corners(self):
        return (np.array([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=np.int8),)


def test_row_units():
    figures = error(RowMean())
    assert not figures.complete
    assert figures.count == 4 * (2 + (1 << 18))
    assert figures.max == 0.75
    assert error(RowMean(), np.array([[1, 1, 1, 0]], dtype=np.int8)).worst == (0, 0)


def test_no_real_function():
    with pytest.raises(IntsimError, match="uniform approximates no function known here"):
        error(replace(DIRECT, fn=None))


def test_floating_point_ports():
    """Codes of infinities and NaNs are no inputs; the relative error starts at the smallest normal number."""
    unit = catalogue.get("nli_silu_f16")
    figures = error(unit)
    assert figures.count == 2 * 31 * 1024
    assert (figures.mean_lsb, figures.correctly_rounded, figures.tau) == (None, None, 2.0**-14)
    assert figures.mean_relative < 1e-3


def test_plain_figures():
    body = error(DIRECT).as_dict()
    assert body["count"] == 256
    assert body["worst"] == error(DIRECT).worst


def test_only_units_have_an_error():
    with pytest.raises(IntsimError, match="expected a unit, got str"):
        error("silu")
