"""Operators compile lazily, with their helpers, and a change anywhere reaches the cached code."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from intsim import exact as exact_module
from intsim.exact import compiled, exact, helpers, is_plain, operators, plain, run
from intsim.integers_only import FloatInOperator
from intsim.rounding import shift_round


@exact
def double(x):
    return 2 * x


@exact
def shifted_double(x, s):
    return double(x) << s


@exact
def square_into(x, out):
    for i in range(x.size):
        out[i] = x[i] * x[i]


def in_new_process(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def load_file(path: Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Compiled and un-compiled ---------------------------------------------------------------------------------------


def test_the_marked_function_stays_a_plain_function_on_unbounded_integers():
    assert double(1 << 100) == 1 << 101
    assert operators()[f"{__name__}.double"] is double
    assert helpers(shifted_double) == {"double": double}


def test_helpers_are_uncompiled_with_their_caller():
    """A compiled helper inside an un-compiled operator would wrap silently: here nothing is bounded."""
    assert shifted_double(1 << 62, 3) == 1 << 66
    with plain():
        assert run(shifted_double, 1 << 62, 3) == 1 << 66
    assert run(shifted_double, 1 << 62, 3) == 0  # the machine's 64 bits


def test_run_is_compiled_outside_plain_and_uncompiled_inside():
    assert not is_plain()
    with plain():
        assert is_plain()
        with plain():
            assert is_plain()
        assert is_plain()
    assert not is_plain()


def test_plain_is_left_after_an_error():
    with pytest.raises(ZeroDivisionError), plain():
        run(exact(lambda x: 1 // x), 0)
    assert not is_plain()


def test_an_output_that_does_not_fit_is_an_error_uncompiled():
    x = np.array([3, 200], dtype=np.int64)
    out = np.zeros(2, dtype=np.int16)
    with plain(), pytest.raises(OverflowError, match="out: 40000 does not fit int16"):
        run(square_into, x, out)
    with plain():
        run(square_into, x[:1], out[:1])
    assert out.tolist() == [9, 0]
    run(square_into, x, out)
    assert out.tolist() == [9, 40000 - 65536]  # compiled, it wraps: why the comparison is made


def test_uncompiled_operators_do_not_change_their_inputs():
    @exact
    def clear(x, out):
        x[0] = 0
        out[0] = 1

    x, out = np.array([7]), np.zeros(1, dtype=np.int64)
    with plain():
        run(clear, x, out)
    assert (x[0], out[0]) == (7, 1)


def test_uncompiled_operators_take_integer_arrays_only():
    with plain(), pytest.raises(TypeError, match="integer arrays, got float64"):
        run(square_into, np.zeros(1), np.zeros(1, dtype=np.int64))


# Floats ---------------------------------------------------------------------------------------------------------


def _halve(x):
    half = x / 2
    return int(half)


def _by_literal(x):
    return x > 0.5


def _by_numpy(x):
    return int(np.sqrt(x))


def _by_array(x):
    buffer = np.empty(3)
    return x + buffer.size


def _by_cast(x):
    return int(np.float32(x))


@pytest.mark.parametrize("planted", [_halve, _by_literal, _by_numpy, _by_array, _by_cast])
def test_a_float_in_any_intermediate_is_refused(planted):
    with pytest.raises(FloatInOperator, match=f"{planted.__name__} computes with floats .* is .*float"):
        compiled(exact(planted), cache=False)(3)


@exact
def _half(x):
    return x / 2


@exact
def _rounded(x):
    return x + int(_half(x))


def test_a_float_in_a_helper_is_refused():
    with pytest.raises(FloatInOperator, match="_half computes with floats"):
        compiled(_rounded, cache=False)(3)


def test_a_float_stored_by_an_uncompiled_operator_is_refused():
    def store_half(x, out):
        out[0] = x[0] / 2

    with plain(), pytest.raises(TypeError, match=r"out: 1\.5 is not an integer"):
        run(store_half, np.array([3]), np.zeros(1, dtype=np.int64))


# The cache ------------------------------------------------------------------------------------------------------

HELPER = """
from intsim.exact import exact

OFFSET = {offset}

@exact
def helper(x):
    return x + {constant} + OFFSET
"""

CALLER = """
from intsim.exact import exact
from changing_helper import helper

@exact
def caller(x):
    return 10 * helper(x)
"""

CALL = """
import sys
sys.path.insert(0, {folder!r})
from changing_caller import caller
from intsim.exact import compiled
fn = compiled(caller)
print(fn(5), sum(fn.stats.cache_hits.values()))
"""


@pytest.mark.parametrize("change", ["source of the helper", "constant of the helper"])
def test_a_changed_helper_in_another_file_reaches_the_cached_caller(tmp_path, change):
    def write(constant: int, offset: int) -> None:
        (tmp_path / "changing_helper.py").write_text(HELPER.format(constant=constant, offset=offset))

    (tmp_path / "changing_caller.py").write_text(CALLER)
    call = CALL.format(folder=str(tmp_path))
    env = {"INTSIM_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    write(1, 0)
    assert in_new_process(call, **env) == "60 0"
    assert in_new_process(call, **env) == "60 1"  # from the cache
    write(*((2, 0) if change == "source of the helper" else (1, 1)))
    assert in_new_process(call, **env) == "70 0"
    assert in_new_process(call, **env) == "70 1"


def test_the_digest_sees_closures_defaults_and_constant_arrays(tmp_path):
    source = """
        import numpy as np
        from intsim.exact import exact
        TABLE = np.array({table})
        def make(k):
            @exact
            def scaled(x, step={default}):
                return x * k + step + TABLE[0]
            return scaled
    """
    digests = set()
    for index, (table, default, k) in enumerate([([1], 0, 2), ([2], 0, 2), ([1], "1 - 1 + 5", 2), ([1], 0, 3)]):
        path = tmp_path / f"closure{index}.py"
        path.write_text(textwrap.dedent(source.format(table=table, default=default)))
        module = load_file(path, "closure_module")
        digests.add(exact_module._digest(module.make(k)))
    assert len(digests) == 4


def test_a_function_without_source_is_compiled_uncached():
    namespace = {"__name__": "typed_at_a_prompt"}
    exec("def triple(x):\n    return 3 * x\n", namespace)
    operator = exact(namespace["triple"])
    assert run(operator, 7) == 21
    assert exact_module._digest(operator) is None


def test_a_cache_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path):
    (tmp_path / "file").write_text("")
    code = """
        from intsim.exact import run
        from intsim.rounding import shift_round
        print(run(shift_round, 5, 1, 2))
    """
    assert in_new_process(code, INTSIM_CACHE_DIR=str(tmp_path / "file" / "below")) == "3"


# Import ---------------------------------------------------------------------------------------------------------


def test_importing_the_package_loads_no_numba_typer_or_rich_and_is_quick():
    code = """
        import sys, time
        import numpy
        start = time.perf_counter()
        import intsim, intsim.tables
        seconds = time.perf_counter() - start
        heavy = {"numba", "llvmlite", "typer", "rich", "amaranth", "matplotlib", "scipy"}
        print(sorted(heavy & sys.modules.keys()), seconds)
    """
    heavy, seconds = in_new_process(code).rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 1.0


def test_a_product_loads_neither_nonlinear_functions_nor_tables():
    code = """
        import sys
        import intsim.linear
        print([name for name in ("intsim.nonlinear", "intsim.tables", "intsim.schemes") if name in sys.modules])
    """
    assert in_new_process(code) == "[]"


def test_nothing_is_compiled_before_the_first_call():
    code = """
        import sys, importlib, pkgutil
        import intsim
        for module in pkgutil.walk_packages(intsim.__path__, "intsim."):
            if not module.name.startswith(("intsim.kernels", "intsim.integers_only", "intsim.__main__")):
                importlib.import_module(module.name)
        from intsim.exact import compiled, operators
        print(len(operators()) > 5, "numba" in sys.modules, compiled.cache_info().currsize)
    """
    assert in_new_process(code) == "True False 0"


def test_compiling_one_operator_compiles_only_what_it_calls():
    code = """
        from intsim.exact import compiled, run
        from intsim.rounding import shift_round
        assert run(shift_round, -5, 1, 4) == -2
        print(compiled.cache_info().currsize)
    """
    assert in_new_process(code) == "1"


def test_the_pipeline_of_a_core_operator_is_the_one_that_refuses_floats():
    from intsim.integers_only import IntegerCompiler

    assert compiled(shift_round)._compiler.pipeline_class is IntegerCompiler
