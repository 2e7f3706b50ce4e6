"""``intsim prove``: RTL against specification, for every input, by SMT."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.hardware import flow
from intsim.cli.options import AsJson, Settings, UnitArgument, settings
from intsim.cli.units import resolve

__all__ = ["command"]


def command(
    unit: UnitArgument,
    timeout: Annotated[float, typer.Option(help="Seconds for each question to the solver.")] = 600.0,
    seed: Annotated[int, typer.Option(help="Which faults are planted to show that the proof would find one.")] = 1,
    option: Settings = [],  # noqa: B006  (Typer copies it)
    json: AsJson = False,
) -> None:
    """Prove that the RTL computes its specification for all inputs, or show one on which it does not.

    Elementwise units with a pipeline; the specification is the golden model run on unknown integers.

    Exit code: 0 proved, 1 a counter-example (as seen in simulation), 2 no answer.

    Example:  [bold]intsim prove tflite_double[/bold]   or   [bold]intsim prove ruy --set stages=3[/bold]
    """
    found = resolve(unit)
    with console.progress("proving") as advance:
        result = flow().prove(
            found, timeout=timeout, seed=seed, progress=lambda done: advance(done, done + 1), **settings(option)
        )
    if json:
        console.emit(result)
    else:
        _print(result)
    if not result["proved"]:
        raise typer.Exit(1)


def _print(result: dict[str, Any]) -> None:
    figures = {
        "unit": result["unit"],
        "ways through the specification": result["ways"],
        "corners reached": result["covered"],
        "latency": result["latency"],
        "seconds": result["seconds"],
        "sha256": result["sha256"],
    }
    if result["proved"]:
        figures["planted fault"] = result["fault"]["command"]
        figures["found with"] = result["fault"]["inputs"]
    console.facts("RTL equals the specification" if result["proved"] else "RTL DIFFERS from the specification", figures)
    if not result["proved"]:
        console.facts("", result["counterexample"])
