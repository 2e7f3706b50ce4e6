"""Learn FSBR's factors for the small Llama at W4A4: as it is, and with channels of large values put in.

    pip install -e '.[models,learn]'
    python training/stdlib_llama_fsbr.py

Writes ``fsbr-w4a4.safetensors`` and ``fsbr-w4a4-outliers.safetensors`` beside the weights.
"""

from __future__ import annotations

from intsim.measure.network.text import windows
from intsim.models.real import folder
from intsim.models.real.llama import Llama
from intsim.prepare import fsbr
from intsim.prepare.llama import with_outliers
from intsim.schemes import Step

WINDOWS, LENGTH = 16, 128


def main() -> None:
    place = folder.find("stdlib-llama")
    model, tokenizer = Llama.load(place), folder.tokenizer(place)
    tokens = windows(tokenizer, folder.text(place, "calibration.txt"), LENGTH)[:WINDOWS]
    samples = [tokens[at : at + 4] for at in range(0, WINDOWS, 4)]
    cases = {
        "fsbr-w4a4.safetensors": (model, None),
        "fsbr-w4a4-outliers.safetensors": (with_outliers(model), Step.of("smooth")),
    }
    for file, (twin, start) in cases.items():
        print(file, flush=True)
        factors = fsbr.learn(twin, samples, start=start, steps=40, rate=0.02, progress=report)
        fsbr.save(factors, place / file)


def report(number: int, before: float, after: float) -> None:
    print(f"  block {number}: mean squared error {before:.5f} -> {after:.5f}", flush=True)


if __name__ == "__main__":
    main()
