"""Arithmetic written once: ``@exact`` functions, compiled on first use.

An operator is a plain Python function over integers. Called as it stands it runs on Python's unbounded
integers and is the reference. :func:`compiled` gives the machine-code version, built together with every
``@exact`` helper it calls. Comparing the two shows that nothing overflows 64 bits.

Conventions of an ``@exact`` function:

* its arguments are integers, or arrays of integers that it indexes;
* an array it writes is a parameter whose name begins with ``out``;
* it uses no float, no ``/``, no NumPy function that returns floats: compiling it refuses them
  (:mod:`intsim.integers_only`);
* a shift count stays below 64 (clamp it: machine shifts wrap, Python's do not).

Compiled code is cached on disk under a name made from the source of the function and of all its helpers
(Numba's own cache watches one file only and would keep a stale result when a helper changes).
"""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from intsim.files import cache_root

__all__ = [
    "cache_dir",
    "compiled",
    "exact",
    "helpers",
    "interpreted",
    "is_compiled",
    "is_plain",
    "kernel",
    "offline",
    "operators",
    "plain",
    "run",
]

F = TypeVar("F", bound=Callable[..., Any])

_operators: dict[str, Callable[..., Any]] = {}
_plain: ContextVar[bool] = ContextVar("intsim_plain", default=False)
_interpreter: ContextVar[Callable[..., Any] | None] = ContextVar("intsim_interpreter", default=None)


def exact(fn: F) -> F:
    """Mark `fn` as an integer operator. The function itself is returned unchanged, un-compiled."""
    fn.__exact__ = True  # type: ignore[attr-defined]
    _operators[f"{fn.__module__}.{fn.__qualname__}"] = fn
    return fn


def offline(fn: F) -> F:
    """Mark `fn` as design-time code: :func:`compiled` serves it too, it may use floats, and no unit may call it."""
    fn.__offline__ = True  # type: ignore[attr-defined]
    return fn


def kernel(fn: F) -> F:
    """Mark `fn` as machine-level code of :mod:`intsim.kernels`: a faster formulation, or a part of one.

    It runs compiled only, without Python's global lock, and may hold integers in floats within a bound it asserts.
    """
    fn.__kernel__ = True  # type: ignore[attr-defined]
    return fn


def operators() -> dict[str, Callable[..., Any]]:
    """Every operator marked so far, by qualified name."""
    return dict(_operators)


def helpers(fn: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The marked functions that `fn` calls directly, by the global name it uses for them."""
    found: dict[str, Callable[..., Any]] = {}
    for name in fn.__code__.co_names:
        value: Any = fn.__globals__.get(name)
        if any(getattr(value, mark, False) for mark in ("__exact__", "__offline__", "__kernel__")):
            found[name] = value
    return found


@functools.cache
def compiled(fn: Callable[..., Any], *, cache: bool = True) -> Callable[..., Any]:
    """The machine-code version of an operator and of all its helpers.

    Nothing is compiled until the returned dispatcher is called, once per combination of argument types.

    Parameters
    ----------
    fn : a function marked with :func:`exact`, :func:`offline` or :func:`kernel`
    cache : keep the compiled code on disk
    """
    import numba  # heavy: loaded on first use only

    namespace = {name: fn.__globals__[name] for name in fn.__code__.co_names if name in fn.__globals__}
    for name, helper in helpers(fn).items():
        namespace[name] = compiled(helper, cache=False)
    namespace["__name__"] = fn.__module__
    namespace["__builtins__"] = __builtins__
    clone = types.FunctionType(fn.__code__, namespace, fn.__name__, fn.__defaults__, fn.__closure__)
    clone.__qualname__ = fn.__qualname__
    clone.__module__ = fn.__module__
    if getattr(fn, "__kernel__", False) or getattr(fn, "__offline__", False):
        dispatcher = numba.njit(clone, nogil=True)
    else:
        from intsim.integers_only import IntegerCompiler

        dispatcher = numba.njit(clone, pipeline_class=IntegerCompiler)
    digest = _digest(fn) if cache else None
    if digest:
        _enable_cache(dispatcher, cache_dir() / digest)
    return dispatcher


def _enable_cache(dispatcher: Any, folder: Path) -> None:
    """Point one dispatcher's cache at `folder`, leaving the user's Numba settings as they are."""
    from numba.core import config as numba_config

    config: Any = numba_config

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a read-only home costs a compilation per process, nothing else
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        dispatcher.enable_caching()
    finally:
        config.CACHE_DIR = before


def cache_dir() -> Path:
    """Where compiled operators are kept."""
    return cache_root() / "operators"


@functools.cache
def _digest(fn: Callable[..., Any]) -> str | None:
    """A name that changes when the source of `fn`, of a helper or of a constant they use changes.

    None where there is no source to watch (a function typed at a prompt): then nothing is cached.
    """
    seen: dict[str, Callable[..., Any]] = {}

    def visit(f: Callable[..., Any]) -> None:
        key = f"{f.__module__}.{f.__qualname__}"
        if key not in seen:
            seen[key] = f
            for helper in helpers(f).values():
                visit(helper)

    visit(fn)
    digest = hashlib.sha256()
    for key in sorted(seen):
        f = seen[key]
        digest.update(key.encode())
        try:
            digest.update(inspect.getsource(f).encode())
        except (OSError, TypeError):
            return None
        used: dict[str, Any] = {name: f.__globals__.get(name) for name in f.__code__.co_names}
        used["__defaults__"] = f.__defaults__
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
            used[name] = cell.cell_contents
        for name, value in used.items():
            if isinstance(value, (int, tuple, enum.Enum)):
                digest.update(f"{name}={value!r}".encode())
            elif hasattr(value, "_defn"):  # machine code written by an intrinsic, with the help of its module
                digest.update(inspect.getsource(sys.modules[value._defn.__module__]).encode())
            elif isinstance(value, np.ndarray):
                digest.update(f"{name}={value.dtype}{value.shape}".encode() + value.tobytes())
    return f"{fn.__name__}-{digest.hexdigest()[:16]}"


@contextmanager
def plain() -> Iterator[None]:
    """Inside this context :func:`run` uses the un-compiled operators on unbounded integers."""
    token = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(token)


def is_plain() -> bool:
    """Whether operators run un-compiled at this point."""
    return _plain.get()


def is_compiled() -> bool:
    """Whether operators run as machine code at this point, so that a kernel may stand in for one."""
    return not _plain.get() and _interpreter.get() is None


@contextmanager
def interpreted(by: Callable[..., Any]) -> Iterator[None]:
    """Inside this context :func:`run` hands operators and arguments to `by`; proofs run them on unknown integers."""
    token = _interpreter.set(by)
    try:
        yield
    finally:
        _interpreter.reset(token)


def run(fn: Callable[..., Any], *args: Any) -> Any:
    """Call an operator: compiled, or un-compiled on unbounded integers inside :func:`plain`.

    Raises
    ------
    OverflowError, TypeError
        Un-compiled only: an output value does not fit the output array's dtype, or is no integer.
    FloatInOperator
        Compiled only: the operator computes with floats.
    """
    interpreter = _interpreter.get()
    if interpreter is not None:
        return interpreter(fn, *args)
    if not _plain.get():
        return compiled(fn)(*args)
    names = list(inspect.signature(fn).parameters)
    unbounded = [_unbounded(arg) for arg in args]
    result = fn(*unbounded)
    for name, given, computed in zip(names, args, unbounded, strict=False):
        if name.startswith("out") and isinstance(given, np.ndarray):
            _store(name, given, computed)
    return result


def _unbounded(value: Any) -> Any:
    """Python integers in place of machine integers: arrays become object arrays (copies)."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "iub":
            raise TypeError(f"operators take integer arrays, got {value.dtype}")
        return value.astype(object)
    if isinstance(value, np.integer):
        return int(value)
    return value


def _store(name: str, given: np.ndarray, computed: np.ndarray) -> None:
    bound = np.iinfo(given.dtype)
    for value in computed.flat:
        if not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name}: {value!r} is not an integer; an @exact operator holds integers only")
        if not bound.min <= value <= bound.max:
            raise OverflowError(f"{name}: {value} does not fit {given.dtype} [{bound.min}, {bound.max}]")
    given[...] = computed.astype(given.dtype)
