"""Design of an integer network: scales from calibration, layers asked of a scheme, place by place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models import left_in_float
from intsim.models.junctions import Junctions
from intsim.prepare.calibrate import Calibration
from intsim.schemes import Layer, Scheme

__all__ = ["NARROW", "Designer"]

NARROW = "_narrow"  # behind the name of a place: what linear layers read of a wider tensor


@dataclass
class Designer:
    """Asks a scheme for the layers of a network, or puts floating point where the scheme's paper does.

    Parameters
    ----------
    ranges : what calibration found at every place of the real twin
    longest : tokens in a row of scores
    junctions : the scheme's steps of preparation; None where the network was prepared before
    scales : real scales of places, at first those that are not calibrated, such as that of embedding tables
    layers : what has been designed
    """

    scheme: Scheme
    ranges: Mapping[str, Calibration]
    longest: int
    scales: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    junctions: Junctions | None = None

    def scale(self, place: str) -> Any:
        """The real scale of a place: calibrated at the width that the scheme gives it, where it is not known."""
        if place not in self.scales:
            kind, bits = place.rpartition(".")[2], self.scheme.bits
            width = dict.fromkeys(("embedding", "proj", "down", "sum1", "sum2"), bits.residual)
            width |= {"scores": bits.scores, "up": bits.gelu}
            found = float(self.ranges[place].scale(width.get(kind, bits.activation)))
            part = {"scores": "softmax", "up": "activation"}.get(kind)
            self.scales[place] = found if part is None else self.scheme.fit_scale(part, found)
        return self.scales[place]

    def linear(self, place: str, pair: Sequence[Any], source: str, bits: int | None = None) -> None:
        """``x W + b`` of a matrix (inputs, outputs) and a bias or None."""
        weight, bias = pair
        self.layers[place] = self.scheme.design_linear(weight, bias, self.scale(source), self.scale(place), bits)

    def norm(self, place: str, pair: Sequence[np.ndarray], eps: float, source: str, bits: int | None = None) -> None:
        """LayerNorm of gamma and beta."""
        gamma, beta = pair
        if self.is_float("norm"):
            self.layers[place] = left_in_float.norm(self.scheme, gamma, beta, eps, self.scale(place), bits)
        else:
            self.layers[place] = self.scheme.design_norm(gamma, beta, self.scale(source), self.scale(place), bits)

    def read_by(self, place: str, readers: Iterable[Sequence[Any]], source: str | None = None) -> None:
        """Give a place the scale that suits the linear layers that read it, one per channel under the scheme's steps.

        Parameters
        ----------
        readers : matrix and bias of each
        source : the place of the twin whose values these are, where the name differs
        """
        source = source or place
        found = self.junctions.design_scale(source, readers) if self.junctions is not None else None
        self.scales[place] = self.ranges[source].scale(self.scheme.bits.activation) if found is None else found

    def stream_norm(
        self, place: str, pair: Sequence[np.ndarray], eps: float, source: str, readers: Sequence[Sequence[Any]]
    ) -> str:
        """LayerNorm whose result is the residual stream: it has that width, and linear layers read it narrowed.

        Parameters
        ----------
        readers : matrix and bias of each linear layer that reads it

        Returns
        -------
        str
            The place that linear layers read.
        """
        bits = self.scheme.bits
        wide = bits.identity
        if wide <= bits.activation:
            if not self.scheme.steps:
                self.norm(place, pair, eps, source)
                return place
            wide = bits.residual  # a scale per channel gains nothing behind the rounding to one scale
        self.scales[place] = float(self.ranges[place].scale(wide))
        self.norm(place, pair, eps, source, wide)
        if not readers:
            return place
        narrow = place + NARROW
        self.read_by(narrow, readers, place)
        self.layers[narrow] = self.scheme.design_narrow(self.scales[place], self.scales[narrow])
        return narrow

    def attention(self, at: str, linear: Mapping[str, Sequence[Any]], source: str, channels: int) -> None:
        """``q``, ``k``, ``v``, the probabilities ``p``, ``context`` and ``proj``, heads of so many channels."""
        for name in "qkv":
            self.linear(at + name, linear[name], source)
        self.probabilities(at, at + "q", at + "k", channels**-0.5)
        p, v, context = (self.scale(at + name) for name in ("p", "v", "context"))
        self.layers[at + "context"] = self.scheme.design_product(p, v, context)
        self.linear(at + "proj", linear["proj"], at + "context", self.scheme.bits.residual)

    def probabilities(self, at: str, q: str, k: str, factor: float) -> None:
        """``softmax(factor q k^T)`` at the place ``p``."""
        if self.is_float("softmax"):
            layer = left_in_float.attention(self.scheme, factor)
            self.layers[at + "p"], self.scales[at + "p"] = layer, layer.scale
            return
        scores = self.scale(at + "scores")
        found = self.scheme.design_attention(self.scale(q), self.scale(k), scores, factor, self.longest)
        self.layers[at + "p"] = found
        self.scales[at + "p"] = 2.0 ** -found.softmax.outputs["y"].frac  # type: ignore[attr-defined]

    def residual(self, place: str, branch: str, identity: str) -> None:
        """The sum of two places."""
        scales = (self.scale(name) for name in (branch, identity, place))
        self.layers[place] = self.scheme.design_residual(*scales)

    def mlp(self, at: str, linear: Mapping[str, Sequence[Any]], source: str) -> None:
        """``up``, ``gelu``, ``down``."""
        self.linear(at + "up", linear["up"], source, self.scheme.bits.gelu)
        self.read_by(at + "gelu", [linear["down"]])
        if self.is_float("activation"):
            self.layers[at + "gelu"] = left_in_float.activation(self.scheme, self.scale(at + "gelu"))
        else:
            up, gelu = self.scale(at + "up"), self.scale(at + "gelu")
            self.layers[at + "gelu"] = self.scheme.design_activation(up, gelu, linear["up"][0].shape[1])
        self.linear(at + "down", linear["down"], at + "gelu", self.scheme.bits.residual)

    def is_float(self, part: str) -> bool:
        """Whether the scheme's paper leaves a part in floating point.

        Raises
        ------
        IntsimError
            The scheme has no such part, and its paper does not leave it in floating point.
        """
        if getattr(self.scheme, part) is not None:
            return False
        if part not in self.scheme.left_in_float:
            raise IntsimError(f"{self.scheme.name} has no {part}; use scheme.replace({part}=...)")
        return True
