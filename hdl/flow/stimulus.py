"""What to feed a unit with: every input there is, or corners, near-ties and random values.

Row units get rows of every length up to the largest where that is few enough; otherwise rows that are equal
throughout, one-hot, ramps, all at one end of the range, and random, of lengths 1, 2, 3, the largest and in between.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from intsim.formats import Format
from intsim.unit import Unit

__all__ = ["LIMIT", "SHORT", "Stimulus"]

LIMIT = 1 << 24
"""As many input combinations are tried exhaustively, and as many random ones beyond."""

SHORT = 1 << 16
"""Values on a port up to which a batch also runs under pauses: the first one, and all that is directed."""

_CHUNK = 1 << 20

Columns = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Stimulus:
    """A plan of inputs for one unit.

    Parameters
    ----------
    unit : any unit
    seed : of the random part
    vectors : random inputs (elements for a row unit) where not every input can be tried
    row_length : the only length of rows, for a design that takes no other
    limit : input combinations up to which all are tried

    Attributes
    ----------
    exhaustive : whether :meth:`batches` contains every input there is
    total : inputs in all batches: elements, or rows of a row unit; an estimate for random rows
    """

    unit: Unit
    seed: int = 0
    vectors: int = LIMIT
    row_length: int | None = None
    limit: int = LIMIT

    @property
    def _only_length(self) -> int | None:
        """The one length of rows, where design or unit (constants per channel) has but one."""
        return self.row_length or getattr(self.unit, "row_length", None)

    @property
    def _lengths(self) -> Sequence[int]:
        """Every length a row may have."""
        only = self._only_length
        return [only] if only else range(1, self.unit.max_row + 1)  # type: ignore[attr-defined]

    @property
    def formats(self) -> Sequence[Format]:
        return list(self.unit.inputs.values())

    @property
    def combinations(self) -> int:
        """Input combinations of one element."""
        count = 1
        for fmt in self.formats:
            count *= fmt.hi - fmt.lo + 1
        return count

    @property
    def exhaustive(self) -> bool:
        return self._elements <= self.limit

    @property
    def _elements(self) -> int:
        if not self.unit.is_row:
            return self.combinations
        if self._lengths[-1] > 24:
            return self.limit + 1
        return sum(n * self.combinations**n for n in self._lengths)

    @property
    def total(self) -> int:
        if not self.exhaustive:
            return self.vectors
        if not self.unit.is_row:
            return self.combinations
        return sum(self.combinations**n for n in self._lengths)

    def batches(self) -> Iterator[Columns]:
        """One array per input port, 1-D, or ``(rows, n)`` for a row unit."""
        if self.exhaustive:
            yield from self._all_rows() if self.unit.is_row else self._all_elements()
            return
        yield from self._directed()
        yield from self._random_rows() if self.unit.is_row else self._random_elements()

    def _all_elements(self) -> Iterator[Columns]:
        bounds = [0, min(SHORT, self.combinations), *range(_CHUNK, self.combinations, _CHUNK), self.combinations]
        for start, stop in itertools.pairwise(sorted(set(bounds))):
            index = np.arange(start, stop)
            if start == 0:  # in no order: a register that keeps its value too long shows where neighbours differ
                index = np.random.default_rng([self.seed, 3]).permutation(index)
            yield self._digits(index, 1)[0]

    def _all_rows(self) -> Iterator[Columns]:
        for n in self._lengths:
            for start in range(0, self.combinations**n, _CHUNK):
                rows = self._digits(np.arange(start, min(start + _CHUNK, self.combinations**n)), n)
                yield tuple(np.stack(port, axis=1) for port in zip(*rows, strict=True))

    def _digits(self, index: np.ndarray, n: int) -> list[Columns]:
        """Element combinations by number: mixed radix, the last port fastest."""
        elements = []
        for _ in range(n):
            columns = []
            for fmt in reversed(self.formats):
                size = fmt.hi - fmt.lo + 1
                columns.append((index % size + fmt.lo).astype(fmt.dtype))
                index = index // size
            elements.append(tuple(reversed(columns)))
        return elements

    def corners(self) -> Iterator[Columns]:
        """What the unit knows about itself: its corners and near-ties, in batches."""
        for source in ("corners", "near_ties"):
            offer = getattr(self.unit, source, None)
            columns = offer() if offer else None
            if columns is not None:
                yield from _rows_or_elements(columns, self.unit.is_row, self._only_length)

    def _directed(self) -> Iterator[Columns]:
        """Corners, then the ends and ramps of every port."""
        yield from self.corners()
        if self.unit.is_row:
            yield from self._shaped_rows()

    def _random_elements(self) -> Iterator[Columns]:
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.vectors, _CHUNK):
            count = min(_CHUNK, self.vectors - start)
            yield tuple(_draw(fmt, (count,), rng) for fmt in self.formats)

    def _shaped_rows(self) -> Iterator[Columns]:
        rng = np.random.default_rng([self.seed, 1])
        for n in self._some_lengths(rng):
            ports = []
            for fmt in self.formats:
                ports.append(_shapes(fmt, n, rng))
            # every shape of one port against the same shape, then a shifted one, of the others
            for turn in range(1 if len(ports) == 1 else 3):
                yield tuple(np.roll(rows, turn * k, axis=0) for k, rows in enumerate(ports))

    def _random_rows(self) -> Iterator[Columns]:
        rng = np.random.default_rng([self.seed, 2])
        lengths = self._some_lengths(rng)
        left = self.vectors
        for n in itertools.cycle(lengths):
            if left <= 0:
                return
            rows = max(1, min(_CHUNK // n, -(-self.vectors // (2 * n * len(lengths))), -(-left // n)))
            yield tuple(_draw(fmt, (rows, n), rng) for fmt in self.formats)
            left -= rows * n

    def _some_lengths(self, rng: np.random.Generator) -> list[int]:
        longest = self._lengths[-1]
        if self._only_length:
            return [longest]
        between = rng.integers(1, longest, size=8, endpoint=True)
        return sorted({1, min(2, longest), min(3, longest), max(longest - 1, 1), longest, *map(int, between)})


def _rows_or_elements(columns: Columns, rows: bool, length: int | None) -> Iterator[Columns]:
    """Batches of limited size. A row unit's loose values become rows of one, rows of another length are cut anew."""
    if rows and (columns[0].ndim == 1 or (length is not None and columns[0].shape[1] != length)):
        n = length or 1
        flat = [column.reshape(-1) for column in columns]
        columns = tuple(np.resize(column, (-(-column.size // n), n)) for column in flat)
    step = max(SHORT // columns[0].shape[1], 1) if rows else SHORT
    for start in range(0, columns[0].shape[0], step):
        yield tuple(column[start : start + step] for column in columns)


def _draw(fmt: Format, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Random codes: every second one uniform, the others of uniform bit length, so that small ones are not rare."""
    values = rng.integers(fmt.lo, fmt.hi, size=shape, dtype=fmt.dtype, endpoint=True)
    shifts = rng.integers(0, fmt.bits, size=shape, dtype=np.uint8) * rng.integers(0, 2, size=shape, dtype=np.uint8)
    return np.right_shift(values, shifts.astype(fmt.dtype))


def _shapes(fmt: Format, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of length `n` in which something special happens."""
    ramp = np.linspace(0, 1, n)
    span = fmt.lo + (ramp * float(min(fmt.hi - fmt.lo, 2**52))).astype(np.int64).astype(object)
    level = int(rng.integers(fmt.lo, fmt.hi, dtype=fmt.dtype, endpoint=True))
    middle = max(fmt.lo, 0)
    rows = [np.full(n, value, dtype=object) for value in (fmt.lo, fmt.hi, middle, level)]
    rows += [span, span[::-1]]
    for hot, cold in ((fmt.hi, fmt.lo), (fmt.lo, fmt.hi), (fmt.hi, middle), (level, fmt.lo)):
        for place in {0, n // 2, n - 1}:
            row = np.full(n, cold, dtype=object)
            row[place] = hot
            rows.append(row)
    return np.array([[int(value) for value in row] for row in rows], dtype=fmt.dtype)
