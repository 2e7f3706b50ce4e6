"""``intsim eval``: what an integer-only network keeps of its float twin."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.options import AsJson, settings
from intsim.cli.units import resolve_scheme
from intsim.errors import IntsimError

if TYPE_CHECKING:
    from intsim.schemes import Scheme

__all__ = [
    "Count",
    "Images",
    "Model",
    "Pairs",
    "Percentile",
    "Ranges",
    "Seed",
    "Smooth",
    "Text",
    "calibrated",
    "command",
]

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="minilm, digits-vit, stdlib-llama, or a folder of a BERT, ViT or Llama.",
        show_default=False,
    ),
]
Count = Annotated[int | None, typer.Option(help="Items to judge on; 1,000 docstrings for a sentence encoder.")]
Seed = Annotated[int, typer.Option(help="Draws the items and the bootstrap.")]
Percentile = Annotated[float, typer.Option(help="Share of the values that calibration keeps, in percent.")]
Ranges = Annotated[
    str | None, typer.Option("--range", help="How calibration finds ranges: minmax or mse.", show_default=False)
]
Smooth = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE", help="Smooth what linear layers read; SHARE of 0 .. 1, such as 17/20, goes to the weights."
    ),
]
Pairs = Annotated[Path | None, typer.Option(metavar="FILE", help="Own pairs: QUERY<tab>TARGET lines or JSON lines.")]
Text = Annotated[Path | None, typer.Option(metavar="FILE", help="Own text for a language model.")]
Images = Annotated[Path | None, typer.Option(metavar="DIR", help="Own images, a sub-folder per class.")]


def command(
    model: Model,
    scheme: Annotated[
        str, typer.Option(help="illm, ivit, ibert, hawq, fq_petr, db_attn, nli, or a .toml or .json file.")
    ] = "illm",
    bits: Annotated[str, typer.Option(help="Widths of weights and activations.")] = "w8a8",
    position: Annotated[
        list[str],
        typer.Option("--set", metavar="POSITION=BITS", help="Width of a position, such as scores=16; may be repeated."),
    ] = [],  # noqa: B006  (Typer copies it)
    count: Count = None,
    seed: Seed = 0,
    percentile: Percentile = 100,
    ranges: Ranges = None,
    smooth: Smooth = None,
    pairs: Pairs = None,
    text: Text = None,
    images: Images = None,
    per_layer: Annotated[bool, typer.Option(help="Also errors, saturation and hazards at every place.")] = False,
    vectors: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the integers between the layers, for a testbench.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write eval.json and places.svg.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Run a network with integers only and compare it with its float32 twin, as a whole and place by place.

    A BERT is judged by retrieval, a ViT by its answers, a Llama by perplexity; each figure with its 95 % interval.

    Example:  [bold]intsim eval minilm --scheme illm --bits w8a8 --per-layer[/bold]
    """
    from intsim.files import make_folder, write_files
    from intsim.measure import network as measured

    chosen = measured.with_bits(resolve_scheme(scheme), bits, **_widths(position))
    chosen = calibrated(chosen, percentile, ranges, smooth)
    task = measured.open_task(model, measured.Data(count, seed, pairs, text, images))
    for folder in (output, vectors):
        if folder is not None:
            make_folder(folder)  # before the work, not after it
    with console.progress(f"{chosen.name} {bits}") as advance:
        network = task.design(chosen, percentile)
        found = task.evaluate(network, advance)
    left = list(chosen.left_in_float)
    figures = {"model": model, "scheme": chosen.name, "bits": bits, "left_in_float": left, **found}
    if per_layer or output is not None:
        figures["places"] = measured.by_place(task.model, network, task.probe)
    if output is not None:
        picture = measured.draw_places(figures["places"], output / "places.svg", f"{task.name}, {chosen.name} {bits}")
        paths = write_files(output, {"eval.json": json_module.dumps(figures, indent=1) + "\n"})
        console.note(f"wrote {paths['eval.json']} and {picture}")
    if vectors is not None:
        written = measured.write_vectors(network, task.probe[0][:1], vectors)
        console.note(f"wrote {len(written)} files to {vectors}, described by {written['manifest.json']}")
    if json:
        console.emit(figures)
        return
    _print_figures(f"{model}, {chosen.name} {bits}", found)
    if left:
        own = "; made of integers here" if network.is_integer_only else ""
        console.note(f"left in floating point by {chosen.paper}: {', '.join(left)}{own}")
    if per_layer:
        _print_places(figures["places"])


def calibrated(scheme: Scheme, percentile: float, ranges: str | None, smooth: str | None) -> Scheme:
    """The scheme with the rule for ranges and the smoothing that were asked for."""
    from intsim.schemes import Step

    if ranges == "mse" and percentile != 100:
        raise IntsimError(f"--range mse and --percentile {percentile:g} are two rules for one range; leave one out")
    chosen = scheme if ranges is None else scheme.replace(range=ranges)
    return chosen if smooth is None else chosen.replace(steps=(*chosen.steps, Step.of("smooth", strength=smooth)))


def _widths(given: list[str]) -> dict[str, int]:
    found = settings(given)
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise IntsimError(f"--set {name}={value}: expected a width in bits, such as --set scores=16")
    return found


def _print_figures(title: str, figures: Mapping[str, Any]) -> None:
    sides = [side for side in ("float", "integer", "difference") if side in figures]
    metrics = list(figures["float"])
    console.rows(["", *sides], [[name, *(_text(figures[side].get(name)) for side in sides)] for name in metrics], title)
    rest = {name: _text(value) for name, value in figures.items() if name not in sides}
    console.facts("", rest)


def _text(value: Any) -> str:
    """A mean with its interval, or any other figure."""
    if isinstance(value, Mapping):
        digits = ".4f" if abs(value["high"]) < 1e6 else ".4g"
        return f"{value['mean']:{digits}} in {value['low']:{digits}} .. {value['high']:{digits}}"
    return "" if value is None else console.number(value)


def _print_places(places: Mapping[str, Mapping[str, Any]]) -> None:
    from intsim.measure.network.places import condensed

    def decibels(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    body = [
        [
            place,
            found["kind"],
            found["format"],
            *(decibels(found[name]) for name in ("decibels", "worst_token", "alone")),
            f"{100 * found['at_ends']:.3g} %",
            "" if found["clipped"] is None else f"{100 * found['clipped']:.3g} %",
        ]
        for place, found in places.items()
    ]
    console.rows(["place", "operator", "format", "dB", "worst token", "alone", "at the ends", "clipped"], body)
    hazards = [f"{place}: {hazard}" for place, found in places.items() for hazard in found["hazards"]]
    for hazard in condensed(hazards, "other places"):
        console.note(hazard)
