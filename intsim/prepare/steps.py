"""The steps a scheme names, carried out one after the other on what a linear layer reads.

A :class:`Junction` is the place between a producer (a norm, another linear layer) and the linear layers that read
it. Every step changes both sides so that the products stay the same in real arithmetic; what the producer must be
multiplied by is kept and can be folded into it (:mod:`intsim.prepare.transforms`) or applied at run time
(:class:`intsim.linear.Hadamard`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.prepare.hadamard import klt_hadamard, rotation
from intsim.prepare.quantize import quantize_weights
from intsim.prepare.transforms import Linear, gps_factors, rotate_input, smooth_factors
from intsim.schemes.step import Step

__all__ = ["Junction", "apply"]


@dataclass(frozen=True)
class Junction:
    """Activations of calibration data and the linear layers that read them.

    Attributes
    ----------
    samples : float64[tokens, channels]
    linears : all layers that read these activations
    moved : float64[channels, channels]; the new activations are ``old @ moved``
    """

    samples: np.ndarray
    linears: tuple[Linear, ...]
    moved: np.ndarray

    @classmethod
    def of(cls, samples: Any, *linears: Linear) -> Junction:
        """The junction before any step.

        Raises
        ------
        IntsimError
            Samples that are no finite matrix, or layers of another width.
        """
        x = np.asarray(samples, dtype=np.float64)
        if x.ndim != 2 or not x.size or not np.all(np.isfinite(x)):
            raise IntsimError(f"samples are finite and [tokens, channels], got shape {x.shape}; reshape them")
        for linear in linears:
            if linear.weight.shape[1] != x.shape[1]:
                raise IntsimError(f"a layer reads {linear.weight.shape[1]} channels, the samples have {x.shape[1]}")
        if not linears:
            raise IntsimError("a junction needs at least one linear layer that reads it; give one")
        return cls(x, tuple(linears), np.eye(x.shape[1]))

    def divided(self, factors: np.ndarray) -> Junction:
        """Channels divided by `factors`, the weights multiplied."""
        linears = tuple(linear.scaled(columns=factors) for linear in self.linears)
        return Junction(self.samples / factors, linears, self.moved / factors)

    def rotated(self, matrix: np.ndarray) -> Junction:
        """Activations and weights turned by an orthogonal matrix."""
        linears = tuple(rotate_input(linear, matrix) for linear in self.linears)
        return Junction(self.samples @ matrix, linears, self.moved @ matrix)

    @property
    def weights(self) -> np.ndarray:
        """The weights of all layers above each other, float64[out, channels]."""
        return np.concatenate([linear.weight for linear in self.linears])


def apply(steps: Iterable[Step], junction: Junction) -> Junction:
    """The junction after all steps, in their order; each sees what the ones before it left.

    ================  =========================================================================
    step              what it does
    ================  =========================================================================
    ``smooth``        SmoothQuant's factors (``strength``)
    ``gps``           the closed form of PTQ4ARVG from the errors at ``bits`` bits, tokens and
                      output channels each with a scale of their own
    ``hadamard``      the folded Hadamard rotation
    ``klt_hadamard``  MambaQuant's rotation, from the samples
    ================  =========================================================================
    """
    for step in steps:
        junction = _apply_one(step, junction)
    return junction


def _apply_one(step: Step, junction: Junction) -> Junction:
    x, w, settings = junction.samples, junction.weights, step.settings
    if step.name == "smooth":
        strength = float(Fraction(settings["strength"]))
        return junction.divided(smooth_factors(np.abs(x).max(axis=0), np.abs(w).max(axis=0), strength))
    if step.name == "gps":
        new_x, new_w = (quantize_weights(rows, settings["bits"]).real() for rows in (x, w))
        return junction.divided(gps_factors(x, new_x - x, new_w, new_w - w))
    if step.name == "hadamard":
        return junction.rotated(rotation(x.shape[1]))
    return junction.rotated(klt_hadamard(x))
