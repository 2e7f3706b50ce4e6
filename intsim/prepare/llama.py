"""A Llama made easier to quantise: smoothing and rotation folded into its weights, so that no operator is added.

Every function takes the float twin and returns another of the same logits in real arithmetic. What changes is where
the large values stand. Smoothing the gate changes the twin's ``alpha``, the divisor inside the sigmoid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models.real.llama import Llama, LlamaBlock
from intsim.prepare.hadamard import klt_hadamard, rotation
from intsim.prepare.steps import Junction, apply
from intsim.prepare.transforms import (
    Linear,
    Norm,
    gate_to_up,
    linear_to_linear,
    norm_to_linears,
    pair_rotary,
    query_to_key,
    rotate_input,
    rotate_output,
    value_to_output,
)
from intsim.schemes.step import Step

__all__ = ["FAMILIES", "balance_scores", "first_factors", "prepare", "rotated", "smoothed", "with_outliers", "within"]

FAMILIES = ("qkv", "qkt", "out", "fc1", "x1x2", "fc2")
"""I-LLM's families of factors, in the order in which they are applied; see :mod:`intsim.prepare.transforms`."""

_READERS = {"norm1": ("q", "k", "v"), "context": ("proj",), "norm2": ("gate", "up"), "act": ("down",)}
_FAMILY = {"norm1": "qkv", "context": "out", "norm2": "fc1", "act": "fc2"}


def prepare(model: Llama, steps: Iterable[Step], samples: Sequence[np.ndarray]) -> Llama:
    """The model after the steps of a scheme, one after the other.

    Parameters
    ----------
    steps : ``smooth`` and ``gps`` divide what the linear layers read (norms, context, gated activation) by factors
        that go into norms, values and up projection; ``hadamard`` and ``klt_hadamard`` turn the residual stream
    samples : arrays of tokens (batch, n), for the ranges

    Raises
    ------
    IntsimError
        No samples, or a width for which no Hadamard matrix is known.
    """
    for step in steps:
        if not len(samples):
            raise IntsimError(f"the step {step.name} needs samples; give at least one array of tokens")
        if step.name in ("hadamard", "klt_hadamard"):
            size = model.words.shape[1]
            stream = _recorded(model, samples, [f"{n}.sum2" for n in range(len(model.blocks))])
            matrix = rotation(size) if step.name == "hadamard" else klt_hadamard(np.concatenate([*stream.values()]))
            model = rotated(model, matrix)
        else:
            model = smoothed(model, first_factors(model, step, samples))
    return model


def first_factors(model: Llama, step: Step, samples: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """What a step ``smooth`` or ``gps`` divides by, block by block, as :func:`smoothed` takes it."""
    names = [f"{n}.{place}" for n in range(len(model.blocks)) for place in _READERS]
    seen = _recorded(model, samples, names)
    found = []
    for number, block in enumerate(model.blocks):
        factors = {}
        for place, readers in _READERS.items():
            junction = Junction.of(seen[f"{number}.{place}"], *(_linear(block, name) for name in readers))
            factors[_FAMILY[place]] = 1 / np.diag(apply([step], junction).moved)
        factors["out"] = _per_group(factors["out"], model)
        found.append(factors)
    return found


def smoothed(model: Llama, factors: Sequence[Mapping[str, np.ndarray]]) -> Llama:
    """The model with factors of any of :data:`FAMILIES` in each block.

    Parameters
    ----------
    factors : of each block, family -> float64 per channel: ``qkv`` and ``fc1`` (size,), ``qkt`` and ``out``
        (groups * channels,), ``x1x2`` and ``fc2`` (inner,). ``qkt`` is equal within each rotary pair

    Raises
    ------
    IntsimError
        Factors that are 0 or not finite, or that differ within a rotary pair.
    """
    if len(factors) != len(model.blocks):
        raise IntsimError(f"factors for {len(factors)} blocks, the model has {len(model.blocks)}; give one per block")
    blocks = tuple(_smooth_block(model, *pair) for pair in zip(model.blocks, factors, strict=True))
    return dataclasses.replace(model, blocks=blocks)


def _smooth_block(model: Llama, block: LlamaBlock, factors: Mapping[str, np.ndarray]) -> LlamaBlock:
    layers = {name: _linear(block, name) for name in block.linear}
    norm, alpha = dict(block.norm), np.asarray(block.alpha, dtype=np.float64)
    for family, norm_place, readers in (("qkv", "norm1", "qkv"), ("fc1", "norm2", ("gate", "up"))):
        if family in factors:
            gain = np.asarray(norm[norm_place], dtype=np.float64)
            chosen = [layers[name] for name in readers]
            moved, linears = norm_to_linears(Norm(gain, np.zeros_like(gain)), chosen, factors[family])
            norm[norm_place] = moved.gain
            layers |= dict(zip(readers, linears, strict=True))
    if "qkt" in factors:
        q, k = query_to_key(layers["q"], layers["k"], factors["qkt"], heads=model.groups, rotary=True)
        layers |= {"q": q, "k": k}
    if "out" in factors:
        v, proj = value_to_output(layers["v"], layers["proj"], factors["out"], heads=model.groups)
        layers |= {"v": v, "proj": proj}
    if "x1x2" in factors:
        gate, up, divisor = gate_to_up(layers["gate"], layers["up"], factors["x1x2"])
        layers |= {"gate": gate, "up": up}
        alpha = alpha * divisor
    if "fc2" in factors:
        up, down = linear_to_linear(layers["up"], layers["down"], factors["fc2"])
        layers |= {"up": up, "down": down}
    return _block(layers, norm, alpha, block)


def rotated(model: Llama, matrix: np.ndarray) -> Llama:
    """The model whose residual stream is turned by an orthogonal matrix (size, size).

    The gammas go into the linear layers behind the norms first: RMSNorm without gamma commutes with a rotation.
    """
    blocks = []
    for block in model.blocks:
        layers, norm = {name: _linear(block, name) for name in block.linear}, {}
        for place in ("norm1", "norm2"):
            gain = np.asarray(block.norm[place], dtype=np.float64)
            for name in _READERS[place]:
                layers[name] = rotate_input(layers[name].scaled(columns=gain), matrix)
            norm[place] = np.ones_like(gain)
        for name in ("proj", "down"):
            layers[name] = rotate_output(layers[name], matrix)
        blocks.append(_block(layers, norm, block.alpha, block))
    head = matrix.T @ (model.norm[:, None].astype(np.float64) * model.head)
    return dataclasses.replace(
        model,
        blocks=tuple(blocks),
        words=(model.words @ matrix).astype(np.float32),
        head=head.astype(np.float32),
        norm=np.ones_like(model.norm),
    )


def within(model: Llama, reaches: Sequence[float], most: float) -> Llama:
    """The model whose gated activations stay below `most`: a power of two goes from the up to the down projection.

    Every weight keeps its mantissa, so that no code of a network with scales per channel changes.

    Parameters
    ----------
    reaches : the largest magnitude of each block's gated activation
    """
    powers = [2.0 ** np.ceil(np.log2(reach / most)) if reach > most else 1.0 for reach in reaches]
    if max(powers) == 1:
        return model
    return smoothed(
        model, [{"fc2": np.full(len(block.alpha), power)} for block, power in zip(model.blocks, powers, strict=True)]
    )


def with_outliers(model: Llama, count: int = 4, factor: float = 40.0, seed: int = 0) -> Llama:
    """The model with large values in a few channels of what its linear layers read.

    Large language models have such channels, small ones do not; smoothing is made for them. The logits stay: the
    weights that read a channel become as much smaller.

    Parameters
    ----------
    count : channels behind each norm and behind each gated activation
    factor : how much larger their values become
    """
    rng = np.random.default_rng(seed)
    size, inner = model.words.shape[1], len(model.blocks[0].alpha)

    def some(channels: int) -> np.ndarray:
        found = np.ones(channels)
        found[rng.choice(channels, count, replace=False)] = 1 / factor
        return found

    return smoothed(model, [{"qkv": some(size), "fc1": some(size), "fc2": some(inner)} for _ in model.blocks])


def balance_scores(model: Llama, samples: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Factors of the family ``qkt`` with which queries and keys have equal ranges in every rotary pair."""
    names = [f"{n}.{place}" for n in range(len(model.blocks)) for place in ("q_rope", "k_rope")]
    seen = _recorded(model, samples, names)
    found = []
    for number in range(len(model.blocks)):
        q, k = (np.abs(seen[f"{number}.{place}"]).max(axis=0) for place in ("q_rope", "k_rope"))
        q = q.reshape(model.groups, -1, model.channels).max(axis=1).reshape(-1)
        found.append(pair_rotary(np.sqrt(np.maximum(q, 1e-5) / np.maximum(k, 1e-5)), model.groups))
    return found


def _recorded(model: Llama, samples: Sequence[np.ndarray], places: Sequence[str]) -> dict[str, np.ndarray]:
    """Rows of channels at some places over all samples, float64; heads side by side."""
    rows: dict[str, list[np.ndarray]] = {place: [] for place in places}
    for tokens in samples:
        tensors = model.real(tokens)
        for place, found in rows.items():
            x = tensors[place]
            x = x.swapaxes(1, 2) if x.ndim == 4 else x
            found.append(x.reshape(x.shape[0] * x.shape[1], -1).astype(np.float64))
    return {place: np.concatenate(found) for place, found in rows.items()}


def _per_group(factors: np.ndarray, model: Llama) -> np.ndarray:
    """Factors of the query heads' channels as one per channel of the group that they share: the geometric mean."""
    heads = np.log(factors).reshape(model.groups, -1, model.channels)
    return np.exp(heads.mean(axis=1)).reshape(-1)


def _linear(block: LlamaBlock, name: str) -> Linear:
    weight, bias = block.linear[name]
    return Linear(weight.T.astype(np.float64), np.zeros(weight.shape[1]) if bias is None else bias.astype(np.float64))


def _block(layers: Mapping[str, Linear], norm: Mapping[str, Any], alpha: Any, old: LlamaBlock) -> LlamaBlock:
    def pair(name: str, linear: Linear) -> tuple[np.ndarray, np.ndarray | None]:
        bias = None if old.linear[name][1] is None else linear.bias.astype(np.float32)
        return np.ascontiguousarray(linear.weight.T.astype(np.float32)), bias

    single = {name: np.asarray(gain, dtype=np.float32) for name, gain in norm.items()}
    linear = {name: pair(name, linear) for name, linear in layers.items()}
    return LlamaBlock(linear, single, np.asarray(alpha, dtype=np.float32))
