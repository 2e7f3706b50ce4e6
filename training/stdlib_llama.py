"""Train the small Llama of ``intsim/models/weights/stdlib-llama`` on the docstrings of Python's standard library.

    pip install -e '.[models,train]'
    python training/stdlib_llama.py intsim/models/weights/stdlib-llama

Writes ``config.json``, ``tokenizer.json``, ``model.safetensors`` (float16, Hugging
Face's names) and the two texts that belong to the weights, so that a perplexity is the same under every Python
version: ``held_out.txt`` from modules that the training text does not hold, ``calibration.txt`` from modules that it
does. Of the weights after every 250th step those of least held-out perplexity are kept: the training text is small, and
what counts here is what integers lose against these weights, not how good they are. Other machines and Python versions
give other weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

from intsim.models.real.stdlib_text import docstrings, is_held_out

BEGIN = "<s>"
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 160,
    "intermediate_size": 432,
    "num_hidden_layers": 4,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "head_dim": 32,
    "vocab_size": 2048,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
}
SIZE, HEAD = CONFIG["hidden_size"], CONFIG["head_dim"]
HEADS, GROUPS = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=CONFIG["vocab_size"], special_tokens=[BEGIN], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(SIZE))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + CONFIG["rms_norm_eps"]) * self.weight


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj = linear(SIZE, HEADS * HEAD), linear(SIZE, GROUPS * HEAD)
        self.v_proj, self.o_proj = linear(SIZE, GROUPS * HEAD), linear(HEADS * HEAD, SIZE)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        q, k, v = (p(x).view(batch, length, -1, HEAD).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        k, v = (t.repeat_interleave(HEADS // GROUPS, dim=1) for t in (k, v))
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        inner = CONFIG["intermediate_size"]
        self.gate_proj, self.up_proj, self.down_proj = linear(SIZE, inner), linear(SIZE, inner), linear(inner, SIZE)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(), Norm()
        self.self_attn, self.mlp = Attention(), MLP()

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(CONFIG["vocab_size"], SIZE)
        self.layers = nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = Norm()
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                ends_branch = "o_proj" in name or "down_proj" in name
                nn.init.normal_(parameter, std=0.007 if ends_branch else 0.02)

    def forward(self, tokens):
        half = HEAD // 2
        angle = torch.arange(tokens.shape[1])[:, None] * CONFIG["rope_theta"] ** (-torch.arange(half) / half)
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, angle.cos(), angle.sin())
        return self.norm(x) @ self.embed_tokens.weight.T


def encode(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    begin = tokenizer.token_to_id(BEGIN)
    return np.array([token for found in tokenizer.encode_batch(texts) for token in (begin, *found.ids)])


@torch.no_grad()
def perplexity(model: Llama, ids: np.ndarray, length: int) -> float:
    """Over consecutive windows of `length` tokens, each scored from its second token on."""
    windows = torch.from_numpy(ids[: len(ids) // length * length].reshape(-1, length))
    total, count = 0.0, 0
    for batch in windows.split(16):
        logits = model(batch[:, :-1])
        total += F.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1), reduction="sum").item()
        count += batch[:, 1:].numel()
    return math.exp(total / count)


def excerpt(texts: list[str], characters: int, seed: int) -> str:
    """Docstrings drawn by `seed` up to so many characters, each behind the token of a beginning."""
    chosen, left = [], characters
    for number in np.random.default_rng(seed).permutation(len(texts)):
        if len(texts[number]) > 1500:
            continue  # no single module fills the text
        left -= len(texts[number])
        if left < 0:
            break
        chosen.append(BEGIN + texts[number])
    return "".join(chosen)


def save(model: Llama, tokenizer: Tokenizer, folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"model.{name}": p.detach().half().contiguous() for name, p in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)

    everything = [(is_held_out(d.module), d.text) for d in docstrings()]
    seen, unseen = ([text for held, text in everything if held is side] for side in (False, True))
    tokenizer = train_tokenizer(seen)
    train, judged = (encode(tokenizer, part) for part in (seen, unseen))
    model = Llama()
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {len(train)} training tokens, {len(judged)} held out", flush=True)

    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.95), weight_decay=0.1)
    warm, best, started = 100, math.inf, time.time()
    texts = {"held_out.txt": excerpt(unseen, 64_000, 1), "calibration.txt": excerpt(seen, 24_000, 2)}
    for step in range(options.steps + 1):
        if step % 250 == 0:
            now = perplexity(model, judged, options.length)
            print(f"step {step}: held-out perplexity {now:.2f}, {time.time() - started:.0f} s", flush=True)
            if now < best:
                best = now
                save(model, tokenizer, options.out, texts)
        share = min(step / warm, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
        for group in optimiser.param_groups:
            group["lr"] = options.rate * share
        starts = rng.integers(0, len(train) - options.length - 1, options.batch)
        tokens = torch.from_numpy(np.stack([train[s : s + options.length + 1] for s in starts]))
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens[:, 1:].reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    print(f"best held-out perplexity {best:.2f}")


if __name__ == "__main__":
    main()
