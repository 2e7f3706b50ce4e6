"""``intsim rtl``: the Verilog of a unit."""

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
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")],
    shell: Annotated[
        str, typer.Option("--shell", help="stream, both (with registers beside), or lite (all over AXI4-Lite).")
    ] = "stream",
    option: Settings = [],  # noqa: B006  (Typer copies it)
    json: AsJson = False,
) -> None:
    """Write a unit's Verilog, with what an integrator needs beside it.

    Example:  [bold]intsim rtl silu -o rtl/[/bold]

    With registers only, one value at a time:  [bold]intsim rtl silu -o rtl/ --shell lite[/bold]
    """
    found = resolve(unit)
    paths = flow().verilog(found, output, **{"shell": shell, **settings(option)})
    if json:
        console.emit(paths)
    else:
        console.facts(f"written to {output}", {kind: str(path) for kind, path in paths.items()})
