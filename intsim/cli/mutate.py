"""``intsim mutate``: would the verification notice?"""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, Settings, Simulator, UnitArgument, settings
from intsim.cli.units import resolve
from intsim.errors import IntsimError
from intsim.files import make_folder, write_text

__all__ = ["command"]


def command(
    unit: UnitArgument,
    mutants: Annotated[
        int, typer.Option(help="Single-bit faults; of each kind of designer's fault at most a fifth as many.")
    ] = 100,
    seed: Annotated[int, typer.Option(help="Which faults, and of the random inputs.")] = 1,
    at_least: Annotated[float, typer.Option(help="Share to reach, in percent.")] = 95.0,
    vectors: Annotated[int | None, typer.Option(help="Random inputs where not every input can be tried.")] = None,
    simulator: Simulator = "verilator",
    option: Settings = [],  # noqa: B006  (Typer copies it)
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for UNIT-mutation.json.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """Plant faults in the RTL of a unit, one at a time, and count those that its verification notices.

    Single bits (Yosys's mutate); cuts, constants and table words off by 1 or 64; signedness, strictness, sticky bits;
    enables, resets, handshakes. What survives is shown to change nothing, or listed. The share is that of the faults
    noticed among those not shown to change nothing.

    Exit code: 0 the share is reached, 1 it is not, 2 the design cannot be built or fails without a fault.

    Example:  [bold]intsim mutate silu[/bold]   or   [bold]intsim mutate silu --mutants 300 -o build[/bold]
    """
    if not 0 <= at_least <= 100:
        raise IntsimError(f"--at-least is a share in percent, from 0 to 100; got {at_least:g}")
    found = resolve(unit)
    given = settings(option) | ({"vectors": vectors} if vectors is not None else {})
    folder = make_folder(output) if output is not None else None
    with console.progress("mutants") as advance:
        result = flow().mutate(found, mutants=mutants, seed=seed, simulator=simulator, progress=advance, **given)
    if folder is not None:
        write_text(folder / f"{found.name}-mutation.json", json_text.dumps(result, indent=1) + "\n")
    if json:
        console.emit(result)
    else:
        _print(result)
    if 100 * result["share"] < at_least:
        raise typer.Exit(1)


def _print(result: dict[str, Any]) -> None:
    counts = ("mutants", "killed", "killed_by_corners", "equivalent", "missed", "unexplained")
    rows = [[kind, *(figures[name] for name in counts)] for kind, figures in result["kinds"].items()]
    rows.append(["all", *(result[name] for name in counts)])
    head = ["kind", *(name.replace("_", " ") for name in counts)]
    console.rows(head, rows, title=f"{result['unit']}: {100 * result['share']:.1f} % of what differs is noticed")
    for survivor in result["survivors"]:
        if survivor["verdict"] != "equivalent":
            console.facts("", {survivor["verdict"]: f"{survivor['kind']}: {survivor['fault']}"})
    console.facts("", {"inputs per mutant": result["inputs"], "seconds": result["seconds"], "sha256": result["sha256"]})
