"""``intsim vectors``: stimuli and golden answers on disk."""

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
    count: Annotated[int, typer.Option(help="Random inputs where not every input can be written.")] = 4096,
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    json: AsJson = False,
) -> None:
    """Write inputs, golden answers and intermediates (.npz, hex for $readmemh) and a testbench that reads them.

    Every input up to 2^16; beyond, corners, near-ties and random ones.

    Example:  [bold]intsim vectors silu -o vectors/[/bold]
    """
    paths = flow().vectors(resolve(unit), output, count=count, seed=seed)
    if json:
        console.emit(paths)
        return
    listed = {kind: ", ".join(map(str, path)) if isinstance(path, list) else str(path) for kind, path in paths.items()}
    console.facts(f"written to {output}", listed)
