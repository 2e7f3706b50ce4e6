"""I-LLM's FSBR on a Llama: the factors of all six families of a block, learned so that the quantised block's output
stays what it was.

Blocks are taken one after the other: each sees what the quantised blocks before it leave, and is compared with what
the exact block makes of the exact input. Rounding is passed straight through. It needs torch
(``pip install 'intsim[learn]'``); factors that were learned once are applied without it
(:func:`intsim.prepare.llama.smoothed`).

Source: I-LLM (arXiv 2405.17849), section 3.2 and the authors' code: the six families, their start (SmoothQuant's rule
for those behind a norm, the value and the up projection, else 1), AdamW, mean squared error. **Ours:** the quantisers
stand where :class:`~intsim.models.llama.IntegerLlama` has them (weights symmetric per output channel, queries and keys
behind their rotation per head, gate and up with 8 bits); weights are not clipped by learned bounds; what is learned is
the change of the first factors; ``qkt`` has one factor per rotary pair, without which the authors' code changes the
scores; the best step is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.files import write_bytes
from intsim.models.real.llama import Llama, LlamaBlock, causal
from intsim.prepare.learned import Learned, import_torch, learn_factors, torch_error
from intsim.prepare.llama import FAMILIES, first_factors
from intsim.schemes.step import Step

__all__ = ["learn", "load", "save"]

Factors = list[dict[str, np.ndarray]]

_MUL_BITS = 8  # of gate and up


def learn(
    model: Llama,
    samples: Sequence[np.ndarray],
    *,
    weight: int = 4,
    activation: int = 4,
    start: Step | None = None,
    steps: int = 60,
    rate: float = 5e-3,
    progress: Callable[[int, float, float], None] | None = None,
) -> Factors:
    """The factors of every block.

    Parameters
    ----------
    samples : arrays of tokens (batch, n)
    weight, activation : bits to learn for
    start : a step ``smooth`` or ``gps`` whose factors come first; all ones where None
    steps, rate : of the descent in each block
    progress : called with the number of a block, its error before and after

    Returns
    -------
    list
        For each block family -> factors, as :func:`~intsim.prepare.llama.smoothed` takes them.
    """
    if not len(samples):
        raise IntsimError("FSBR learns from samples; give at least one array of tokens")
    first = first_factors(model, start, samples) if start is not None else [{} for _ in model.blocks]
    exact = [model.words[np.asarray(tokens)] for tokens in samples]
    given = list(exact)
    found: Factors = []
    for number, block in enumerate(model.blocks):
        run = _TorchBlock(model, block, weight, activation)
        targets = [run(None, x) for x in exact]
        learned = _learn_block(run, _free(model, block, first[number]), given, targets, steps, rate)
        factors = learned.factors
        if progress is not None:
            progress(number, learned.before, learned.after)
        given = [run(factors, x) for x in given]
        exact = targets
        found.append(_expanded(model, factors))
    return found


def _learn_block(
    run: _TorchBlock,
    begin: Mapping[str, np.ndarray],
    given: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    steps: int,
    rate: float,
) -> Learned:
    """What the first factors of a block are multiplied by is learned, from ones on."""

    def quantised(change: Mapping[str, Any], x: Any) -> Any:
        return run({name: change[name] * run.tensor(values) for name, values in begin.items()}, x)

    ones = {name: np.ones_like(values) for name, values in begin.items()}
    found = learn_factors(torch_error(quantised, given, targets), ones, steps=steps, rate=rate)
    return replace(found, factors={name: begin[name] * change for name, change in found.factors.items()})


def _free(model: Llama, block: LlamaBlock, first: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What is learned: of the rotary pairs one factor each."""
    size, inner, keys = model.words.shape[1], len(block.alpha), model.groups * model.channels
    sizes = {"qkv": size, "qkt": keys // 2, "out": keys, "fc1": size, "x1x2": inner, "fc2": inner}
    return {name: first.get(name, np.ones(sizes[name])) for name in FAMILIES}


def _expanded(model: Llama, factors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    pairs = factors["qkt"].reshape(model.groups, 1, -1)
    return {**factors, "qkt": np.repeat(pairs, 2, axis=1).reshape(-1)}


class _TorchBlock:
    """One block with quantisers, as a function of its factors and its input; without factors, exact."""

    def __init__(self, model: Llama, block: LlamaBlock, weight: int, activation: int):
        torch = import_torch()

        self._torch, self._model, self._bits = torch, model, (weight, activation)
        self._w = {name: torch.as_tensor(pair[0]) for name, pair in block.linear.items()}
        self._b = {name: None if pair[1] is None else torch.as_tensor(pair[1]) for name, pair in block.linear.items()}
        self._gamma = {name: torch.as_tensor(gamma) for name, gamma in block.norm.items()}
        self._alpha = torch.as_tensor(block.alpha)

    def tensor(self, values: np.ndarray) -> Any:
        """Values that are not learned."""
        return self._torch.as_tensor(values)

    def __call__(self, factors: Mapping[str, Any] | None, x: Any) -> Any:
        torch = self._torch
        if not isinstance(x, np.ndarray):
            return self._run(factors, x.float())
        with torch.no_grad():
            given = None if factors is None else {name: torch.as_tensor(v) for name, v in factors.items()}
            return self._run(given, torch.as_tensor(x)).numpy()

    def _run(self, factors: Mapping[str, Any] | None, x: Any) -> Any:
        torch, model, exact = self._torch, self._model, factors is None
        one = torch.ones(1)
        f = {name: one if exact else factors[name].float() for name in FAMILIES}  # type: ignore[index]
        bits_w, bits_a = self._bits
        groups, above = model.groups, model.heads // model.groups

        def act(v: Any, bits: int = bits_a) -> Any:
            return v if exact else _per_row(torch, v, bits)

        def linear(name: str, v: Any, rows: Any = one, columns: Any = one) -> Any:
            w = self._w[name] * rows[:, None] * columns  # (inputs, outputs)
            bias = self._b[name]
            y = v @ (w if exact else _per_channel(torch, w, bits_w))
            return y if bias is None else y + bias * columns

        def heads(v: Any, count: int) -> Any:
            return v.reshape(*v.shape[:2], count, -1).transpose(1, 2)

        def served(v: Any) -> Any:  # factors of the groups' channels for the query heads
            return v if v.numel() == 1 else v.reshape(groups, 1, -1).expand(groups, above, -1).reshape(-1)

        pairs = f["qkt"]
        qkt = pairs if pairs.numel() == 1 else pairs.reshape(groups, 1, -1).expand(groups, 2, -1).reshape(-1)
        inner = act(self._norm("norm1", x) / f["qkv"])
        q = heads(linear("q", inner, f["qkv"], 1 / served(qkt)), model.heads)
        k = heads(linear("k", inner, f["qkv"], qkt), groups)
        v = act(linear("v", inner, f["qkv"], 1 / f["out"]))
        q, k = (act(self._rotated(t)) for t in (q, k))
        k, v = (t.repeat_interleave(above, dim=1) for t in (k, heads(v, groups)))
        scores = q @ k.transpose(-1, -2) * model.channels**-0.5
        seen = torch.as_tensor(causal(x.shape[1]))
        p = scores.masked_fill(~seen, float("-inf")).softmax(-1)
        context = act((p @ v).transpose(1, 2).reshape(*x.shape[:2], -1))
        x = x + linear("proj", context, served(f["out"]))
        inner = act(self._norm("norm2", x) / f["fc1"])
        gate = act(linear("gate", inner, f["fc1"], f["x1x2"]), _MUL_BITS)
        up = act(linear("up", inner, f["fc1"], 1 / (f["x1x2"] * f["fc2"])), _MUL_BITS)
        gated = act(gate * torch.sigmoid(gate / (self._alpha * f["x1x2"])) * up)
        return x + linear("down", gated, f["fc2"])

    def _norm(self, name: str, x: Any) -> Any:
        return x * (x.pow(2).mean(-1, keepdim=True) + self._model.eps).rsqrt() * self._gamma[name]

    def _rotated(self, x: Any) -> Any:
        torch, half = self._torch, x.shape[-1] // 2
        angle = torch.arange(x.shape[-2])[:, None] * self._model.base ** (-torch.arange(half) / half)
        cos, sin = angle.cos(), angle.sin()
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def _straight(torch: Any, value: Any) -> Any:
    """Rounded, with the gradient of the value itself."""
    return value + (torch.round(value) - value).detach()


def _per_row(torch: Any, x: Any, bits: int) -> Any:
    """Asymmetric codes with a scale per row, zero inside the range."""
    full = (1 << bits) - 1
    high, low = x.amax(dim=-1, keepdim=True).clamp(min=0), x.amin(dim=-1, keepdim=True).clamp(max=0)
    scale = ((high - low) / full).clamp(min=1e-9)
    zero = _straight(torch, -low / scale)
    return (torch.clamp(_straight(torch, x / scale) + zero, 0, full) - zero) * scale


def _per_channel(torch: Any, w: Any, bits: int) -> Any:
    """Symmetric codes of a matrix (inputs, outputs) with a scale per output."""
    most = (1 << (bits - 1)) - 1
    scale = (w.abs().amax(dim=0, keepdim=True) / most).clamp(min=1e-9)
    return torch.clamp(_straight(torch, w / scale), -most, most) * scale


def save(factors: Factors, path: str | Path) -> None:
    """Write factors as safetensors (float16): ``0.qkv``, ``0.qkt`` ..."""
    from safetensors.numpy import save as to_bytes

    flat = {f"{n}.{name}": v.astype(np.float16) for n, block in enumerate(factors) for name, v in block.items()}
    write_bytes(path, to_bytes(flat))


def load(path: str | Path) -> Factors:
    """Factors that :func:`save` wrote.

    Raises
    ------
    IntsimError
        The file is missing or damaged, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        flat = from_bytes(Path(path).read_bytes())
        places = {name: (int(name.partition(".")[0]), name.partition(".")[2]) for name in flat}
    except (OSError, SafetensorError, ValueError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give a file that fsbr.save wrote") from None
    found: Factors = [{} for _ in range(1 + max((n for n, _ in places.values()), default=-1))]
    for name, (number, family) in places.items():
        found[number][family] = flat[name].astype(np.float64)
    return found
