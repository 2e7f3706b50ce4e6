"""Law 1, at run time: inside :func:`integer_only` no array of the package can become a float.

Every module of the package gets a stand-in for its name ``np``. What that returns is an :class:`IntegerOnly`
array, which raises as soon as any operation on it would give a float; a NumPy function that returns a float
without such an array (``np.sqrt(2)``) raises as well, and so does naming a float type.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = ["FloatAtRunTime", "IntegerOnly", "guard", "integer_only"]


class FloatAtRunTime(AssertionError):
    """An operation on integer arrays gave a float."""


class IntegerOnly(np.ndarray):
    """An array that refuses every operation with a float in it or out of it."""

    def __array_finalize__(self, source: Any) -> None:
        _refuse("an array", self)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        _refuse(f"np.{ufunc.__name__}", *inputs)
        bare = [_bare(item) for item in inputs]
        if out is not None:
            if method == "__call__":
                _refuse(f"np.{ufunc.__name__}", ufunc(*(item[:0] if np.ndim(item) else item for item in bare)))
            kwargs["out"] = tuple(_bare(item) for item in out)
        result = getattr(ufunc, method)(*bare, **kwargs)
        _refuse(f"np.{ufunc.__name__}", result)
        return out[0] if out is not None else guard(result)

    def __array_function__(self, func, types, args, kwargs):
        result = super().__array_function__(func, types, args, kwargs)
        _refuse(f"np.{func.__name__}", result)
        return guard(result)


def guard(value: Any) -> Any:
    """Arrays, also inside tuples and lists, as :class:`IntegerOnly`; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value if isinstance(value, IntegerOnly) else value.view(IntegerOnly)
    if type(value) in (tuple, list):
        return type(value)(guard(item) for item in value)
    return value


@contextmanager
def integer_only(prefix: str = "intsim") -> Iterator[None]:
    """Refuse floats in every loaded module whose name begins with `prefix`."""
    loaded = [m for name, m in list(sys.modules.items()) if m and f"{name}.".startswith(f"{prefix}.")]
    modules = [module for module in loaded if getattr(module, "np", None) is np]
    stand_in = _IntegerNumpy()
    for module in modules:
        module.np = stand_in
    try:
        yield
    finally:
        for module in modules:
            module.np = np


class _IntegerNumpy:
    """NumPy, its results guarded."""

    def __getattr__(self, name: str) -> Any:
        member = getattr(np, name)
        if isinstance(member, float) or (isinstance(member, type) and issubclass(member, np.inexact)):
            raise FloatAtRunTime(f"np.{name} used at run time")
        return _Guarded(member) if callable(member) and not isinstance(member, type) else member


class _Guarded:
    """One NumPy function, its results guarded; other members (``np.add.reduce``) too."""

    def __init__(self, function: Any):
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._function(*args, **kwargs)
        _refuse(f"np.{getattr(self._function, '__name__', self._function)}", result)
        return guard(result)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._function, name)
        return _Guarded(member) if callable(member) else member


def _bare(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, IntegerOnly) else value


def _refuse(what: str, *values: Any) -> None:
    for value in values:
        if isinstance(value, (tuple, list)):
            _refuse(what, *value)
        kind = value.dtype.kind if isinstance(value, (np.ndarray, np.generic)) else ""
        if kind in ("f", "c") or isinstance(value, (float, complex)):
            raise FloatAtRunTime(f"{what}: {value!r} is a float")
