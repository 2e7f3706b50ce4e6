"""``intsim scheme``: one paper's choice of operators, as a file."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.options import AsJson
from intsim.cli.units import resolve, resolve_scheme
from intsim.errors import IntsimError

__all__ = ["command"]


def command(
    scheme: Annotated[
        str,
        typer.Argument(metavar="SCHEME", help="Name, .toml or .json file, or file.py:name.", show_default=False),
    ],
    replace: Annotated[
        list[str],
        typer.Option("--replace", metavar="PART=UNIT", help="Another operator, such as softmax=my.py:unit."),
    ] = [],  # noqa: B006
    own: Annotated[
        list[str],
        typer.Option("--own", metavar="FILE.PY:NAME", help="A unit of your own that the file names; it is executed."),
    ] = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help=".toml or .json.")] = None,
    json: AsJson = False,
) -> None:
    """Check a scheme, show it as TOML, change parts of it, write it to a file.

    Example:  [bold]intsim scheme ivit --replace softmax=my.py:unit -o mine.toml[/bold]
    """
    for text in own:
        resolve(text)
    found = resolve_scheme(scheme)
    for item in replace:
        part, equals, unit = item.partition("=")
        if not equals:
            raise IntsimError(f"--replace {item}: expected PART=UNIT, such as --replace softmax=my.py:unit")
        found = found.replace(**{part: resolve(unit)})
    if output is not None:
        found.save(output)
        console.note(f"wrote {output}")
    elif json:
        console.emit(json_module.loads(found.to_json()))
    else:
        print(found.to_toml(), end="")
