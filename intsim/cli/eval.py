"""``intsim eval``: what an integer-only network keeps of its float twin."""

from __future__ import annotations

import dataclasses
import re
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.options import AsJson
from intsim.errors import IntsimError, UnknownName

__all__ = ["command"]


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="minilm, or a folder with a BERT.")],
    scheme: Annotated[str, typer.Option(help="ivit, ibert, illm, hawq (nonlinear functions in float), ...")] = "illm",
    bits: Annotated[str, typer.Option(help="Widths of weights and activations.")] = "w8a8",
    pairs: Annotated[int, typer.Option(help="Docstrings to judge on.")] = 200,
    seed: Annotated[int, typer.Option(help="Draws the docstrings and the bootstrap.")] = 0,
    percentile: Annotated[float, typer.Option(help="Share of the values that calibration keeps.")] = 100,
    per_layer: Annotated[bool, typer.Option(help="Also the signal-to-noise ratio at every place.")] = False,
    json: AsJson = False,
) -> None:
    """Run a BERT with integers only and compare it with float32: retrieval among docstrings, cosine.

    Example:  [bold]intsim eval minilm --scheme illm --bits w8a8 --per-layer[/bold]
    """
    from intsim.measure import network as measured
    from intsim.models import Bert, IntegerBert
    from intsim.models.real import folder
    from intsim.schemes import SCHEMES, StaticScheme

    if scheme not in SCHEMES:
        raise UnknownName("scheme", scheme, SCHEMES)
    widths = re.fullmatch(r"w(\d+)a(\d+)", bits.lower())
    if widths is None:
        raise IntsimError(f"bits are written like w8a8, got {bits!r}")
    weight, activation = map(int, widths.groups())
    chosen = SCHEMES[scheme]
    changes: dict[str, Any] = {"bits": dataclasses.replace(chosen.bits, weight=weight, activation=activation)}
    if isinstance(chosen, StaticScheme) and weight != chosen.bits.weight:
        changes["weight_limits"] = (1 - 2 ** (weight - 1), 2 ** (weight - 1) - 1)
    place = folder.find(model)
    twin, tokenizer = Bert.load(place), folder.tokenizer(place)
    texts = [text for pair in measured.pairs(32, seed, held_out=False) for text in pair]
    samples = [tokens for _, tokens in measured.by_length(tokenizer, texts, 64)]
    network = IntegerBert.design(twin, chosen.replace(**changes), samples, percentile)
    with console.progress(f"{scheme} {bits}") as advance:
        figures = measured.evaluate(twin, network, tokenizer, measured.pairs(pairs, seed), seed=seed, progress=advance)
    figures = {"scheme": scheme, "bits": bits, "left_in_float": list(chosen.left_in_float), **figures}
    if per_layer:
        figures["places"] = measured.signal_to_noise(twin, network, samples[len(samples) // 2])
    if json:
        console.emit(figures)
        return
    places = figures.pop("places", {})
    console.facts(f"{model}, {scheme} {bits}", console.flat(figures))
    if places:
        body = [[name, found["decibels"], found["worst_token"]] for name, found in places.items()]
        console.rows(["place", "decibels", "worst token"], body)
