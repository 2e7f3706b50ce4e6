"""``intsim compare-tables``: NLI and its anchors side by side."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from intsim.cli import console
from intsim.cli.options import AsJson

__all__ = ["command"]


def command(
    functions: Annotated[list[str] | None, typer.Argument(help="Functions; all nine of the NLI paper if none.")] = None,
    ablation: Annotated[
        bool, typer.Option(help="Instead compare five ways to place 259 words (some minutes for all functions).")
    ] = False,
    json: AsJson = False,
) -> None:
    """Compare FP16 tables of the same function: error on every code, words, registers, comparators, multipliers.

    Example:  [bold]intsim compare-tables silu rsqrt[/bold]
    """
    from intsim.measure import anchors

    chosen = functions or list(anchors.FUNCTIONS)
    if ablation:
        figures = {name: anchors.ablation(name) for name in chosen}
        if json:
            console.emit(figures)
        else:
            head = ["function", *next(iter(figures.values()))]
            body = [[name, *(f"{v:.2e}" for v in row.values())] for name, row in figures.items()]
            console.rows(head, body, "mean relative error of 259 unrounded words")
        return
    found = [table for name in chosen for table in anchors.compare_tables(name)]
    if json:
        console.emit([dataclasses.asdict(table) for table in found])
        return
    head = ["table", "mean rel.", "max rel.", "words", "memory bits", "register bits", "comparators", "multipliers"]
    body = [
        [
            table.name,
            f"{table.mean:.2e}",
            f"{table.maximum:.2e}",
            str(table.words),
            str(table.memory_bits),
            str(table.register_bits),
            str(table.comparators),
            str(table.multipliers),
        ]
        for table in found
    ]
    console.rows(head, body, "FP16 tables, every code of each function's domain")
