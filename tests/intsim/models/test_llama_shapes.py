"""LLaMA-7B's shapes with one block and random weights: faster than float32, in the memory of the weights."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
INNER, SIZE, WORDS = 11008, 4096, 32000
WEIGHTS = 4 * SIZE**2 + 3 * SIZE * INNER + SIZE * WORDS  # of linear layers; the embedding table has two bytes each


def figures(*options):
    command = [sys.executable, "-m", "benchmarks.llama_shapes", "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_command_measures_any_shapes(tmp_path):
    config = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 300}))
    found = figures("--config", str(tmp_path / "config.json"), "--bits", "w8a8", "--read", "20", "--written", "3")
    assert list(found) == ["float32", "w8a8"]
    linear = 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 96) + 64 * 300
    assert found["float32"]["weights"] == 4 * (linear + 300 * 64)
    assert linear + 2 * 300 * 64 <= found["w8a8"]["weights"] < 3 * (linear + 2 * 300 * 64)
    assert found["float32"]["cache"] == 2 * 2 * 23 * 32 * 4  # keys and values of two blocks, 23 tokens, 32 channels
    assert found["w8a8"]["cache"] == 2 * 2 * 23 * 32
    assert all(side["read"] > 0 and side["written"] > 0 for side in found.values())
    assert found["w8a8"]["decibels"] > 20


@pytest.mark.full
def test_shapes_of_llama_7b_run_faster_than_float_in_the_memory_of_their_weights():
    found = figures("--layers", "1", "--bits", "w8a8", "--read", "32", "--written", "6")
    real, got = found["float32"], found["w8a8"]
    assert WEIGHTS + 2 * SIZE * WORDS <= got["weights"] < 1.01 * (WEIGHTS + 2 * SIZE * WORDS)
    assert got["peak"] < 1.5 * got["weights"]
    assert got["written"] > real["written"]
    assert got["decibels"] > 20
