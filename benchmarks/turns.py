"""Libraries taking turns: starts the workers, asks each in its turn, keeps what they answer."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.cases import Case

__all__ = ["LIBRARIES", "Worker", "measure"]

ROOT = Path(__file__).resolve().parent.parent

LIBRARIES = {
    "intsim": "this project",
    "limits": "what the machine can do",
    "plain": "the plain product",
    "torch_cpu": "PyTorch",
    "onnx_runtime": "ONNX Runtime",
    "numpy_exact": "NumPy",
    "apytypes_emulation": "APyTypes",
    "fxpmath_emulation": "fxpmath",
    "brevitas_emulation": "Brevitas",
    "torchao_blocks": "torchao",
    "ivit_emulation": "I-ViT's operators",
}


def environment(threads: int) -> dict[str, str]:
    """Of a process that computes with so many threads, and finds this package."""
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_WAIT_POLICY="passive", KMP_BLOCKTIME="0")
    for variable in ("INTSIM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env[variable] = str(threads)
    return env


class Worker:
    """One library's process, with one number of threads."""

    def __init__(self, library: str, python: str, threads: int):
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if library != "intsim" else None,
            text=True,
            env=environment(threads),
            cwd=ROOT,
        )

    def ask(self, case: Case, seconds: float) -> dict[str, Any] | None:
        """Its answer, or None where the library is not installed or gave up."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(f"{case.name} {seconds}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else None

    def why(self) -> str:
        """The last line it wrote before it gave up."""
        text = self.process.stderr.read() if self.process.stderr else ""
        return (text.strip().splitlines() or ["no message"])[-1]

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        self.process.wait()


def measure(
    cases: Iterable[Case], libraries: Iterable[str], pythons: Mapping[str, str], rounds: int, seconds: float
) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    """Times of every library on every case.

    Parameters
    ----------
    pythons : interpreters of libraries that are not installed in this one
    rounds : turns of each library
    seconds : length of a turn, at least one call

    Returns
    -------
    times : case -> library -> ``best`` (of all calls), ``median`` (of the turns' medians), ``digest``
    missing : library -> why it could not run
    """
    cases = list(cases)
    times: dict[str, dict[str, dict[str, Any]]] = {case.name: {} for case in cases}
    missing: dict[str, str] = {}
    for threads in sorted({case.threads for case in cases}):
        workers = {
            name: Worker(name, pythons.get(name, sys.executable), threads) for name in libraries if name not in missing
        }
        for case in (c for c in cases if c.threads == threads):
            print(f"{case.title} ...", file=sys.stderr, flush=True)
            _take_turns(case, workers, rounds, seconds, times[case.name], missing)
        for worker in workers.values():
            worker.close()
    return times, missing


def _take_turns(
    case: Case,
    workers: dict[str, Worker],
    rounds: int,
    seconds: float,
    found: dict[str, dict[str, Any]],
    missing: dict[str, str],
) -> None:
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name in list(turns):
            if turns[name] and sum(turn["median"] for turn in turns[name]) > 20 * seconds and len(turns[name]) > 2:
                continue  # so slow that more turns would tell nothing
            answer = workers[name].ask(case, seconds)
            if answer is None:
                missing[name] = workers.pop(name).why()
                del turns[name]
            elif answer.get("missing"):
                del turns[name]
            else:
                turns[name].append(answer)
    for name, answers in turns.items():
        found[name] = {
            "best": min(answer["best"] for answer in answers),
            "median": statistics.median(answer["median"] for answer in answers),
            "digest": answers[0].get("digest"),
        }
