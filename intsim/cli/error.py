"""``intsim error``: how far a unit is from the real function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.options import AsJson, UnitArgument
from intsim.cli.units import resolve

__all__ = ["command"]


def command(
    unit: UnitArgument,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw function, error and cut points (.svg or .png).")
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure a unit against the real function, over its whole domain.

    Example:  [bold]intsim error silu --picture silu.svg[/bold]
    """
    from intsim import measure

    found = resolve(unit)
    figures = measure.error(found).as_dict()
    if picture is not None:
        measure.picture(found, picture)
    if json:
        console.emit(figures)
    else:
        console.facts(found.name, figures)
