"""Steps of preparation on a network of static scales: each input channel of a linear layer gets a scale of its own.

A channel that is divided by a factor before it is quantised is a channel with a larger scale. Where a norm or an
activation requantises its result, one multiplier per channel does that, and the linear layers take the factor into
their weights: nothing is added to the network, and nothing else in it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.prepare.calibrate import Observer
from intsim.prepare.quantize import Range
from intsim.prepare.steps import Junction, apply
from intsim.prepare.transforms import Linear
from intsim.schemes import Scheme

__all__ = ["Junctions"]


@dataclass
class Junctions:
    """The places of a network that linear layers read, under the steps of a scheme.

    Parameters
    ----------
    scheme : with static scales; only steps that divide channels fit
    record : the real twin: all its tensors by place
    samples : what calibrates
    """

    scheme: Scheme
    record: Callable[[Any], Mapping[str, np.ndarray]]
    samples: Sequence[Any]
    _rows: dict[str, list[np.ndarray]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.scheme.steps and self.scheme.dynamic:
            raise IntsimError(
                f"{self.scheme.name} finds one scale per token, so that channels cannot have their own; leave steps out"
            )

    def design_scale(self, place: str, readers: Iterable[Sequence[Any]]) -> np.ndarray | None:
        """The scale of each channel at the width of activations, or None where the scheme has no steps.

        Parameters
        ----------
        readers : (matrix, bias) of every linear layer that reads the place

        Raises
        ------
        IntsimError
            A step that mixes channels: its result is no scale.
        """
        if not self.scheme.steps:
            return None
        linears = (Linear(np.asarray(w, dtype=np.float64).T, np.zeros(np.shape(w)[1])) for w, *_ in readers)
        moved = apply(self.scheme.steps, Junction.of(np.concatenate(self._collected()[place]), *linears))
        factors = 1 / np.diag(moved.moved)
        if np.count_nonzero(moved.moved) != len(factors):
            names = ", ".join(step.name for step in self.scheme.steps)
            raise IntsimError(f"{names}: a rotation mixes channels and no scale can do that; use smooth or gps here")
        observer = Observer(range=Range(self.scheme.range))
        observer.add(moved.samples)
        return np.asarray(observer.result().scale(self.scheme.bits.activation) * factors)

    def _collected(self) -> dict[str, list[np.ndarray]]:
        """The twin's tensors as rows, found when first asked for."""
        if not self._rows:
            for item in self.samples:
                for place, tensor in self.record(item).items():
                    if place.rpartition(".")[2] in ("embedded", "norm1", "norm2", "gelu"):
                        self._rows.setdefault(place, []).append(tensor.reshape(-1, tensor.shape[-1]))
        return self._rows
