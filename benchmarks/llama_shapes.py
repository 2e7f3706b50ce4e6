"""``python -m benchmarks.llama_shapes``: a Llama of any shapes with random weights, by integers and in float32.

Without ``--config`` the shapes are LLaMA-7B's. Each side runs in a process of its own: it reads a text of some tokens
at once, then goes on token by token with the keys and values kept. Memory is the largest resident size while it runs,
less that of Python with everything loaded and compiled; what is only needed to make the network is gone by then.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.turns import ROOT
from intsim.measure.network import with_bits
from intsim.models import IntegerLlama
from intsim.models.real.llama import Llama, made_up
from intsim.schemes import SCHEMES

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "vocab_size": 64}  # compiles everything


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    if given.side:
        print(json.dumps(measure_float(given) if given.side == "float32" else measure_integers(given, given.side)))
        return 0
    passed = sys.argv[1:] if arguments is None else arguments
    found = {}
    for side in ("float32", *given.bits):
        command = [sys.executable, "-m", "benchmarks.llama_shapes", *passed, "--side", side]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found[side] = json.loads(done.stdout)
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(table(found, given))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.llama_shapes", description=__doc__)
    parser.add_argument("--config", type=Path, help="a config.json (default: the shapes of LLaMA-7B)")
    parser.add_argument("--layers", type=int, default=2, help="blocks (default 2)")
    parser.add_argument("--scheme", default="illm", choices=sorted(SCHEMES))
    parser.add_argument("--bits", nargs="+", default=["w8a8", "w4a8"], help="widths (default w8a8 w4a8)")
    parser.add_argument("--read", type=int, default=128, help="tokens read at once (default 128)")
    parser.add_argument("--written", type=int, default=16, help="tokens one by one (default 16)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def twin_of(given: argparse.Namespace) -> Llama:
    config = json.loads(given.config.read_text(encoding="utf-8")) if given.config else {}
    return made_up({**config, "num_hidden_layers": given.layers})


def measure_float(given: argparse.Namespace) -> dict[str, float]:
    small = made_up({**SMALL, "num_hidden_layers": 1})
    small(small_tokens(), {})
    base = resident()
    twin = twin_of(given)
    matrices = [twin.head, twin.words, *(pair[0] for block in twin.blocks for pair in block.linear.values())]
    return run(twin, twin.words.shape[0], given, base, sum(w.nbytes for w in matrices))


def measure_integers(given: argparse.Namespace, bits: str) -> dict[str, float]:
    scheme = with_bits(SCHEMES[given.scheme], bits)
    small = made_up({**SMALL, "num_hidden_layers": 1})
    IntegerLlama.design(small, scheme, [small_tokens()])(small_tokens(), {})
    base = resident()
    twin = twin_of(given)
    count = len(twin.words)
    sample = np.random.default_rng(1).integers(0, count, (1, 32))
    network, real = IntegerLlama.design(twin, scheme, [sample]), twin(sample)
    del twin
    figures = run(network, count, given, base, weight_bytes(network))
    noise = np.square(network(sample).decode() - real).sum() / np.square(real).sum()
    return {**figures, "decibels": float(-10 * np.log10(noise))}


def small_tokens() -> np.ndarray:
    return np.arange(48).reshape(1, 48)


def weight_bytes(network: IntegerLlama) -> int:
    """Bytes of the integer matrices: linear layers in the machine's order, and the embedding table."""
    weights = (getattr(layer, "weight", None) for layer in network.layers.values())
    packed = sum(getattr(w, "codes", w).nbytes for w in weights if w is not None)
    words: Any = network.words
    return packed + (words.table.data if hasattr(words, "table") else words.codes).nbytes


def run(model: Any, count: int, given: argparse.Namespace, base: int, weights: int) -> dict[str, float]:
    """The best of three times of the text at once, and of all tokens behind it; the memory meanwhile."""
    tokens = np.random.default_rng(0).integers(0, count, (1, given.read + given.written))
    settle()
    held = resident() - base
    read, cache = [], {}
    for _ in range(3):
        cache.clear()
        read.append(seconds(model, tokens[:, : given.read], cache))
    written = [seconds(model, tokens[:, at : at + 1], cache) for at in range(given.read, tokens.shape[1])]
    return {
        "read": given.read / min(read),
        "written": 1 / min(written),
        "weights": weights,
        "held": held,
        "peak": resident("VmHWM") - base,
        "cache": sum(getattr(v, "data", v).nbytes for v in cache.values()),
    }


def seconds(model: Any, tokens: np.ndarray, cache: dict[str, Any]) -> float:
    began = time.perf_counter()
    model(tokens, cache)
    return time.perf_counter() - began


def settle() -> None:
    """What is free goes back to the system, and the largest resident size is counted anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def resident(kind: str = "VmRSS") -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) << 10


def table(found: dict[str, dict[str, float]], given: argparse.Namespace) -> str:
    """The figures in Markdown."""
    real = found["float32"]
    head = [f"{given.read} tokens at once, per second", "one by one", "weights", "peak memory", "by weights"]
    lines = ["| | " + " | ".join(head) + " |", "|---" * (len(head) + 1) + "|"]
    for side, figures in found.items():
        megabytes = [f"{figures[name] / 1e6:,.0f} MB" for name in ("weights", "peak")]
        speed = [f"{figures[name]:.3g} ({figures[name] / real[name]:.2f} x)" for name in ("read", "written")]
        share = f"{figures['peak'] / figures['weights']:.2f}"
        name = side if side == "float32" else f"{given.scheme} {side}"
        lines.append(f"| {name} | {' | '.join([*speed, *megabytes, share])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
