"""``intsim demo``: the main job on real input, from functions to verified, placed Verilog and one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson

__all__ = ["command"]

_INTRODUCTION = (
    "Three engines of the catalogue and one designed just now, each verified exhaustively against its golden model, "
    "measured on its whole domain and on what a real transformer feeds it, synthesised and placed."
)


def command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")] = Path("demo"),
    json: AsJson = False,
) -> None:
    """The main job: exp, GELU and SiLU engines and one designed afresh, on real activations; writes DIR/report.html.

    Exit code: 0 every RTL equals its golden model, 1 one differs.

    Example:  [bold]intsim demo[/bold]
    """
    from intsim import catalogue
    from intsim.demo import activations
    from intsim.files import make_folder
    from intsim.formats import Fixed
    from intsim.tables import NLI

    flow()
    from hdl.flow import report

    make_folder(output)  # before the work, not after it
    stored = activations()
    scores = report.Sample(f"Attention scores less the largest of their row, {stored.model}", stored.exponents)
    mlp = report.Sample(f"MLP pre-activations, {stored.model}", stored.mlp)
    with console.steps(1 + 4 * report.STEPS) as begin:
        begin("designing a GELU for this model's range")
        wide = NLI.design("gelu", Fixed(16, 10), Fixed(16, 10))  # the model reaches 24, the catalogue's GELU ends at 8
        jobs = [(catalogue.get("exp"), scores), (catalogue.get("gelu"), mlp), (wide, mlp), (catalogue.get("silu"), mlp)]
        figures = [report.gather(unit, samples=[sample], begin=begin) for unit, sample in jobs]
    paths = report.write(
        output,
        [unit for unit, _ in jobs],
        figures,
        name="report",
        title="From function to verified hardware",
        introduction=_INTRODUCTION,
    )
    if json:
        console.emit(figures)
    else:
        _print(figures)
        console.note(f"wrote {paths['page']} and {paths['figures']}")
    if any(figure["verification"]["mismatches"] for figure in figures):
        raise typer.Exit(1)


def _print(figures: list[dict[str, Any]]) -> None:
    body = []
    for figure in figures:
        check, placed, sample = figure["verification"], figure["placement"], figure["samples"][0]
        ports = " -> ".join(port["format"] for port in figure["unit"]["ports"])
        body.append(
            [
                figure["unit"]["name"],
                ports,
                f"{check['equal']:,} of {check['inputs']:,}",
                figure["error"]["max_lsb"],
                sample["unit"]["max_lsb"],
                f"{100 * sample['outside_format']:.2g} %",
                figure["timing"]["latency"],
                placed["fmax_mhz"],
                placed["utilisation"]["TRELLIS_COMB"],
                placed["utilisation"]["MULT18X18D"],
                placed["utilisation"]["DP16KD"],
            ]
        )
    head = ["unit", "ports", "inputs equal", "max LSB", "on real data", "saturated", "latency", "Fmax MHz"]
    console.rows([*head, "COMB", "MULT", "DP16KD"], body)
