"""``intsim design``: from a function to a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.options import AsJson
from intsim.cli.units import function

__all__ = ["command"]


def command(
    fn: Annotated[str, typer.Argument(metavar="FUNCTION", help="Name, or file.py:name of a float64 function.")],
    x: Annotated[str, typer.Option("--x", help="Format of the input, such as s16.12.")],
    y: Annotated[str, typer.Option("--y", help="Format of the output.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="JSON file to write the unit to.")],
    table: Annotated[str, typer.Option("--table", help="nli (cut points placed) or uniform (equal steps).")] = "nli",
    intervals: Annotated[int, typer.Option(help="Intervals of an nli table.")] = 10,
    bins: Annotated[int, typer.Option(help="Segments in each inner interval of an nli table.")] = 32,
    segments: Annotated[int, typer.Option(help="Most segments of a uniform table.")] = 256,
    objective: Annotated[
        str, typer.Option(help="What is minimised: mean_relative, mean_absolute or max_absolute.")
    ] = "mean_relative",
    tau: Annotated[float | None, typer.Option(help="Least magnitude that counts fully in a relative error.")] = None,
    saturate: Annotated[bool, typer.Option("--saturate", help="Values beyond --y become its ends.")] = False,
    domain: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LO HI", help="Real interval that matters; default: all of --x."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Design a table for a function and write it as a unit.

    Example:  [bold]intsim design silu --x s16.12 --y s16.12 -o silu.json[/bold]
    """
    from typing import Any

    from intsim import tables
    from intsim.errors import UnknownName
    from intsim.formats import parse
    from intsim.unit import save

    unit: Any
    source: Any
    target: Any

    if table not in ("nli", "uniform"):
        raise UnknownName("table", table, ("nli", "uniform"))
    of, source, target = function(fn), parse(x), parse(y)
    with console.progress("designing") as advance:
        if table == "uniform":
            unit = tables.Uniform.design(of, source, target, segments=segments, saturate=saturate, domain=domain)
        else:
            unit = tables.NLI.design(
                of,
                source,
                target,
                intervals=intervals,
                bins=bins,
                objective=objective,
                tau=tau,
                saturate=saturate,
                domain=domain,
                progress=lambda done: advance(done, 1),
            )
    save(unit, output)
    figures = {
        "file": str(output),
        "name": unit.name,
        "class": type(unit).__name__,
        "x": str(unit.x),
        "y": str(unit.y),
        "words": len(unit.table),
        "origin": unit.origin,
        "sha256": unit.sha256,
    }
    if json:
        console.emit(figures)
    else:
        console.facts(unit.name, figures)
