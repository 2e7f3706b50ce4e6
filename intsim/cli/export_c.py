"""``intsim export-c``: the golden model in C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, UnitArgument
from intsim.cli.units import resolve

__all__ = ["command"]


def command(
    unit: UnitArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")],
    json: AsJson = False,
) -> None:
    """Write the golden model as plain C99, with a header and the DPI-C imports for SystemVerilog.

    Example:  [bold]intsim export-c silu -o c/[/bold]
    """
    paths = flow().export_c(resolve(unit), output)
    if json:
        console.emit(paths)
    else:
        console.facts(f"written to {output}", {kind: str(path) for kind, path in paths.items()})
