"""``intsim sweep``: many variants of a unit, and which of them are worth having."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.options import AsJson
from intsim.errors import IntsimError

if TYPE_CHECKING:
    from intsim.sweep import Results
    from intsim.sweep.steps import Hardware

__all__ = ["command"]

_SHOWN = ("error", "max_lsb", "words", "comb", "ff", "dsp", "bram", "nand2", "fmax", "latency", "pace")


def command(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT",
            help="A UNIT, a class such as Shiftmax or Engine, file.py:name of a function that returns a unit; "
            "with --table a function as for `intsim design`.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder that holds the sweep.")],
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            metavar="NAME=VALUES",
            help="A setting with its values, such as bins=8,16,32 or stages=2..12; x,y=s12.8,s16.12 gives both the "
            "same. May be repeated.",
            show_default=False,
        ),
    ] = [],  # noqa: B006  (Typer copies it)
    fixed: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="A setting of all points; may be repeated."),
    ] = [],  # noqa: B006
    table: Annotated[
        str | None,
        typer.Option(metavar="KINDS", help="Design tables for a function: nli, uniform, dulut, ..., or several."),
    ] = None,
    hardware: Annotated[bool, typer.Option(help="Also synthesise and place every point.")] = True,
    seeds: Annotated[int, typer.Option(min=1, help="Placements of each point; the median counts.")] = 1,
    pareto: Annotated[
        str, typer.Option(metavar="FIGURES", help="Axes of the front; default error,comb or error,words.")
    ] = "",
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .svg, .png or .pdf.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per processor.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on this Dask cluster, such as tcp://10.0.0.1:8786.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Do again what failed.")] = False,
    json: AsJson = False,
) -> None:
    """Measure every combination of some settings of a unit: error, cells, clock rate, cycles; and the best of them.

    Settings are arguments of the design, fields of the unit and options of its hardware, such as stages and lanes.
    A sweep that was stopped continues with the same command.

    Exit code: 0 all points measured, 1 some of them failed, 2 bad use.

    Example:  [bold]intsim sweep silu --table nli --set x,y=s12.8 --vary bins=4..16..4 --vary stages=4,12 -o s/[/bold]
    """
    from intsim.cli.recipes import recipe_of
    from intsim.sweep import Sweep, read, read_list

    axes: dict[str | tuple[str, ...], Sequence[Any]] = {("table",): table.split(",")} if table else {}
    for names, text in map(_setting, vary):
        if names in axes:
            raise IntsimError(f"--vary {','.join(names)} is given twice; give all its values at once")
        axes[names] = read_list(text)
    shared = {name: read(text) for names, text in map(_setting, fixed) for name in names}
    sweep = Sweep(recipe_of(subject, table=table is not None), axes, shared, _hardware(seeds) if hardware else None)
    with console.progress(f"{len(sweep)} points") as advance:
        results = sweep.run(
            output, workers=workers or len(os.sched_getaffinity(0)), scheduler=scheduler, retry=retry, progress=advance
        )
    chosen = pareto.split(",") if pareto else [axis for axis in _default_axes(hardware) if axis in results.axes]
    best = results.front(chosen) if chosen else []
    if picture is not None and best:
        from intsim.sweep.picture import draw

        draw(results, chosen, picture)
        console.note(f"picture in {picture}")
    if json:
        console.emit({**results.as_dict(), "pareto": chosen, "front": [results.points.index(point) for point in best]})
    else:
        _show(results, chosen, best)
    if results.failed:
        raise typer.Exit(1)


def _setting(text: str) -> tuple[tuple[str, ...], str]:
    """``"x,y=s12.8"`` as names and values."""
    names, equals, values = text.partition("=")
    found = tuple(name.strip() for name in names.split(","))
    if not equals or not all(name.isidentifier() for name in found):
        raise IntsimError(f"{text!r}: expected NAME=VALUES, such as --vary bins=8,16,32 or --set x=s16.12")
    return found, values


def _hardware(seeds: int) -> Hardware:
    from intsim.cli.hardware import flow

    flow()
    from hdl.flow.sweep import Hardware as Measured

    return Measured(seeds)


def _default_axes(hardware: bool) -> tuple[str, ...]:
    return ("error", "comb") if hardware else ("error", "words")


def _show(results: Results, axes: Sequence[str], best: Sequence[Any]) -> None:
    if best:
        figures = [n for n in dict.fromkeys((*axes, *_SHOWN)) if n in results.axes and n not in results.varied]
        body = [
            [point.settings.get(name, "") for name in results.varied]
            + [point.numbers.get(name, "") for name in figures]
            + [point.file]
            for point in best
        ]
        title = f"{len(best)} of {len(results.points)} points that no other beats on {', '.join(axes)}"
        console.rows([*results.varied, *figures, "unit"], body, title)
    for point in results.failed:
        chosen = ", ".join(f"{name}={point.settings[name]}" for name in results.varied if name in point.settings)
        console.note(f"failed: {chosen}: {point.error}")
