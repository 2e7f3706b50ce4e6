"""``python -m benchmarks.networks [MODEL]``: an integer-only network beside its float32 twin, in time and in memory.

All networks and the twin take turns in one process of one thread on the same batch; a figure is the median of the
rounds. Memory is what NumPy and Python hold for a network behind its first call, in which
kernels order the weights, and the most there is during a call; both beside the size that the weights have as integers
of the scheme's widths.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import numpy as np

from benchmarks.turns import environment
from intsim.markdown import table
from intsim.measure.network import Data, open_task, with_bits
from intsim.models.network import IntegerNetwork
from intsim.schemes import SCHEMES

ALL = sorted(name for name in SCHEMES if name != "hawq")  # whose nonlinear functions are floating point


def main(arguments: list[str] | None = None) -> int:
    given = parse(arguments)
    if not given.here:
        passed = sys.argv[1:] if arguments is None else arguments
        command = [sys.executable, "-m", "benchmarks.networks", *passed, "--here"]
        return subprocess.run(command, env=environment(1), check=False).returncode
    task = open_task(given.model, Data(count=20))
    sample = task.samples[len(task.samples) // 2]
    batch = np.repeat(sample[:1], given.rows, 0)
    schemes = {name: with_bits(SCHEMES[name], given.bits) for name in given.schemes}
    networks = {"float32": task.model.real, **{name: task.design(scheme) for name, scheme in schemes.items()}}
    found = {name: {"seconds": spent} for name, spent in times(networks, batch, given.rounds).items()}
    del networks
    for name, scheme in schemes.items():
        found[name].update(memory(lambda chosen=scheme: task.design(chosen), batch))
    shape = " x ".join(map(str, batch.shape))
    if given.json:
        print(json.dumps({"batch": list(batch.shape), "bits": given.bits, "networks": found}, indent=1))
    else:
        print(f"{given.model}, {given.bits}, batch of {shape}\n\n{page(found)}")
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("model", nargs="?", default="minilm", help="as for `intsim eval` (default minilm)")
    parser.add_argument("--schemes", nargs="+", default=ALL, choices=ALL, metavar="SCHEME", help="(default: all)")
    parser.add_argument("--bits", default="w8a8", help="widths (default w8a8)")
    parser.add_argument("--rows", type=int, default=16, help="texts or images of a batch (default 16)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each network (default 9)")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def times(networks: dict[str, Any], batch: np.ndarray, rounds: int) -> dict[str, float]:
    """Median seconds of processor time of a call, the networks in turns."""
    spent: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(rounds + 1):
        for name, network in networks.items():
            began = time.process_time()
            network(batch)
            if turn:  # the first compiles, and orders weights
                spent[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in spent.items()}


def memory(design: Any, batch: np.ndarray) -> dict[str, float]:
    """Bytes of a network's integers, held behind the first call, and at most during a call; all compiled before."""
    gc.collect()
    tracemalloc.start()
    try:
        network = design()
        network(batch)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        network(batch)
        return {"weights": integer_bytes(network), "held": held, "peak": tracemalloc.get_traced_memory()[1]}
    finally:
        tracemalloc.stop()


def integer_bytes(network: IntegerNetwork) -> float:
    """Of all matrices and embedding tables, with as many bits for each number as the scheme says."""
    bits = network.scheme.bits
    linear = sum(np.prod(w.shape) for w in (getattr(layer, "weight", None) for layer in network.layers.values()) if w)
    tables = (getattr(network, name, None) for name in ("words", "places"))
    embedded = sum(t.codes.size * t.bits for t in tables if t is not None)
    return float(linear * bits.weight + embedded) / 8


def page(found: dict[str, dict[str, float]]) -> str:
    """The figures in Markdown."""
    real = found["float32"]["seconds"]
    head = [
        "",
        "CPU time of a batch",
        "of float32",
        "weights as integers",
        "held",
        "of the weights",
        "most during a call",
    ]
    rows = []
    for name, figures in sorted(found.items(), key=lambda item: (item[0] != "float32", item[0])):
        row = [name, f"{1e3 * figures['seconds']:.0f} ms", f"{figures['seconds'] / real:.2f}"]
        if "held" in figures:
            weights, held, peak = (figures[key] / 1e6 for key in ("weights", "held", "peak"))
            row += [f"{weights:.1f} MB", f"{held:.1f} MB", f"{held / weights:.2f}", f"{peak:.1f} MB"]
        else:
            row += ["–"] * 4
        rows.append(row)
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
