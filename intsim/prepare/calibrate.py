"""Activation ranges from data: what each tensor, token or channel reaches, with the tails cut where asked.

Three rules find a range: the extremes, a percentile, or for a whole tensor the range of least squared error (``mse``),
which depends on the width: a :class:`Calibration` then keeps a histogram of magnitudes and answers when asked for the
scale of so many bits.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.prepare.quantize import Range

__all__ = ["Axis", "Calibration", "Observer", "calibrate"]

_STEPS = 1 << 12  # of a histogram of magnitudes: 32 per code of 8 bits
_SHARES = 33  # ranges tried


class Axis(enum.Enum):
    """Which activations ``x[tokens, channels]`` share a range."""

    TENSOR = "tensor"
    TOKEN = "token"
    CHANNEL = "channel"


@dataclass(frozen=True)
class Calibration:
    """Ranges observed, and how many values they rest on.

    Attributes
    ----------
    low, high : float64, a scalar, or one value per channel
    count : activations seen
    magnitudes : how many activations lie in each of equal steps from 0 to ``top``; where the range is found by squared
        error, else None
    top : the end of the last step
    """

    low: np.ndarray
    high: np.ndarray
    count: int
    magnitudes: np.ndarray | None = None
    top: float = 0.0

    def scale(self, bits: int, symmetric: bool = True) -> np.ndarray:
        """Real value of one code: ``max|x|`` over the largest code, else ``high - low`` over all codes, zero inside.

        With `magnitudes` the symmetric scale of least squared error, of those between a fifth and all of ``max|x|``.
        """
        if symmetric:
            span = np.maximum(np.abs(self.low), np.abs(self.high)) / ((1 << (bits - 1)) - 1)
            if self.magnitudes is not None:
                span = span * self._share(float(span), (1 << (bits - 1)) - 1)
        elif self.magnitudes is not None:
            raise IntsimError("a range by squared error is symmetric; calibrate with minmax or percentile")
        else:
            span = (np.maximum(self.high, 0) - np.minimum(self.low, 0)) / ((1 << bits) - 1)
        return np.where(span > 0, span, 1.0)

    def _share(self, full: float, most: int) -> float:
        """The share of the full scale with the least squared error; steps of the histogram stand for their middles."""
        assert self.magnitudes is not None
        values = (np.arange(len(self.magnitudes)) + 0.5) * (self.top / len(self.magnitudes))
        shares = np.linspace(1.0, 0.2, _SHARES)
        if full == 0 or full < 2 * self.top / len(self.magnitudes):
            return 1.0  # codes as fine as the histogram: nothing is gained by cutting

        def error(share: float) -> float:
            scale = full * share
            back = np.minimum(np.rint(values / scale), most) * scale
            return float((self.magnitudes * (back - values) ** 2).sum())

        return float(min(shares, key=error))


@dataclass
class Observer:
    """Collects ranges batch by batch.

    Parameters
    ----------
    axis : which activations share a range. ``TOKEN`` gives the range of the widest token: what a table or an
        accumulator must hold when each token has its own scale
    percentile : share of the values kept, in percent; 100 keeps the extremes
    range : the rule; ``PERCENTILE`` and ``MINMAX`` both keep `percentile`, ``MSE`` takes whole tensors only

    Notes
    -----
    A percentile is taken per batch and averaged over batches, weighted by their size; extremes are kept over all.
    """

    axis: Axis = Axis.TENSOR
    percentile: float = 100.0
    range: Range = Range.MINMAX
    _magnitudes: np.ndarray | None = field(default=None, repr=False)
    _top: float = field(default=0.0, repr=False)
    _low: np.ndarray | None = field(default=None, repr=False)
    _high: np.ndarray | None = field(default=None, repr=False)
    _rows: int = field(default=0, repr=False)
    _count: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        if not 50 < self.percentile <= 100:
            raise IntsimError(f"percentile must lie in (50, 100], got {self.percentile}")
        if self.range is Range.MSE and (self.axis is not Axis.TENSOR or self.percentile != 100):
            raise IntsimError(
                "a range by squared error is that of a whole tensor, without a percentile; leave both out"
            )

    def add(self, activations: np.ndarray) -> None:
        """Observe a batch ``[..., channels]``.

        Raises
        ------
        IntsimError
            Empty or not finite, or another number of channels than before.
        """
        batch = np.asarray(activations, dtype=np.float64)
        if batch.ndim < 1 or not batch.size or not np.all(np.isfinite(batch)):
            raise IntsimError(f"a batch must be finite and not empty, got shape {batch.shape}")
        rows = batch.reshape(-1, batch.shape[-1])
        low, high = self._ends(rows)
        if self._low is None or self._high is None:
            self._low, self._high = low, high
        elif np.shape(low) != np.shape(self._low):
            raise IntsimError(f"expected {np.shape(self._low)} channels as before, got {np.shape(low)}")
        elif self.percentile == 100:
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        else:
            share = len(rows) / (self._rows + len(rows))
            self._low = self._low + (low - self._low) * share
            self._high = self._high + (high - self._high) * share
        self._rows += len(rows)
        self._count += batch.size
        if self.range is Range.MSE:
            self._count_magnitudes(np.abs(rows))

    def _count_magnitudes(self, values: np.ndarray) -> None:
        """Into a histogram whose steps double, two becoming one, until it reaches the largest value."""
        largest = float(values.max())
        if self._magnitudes is None:
            self._magnitudes, self._top = np.zeros(_STEPS), largest or 1.0
        while self._top < largest:
            joined = self._magnitudes.reshape(-1, 2).sum(axis=1)
            self._magnitudes, self._top = np.concatenate([joined, np.zeros(_STEPS // 2)]), 2 * self._top
        self._magnitudes += np.histogram(values, _STEPS, (0.0, self._top))[0]

    def _ends(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = {Axis.TENSOR: None, Axis.TOKEN: 1, Axis.CHANNEL: 0}[self.axis]
        if self.percentile == 100:
            low, high = np.asarray(rows.min(axis=along)), np.asarray(rows.max(axis=along))
        else:
            low = np.asarray(np.percentile(rows, 100 - self.percentile, axis=along))
            high = np.asarray(np.percentile(rows, self.percentile, axis=along))
        return (low.min(), high.max()) if self.axis is Axis.TOKEN else (low, high)

    def result(self) -> Calibration:
        """The ranges so far."""
        if self._low is None or self._high is None:
            raise IntsimError("nothing observed yet; add at least one batch")
        return Calibration(np.asarray(self._low), np.asarray(self._high), self._count, self._magnitudes, self._top)


def calibrate(
    record: Callable[[Any], Mapping[str, np.ndarray]],
    data: Iterable[Any],
    *,
    test: Iterable[Any] = (),
    axis: Axis = Axis.TENSOR,
    percentile: float = 100.0,
    range: Range | str = Range.MINMAX,
) -> dict[str, Calibration]:
    """Ranges at every place of a network, over given texts, images or whatever the network takes.

    Parameters
    ----------
    record : runs the network on one item and returns the activations ``[..., channels]`` of each place by name
    data : texts, arrays of tokens, images
    test : what the network will be judged on; none of it may be in `data`
    axis, percentile, range : as for :class:`Observer`; a percentile below 100 is a rule of its own and goes first

    Raises
    ------
    IntsimError
        No data, or an item that is also in `test`.
    """
    rule = Range.PERCENTILE if percentile < 100 else Range(range)
    judged = {_identity(item) for item in test}
    observers: dict[str, Observer] = {}
    for number, item in enumerate(data):
        if _identity(item) in judged:
            raise IntsimError(f"item {number} of the calibration data is in the test data; calibrate on other data")
        for name, activations in record(item).items():
            observers.setdefault(name, Observer(axis, percentile, rule)).add(activations)
    if not observers:
        raise IntsimError("there is no calibration data; give at least one item")
    return {name: observer.result() for name, observer in observers.items()}


def _identity(item: Any) -> str:
    """The same for items of equal content: text without its spacing, arrays with their shape."""
    if isinstance(item, str):
        return "text " + " ".join(item.split())
    array = np.asarray(item)
    return f"{array.shape} {hashlib.sha256(np.ascontiguousarray(array, dtype=np.float64).tobytes()).hexdigest()}"
