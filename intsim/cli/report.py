"""``intsim report``: one page about a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, Settings, UnitArgument, settings
from intsim.cli.units import resolve

__all__ = ["command"]


def command(
    unit: UnitArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")] = Path("report"),
    device: Annotated[str, typer.Option(help="ECP5 device.")] = "LFE5U-25F",
    speed: Annotated[int, typer.Option(help="Speed grade: 6, 7 or 8.")] = 6,
    option: Settings = [],  # noqa: B006  (Typer copies it)
    json: AsJson = False,
) -> None:
    """Verify, measure, synthesise and place a unit, and write one HTML page and a JSON about it.

    Exit code: 0 the RTL equals the golden model, 1 it differs.

    Example:  [bold]intsim report silu -o report/[/bold]
    """
    found = resolve(unit)
    flow()
    from hdl.flow import report

    with console.steps(report.STEPS) as begin:
        figures = report.gather(found, device=device, speed=speed, begin=begin, **settings(option))
    paths = report.write(output, [found], [figures], name=found.name, title=found.name)
    if json:
        console.emit(figures)
    else:
        console.facts(found.name, {**report.summary(figures), **{kind: str(path) for kind, path in paths.items()}})
    if figures["verification"]["mismatches"]:
        raise typer.Exit(1)
