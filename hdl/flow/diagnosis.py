"""What is behind a mismatch: a wrong port map, or the smallest input that shows the fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from hdl.flow.comparison import Batch, Failing, answers
from hdl.flow.portmap import PortMap
from hdl.flow.simulation import Model, NoAnswer
from hdl.flow.stimulus import Columns
from intsim.errors import IntsimError
from intsim.formats import Format

__all__ = ["shrink", "suspect"]

_LATENCIES = 64
_SAMPLE = 4096
_RUNS = 600  # of the simulation while shrinking; each takes well under a millisecond,
_CYCLES = 20_000_000  # unless the design hangs: then this many clock cycles end the search


# A wrong port map -------------------------------------------------------------------------------------------------


def suspect(ports: PortMap, failing: Failing, rebuild: Callable[[PortMap], Model]) -> None:
    """Raise if another latency or reset polarity would make the design right: then the port map is at fault.

    Parameters
    ----------
    ports : as given
    failing : a mismatch found with them
    rebuild : the design with other ports
    """
    stop = failing.index + 1
    columns = tuple(column[max(stop - _SAMPLE, 0) : stop] for column in failing.batch.columns)  # the wrong one is in it
    if ports.interface == "latency" and not failing.batch.unit.is_row:
        latency = _latency(rebuild(replace(ports, latency=0)), columns, failing.batch)
        if latency is not None and latency != ports.latency:
            raise IntsimError(
                f"with a latency of {latency} every answer is right, the port map says {ports.latency}; correct it"
            )
    if ports.reset:
        flipped = replace(ports.reset, active_low=not ports.reset.active_low)
        if not _wrong(rebuild(replace(ports, reset=flipped)), columns, failing.batch).any():
            stated, right = ("low", "high") if ports.reset.active_low else ("high", "low")
            raise IntsimError(
                f"with the reset active {right} every answer is right, the port map says active {stated}; correct it"
            )


def _latency(device: Model, columns: Columns, batch: Batch) -> int | None:
    """After how many cycles the golden answers appear, seen on the bare output in every cycle."""
    unit = batch.unit
    longer = tuple(np.append(column, np.repeat(column[-1:], _LATENCIES)) for column in columns)
    expected = _outputs(unit(*columns))
    try:
        seen = _outputs(device(*longer))
    except IntsimError:
        return None
    count = columns[0].size
    for cycles in range(_LATENCIES + 1):
        if all(np.array_equal(got[cycles : cycles + count], right) for got, right in zip(seen, expected, strict=True)):
            return cycles
    return None


def _wrong(device: Model, columns: Columns, batch: Batch) -> np.ndarray:
    try:
        return answers(batch.unit, device, columns, _outputs(batch.unit(*columns)), batch.stalls, batch.seed).wrong
    except NoAnswer:
        return np.ones(1, dtype=bool)


def _outputs(result) -> Columns:
    return result if isinstance(result, tuple) else (result,)


# The smallest input -----------------------------------------------------------------------------------------------


class _Shrinker:
    """Tries smaller inputs as long as they fail and the budget lasts."""

    def __init__(self, device: Model, failing: Failing):
        self.device = device
        self.formats = list(failing.batch.unit.inputs.values())
        self.best = failing
        self.runs = self.cycles = 0

    @property
    def columns(self) -> Columns:
        """The shortest sequence so far: it ends with the input that fails."""
        return tuple(column[: self.best.index + 1] for column in self.best.batch.columns)

    @property
    def exhausted(self) -> bool:
        return self.runs >= _RUNS or self.cycles >= _CYCLES

    def attempt(self, columns: Columns) -> bool:
        """Whether `columns` fail too; they are the best then."""
        if self.exhausted or not columns[0].size:
            return False
        batch = self.best.batch
        try:
            expected = _outputs(batch.unit(*columns))
        except IntsimError:
            return False  # the unit itself refuses these values
        try:
            found = answers(batch.unit, self.device, columns, expected, batch.stalls, batch.seed)
        except NoAnswer as error:
            found = Batch.refused(batch.unit, columns, str(error), stalls=batch.stalls, seed=batch.seed)
        self.runs += 1
        self.cycles += self.device.last_run.cycles
        if not found.wrong.any():
            return False
        # of a batch that was refused as a whole nothing tells which input it was: keep all of it
        index = columns[0].shape[0] - 1 if isinstance(found.got, str) else int(np.flatnonzero(found.wrong)[0])
        self.best = Failing(found, index)
        return True

    def shorten(self) -> None:
        """Drop inputs before the failing one: first all of them, then ever smaller parts."""
        index, whole = self.best.index, self.best.batch.columns
        if not self.attempt(tuple(column[index : index + 1] for column in whole)):
            for length in (2**k for k in range(1, 40)):
                if length > whole[0].shape[0] or self.attempt(tuple(column[:length] for column in whole)):
                    break
        self._drop(axis=0)

    def shorten_row(self) -> None:
        """Drop elements of a row."""
        unit = self.best.batch.unit
        fixed = getattr(unit, "row_length", None) or (self.device.ports and self.device.ports.row_length)
        if unit.is_row and not fixed:
            self._drop(axis=1)

    def _drop(self, axis: int) -> None:
        size = self.columns[0].shape[axis] // 2
        while size:
            start = 0
            while start < self.columns[0].shape[axis] and self.columns[0].shape[axis] > size:
                shorter = tuple(np.delete(c, slice(start, start + size), axis=axis) for c in self.columns)
                if not self.attempt(shorter):
                    start += size
            size //= 2

    def reduce(self) -> None:
        """Bring every value as near to zero as it goes."""
        improved = True
        while improved and not self.exhausted:
            improved = False
            for port, fmt in enumerate(self.formats):
                for place in np.ndindex(self.columns[port].shape):
                    improved |= self._reduce_value(port, fmt, place)

    def _reduce_value(self, port: int, fmt: Format, place: tuple[int, ...]) -> bool:
        if any(edge >= size for edge, size in zip(place, self.columns[port].shape, strict=True)):
            return False  # a shorter sequence has failed since
        for value in _nearer(int(self.columns[port][place]), fmt):
            changed = tuple(column.copy() for column in self.columns)
            changed[port][place] = value
            if self.attempt(changed):
                return True
        return False


def _nearer(value: int, fmt: Format) -> Iterator[int]:
    """Values nearer to zero than `value`, the nearest first."""
    rest = min(max(0, fmt.lo), fmt.hi)
    seen = set()
    distance = value - rest
    step = distance
    while step:
        candidate = value - step
        if candidate not in seen and abs(candidate - rest) < abs(distance):
            seen.add(candidate)
            yield candidate
        step = int(step / 2) if abs(step) > 1 else 0


def shrink(device: Model, failing: Failing) -> Failing:
    """The smallest failing input that can be found from `failing`: the fewest inputs, the shortest row, least values.

    Parameters
    ----------
    device : the RTL
    failing : where it was found to be wrong

    Returns
    -------
    Failing
        A batch that ends with the failing input; most often it holds nothing else.
    """
    shrinker = _Shrinker(device, failing)
    shrinker.shorten()
    shrinker.shorten_row()
    shrinker.reduce()
    return shrinker.best
