"""What came out, compared in order with what the golden model makes of what went in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hdl.bench.stream import Beat
from hdl.wrap.packing import Packing
from intsim.unit import Unit

__all__ = ["Scoreboard"]

_SHOWN = 5


@dataclass
class Scoreboard:
    """Compares the beats of both streams of one unit.

    Parameters
    ----------
    unit : the golden model
    inputs, outputs : how values lie in the beats

    Attributes
    ----------
    compared : outputs compared so far: elements, each with all its ports
    """

    unit: Unit
    inputs: Packing
    outputs: Packing
    compared: int = 0

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
        expected = self._expected(sent)
        got = self.outputs.unpack(records(received, self.outputs))
        most, count = expected[0].size, got[0].size
        fits = count == most if complete else count <= most
        assert fits, f"{self.unit.name}: {count} outputs came out, the inputs make {most}"
        wrong = np.zeros(count, dtype=bool)
        for want, have in zip(expected, got, strict=True):
            wrong |= want[:count] != have
        if wrong.any():
            raise AssertionError(self._explain(sent, expected, got, np.flatnonzero(wrong)))
        self.compared += count
        return count

    def _expected(self, sent: Sequence[Beat]) -> list[np.ndarray]:
        """The golden model's answers, one flat array per output port."""
        beats = records(sent, self.inputs)
        columns = self.inputs.unpack(beats)
        if not sent:
            return [np.empty(0, dtype=fmt.dtype) for fmt in self.unit.outputs.values()]
        if not self.unit.is_row:
            return _tuple(self.unit(*columns))
        ends = np.cumsum(self.inputs.kept(beats).sum(axis=1))[np.flatnonzero(beats["last"])]
        rows = []
        for start, end in zip(np.concatenate([[0], ends]), ends, strict=False):
            rows.append(_tuple(self.unit(*(column[None, start:end] for column in columns))))
        if not rows:
            return [np.empty(0, dtype=fmt.dtype) for fmt in self.unit.outputs.values()]
        return [np.concatenate([np.ravel(row[k]) for row in rows]) for k in range(len(rows[0]))]

    def _explain(self, sent, expected, got, wrong: np.ndarray) -> str:
        lines = [f"{self.unit.name}: {wrong.size} of {got[0].size} outputs are wrong, the first:"]
        columns = self.inputs.unpack(records(sent, self.inputs))
        for index in wrong[:_SHOWN]:
            if self.unit.is_row:
                given = f"output {index}"
            else:
                given = _named(self.unit.inputs, columns, index)
            want, have = (_named(self.unit.outputs, side, index) for side in (expected, got))
            lines.append(f"  {given}: expected {want}, got {have}")
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


def _named(ports, columns, index: int) -> str:
    return ", ".join(f"{port}={column[index]}" for port, column in zip(ports, columns, strict=True))
