"""Which operators a unit calls, and with what: found by watching it work on samples of several sizes.

Every argument of a call is an input, a buffer that this or an earlier call writes, a table, a number, or an array that
only has to be filled. What fits all samples is taken; what fits none means that the unit computes outside of its
operators.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.flow.c_source import constant
from intsim.errors import IntsimError
from intsim.exact import compiled, interpreted
from intsim.unit import Unit

__all__ = ["Plan", "Size", "Value", "plan_calls"]

_FEW = (5, 8, 100)  # elements of the samples; a row unit's longest row joins them
_MANY = 600  # the largest block whose size is found


@dataclass(frozen=True)
class Size:
    """A dimension on `n` elements: ``factor * n + rest``, or ``ceil(n / group)`` where `group` exceeds 1."""

    factor: int
    rest: int
    group: int = 1


@dataclass(frozen=True)
class Value:
    """An argument of an operator call.

    Attributes
    ----------
    kind : ``input`` (a port), ``buffer`` (written by this or an earlier call), ``fill``, ``table`` or ``number``
    name : of the port or buffer; a number's text
    sizes : of each dimension
    words : of a table; of a ``fill``, its first element and the difference between neighbours
    """

    kind: str
    name: str
    sizes: tuple[Size, ...] = ()
    words: tuple[int, ...] = ()


@dataclass(frozen=True)
class Call:
    """One operator with its arguments."""

    fn: Callable[..., Any]
    arguments: tuple[Value, ...]


@dataclass(frozen=True)
class Plan:
    """Operator calls in order, and where each output port is found: buffer and row of it (None: all of it)."""

    calls: tuple[Call, ...]
    outputs: dict[str, tuple[str, int | None]]


@dataclass
class _Sample:
    """One evaluation on `count` elements: its calls, with copies of what the arguments were before."""

    count: int
    columns: list[np.ndarray]
    calls: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[Any, ...]]]
    results: dict[str, np.ndarray]


class _Uneven(IntsimError):
    """An array grows in steps: more samples may tell which."""


def plan_calls(unit: Unit) -> Plan:
    """What evaluations of different length and content have in common.

    Raises
    ------
    IntsimError
        The unit computes outside of its operators, or calls other ones for other inputs.
    """
    fixed, longest = getattr(unit, "row_length", None), getattr(unit, "max_row", _FEW[-1])
    if fixed:
        return _plan(unit, (fixed, fixed, fixed))
    few = sorted({*(n for n in _FEW if n <= longest), longest})
    try:
        return _plan(unit, few if len(few) > 1 else (1, 1))
    except _Uneven:
        return _plan(unit, sorted({*range(1, min(longest, _MANY) + 1), longest}))


def _plan(unit: Unit, counts: Sequence[int]) -> Plan:
    samples = [_sample(unit, count, seed) for seed, count in enumerate(counts, 1)]
    functions = [[call[0] for call in sample.calls] for sample in samples]
    if any(other != functions[0] for other in functions[1:]):
        raise IntsimError(f"{unit.name} calls other operators for other inputs; it cannot be written in C")
    buffers: list[tuple[str, list[np.ndarray]]] = []
    calls = []
    for number, fn in enumerate(functions[0]):
        given = [sample.calls[number][1] for sample in samples]
        before = [sample.calls[number][2] for sample in samples]
        names = list(inspect.signature(fn).parameters)[: len(given[0])]
        arguments = [
            _argument(unit, name, [a[k] for a in given], [b[k] for b in before], samples, buffers)
            for k, name in enumerate(names)
        ]
        calls.append(Call(fn, tuple(arguments)))
    outputs = {port: _origin(unit, port, samples, buffers) for port in unit.outputs}
    return Plan(tuple(calls), outputs)


# Samples ----------------------------------------------------------------------------------------------------------


def _sample(unit: Unit, count: int, seed: int) -> _Sample:
    """Note the calls of one evaluation; on small numbers if the unit refuses large ones."""
    for shift in range(0, 64, 4):
        rng = np.random.default_rng(seed)
        shape = (1, count) if unit.is_row else (count,)
        draws = [rng.integers(f.lo, f.hi, shape, dtype=f.dtype, endpoint=True) for f in unit.inputs.values()]
        columns = [
            np.clip(draw >> min(shift, f.bits - 2 if f.bits > 2 else 0), f.lo, f.hi).astype(f.dtype)
            for draw, f in zip(draws, unit.inputs.values(), strict=True)
        ]
        try:
            return _note_calls(unit, columns, count)
        except IntsimError:
            if shift == 60:
                raise
    raise AssertionError("unreachable")


def _note_calls(unit: Unit, columns: list[np.ndarray], count: int) -> _Sample:
    sample = _Sample(count, columns, [], {})

    def note(fn: Callable[..., Any], *arguments: Any) -> Any:
        before = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
        sample.calls.append((fn, arguments, before))
        return compiled(fn)(*arguments)

    with interpreted(note):
        sample.results = unit._evaluate(*columns)
    return sample


# What an argument is ----------------------------------------------------------------------------------------------


def _argument(unit: Unit, name: str, given: list[Any], before: list[Any], samples: list[_Sample], buffers) -> Value:
    first = given[0]
    if not isinstance(first, np.ndarray):
        if any(other != first for other in given):
            raise IntsimError(f"{unit.name}: {name!r} depends on the inputs outside of any operator")
        if isinstance(first, tuple):
            return Value("table", name, (Size(0, len(first)),), tuple(int(word) for word in first))
        return Value("number", constant(int(first)))
    sizes = _sizes(unit, given, samples)
    for label, places in buffers:
        if all(map(_same_memory, given, places)):
            return Value("buffer", label, sizes)
    if name.startswith("out"):
        buffers.append((f"buffer{len(buffers)}", given))
        return Value("buffer", buffers[-1][0], sizes)
    for k, port in enumerate(unit.inputs):
        if all(_equal(array, sample.columns[k]) for array, sample in zip(before, samples, strict=True)):
            return Value("input", port, sizes)
    if all(array.shape == first.shape and np.array_equal(array, before[0]) for array in before):
        return Value("table", name, sizes, tuple(int(word) for word in before[0].reshape(-1)))
    for start, step in _progressions(before[0]):
        if all(_equal(array, start + step * np.arange(array.size)) for array in before):
            buffers.append((f"filled{len(buffers)}", given))
            return Value("fill", buffers[-1][0], sizes, (start, step))
    raise IntsimError(f"{unit.name}: {name!r} is computed outside of any operator; it cannot be written in C")


def _progressions(array: np.ndarray) -> Iterator[tuple[int, int]]:
    """The constant or arithmetic progression that an array may be."""
    flat = array.reshape(-1)
    if flat.size:
        yield int(flat[0]), int(flat[1]) - int(flat[0]) if flat.size > 1 else 0


def _same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    return a.size == b.size and a.__array_interface__["data"] == b.__array_interface__["data"]


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.size == b.size and np.array_equal(a.reshape(-1), b.reshape(-1))


def _sizes(unit: Unit, arrays: list[np.ndarray], samples: list[_Sample]) -> tuple[Size, ...]:
    counts = [sample.count for sample in samples]
    found = [_size(counts, dimension) for dimension in zip(*(array.shape for array in arrays), strict=True)]
    if any(size is None for size in found):
        raise _Uneven(
            f"{unit.name}: an array does not grow evenly with the number of elements, nor in steps of up to {_MANY}"
        )
    return tuple(found)  # type: ignore[arg-type]


def _size(counts: Sequence[int], lengths: Sequence[int]) -> Size | None:
    """The rule by which a dimension grows, if there is one."""
    spread = counts[-1] - counts[0]
    factor = (lengths[-1] - lengths[0]) // spread if spread else 0
    rest = lengths[0] - factor * counts[0]
    if all(factor * n + rest == length for n, length in zip(counts, lengths, strict=True)):
        return Size(factor, rest)
    fits = [g for g in range(2, _MANY) if all(-(-n // g) == length for n, length in zip(counts, lengths, strict=True))]
    return Size(0, 0, fits[0]) if len(fits) == 1 else None


def _origin(unit: Unit, port: str, samples: list[_Sample], buffers) -> tuple[str, int | None]:
    """The buffer (or a row of one) that holds an output."""
    results = [sample.results[port] for sample in samples]
    for label, places in reversed(buffers):
        if all(map(_equal, results, places)):
            return label, None
    for label, places in reversed(buffers):
        for row in range(places[0].shape[0] if places[0].ndim > 1 else 0):
            if all(_equal(result, place[row]) for result, place in zip(results, places, strict=True)):
                return label, row
    raise IntsimError(
        f"{unit.name}: the output {port!r} is computed outside of any operator; it cannot be written in C"
    )
