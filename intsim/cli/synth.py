"""``intsim synth``: what a unit costs."""

from __future__ import annotations

from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, Settings, UnitArgument, settings
from intsim.cli.units import resolve

__all__ = ["command"]


def command(
    unit: UnitArgument,
    target: Annotated[str, typer.Option(help="generic, nand2, ice40, ecp5, gowin or xilinx.")] = "ecp5",
    option: Settings = [],  # noqa: B006  (Typer copies it)
    json: AsJson = False,
) -> None:
    """Synthesise a unit and count its cells.

    Example:  [bold]intsim synth silu --target ecp5[/bold]
    """
    found = resolve(unit)
    with console.progress("synthesising"):
        result = flow().synth(found, target, **settings(option))
    if json:
        console.emit(result)
    else:
        console.facts("synthesis", console.flat(result))
