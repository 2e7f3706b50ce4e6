"""Equivalent transforms: the network computes the same in real arithmetic, and quantises better.

Each function moves a per-channel factor (or a rotation) from one place to another and returns the new weights.
All arrays are float64; linear weights are ``[out, in]`` as in PyTorch, ``y = x @ W.T + b``.

The six families of I-LLM's FSBR (arXiv 2405.17849, fully-smooth block reconstruction) are compositions of these:

===============  ==============================================  =========================
FSBR             where the factor moves                          here
===============  ==============================================  =========================
qkv_smooth       attention norm -> query, key, value             :func:`norm_to_linears`
fc1_smooth       MLP norm -> gate, up                            :func:`norm_to_linears`
qkt_smooth       query <-> key, equal within each rotary pair    :func:`query_to_key`
out_smooth       value -> output projection                      :func:`value_to_output`
x1x2_smooth      up -> gate, undone inside the sigmoid           :func:`gate_to_up`
fc2_smooth       up -> down                                      :func:`linear_to_linear`
===============  ==============================================  =========================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from intsim.errors import IntsimError

__all__ = [
    "Linear",
    "Norm",
    "gate_to_up",
    "gps_factors",
    "linear_to_linear",
    "norm_to_linears",
    "pair_rotary",
    "query_to_key",
    "reparameterise_norm",
    "rotate_input",
    "rotate_output",
    "smooth_factors",
    "value_to_output",
]


@dataclass(frozen=True)
class Linear:
    """``y = x @ weight.T + bias``; ``weight[out, in]``, ``bias[out]``."""

    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weight.T + self.bias

    def scaled(self, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> Linear:
        """Outputs multiplied by `rows`, inputs by `columns`."""
        weight, bias = self.weight, self.bias
        if rows is not None:
            weight, bias = weight * rows[:, None], bias * rows
        if columns is not None:
            weight = weight * columns
        return Linear(weight, bias)


@dataclass(frozen=True)
class Norm:
    """The affine part of a normalisation: ``gain[c]`` and ``bias[c]`` (zeros for RMSNorm)."""

    gain: np.ndarray
    bias: np.ndarray


def smooth_factors(inputs_max: np.ndarray, weights_max: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """Per-channel factors by SmoothQuant's rule ``max|x|**a / max|w|**(1 - a)``.

    Parameters
    ----------
    inputs_max : largest magnitude of each input channel, on calibration data
    weights_max : largest magnitude of each weight column, over all linears that read the channel
    strength : `a`, 0 leaves all difficulty in the activations, 1 moves it to the weights

    Source: SmoothQuant (arXiv 2211.10438), equation 4. Channels that are zero get factor 1.
    """
    if not 0 <= strength <= 1:
        raise IntsimError(f"strength must lie in [0, 1], got {strength}")
    x, w = np.asarray(inputs_max, dtype=np.float64), np.asarray(weights_max, dtype=np.float64)
    usable = (x > 0) & (w > 0)
    return np.where(usable, np.where(usable, x, 1) ** strength / np.where(usable, w, 1) ** (1 - strength), 1.0)


def gps_factors(x: np.ndarray, x_error: np.ndarray, w: np.ndarray, w_error: np.ndarray) -> np.ndarray:
    """Per-channel factors in closed form from a second-order model of the quantisation error.

    Parameters
    ----------
    x, x_error : float64[tokens, channels], activations and their quantisation error
    w, w_error : float64[out, channels], quantised weights and their quantisation error

    Notes
    -----
    ``s_i = (s*^4 * sum x_i^2 * sum e_w,i^2 / (sum e_x,i^2 * sum w_i^2))^(1/4)``, where ``s*`` is SmoothQuant's
    factor, by ranges, of the channel with the widest activation. Source: PTQ4ARVG's GPS.
    """
    widest = int(np.ptp(x, axis=0).argmax())
    anchor = np.sqrt(np.ptp(x[:, widest]) / np.ptp(w[:, widest]))
    above = (x**2).sum(axis=0) * (w_error**2).sum(axis=0)
    below = (x_error**2).sum(axis=0) * (w**2).sum(axis=0)
    usable = (above > 0) & (below > 0)
    return np.where(usable, anchor * (np.where(usable, above, 1) / np.where(usable, below, 1)) ** 0.25, 1.0)


def norm_to_linears(
    norm: Norm, linears: Sequence[Linear], factors: np.ndarray, shift: np.ndarray | None = None
) -> tuple[Norm, tuple[Linear, ...]]:
    """Divide a norm's outputs by `factors` (after subtracting `shift`) and undo it in the linears that read them."""
    _check(factors)
    offset = np.zeros_like(factors) if shift is None else shift
    new_norm = Norm(norm.gain / factors, (norm.bias - offset) / factors)
    moved = tuple(Linear(linear.weight * factors, linear.bias + linear.weight @ offset) for linear in linears)
    return new_norm, moved


def linear_to_linear(first: Linear, second: Linear, factors: np.ndarray) -> tuple[Linear, Linear]:
    """Divide the outputs of `first` by `factors` and undo it in `second`.

    Between the two stands only what commutes with a factor per channel: nothing, or a product with the gate (up to
    down). For value to output projection, where a weighting over tokens stands between, see :func:`value_to_output`.
    """
    _check(factors)
    return first.scaled(rows=1 / factors), second.scaled(columns=factors)


def value_to_output(value: Linear, output: Linear, factors: np.ndarray, *, heads: int) -> tuple[Linear, Linear]:
    """Divide the values by `factors` and undo it in the output projection.

    Parameters
    ----------
    factors : float64[value channels]; with fewer value heads than query heads each serves its group of query heads
    heads : number of value heads
    """
    _check(factors)
    return value.scaled(rows=1 / factors), output.scaled(
        columns=_per_query_head(factors, heads, output.weight.shape[1])
    )


def query_to_key(query: Linear, key: Linear, factors: np.ndarray, *, heads: int, rotary: bool) -> tuple[Linear, Linear]:
    """Divide the queries by `factors` and multiply the keys, so that every score stays.

    Parameters
    ----------
    factors : float64[key channels]; with fewer key heads than query heads each serves its group of query heads
    heads : number of key heads
    rotary : rotary embedding follows, which mixes channel ``d`` with ``d + head_size / 2``: the factors must be
        equal within each such pair (:func:`pair_rotary` makes them so)

    Raises
    ------
    IntsimError
        Rotary embedding and factors that differ within a pair, which would change the scores.
    """
    _check(factors)
    if rotary and not np.array_equal(factors, pair_rotary(factors, heads)):
        raise IntsimError(
            "factors differ within a rotary pair and would change the scores; use pair_rotary(factors, heads)"
        )
    expanded = _per_query_head(factors, heads, query.weight.shape[0])
    return query.scaled(rows=1 / expanded), key.scaled(rows=factors)


def pair_rotary(factors: np.ndarray, heads: int) -> np.ndarray:
    """Factors made equal within each rotary pair ``(d, d + head_size / 2)`` by their geometric mean."""
    halves = np.asarray(factors, dtype=np.float64).reshape(heads, 2, -1)
    mean = np.where(halves[:, :1] == halves[:, 1:], halves[:, :1], np.sqrt(halves[:, :1] * halves[:, 1:]))
    return np.broadcast_to(mean, halves.shape).reshape(-1).copy()


def gate_to_up(gate: Linear, up: Linear, factors: np.ndarray) -> tuple[Linear, Linear, np.ndarray]:
    """Multiply the gate by `factors` and divide the up projection: I-LLM's nonlinear act-smooth.

    SiLU becomes ``g * sigmoid(g / factors) * u`` with the new `g` and `u`: the third result is that divisor, the
    ``alpha`` of DI-SwiGLU.
    """
    _check(factors)
    return gate.scaled(rows=factors), up.scaled(rows=1 / factors), factors


def reparameterise_norm(
    norm: Norm,
    linears: Sequence[Linear],
    scales: np.ndarray,
    zero_points: np.ndarray,
    target_scale: float | None = None,
    target_zero_point: int | None = None,
) -> tuple[Norm, tuple[Linear, ...], float, int]:
    """Turn a per-channel activation quantiser behind a norm into a per-tensor one.

    Parameters
    ----------
    scales, zero_points : the per-channel quantiser ``x = (q - z_c) * s_c``
    target_scale, target_zero_point : the per-tensor quantiser wanted; by default the means

    Returns
    -------
    norm, linears, scale, zero point : the integer codes of the new network equal those of the old one

    Notes
    -----
    Source: RepQ-ViT (arXiv 2212.08254), section 3.2. The authors' code keeps the mean zero point as a fraction; here
    it is rounded first, ties to even, and the shift computed from the rounded value, so that the identity holds.
    """
    scale = float(np.mean(scales)) if target_scale is None else target_scale
    zero = int(np.rint(np.mean(zero_points))) if target_zero_point is None else target_zero_point
    factors = np.asarray(scales, dtype=np.float64) / scale
    # (x / s_c + z_c) * s - z * s = x / factors + (z_c - z) * s: the codes stay
    shift = (zero - np.asarray(zero_points, dtype=np.float64)) * scales
    new_norm, moved = norm_to_linears(norm, linears, factors, shift)
    return new_norm, moved, scale, zero


def rotate_input(linear: Linear, rotation: np.ndarray) -> Linear:
    """The linear that reads ``x @ rotation`` where it read ``x``; `rotation` is orthogonal."""
    return Linear(linear.weight @ rotation, linear.bias)


def rotate_output(linear: Linear, rotation: np.ndarray) -> Linear:
    """The linear whose outputs are ``y @ rotation``."""
    return Linear(rotation.T @ linear.weight, linear.bias @ rotation)


def _per_query_head(factors: np.ndarray, heads: int, channels: int) -> np.ndarray:
    """Factors of the key or value heads, repeated for the query heads that each of them serves."""
    groups, rest = divmod(channels, len(factors))
    if rest or len(factors) % heads:
        raise IntsimError(f"{len(factors)} factors on {heads} heads do not serve {channels} channels; check heads")
    return np.repeat(factors.reshape(heads, -1), groups, axis=0).reshape(-1)


def _check(factors: np.ndarray) -> None:
    if not np.all(np.isfinite(factors)) or not np.all(factors != 0):
        raise IntsimError("factors must be finite and not zero; clamp them before moving them")
