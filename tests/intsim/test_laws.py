"""Law 1 for the whole package: no float in any operator, shown in three ways; and the checkers are checked.

The compiled operators are covered where they are compiled (see test_exact.py): a float in the type map is refused.
Here: reading the source, and running units on arrays that refuse floats.
"""

import ast
import importlib
import pkgutil
from pathlib import Path

import numpy as np
import pytest
from integer_only import FloatAtRunTime, IntegerOnly, guard, integer_only
from law1 import findings

import intsim
from intsim import Fixed, Unit, catalogue
from intsim.exact import compiled, operators, plain
from intsim.rounding import TIES_TO_POS
from intsim.tables import NLI

PACKAGE = Path(intsim.__file__).parent

# Modules (and packages) that run before the hardware does, with the reason.
DESIGN_TIME = {
    "intsim.engine.functions": "which functions the engine's tables are designed for, and on which real intervals",
    "intsim.catalogue": "designs stored tables",
    "intsim.cli": "prints figures and takes real values",
    "intsim.demo": "a float transformer and its activations",
    "intsim.measure": "compares with real functions",
    "intsim.models.designer": "scales from calibration",
    "intsim.models.llama_designer": "the same for Llama",
    "intsim.models.left_in_float": "what a scheme leaves in float, by definition",
    "intsim.models.real": "float twins and their weights",
    "intsim.prepare": "smoothing, rotation and calibration before quantisation",
    "intsim.sweep": "errors and costs of many variants",
    "intsim.requant.difference": "how often two conventions differ",
    "intsim.requant.picture": "a picture of that",
    "intsim.requant.float_scale": "the conventions whose scale is a float, by definition",
    "intsim.tables.design": "the breakpoint solver",
    "intsim.tables.functions": "the real functions that tables approximate",
}

# Functions of other modules that run at design time although their names do not say so.
EXEMPT = {
    "intsim.errors": {"nearest": "how alike two names are"},
    "intsim.exact": {"compiled": "a path", "cache_dir": "a path"},
    "intsim.files": {"cache_root": "a path", "write_files": "paths"},
    "intsim.formats.dyadic": {"ScaleRule.error_bound": "an error in real numbers"},
    "intsim.formats.fixed": {"round_real": "the rounding inside encode"},
    "intsim.requant.corners": {"near_ties": "draws inputs"},
    "intsim.linear.block_encoder": {"BlockEncoder.corners": "draws inputs"},
}


CORNERS = 300  # of a catalogue unit, tried un-compiled


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_design_time(module: str) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in DESIGN_TIME)


def import_everything() -> None:
    for module in pkgutil.walk_packages(intsim.__path__, "intsim."):
        importlib.import_module(module.name)


# The source -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [m for m in modules() if not is_design_time(m)])
def test_no_float_outside_design_time(module):
    found = findings(modules()[module].read_text(), module, EXEMPT.get(module, {}))
    assert not found, "\n" + "\n".join(map(str, found))


def test_no_operator_is_declared_in_a_design_time_module():
    import_everything()
    assert [name for name, fn in operators().items() if is_design_time(fn.__module__)] == []


def test_every_exemption_is_needed():
    known = modules()
    for module, functions in EXEMPT.items():
        for function in functions:
            fewer = [name for name in functions if name != function]
            assert findings(known[module].read_text(), module, fewer), f"{module}: {function} needs no exemption"


def test_every_design_time_module_exists_and_says_why():
    known = modules()
    for name, reason in DESIGN_TIME.items():
        assert name in known, f"{name} is gone; drop it from the list"
        assert len(reason.split()) > 1


def compiled_functions(source: str) -> list[ast.FunctionDef]:
    marks = {"exact", "kernel", "offline"}
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and marks & {getattr(d, "id", "") for d in node.decorator_list}
    ]


def test_compiled_functions_assert_nothing():
    """Pytest, and cocotb with it, rewrites assertions of every module into code that cannot be compiled."""
    functions = [(name, node) for name, path in modules().items() for node in compiled_functions(path.read_text())]
    assert len(functions) > 150
    asserting = [
        f"{name}.{node.name}" for name, node in functions if any(isinstance(n, ast.Assert) for n in ast.walk(node))
    ]
    assert not asserting, "raise AssertionError instead"


PLANTED = {
    "y = 0.5": "literal 0.5",
    "y = 2e3": "literal 2000.0",
    "y = a / b": "division /",
    "a /= b": "division /=",
    "y = 2 ** -k": "negative power",
    "y = float(a)": "type float",
    "y = np.float32(a)": "type float32",
    "y = a.astype(np.float64)": "type float64",
    "y = a.astype('float32')": "dtype 'float32'",
    "y = a.astype('<f8')": "dtype '<f8'",
    "y = np.array(a, dtype='d')": "dtype 'd'",
    "y = np.asarray(a, 'f4')": "dtype 'f4'",
    "y = np.zeros(4)": "np.zeros without dtype",
    "y = np.empty((2, 2))": "np.empty without dtype",
    "y = np.mean(a)": "np.mean",
    "y = a.mean()": ".mean()",
    "y = np.sqrt(a)": "np.sqrt",
    "y = np.round(a)": "np.round",
    "y = round(a)": "round()",
    "y = math.exp(a)": "math.exp",
    "from math import log2": "math.log2",
    "from numpy import tanh": "numpy.tanh",
    "y = a * np.pi": "np.pi",
    "y = np.linalg.norm(a)": "np.linalg",
    "def g(x=1.5): pass": "literal 1.5",
    "y = [1.0 for _ in a]": "literal 1.0",
    "y = lambda v: v * 0.1": "literal 0.1",
}


@pytest.mark.parametrize("line", PLANTED)
def test_a_planted_float_is_found(line):
    source = f"import math\nimport numpy as np\nclass U:\n    def _evaluate(self, a, b, k):\n        {line}\n"
    found = findings(source, "intsim.planted")
    assert [f.what for f in found] == [PLANTED[line]]
    assert (found[0].module, found[0].line) == ("intsim.planted", 5)
    assert found[0].function.startswith("U._evaluate")


@pytest.mark.parametrize(
    "name", ["design", "design_table", "from_real", "real", "measure", "encode", "decode", "_design"]
)
def test_design_time_functions_may_use_floats(name):
    assert findings(f"def {name}(x):\n    def inner(y):\n        return y / 2\n    return 0.5", "intsim.planted") == []


@pytest.mark.parametrize("name", ["designed", "surreal", "realise", "measured", "decoder", "evaluate", "redesign"])
def test_names_that_only_look_alike_may_not(name):
    assert len(findings(f"def {name}(x):\n    return x / 2", "intsim.planted")) == 1


def test_integer_code_is_left_alone():
    source = """
import numpy as np
from math import isqrt
def _evaluate(self, x: float, shift: "np.float64" = 3) -> float:
    y: float = np.zeros(4, dtype=np.int64)
    if isinstance(x, float):
        raise TypeError("no floats")
    return np.sum(x // 2 ** 3) + isqrt(7) + x.astype("int8") + np.empty(3, np.int32)
"""
    assert findings(source, "intsim.planted") == []


def test_a_kernel_may_hold_integers_in_floats_only_with_its_bound_asserted():
    kernel = "def matmul(a, b):\n    {}\n    return (a.astype('float32') @ b).astype('int64')"
    assert findings(kernel.format("assert a.shape[1] * 127 * 127 < 2**24"), "intsim.kernels.blas") == []
    assert len(findings(kernel.format("pass"), "intsim.kernels.blas")) == 1
    assert len(findings(kernel.format("assert a.shape[1] < 2**24"), "intsim.linear.matmul")) == 1


# Running on integers only ---------------------------------------------------------------------------------------


def table() -> NLI:
    """A small table that uses two intervals' scales, both signs and the clamp."""
    return NLI(
        x=Fixed(8, 4),
        y=Fixed(8, 6),
        cuts=(-100, -20, 30, 90),
        bins=4,
        mantissas=(3, 20, 4),
        shifts=(4, 4, 4),
        t_bits=4,
        table=(-60, -50, 0, 20, 64, 90, 100),
        rounding=TIES_TO_POS,
    )


def test_a_unit_runs_on_integer_only_arrays():
    unit = table()
    codes = unit.x.codes()
    expected = unit(codes)
    with integer_only():
        got = unit(guard(codes))
        with plain():
            uncompiled = unit(guard(codes))
        traced = unit.trace(guard(codes))
    assert isinstance(got, IntegerOnly)
    assert isinstance(traced["dx"], IntegerOnly)
    np.testing.assert_array_equal(np.asarray(got), expected)
    np.testing.assert_array_equal(np.asarray(uncompiled), expected)
    assert intsim.unit.np is np  # left as it was


@pytest.mark.parametrize("name", catalogue.names())
def test_every_unit_of_the_catalogue_runs_on_integer_only_arrays(name):
    """Its corners, compiled and un-compiled on unbounded integers: the same outputs and no float on the way."""
    unit = catalogue.get(name)
    corners = [column[:CORNERS] for column in unit.corners()]
    expected = unit(*corners)
    with integer_only():
        got = unit(*map(guard, corners))
        with plain():
            uncompiled = unit(*map(guard, corners))
    for computed in (got, uncompiled):
        np.testing.assert_array_equal(np.asarray(computed), np.asarray(expected))


class Floating(Unit):
    """A unit whose golden model is written by the test."""

    inputs = outputs = {"x": Fixed(8, 4)}  # noqa: RUF012
    body = staticmethod(lambda np, x: x)

    def _evaluate(self, *columns):
        return {"x": type(self).body(intsim.unit.np, columns[0])}


FLOATING = {
    "true division": lambda np, x: (x / 2).astype("int8"),
    "float scalar": lambda np, x: (x * 0.5).astype("int8"),
    "ufunc": lambda np, x: np.sqrt(np.abs(x)).astype("int8"),
    "mean": lambda np, x: x + np.int64(x.mean()),
    "function": lambda np, x: x + int(np.average(x)),
    "astype": lambda np, x: x.astype("float32").astype("int8"),
    "default dtype": lambda np, x: (x + np.zeros(x.shape)).astype("int8"),
    "no array involved": lambda np, x: x + int(np.sqrt(2)),
    "linspace": lambda np, x: x + np.linspace(0, 1, x.size).astype("int8"),
    "constant": lambda np, x: x + int(np.pi),
    "type": lambda np, x: x + int(np.float64(1)),
    "reduction": lambda np, x: x + int(np.add.reduce(x, dtype="f8")),
    "in place": lambda np, x: np.true_divide(x, 2, out=x.copy(), casting="unsafe"),
    "array of a list": lambda np, x: x + np.array([1.5]).astype("int8"),
}


@pytest.mark.parametrize("body", FLOATING.values(), ids=FLOATING)
def test_a_float_at_run_time_is_caught(body, monkeypatch):
    monkeypatch.setattr(Floating, "body", staticmethod(body))
    codes = np.arange(-128, 128, dtype=np.int8)
    unit = Floating()
    with integer_only(), pytest.raises((FloatAtRunTime, TypeError)) as caught:
        unit(guard(codes))
    assert "float" in str(caught.value) or "np." in str(caught.value)


def test_integer_operations_pass_the_guard(monkeypatch):
    def body(np, x):
        y = np.where(x > 0, x // 3, -x % 5) + np.cumsum(np.ones(x.size, dtype=np.int64))
        y = np.concatenate([y[:4], np.sort(y[4:])]) + np.sum(x) + x.max()
        return np.clip(np.bitwise_xor(y, 3), -128, 127).astype(np.int8)

    monkeypatch.setattr(Floating, "body", staticmethod(body))
    codes = np.arange(-128, 128, dtype=np.int8)
    expected = Floating()(codes)
    with integer_only():
        got = Floating()(guard(codes))
    np.testing.assert_array_equal(np.asarray(got), expected)


# Every operator -------------------------------------------------------------------------------------------------


def test_operators_are_compiled_by_the_pipeline_that_refuses_floats():
    from intsim.integers_only import IntegerCompiler

    import_everything()
    ours = {name: fn for name, fn in operators().items() if name.startswith("intsim.")}
    assert len(ours) > 5
    for name, fn in ours.items():
        if not fn.__module__.startswith("intsim.kernels."):
            assert compiled(fn)._compiler.pipeline_class is IntegerCompiler, name


def test_nothing_is_compiled_past_exact():
    """Law 2: no module that holds operators calls Numba's decorators itself."""
    allowed = {"intsim.exact", "intsim.integers_only"}
    for module, path in modules().items():
        if module not in allowed and not is_design_time(module):
            assert "njit" not in path.read_text(), module
            assert "numba.jit" not in path.read_text(), module
