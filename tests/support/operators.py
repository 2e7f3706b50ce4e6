"""What every integer operator must pass: the same numbers compiled and on unbounded integers, rows that break
things, and corners that notice a change in any constant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from integer_only import guard, integer_only

from intsim import Format, IntsimError, Unit
from intsim.exact import plain

__all__ = ["assert_corners", "assert_exact", "assert_integer_only", "mutants", "rows_of", "surviving_mutants"]


def assert_corners(unit: Unit) -> None:
    """On its corners the unit is exact, and integers are all it needs; its JSON is itself."""
    corners = unit.corners()
    assert_exact(unit, *corners)
    assert_integer_only(unit, *(column[:40] for column in corners))
    assert Unit.from_json(unit.to_json()) == unit


def assert_exact(unit: Unit, *arrays: Any) -> Any:
    """The unit compiled equals the unit on unbounded integers: outputs and every intermediate. Returns the outputs."""
    compiled = unit.trace(*arrays)
    with plain():
        reference = unit.trace(*arrays)
        outputs = unit(*arrays)
    assert list(compiled) == list(reference)
    for net, values in compiled.items():
        np.testing.assert_array_equal(values, reference[net], err_msg=f"{unit.name}.{net}")
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    again = unit(*arrays)
    for port, result, fresh in zip(unit.outputs, results, again if isinstance(again, tuple) else (again,), strict=True):
        fmt = unit.outputs[port]
        np.testing.assert_array_equal(result, fresh)
        np.testing.assert_array_equal(result, compiled[port])
        assert fmt.lo <= int(np.min(result)) <= int(np.max(result)) <= fmt.hi, f"{port} leaves {fmt}"
        assert np.asarray(result).dtype == fmt.dtype
    return outputs


def assert_integer_only(unit: Unit, *arrays: Any) -> None:
    """The unit gives the same on arrays that refuse every float: outputs and intermediates."""
    expected = unit.trace(*arrays)
    with integer_only():
        got = unit.trace(*(guard(np.asarray(array)) for array in arrays))
    for net, values in expected.items():
        np.testing.assert_array_equal(np.asarray(got[net]), values, err_msg=f"{unit.name}.{net}")


def rows_of(fmt: Format, n: int, seed: int = 0, spread: int | None = None) -> np.ndarray:
    """Extreme rows of length `n` and a random one: equal, all minimum, all maximum, one-hot, ramp."""
    lo, hi = fmt.lo, fmt.hi
    if spread is not None:
        lo, hi = max(lo, -spread), min(hi, spread)
    place = np.arange(n)
    ramp = np.array([lo + (hi - lo) * int(i) // max(n - 1, 1) for i in place], dtype=object)
    rng = np.random.default_rng(seed)
    rows = [
        np.full(n, lo),
        np.full(n, hi),
        np.full(n, min(max(7, lo), hi)),
        np.where(place == n // 2, hi, lo),
        ramp,
        rng.integers(lo, hi, size=n, endpoint=True),
    ]
    return np.array(rows, dtype=fmt.dtype)


def mutants(unit: Unit, skip: tuple[str, ...] = ()) -> Iterator[tuple[str, Unit]]:
    """The unit with one integer constant changed by one, each constant in turn, as far as such a unit exists."""
    for field in dataclasses.fields(unit):
        value = getattr(unit, field.name)
        if field.name in skip or field.metadata.get("note"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, tuple)):
            continue
        for change in (-1, 1):
            for label, changed in _changed(field.name, value, change):
                try:
                    yield label, dataclasses.replace(unit, **{field.name: changed})
                except (IntsimError, ValueError):
                    continue


def _changed(name: str, value: Any, change: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, int):
        if type(value) is int:
            yield f"{name}{change:+d}", value + change
        elif value + change in tuple(type(value)):  # another member of an enumeration
            yield f"{name}{change:+d}", type(value)(value + change)
        return
    for i, item in enumerate(value):
        if isinstance(item, int):
            yield f"{name}[{i}]{change:+d}", (*value[:i], item + change, *value[i + 1 :])


def surviving_mutants(unit: Unit, skip: tuple[str, ...] = ("max_row",), domain: tuple[Any, ...] = ()) -> list[str]:
    """Names of the changed constants that the unit's own corners do not notice in its outputs.

    With a `domain`, a survivor that computes the same on all of it is another spelling of the unit, and not named.
    """
    corners = unit.corners()
    return [
        label
        for label, mutant in mutants(unit, skip)
        if _same(unit, mutant, corners) and not (domain and _same(unit, mutant, domain))
    ]


def _same(unit: Unit, mutant: Unit, arrays: tuple[Any, ...]) -> bool:
    try:
        result = mutant(*arrays)
    except IntsimError:
        return False  # noticed: an input is refused
    expected = unit(*arrays)
    pairs = zip(*(r if isinstance(r, tuple) else (r,) for r in (expected, result)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
