"""FSBR's learned factors: gradient descent on the output error with quantisers inside.

I-LLM (arXiv 2405.17849) starts its factors from SmoothQuant's rule and then minimises the squared distance between
the output in floating point and with quantised weights and activations, with the straight-through estimator for the
rounding. Here the descent is NumPy. What it minimises is a function that returns the error and its gradient:

* :func:`junction_error`: one linear layer and what it reads, the gradient written out;
* :func:`torch_error`: any block of several factors written in PyTorch by the caller, the gradient by autograd. It
  needs torch (``pip install 'intsim[learn]'``), imported when it is called.

**The paper's code:** AdamW without weight decay, rate 5e-3, 20 epochs, mean squared error, factors kept at 0.01 or
more in magnitude, per-token asymmetric activations and per-channel asymmetric weights. **Ours:** the best epoch is
kept, not the last, so that the result is never worse than its start on the calibration data; a factor keeps its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.prepare.quantize import quantize_weights
from intsim.prepare.steps import Junction

__all__ = ["LEAST", "Learned", "fake_quantize", "import_torch", "junction_error", "learn_factors", "torch_error"]

LEAST = 0.01  # magnitude of a factor, as in the authors' code

Factors = Mapping[str, np.ndarray]
Error = Callable[[Factors], tuple[float, Factors]]


@dataclass(frozen=True)
class Learned:
    """Factors after the descent.

    Attributes
    ----------
    factors : by name, float64
    before, after : the error with the first and with these factors
    step : the step they are from; 0 where none was better than the start
    """

    factors: Factors
    before: float
    after: float
    step: int


def learn_factors(error: Error, start: Factors, *, steps: int = 100, rate: float = 5e-3) -> Learned:
    """The factors of least error on the way from `start` by AdamW without weight decay (moments 0.9 and 0.999).

    Parameters
    ----------
    error : factors by name -> the error, and its gradient by name
    start : factors to begin with; ones, or :func:`~intsim.prepare.transforms.smooth_factors`
    steps : of the descent
    rate : of learning

    Raises
    ------
    IntsimError
        Factors that are not finite or too small, or an error that is not finite.
    """
    for name, values in start.items():
        if not np.all(np.isfinite(values)) or np.any(np.abs(values) < LEAST):
            raise IntsimError(f"factors {name} must be finite and at least {LEAST} in magnitude; clamp them first")
    factors = {name: np.array(values, dtype=np.float64) for name, values in start.items()}
    first, second = ({name: np.zeros_like(v) for name, v in factors.items()} for _ in range(2))
    signs = {name: np.sign(v) for name, v in factors.items()}
    best: Learned | None = None
    for step in range(steps + 1):
        now, gradient = error(factors)
        if not np.isfinite(now):
            raise IntsimError(f"the error is {now} at step {step}; use a smaller rate or check the data")
        if best is None or now < best.after:
            copies = {name: v.copy() for name, v in factors.items()}
            best = Learned(copies, now if best is None else best.before, now, step)
        for name, values in factors.items():
            slope = np.asarray(gradient[name], dtype=np.float64)
            first[name] += 0.1 * (slope - first[name])
            second[name] += 0.001 * (slope**2 - second[name])
            mean, square = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
            values -= rate * mean / (np.sqrt(square) + 1e-8)
            values[...] = signs[name] * np.maximum(signs[name] * values, LEAST)
    assert best is not None
    return best


def junction_error(junction: Junction, x_bits: int = 8, w_bits: int = 8) -> Error:
    """Mean squared error of the outputs of all layers that read a junction, as a function of ``factors``.

    Tokens and output channels are quantised asymmetrically, each with a scale of its own. With ``e`` the error of
    the output, the straight-through gradient by the factor of a channel is that of ``(x / s + r) (w s + t)`` where
    the rounding errors ``r`` and ``t`` are constants.
    """
    x, w = junction.samples, junction.weights
    target = x @ w.T

    def error(factors: Factors) -> tuple[float, Factors]:
        s = factors["factors"]
        new_x = quantize_weights(x / s, x_bits, symmetric=False).real()
        new_w = quantize_weights(w * s, w_bits, symmetric=False).real()
        off = new_x @ new_w.T - target
        slope = 2 * off / off.size
        by_x, by_w = slope @ new_w, slope.T @ new_x
        return float((off**2).mean()), {"factors": (by_w * w).sum(axis=0) - (by_x * x).sum(axis=0) / s**2}

    return error


def fake_quantize(x: Any, bits: int = 8) -> Any:
    """A torch tensor quantised and back, per row of the last axis, asymmetric; the rounding has gradient 1.

    The code's scale and zero point follow the row's ends and carry their gradients; ties go to even.
    """
    torch = import_torch()
    top = (1 << bits) - 1
    high, low = x.amax(dim=-1, keepdim=True), x.amin(dim=-1, keepdim=True)
    scale = ((high - low) / top).clamp(min=1e-5, max=1e4)

    def straight(value: Any) -> Any:
        return value + (torch.round(value) - value).detach()

    zero = straight(-low / scale)
    return (torch.clamp(straight(x / scale) + zero, 0, top) - zero) * scale


def torch_error(
    block: Callable[[Mapping[str, Any], Any], Any], inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray]
) -> Error:
    """Mean squared error of a whole block written in torch: for all six families of factors at once.

    Parameters
    ----------
    block : maps factors (name -> float64 tensor) and one input to the quantised block's output
    inputs, targets : calibration inputs and the exact block's outputs for them, in pairs

    Raises
    ------
    IntsimError
        torch is missing, or inputs and targets are no pairs.
    """
    if not inputs or len(inputs) != len(targets):
        raise IntsimError(f"give one target per input, at least one; got {len(inputs)} and {len(targets)}")
    torch = import_torch()
    pairs = [(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(inputs, targets, strict=True)]

    def error(factors: Factors) -> tuple[float, Factors]:
        tensors = {name: torch.tensor(values, requires_grad=True) for name, values in factors.items()}
        total = sum(((block(tensors, x) - y) ** 2).mean() for x, y in pairs) / len(pairs)
        total.backward()
        return float(total.detach()), {name: tensor.grad.numpy() for name, tensor in tensors.items()}

    return error


def import_torch() -> Any:
    """torch, which only learning needs.

    Raises
    ------
    IntsimError
        It is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise IntsimError("torch is missing: pip install 'intsim[learn]'") from None
    return torch
