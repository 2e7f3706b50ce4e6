"""From a function to an :class:`~intsim.tables.exponent.ExponentTable`: who gets how many words, by a knapsack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Minifloat
from intsim.tables import functions
from intsim.tables.design.float_cuts import useful_codes
from intsim.tables.design.target import function_and_name
from intsim.tables.exponent import ExponentTable

__all__ = ["design"]

_DEEPEST = 6  # fraction bits used as address: 64 segments in one octave are enough for 16-bit floats


def design(
    fn: str | Callable[[np.ndarray], Any],
    x: Minifloat,
    y: Minifloat,
    *,
    entries: int,
    width: int,
    tau: float,
    domain: tuple[float, float] | None,
) -> ExponentTable:
    """The unit; parameters as :meth:`intsim.tables.exponent.ExponentTable.design`."""
    function, name = function_and_name(fn)
    if domain is None and isinstance(fn, str):
        domain = functions.domain(fn)
    ends = x.decode(useful_codes(function, x, y, domain)[[0, -1]])

    def clamped(values: np.ndarray) -> np.ndarray:
        return np.asarray(function(np.clip(values, *ends)), dtype=np.float64)

    rows = 2 * ((1 << x.exponent) - 1)
    if entries < rows:
        raise IntsimError(f"{x} has {rows} rows of at least one word, got entries={entries}; use more")
    depths = range(min(_DEEPEST, x.fraction) + 1)
    costs = np.array([[_cost(clamped, x, row, k, tau) for k in depths] for row in range(rows)])
    splits = _knapsack(costs, entries)
    words: list[float] = []
    for row, k in enumerate(splits):
        words += clamped(_knots(x, row, k)[:-1]).tolist()
        if row % (rows // 2) == rows // 2 - 1:
            words += clamped(_knots(x, row, 0)[-1:]).tolist()
    table = y.encode(np.array(words), saturate=True)
    return ExponentTable(x, y, splits, tuple(table.tolist()), width, name)


def _codes(x: Minifloat, row: int) -> np.ndarray:
    half = (1 << x.exponent) - 1
    return (np.arange(1 << x.fraction) + (row % half << x.fraction)) | (row >= half) << (x.bits - 1)


def _knots(x: Minifloat, row: int, bits: int) -> np.ndarray:
    """Where the words of a row stand, with the end."""
    values = x.decode(_codes(x, row))
    end = 2 * values[-1] - values[-2]
    return values[0] + (end - values[0]) * np.arange((1 << bits) + 1) / (1 << bits)


def _cost(function: Callable, x: Minifloat, row: int, bits: int, tau: float) -> float:
    """Summed relative error of a row cut into ``2**bits`` unrounded chords."""
    values = x.decode(_codes(x, row))
    knots = _knots(x, row, bits)
    turn = -1 if knots[-1] < knots[0] else 1
    f = function(values)
    chords = np.interp(turn * values, turn * knots, function(knots))
    return float(np.sum(np.abs(chords - f) / np.maximum(np.abs(f), tau)))


def _knapsack(costs: np.ndarray, entries: int) -> tuple[int, ...]:
    """Per row the depth, with ``sum 2**depth <= entries`` and the least total cost: exact."""
    best = np.full(entries + 1, 0.0)
    choices = []
    for row in costs:
        reached = np.full((row.size, entries + 1), np.inf)
        for k, cost in enumerate(row[: entries.bit_length()]):
            reached[k, 1 << k :] = best[: entries + 1 - (1 << k)] + cost
        choices.append(np.argmin(reached, axis=0))
        best = np.min(reached, axis=0)
    left, splits = entries, []
    for choice in reversed(choices):
        splits.append(int(choice[left]))
        left -= 1 << splits[-1]
    return tuple(reversed(splits))
