"""``intsim doctor``: which tools are there."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson

__all__ = ["command"]


def command(
    warm: Annotated[
        bool, typer.Option("--warm", help="Also start the WebAssembly tools once (a minute, the first time).")
    ] = False,
    json: AsJson = False,
) -> None:
    """List each tool with its version, the minimum and the remedy. Exit code 2 if one is missing or too old.

    Example:  [bold]intsim doctor[/bold]
    """
    tools = flow().tools
    found = tools.status()
    if json:
        console.emit(
            [
                {
                    "name": tool.name,
                    "version": tool.version,
                    "minimum": tool.minimum,
                    "ok": tool.ok,
                    "purpose": tool.purpose,
                    "remedy": None if tool.ok else tool.remedy,
                }
                for tool in found
            ]
        )
    else:
        body = [
            [tool.name, tool.version or "missing", tool.minimum, tool.purpose, "" if tool.ok else tool.remedy]
            for tool in found
        ]
        body.insert(0, ["python", ".".join(map(str, sys.version_info[:3])), "3.11", "", ""])
        console.rows(["tool", "version", "minimum", "needed", "remedy"], body)
    if not all(tool.ok for tool in found):
        raise typer.Exit(2)
    if warm:
        with console.progress("starting tools"):
            tools.warm(console.note)
