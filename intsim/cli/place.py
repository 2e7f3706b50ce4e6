"""``intsim place``: how fast a unit runs."""

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
    device: Annotated[str, typer.Option(help="ECP5 device.")] = "LFE5U-25F",
    speed: Annotated[int, typer.Option(help="Speed grade: 6, 7 or 8.")] = 6,
    seeds: Annotated[int, typer.Option(help="Placements; the median counts.")] = 5,
    option: Settings = [],  # noqa: B006  (Typer copies it)
    json: AsJson = False,
) -> None:
    """Place and route a unit between registers: clock rate (median of the seeds) and cells.

    Example:  [bold]intsim place silu --speed 6[/bold]
    """
    found = resolve(unit)
    numbers = tuple(range(1, seeds + 1))
    with console.progress("placing") as advance:
        result = flow().place(found, device, speed, numbers, progress=advance, **settings(option))
    if json:
        console.emit(result)
    else:
        console.facts("place and route", console.flat(result))
