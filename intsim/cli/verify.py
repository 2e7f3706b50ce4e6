"""``intsim verify``: RTL against golden model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, Settings, Simulator, UnitArgument, settings
from intsim.cli.units import resolve

__all__ = ["command"]

_SHOWN = 3  # mismatches printed; JSON has more


def command(
    unit: UnitArgument,
    rtl: Annotated[
        list[Path],
        typer.Option("--rtl", metavar="FILE", help="Check this Verilog or SystemVerilog instead; may be repeated."),
    ] = [],  # noqa: B006  (Typer copies it)
    top: Annotated[str | None, typer.Option(help="Its top module; by default the unit's name.")] = None,
    param: Annotated[
        list[str],
        typer.Option(
            "--param", metavar="NAME=VALUE", help="Parameter of its top module; may be repeated.", show_default=False
        ),
    ] = [],  # noqa: B006
    ports: Annotated[
        Path | None,
        typer.Option(metavar="MAP.toml", help="How its ports are connected, if not like those of `intsim rtl`."),
    ] = None,
    simulator: Simulator = "cxxrtl",
    vectors: Annotated[int | None, typer.Option(help="Random inputs where not every input can be tried.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    option: Settings = [],  # noqa: B006
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for waveforms (VCD, SVG) of the smallest failing input; by default UNIT-mismatch, here.",
        ),
    ] = None,
    waves: Annotated[bool, typer.Option(help="Write these waveforms on a mismatch.")] = True,
    json: AsJson = False,
) -> None:
    """Compare the RTL with the golden model: every input up to 2^24, else at least 2^24 vectors, hard ones first.

    On a mismatch: inputs, expected, got, the golden model's intermediates, the smallest failing input, its waveforms.

    Exit code: 0 all equal, 1 differences, 2 it cannot be built.

    Example:  [bold]intsim verify silu[/bold]   or   [bold]intsim verify silu --rtl rtl/nli_silu.v[/bold]
    """
    found = resolve(unit)
    given = settings(option) | ({"vectors": vectors} if vectors is not None else {})
    design = {"rtl": rtl or None, "top": top, "params": settings(param, "--param") or None, "ports": ports}
    if not waves:
        output = None
    elif output is None and os.access(".", os.W_OK):  # the verdict does not wait for a folder nobody asked for
        output = Path(f"{found.name}-mismatch")
    with console.progress("verifying") as advance:
        result = flow().verify(found, simulator, seed=seed, progress=advance, output=output, **design, **given)
    if json:
        console.emit(result)
    else:
        _print(result)
    if result["mismatches"]:
        raise typer.Exit(1)


def _print(result: dict[str, Any]) -> None:
    how = "every input" if result["exhaustive"] else f"directed and random inputs, seed {result['seed']}"
    console.facts(
        "RTL equals the golden model" if not result["mismatches"] else "RTL DIFFERS from the golden model",
        {
            "unit": result["unit"],
            "inputs": f"{result['inputs']:,} ({how})",
            "equal": result["equal"],
            "mismatches": result["mismatches"],
            "simulator": result["simulator"],
            "seconds": result["seconds"],
            "sha256": result["sha256"],
        },
    )
    for miss in result["first"][:_SHOWN]:
        console.facts("", miss)
    if result["mismatches"] > _SHOWN:
        console.facts("", {"...": f"{len(result['first'])} with --json"})
    if result["smallest"]:
        console.facts("smallest failing input", result["smallest"])
    for kind, path in result.get("waveforms", {}).items():
        console.facts("", {kind: path})
