"""``intsim compare``: every scheme at several widths, accuracy beside hardware."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.eval import Count, Images, Model, Pairs, Percentile, Ranges, Seed, Smooth, Text, calibrated
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson
from intsim.cli.units import resolve_scheme
from intsim.errors import IntsimError

__all__ = ["command"]


def command(
    model: Model,
    widths: Annotated[str, typer.Option(help="Of weights and activations, separated by commas.")] = (
        "w8a8,w6a6,w4a8,w4a4"
    ),
    schemes: Annotated[
        str, typer.Option(help="Names, .toml or .json files, separated by commas.")
    ] = "hawq,ibert,ivit,illm,fq_petr,db_attn,nli",
    count: Count = None,
    seed: Seed = 0,
    percentile: Percentile = 100,
    ranges: Ranges = None,
    smooth: Smooth = None,
    pairs: Pairs = None,
    text: Text = None,
    images: Images = None,
    hardware: Annotated[
        bool, typer.Option(help="Place and route each scheme's softmax, activation and norm (minutes, once).")
    ] = True,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write compare.html and compare.json.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Judge a model under every scheme at several widths, beside the cells, Fmax and cycles of the scheme's own RTL.

    Results are kept, so that an interrupted run goes on where it was.

    Example:  [bold]intsim compare minilm -o comparison/[/bold]
    """
    from intsim.files import make_folder
    from intsim.measure import network as measured

    named = [resolve_scheme(name.strip()) for name in schemes.split(",") if name.strip()]
    chosen = [calibrated(scheme, percentile, ranges, smooth) for scheme in named]
    columns = [width.strip().lower() for width in widths.split(",") if width.strip()]
    for scheme in chosen:
        for width in columns:
            measured.with_bits(scheme, width)  # refuses what cannot be before the work begins
    if not chosen or not columns:
        raise IntsimError("nothing to compare; name at least one scheme and one width such as w8a8")
    if hardware:
        flow()
    if output is not None:
        make_folder(output)
    task = measured.open_task(model, measured.Data(count, seed, pairs, text, images))
    with console.steps(len(chosen) * len(columns)) as begin:
        cells = measured.compare(task, chosen, columns, percentile=percentile, begin=begin)
    given = {"count": count, "range": ranges, "smooth": smooth, "pairs": pairs, "text": text, "images": images}
    given["percentile"] = None if percentile == 100 else f"{percentile:g}"
    asked = _spoken(model, {"widths": widths, "schemes": schemes, **given, "seed": seed}, hardware)
    summary = measured.summarise(task, cells, _hardware(cells) if hardware else {}, asked)
    if output is not None:
        paths = measured.write_comparison(output, summary)
        console.note(f"wrote {' and '.join(map(str, paths.values()))}")
    if json:
        console.emit(summary)
    else:
        _print(summary)


def _spoken(model: str, given: dict[str, Any], hardware: bool) -> str:
    """The command that asks for the same."""
    options = [text for name, value in given.items() if value is not None for text in (f"--{name}", str(value))]
    return shlex.join(["intsim", "compare", model, *options, *([] if hardware else ["--no-hardware"])])


def _hardware(cells: Any) -> dict[str, dict[str, Any]]:
    """Cost and time of the nonlinear units of each scheme, at the first width that was judged."""
    from hdl.flow.network_cost import unit_cost

    first: dict[str, Any] = {}
    for cell in cells:
        if cell.units:
            first.setdefault(cell.scheme, cell)
    found: dict[str, dict[str, Any]] = {}
    with console.steps(sum(len(cell.units) for cell in first.values())) as begin:
        for name, cell in first.items():
            for part, unit in cell.units.items():
                begin(f"{name}: {part} on an FPGA")
                try:
                    figures = unit_cost(unit, cell.rows[part])
                except IntsimError as error:
                    figures = {"unit": type(unit).__name__, "row": cell.rows[part], "refused": str(error)}
                found.setdefault(name, {})[part] = figures
    return found


def _print(summary: dict[str, Any]) -> None:
    metric = summary["metric"]
    head = ["scheme", *summary["widths"], "COMB", "FF", "DSP", "BRAM", "Fmax MHz"]
    real = summary["float"].get(metric)
    body = [["float32", *[_text(real)] * len(summary["widths"]), "", "", "", "", ""]]
    for scheme in summary["schemes"]:
        cells = [scheme["cells"][width]["figures"] for width in summary["widths"]]
        total = scheme["total"] or {}
        body.append(
            [
                scheme["name"],
                *(_text(figures and figures["integer"][metric]) for figures in cells),
                *(console.number(total[key]) if total else "" for key in ("comb", "ff", "dsp", "bram", "fmax")),
            ]
        )
    counted = ", ".join(f"{count:,} {name}" for name, count in summary["items"].items())
    console.rows(head, body, f"{summary['model']}: {metric}, {counted}")
    lines = [
        [s["name"], part, h["unit"], *(h[key] for key in ("comb", "ff", "dsp", "bram", "fmax", "row", "sustained"))]
        for s in summary["schemes"]
        for part, h in s["hardware"].items()
        if "comb" in h
    ]
    if lines:
        head = ["scheme", "part", "unit", "COMB", "FF", "DSP", "BRAM", "Fmax MHz", "row", "cycles per row"]
        console.rows(head, lines)
    for scheme in summary["schemes"]:
        for part in set(scheme["left_in_float"]) & {"softmax", "activation", "norm"}:
            console.note(f"{scheme['name']} computes its {part} in floating point")
        for part, h in scheme["hardware"].items():
            if "comb" not in h:
                console.note(f"{scheme['name']}, {part}: {h['refused']}")
        for width, cell in scheme["cells"].items():
            if cell["refused"]:
                console.note(f"{scheme['name']} {width}: {cell['refused']}")


def _text(figure: Any) -> str:
    return "refused" if figure is None else f"{figure['mean']:.4f} [{figure['low']:.3f}, {figure['high']:.3f}]"
