"""One batch of inputs through the RTL and the golden model, and what differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hdl.flow.simulation import Model, WrongAnswers
from hdl.flow.stimulus import SHORT, Columns
from intsim.unit import Unit

__all__ = ["Batch", "Failing", "answers", "pauses", "run_batch"]

STALLS = 0.3
"""Probability of a pause, on each side that can pause, in the second run of a batch."""


@dataclass(frozen=True)
class Batch:
    """Inputs, the golden answers, those of the RTL (or why there are none), and which are wrong.

    Attributes
    ----------
    wrong : one boolean per element, or per row
    stalls : of the run that showed the first fault
    """

    unit: Unit
    columns: Columns
    expected: Columns
    got: Columns | str
    wrong: np.ndarray
    stalls: tuple[float, float] = (0.0, 0.0)
    seed: int = 0

    @classmethod
    def refused(cls, unit: Unit, columns: Columns, why: str, **run: Any) -> Batch:
        """A batch of which nothing can be compared."""
        return cls(unit, columns, _tuple(unit(*columns)), why, np.ones(columns[0].shape[0], dtype=bool), **run)

    def described(self, index: int) -> dict[str, Any]:
        """One mismatch in plain integers, with the golden model's intermediates."""
        inputs = _part(self.columns, index)
        return {
            "inputs": _plain(self.unit.inputs, inputs),
            "expected": _plain(self.unit.outputs, _part(self.expected, index)),
            "got": self.got if isinstance(self.got, str) else _plain(self.unit.outputs, _part(self.got, index)),
            "trace": {name: np.asarray(values)[0].tolist() for name, values in self.unit.trace(*inputs).items()},
        }

    def failing(self) -> Failing:
        """The wrong input of least magnitude, and all that went before it."""
        size = np.zeros(self.wrong.size)
        for column in self.columns:
            magnitude = np.abs(column.astype(np.float64))
            size += magnitude.sum(axis=1) if magnitude.ndim == 2 else magnitude
        where = np.flatnonzero(self.wrong)
        index = int(where[np.argmin(size[where])])
        return Failing(self, index)


@dataclass(frozen=True)
class Failing:
    """A wrong answer inside a batch: the input number `index`."""

    batch: Batch
    index: int

    def described(self) -> dict[str, Any]:
        """As for a batch, with the inputs before it that it takes to fail, and the pauses."""
        ports = self.batch.unit.inputs
        before = [_plain(ports, _part(self.batch.columns, k)) for k in range(self.index)]
        return {**self.batch.described(self.index), "after": before, "stalls": list(self.batch.stalls)}


def pauses(columns: Columns) -> list[tuple[float, float]]:
    """Under which a batch runs: none, and a second time, where it is short, with some on both sides."""
    return [(0.0, 0.0)] + [(STALLS, STALLS)] * (columns[0].size <= SHORT)


def run_batch(unit: Unit, device: Model, columns: Columns, seed: int) -> Batch:
    """Compare one batch, and once more under pauses if it is short; an input is right if both runs are."""
    expected = _tuple(unit(*columns))
    result: Batch | None = None
    for sender, receiver in pauses(columns):
        stalls = (sender, receiver if device.stallable else 0.0)
        found = answers(unit, device, columns, expected, stalls, seed)
        if isinstance(found.got, str):
            return found
        if result is None or not result.wrong.any():
            result = found
        elif found.wrong.any():
            result = _joined(result, found)
    assert result is not None
    return result


def _joined(first: Batch, second: Batch) -> Batch:
    """Two runs of one batch: the second's answers where only it is wrong."""
    late = second.wrong & ~first.wrong
    got = tuple(
        np.where(late[:, None] if new.ndim == 2 else late, new, old)
        for new, old in zip(second.got, first.got, strict=True)
        if isinstance(new, np.ndarray) and isinstance(old, np.ndarray)
    )
    return replace(first, got=got, wrong=first.wrong | late)


def answers(
    unit: Unit, device: Model, columns: Columns, expected: Columns, stalls: tuple[float, float], seed: int
) -> Batch:
    """One run of a batch."""
    try:
        got = _tuple(device(*columns, stalls=stalls, seed=seed))
    except WrongAnswers as error:
        return Batch.refused(unit, columns, str(error), stalls=stalls, seed=seed)
    wrong = np.zeros(columns[0].shape[0], dtype=bool)
    for a, b in zip(expected, got, strict=True):
        differs = a != b
        wrong |= differs.any(axis=1) if differs.ndim == 2 else differs
    return Batch(unit, columns, expected, got, wrong, stalls, seed)


def _tuple(result: Any) -> Columns:
    return tuple(np.atleast_1d(column) for column in (result if isinstance(result, tuple) else (result,)))


def _part(columns: Sequence[np.ndarray], index: int) -> Columns:
    return tuple(column[index : index + 1] for column in columns)


def _plain(ports: Iterable[str], columns: Sequence[np.ndarray]) -> dict[str, Any]:
    return {port: column[0].tolist() for port, column in zip(ports, columns, strict=True)}
