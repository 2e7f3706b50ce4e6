"""Rows for the tests of row units, and the comparison of two answers to them."""

from __future__ import annotations

import numpy as np

__all__ = ["compare", "joined", "lengths", "random_rows", "shaped_rows"]

LENGTHS = (1, 2, 3, 4, 5, 7, 9, 16)


def lengths(unit) -> tuple[int, ...]:
    return (unit.row_length,) if unit.row_length else (*LENGTHS, unit.max_row)


def random_rows(unit, n: int, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Rows of every magnitude and offset; a one-bit port is a mask."""
    columns = []
    for fmt in unit.inputs.values():
        wide = rng.integers(fmt.lo, fmt.hi, (rows, n), endpoint=True)
        if fmt.bits > 1:
            offset = rng.integers(fmt.lo, fmt.hi, (rows, 1), endpoint=True) >> rng.integers(0, fmt.bits, (rows, 1))
            wide = np.clip((wide >> rng.integers(0, fmt.bits, (rows, 1))) + offset, fmt.lo, fmt.hi)
        columns.append(wide.astype(fmt.dtype))
    return tuple(columns)


def shaped_rows(unit, n: int) -> tuple[np.ndarray, ...]:
    """Equal rows, one-hot rows, ramps and all-minimum rows."""
    columns = []
    for fmt in unit.inputs.values():
        rows = [np.full(n, value) for value in sorted({fmt.lo, fmt.lo // 3, 0, fmt.hi // 2, fmt.hi})]
        for place in sorted({0, n // 2, n - 1}):
            rows.append(np.where(np.arange(n) == place, fmt.hi, fmt.lo))
            rows.append(np.where(np.arange(n) == place, fmt.lo, fmt.hi))
        ramp = np.array([fmt.lo + (fmt.hi - fmt.lo) * k // max(n - 1, 1) for k in range(n)])
        rows += [ramp, ramp[::-1]]
        columns.append(rows)
    count = max(len(rows) for rows in columns)  # ports of different ranges have different numbers of rows
    padded = [np.array([rows[k % len(rows)] for k in range(count)]) for rows in columns]
    return tuple(rows.astype(fmt.dtype) for rows, fmt in zip(padded, unit.inputs.values(), strict=True))


def joined(answer, rows: int) -> np.ndarray:
    """All output ports side by side; one value per row, or one per element."""
    ports = answer if isinstance(answer, tuple) else (answer,)
    return np.concatenate([port.astype(np.int64).reshape(rows, -1) for port in ports], axis=1)


def compare(unit, device, columns, **options) -> int:
    got, expected = (joined(side, len(columns[0])) for side in (device(*columns, **options), unit(*columns)))
    wrong = np.flatnonzero((got != expected).any(axis=1))
    assert wrong.size == 0, (wrong.size, [column[wrong[0]] for column in columns], got[wrong[0]], expected[wrong[0]])
    return len(columns[0])
