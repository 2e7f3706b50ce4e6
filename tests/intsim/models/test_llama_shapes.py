"""LLaMA-7B's shapes with one block and random weights: token by token faster than float32, in less memory."""

import json
import subprocess
import sys

import pytest

MEASURE = """
import ctypes, gc, json, time
import numpy as np
from intsim.models import IntegerLlama
from intsim.models.real.llama import made_up
from intsim.schemes import illm

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) << 10

def seconds(model, cache):
    found = []
    for token in tokens[0, :6]:
        began = time.perf_counter()
        model(np.array([[token]]), cache)
        found.append(time.perf_counter() - began)
    return sorted(found)[2]

config = {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 1, "num_attention_heads": 32}
twin = made_up({**config, "vocab_size": 32000})
tokens = np.random.default_rng(0).integers(0, 32000, (1, 16))
network = IntegerLlama.design(twin, illm, [tokens])
cache = {}
real, of_float = twin(tokens, cache), seconds(twin, cache)
del twin, cache
gc.collect()
ctypes.CDLL("libc.so.6").malloc_trim(0)
cache = {}
got = network(tokens, cache).decode()
of_integers = seconds(network, cache)
weights = sum(layer.weight.data.nbytes for layer in network.layers.values() if hasattr(layer, "weight"))
noise = np.square(got - real).sum() / np.square(real).sum()
print(json.dumps([of_float, of_integers, resident(), weights + network.words.table.data.nbytes, noise]))
"""


@pytest.mark.full
def test_shapes_of_llama_7b_run_faster_than_float_in_twice_the_bytes_of_the_weights():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    of_float, of_integers, resident, stored, noise = json.loads(done.stdout)
    assert stored == 4 * 4096**2 + 3 * 4096 * 11008 + 4096 * 32000 + 2 * 4096 * 32000  # a byte each, the table two
    assert of_integers < of_float
    assert resident < 2 * stored + (256 << 20)  # as stored and in the order of the instructions; Python and Numba
    assert noise < 0.01
