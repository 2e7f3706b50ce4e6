"""The golden model in C equals the golden model, on every input there is."""

import ctypes
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest
from flow_units import FromFirst, Mean, Total
from operator_units import ELEMENTWISE, ROWS

from hdl import flow
from hdl.flow.c_source import Translator
from hdl.flow.stimulus import Stimulus
from intsim import catalogue
from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Int
from intsim.requant.conventions import INTEGER, from_scales
from intsim.unit import Unit

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-Wno-unused-parameter"]


def compiled(unit, folder, compiler="gcc", flags=STRICT):
    """The C function as a NumPy function of one row or many elements."""
    paths = flow.export_c(unit, folder)
    target = folder / f"{unit.name}.so"
    subprocess.run([compiler, *flags, "-shared", "-fPIC", "-o", target, paths["source"]], check=True)
    code = getattr(ctypes.CDLL(str(target)), unit.name if unit.is_row else f"{unit.name}_all")

    def call(*columns):
        ins = [np.ascontiguousarray(column.reshape(-1), dtype=np.int64) for column in columns]
        expected = unit(*columns)
        outs = [np.zeros(np.size(e), np.int64) for e in (expected if isinstance(expected, tuple) else (expected,))]
        code(ctypes.c_int32(ins[0].size), *(ctypes.c_void_p(a.ctypes.data) for a in ins + outs))
        return outs, [np.reshape(e, -1) for e in (expected if isinstance(expected, tuple) else (expected,))]

    return call


@pytest.mark.parametrize("name", catalogue.names())
def test_catalogue(tmp_path, name):
    """Every input of every unit in the catalogue."""
    unit = catalogue.get(name)
    call = compiled(unit, tmp_path)
    compared = 0
    for columns in Stimulus(unit, vectors=1 << 16).batches():
        if unit.is_row:
            columns = tuple(column[:1] for column in columns)
        got, expected = call(*columns)
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a, b)
        compared += expected[0].size
    assert compared >= min(Stimulus(unit).total, 1000)


@pytest.mark.parametrize("unit", [FromFirst(), Total()], ids=lambda u: u.name)
def test_rows_of_every_length(tmp_path, unit):
    call = compiled(unit, tmp_path)
    rng = np.random.default_rng(0)
    fmt = unit.inputs["x"]
    for n in range(1, unit.max_row + 1):
        for _ in range(20):
            got, expected = call(rng.integers(fmt.lo, fmt.hi, (1, n), dtype=fmt.dtype, endpoint=True))
            assert np.array_equal(got[0], expected[0])


CHANNELS = from_scales("tflite_double", [0.0123, 0.7, 1.9e-5, 3.3, 0.05], zero_point=-3)


@pytest.mark.parametrize("unit", [*ELEMENTWISE.values(), *INTEGER.values(), CHANNELS], ids=lambda u: u.name)
def test_elements(tmp_path, unit):
    """Operators and requantisers on their corners, and on random codes where the golden model takes them."""
    call = compiled(unit, tmp_path)
    rng = np.random.default_rng(0)
    random = [rng.integers(f.lo, f.hi, 2000, dtype=f.dtype, endpoint=True) for f in unit.inputs.values()]
    for columns in (unit.corners(), random):
        got, expected = call(*columns)
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_operators(tmp_path, name):
    """Row units on rows of their corners, and on random ones of other lengths, the longest among them."""
    unit = ROWS[name]
    call = compiled(unit, tmp_path)
    rng = np.random.default_rng(0)
    corners = unit.corners()
    step = max(len(corners[0]) // 100, 1)
    rows = [tuple(column[k : k + 1] for column in corners) for k in range(0, len(corners[0]), step)]
    for n in (1, 2, 3, 7, 33, 34, unit.max_row):
        rows.append(tuple(rng.integers(f.lo, f.hi, (1, n), f.dtype, endpoint=True) for f in unit.inputs.values()))
    compared = 0
    for columns in rows:
        try:
            unit(*columns)
        except IntsimError:  # such as a row of one length only: the C function is not told what it may refuse
            continue
        got, expected = call(*columns)
        for a, b in zip(got, expected, strict=True):
            assert np.array_equal(a, b)
        compared += 1
    assert compared > len(rows) // 2


def test_single_element_and_plain_cxx(tmp_path):
    """Some simulators compile C files as C++."""
    unit = Mean()
    compiled(unit, tmp_path, "g++", ["-x", "c++", "-std=c++14", "-Wall"])
    code = ctypes.CDLL(str(tmp_path / "mean.so"))
    code.mean.restype = ctypes.c_int64
    for a, b in ((-32, 31), (31, 31), (-1, 0)):
        assert code.mean(ctypes.c_int64(a), ctypes.c_int64(b)) == unit(a, b)


@exact
def every_construct(a, b, out):
    for k in range(a.size - 1, -1, -1):
        x, y = a[k], b[k]
        x, y = y, x
        total = 0
        for step in (3, -2, 1):
            total += x // step + y % step
        n = 0
        while (n < 5 and total > 0) or n == 0:
            n += 1
            if n == 3:
                continue
            if total < -100:
                break
            total -= n
        total ^= -7 if not (x == y or x > 9) else min(x, y, -3) | abs(y) & 6
        out[k] = (total << 2) + (x >> 1) + (~y) + max(x, 0, y) + (-1 < x <= 5)


@dataclass(frozen=True)
class Constructs(Unit):
    """Every construct that operators may use, on all pairs of six-bit numbers."""

    @property
    def inputs(self):
        return {"a": Int(6), "b": Int(6)}

    @property
    def outputs(self):
        return {"y": Int(32)}

    def _evaluate(self, a, b):
        out = np.empty(a.shape, dtype=np.int32)
        run(every_construct, a, b, out)
        return {"y": out}


def test_python_semantics(tmp_path):
    """Floor division, remainders and shifts of negatives, chained comparisons, swaps, loops of every kind."""
    call = compiled(Constructs(), tmp_path)
    (columns,) = Stimulus(Constructs()).batches()
    got, expected = call(*columns)
    assert got[0].size == 4096
    assert np.array_equal(got[0], expected[0])


@dataclass(frozen=True)
class ComputesElsewhere(Constructs):
    """Computes outside of its operator."""

    def _evaluate(self, a, b):
        return super()._evaluate(a + np.int8(1), b)


def test_units_that_compute_elsewhere_are_refused(tmp_path):
    with pytest.raises(IntsimError, match="'a' is computed outside of any operator"):
        flow.export_c(ComputesElsewhere(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@exact
def with_slices(x, out):
    out[0] = x[1:]


def test_constructs_that_operators_do_not_have_are_named():
    with pytest.raises(IntsimError, match=r"with_slices: cannot be written in C: x\[1:\]"):
        Translator().function(with_slices, [1, 1])


@dataclass(frozen=True)
class Wide(Constructs):
    @property
    def outputs(self):
        return {"y": Int(64, signed=False)}


def test_unsigned_64_bit_ports(tmp_path):
    with pytest.raises(IntsimError, match="y: u64 does not fit int64_t"):
        flow.export_c(Wide(), tmp_path)
