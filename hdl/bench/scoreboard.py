"""What came out, compared in order with what the golden model makes of what went in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.bench.stream import Beat
from hdl.wrap.packing import Packing
from intsim.unit import Unit

__all__ = ["Scoreboard"]

_SHOWN = 5  # wrong outputs in a message
_WIDE = 12  # elements of a row in it


@dataclass
class Scoreboard:
    """Compares the beats of both streams of one unit.

    Parameters
    ----------
    unit : the golden model
    inputs, outputs : how values lie in the beats
    by_row : golden models of the rows in turn, for a design that is changed between them; `unit` for the rest

    Attributes
    ----------
    compared : outputs compared so far: elements, each with all its ports
    """

    unit: Unit
    inputs: Packing
    outputs: Packing
    compared: int = 0
    by_row: Sequence[Unit] = ()

    def check(self, sent: Sequence[Beat], received: Sequence[Beat], *, complete: bool) -> int:
        """Compare one stretch between two resets; the number of outputs compared is returned and added up.

        Parameters
        ----------
        sent, received : beats in order
        complete : every input must be answered; otherwise a reset has swallowed the last ones

        Raises
        ------
        AssertionError
            An answer is wrong, missing or too many.
        """
        expected, counts = self._expected(sent)
        got = self.outputs.unpack(records(received, self.outputs))
        most, count = expected[0].size, got[0].size
        fits = count == most if complete else count <= most
        assert fits, f"{self.unit.name}: {count} outputs came out, the inputs make {most}"
        wrong = np.zeros(count, dtype=bool)
        for want, have, counted in zip(expected, got, counts, strict=True):
            wrong |= (want[:count] != have) & counted[:count]
        if wrong.any():
            raise AssertionError(self._explain(sent, expected, got, np.flatnonzero(wrong)))
        self.compared += count
        return count

    def answers(self, sent: Sequence[Beat]) -> int:
        """How many outputs the golden model makes of `sent`."""
        return self._expected(sent)[0][0].size

    def _expected(self, sent: Sequence[Beat]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The golden model's answers and which of them count, one flat array per output port.

        A port with one value per row, beside ports with one per element, counts at the end of the row.
        """
        beats = records(sent, self.inputs)
        columns = self.inputs.unpack(beats)
        parts: list[list[np.ndarray]] = []
        if not self.unit.is_row and sent:
            parts.append(_tuple(self.unit(*columns)))
        if self.unit.is_row:
            ends = np.cumsum(self.inputs.kept(beats).sum(axis=1))[np.flatnonzero(beats["last"])]
            models = itertools.chain(self.by_row, itertools.repeat(self.unit))
            for (start, end), model in zip(itertools.pairwise([0, *ends]), models, strict=False):
                row = model(*(column[None, start:end] for column in columns))
                parts.append([np.ravel(column) for column in _tuple(row)])
        expected, counts = [], []
        for k, fmt in enumerate(self.unit.outputs.values()):
            values, counted = [np.empty(0, dtype=fmt.dtype)], [np.empty(0, dtype=bool)]
            for part in parts:
                length = max(column.size for column in part)
                values.append(np.broadcast_to(part[k], length))
                counted.append(np.arange(length) >= length - part[k].size)
            expected.append(np.concatenate(values))
            counts.append(np.concatenate(counted))
        return expected, counts

    def _source(self, sent: Sequence[Beat], index: int, outputs: int) -> tuple[str, list[np.ndarray]]:
        """Where the inputs of one output stand, and what they are: an element of each port, or a whole row."""
        beats = records(sent, self.inputs)
        columns = self.inputs.unpack(beats)
        if not self.unit.is_row:
            return "", [column[index] for column in columns]
        ends = np.cumsum(self.inputs.kept(beats).sum(axis=1))[np.flatnonzero(beats["last"])]
        per_row = outputs == ends.size and outputs != columns[0].size
        row = index if per_row else int(np.searchsorted(ends, index, side="right"))
        start = int(ends[row - 1]) if row else 0
        place = f"row {row}: " if per_row else f"row {row}, element {index - start}: "
        return place, [column[start : ends[row]] for column in columns]

    def _explain(self, sent, expected, got, wrong: np.ndarray) -> str:
        lines = [f"{self.unit.name}: {wrong.size} of {got[0].size} outputs are wrong, the first:"]
        for index in wrong[:_SHOWN]:
            given, columns = self._source(sent, int(index), expected[0].size)
            want, have = (_named(self.unit.outputs, [column[index] for column in side]) for side in (expected, got))
            lines.append(f"  {given}{_named(self.unit.inputs, columns)}: expected {want}, got {have}")
            lines.append("    golden model: " + _named(self.unit.trace(*columns), self.unit.trace(*columns).values()))
        return "\n".join(lines)


def records(beats: Sequence[Beat], packing: Packing) -> np.ndarray:
    """Beats as an array of ``packing.record``."""
    out = np.zeros(len(beats), dtype=packing.record)
    size = packing.data_bytes
    raw = b"".join(beat[0].to_bytes(size, "little") for beat in beats)
    out["data"] = np.frombuffer(raw, dtype=out.dtype["data"].base).reshape(-1, packing.lanes)
    if packing.keep_bytes:
        kept = b"".join(beat[1].to_bytes(packing.keep_bytes, "little") for beat in beats)
        out["keep"] = np.frombuffer(kept, dtype=np.uint8).reshape(-1, packing.keep_bytes)
    if packing.row:
        out["last"] = [beat[-1] for beat in beats]
    return out


def beats(array: np.ndarray, packing: Packing) -> list[Beat]:
    """The beats of an array of ``packing.record``."""
    columns = [[int.from_bytes(record.tobytes(), "little") for record in np.ascontiguousarray(array["data"])]]
    if packing.keep_bytes:
        columns.append([int.from_bytes(keep.tobytes(), "little") for keep in array["keep"]])
    if packing.row:
        columns.append(array["last"].tolist())
    return list(zip(*columns, strict=True))


def _tuple(result: Any) -> list[np.ndarray]:
    return [np.atleast_1d(column) for column in (result if isinstance(result, tuple) else (result,))]


def _named(names: Iterable[str], values: Iterable[Any]) -> str:
    return ", ".join(f"{name}={_brief(value)}" for name, value in zip(names, values, strict=True))


def _brief(value: Any) -> str:
    if np.ndim(value) == 0:
        return str(value)
    flat = np.ravel(value)
    return f"[{', '.join(map(str, flat[:_WIDE]))}{', ...' if flat.size > _WIDE else ''}]"
