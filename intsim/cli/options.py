"""The arguments that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.errors import IntsimError

__all__ = ["AsJson", "Settings", "Simulator", "UnitArgument", "settings"]

UnitArgument = Annotated[
    str, typer.Argument(metavar="UNIT", help="Name from `intsim list`, JSON file, or file.py:name.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]
Settings = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Option of the hardware, such as stages=6 or memory=block; may be repeated.",
        show_default=False,
    ),
]
Simulator = Annotated[str, typer.Option("--simulator", help="cxxrtl or verilator.")]
Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")]


def settings(given: list[str], option: str = "--set") -> dict[str, Any]:
    """``["stages=6", "memory=block"]`` as keyword arguments; numbers, ``yes`` and ``no`` become Python's."""
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise IntsimError(f"{option} {item}: expected NAME=VALUE, such as {option} stages=6")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text in ("yes", "no"):
        return text == "yes"
    try:
        return int(text)
    except ValueError:
        return text
