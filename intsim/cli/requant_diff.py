"""``intsim requant-diff``: where two requantisation conventions differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from intsim.cli import console
from intsim.cli.options import AsJson
from intsim.cli.units import read_array

__all__ = ["command"]


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="A convention, such as tflite_double.", show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.", show_default=False)],
    acc: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Accumulators of a real layer (.npy): the share is theirs.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Real scale that goes with them.")] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Inputs drawn where --acc is not given, half of them near ties.")
    ] = 1 << 18,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    picture: Annotated[
        Path | None, typer.Option("-o", "--picture", metavar="FILE", help="Draw it: .svg, .png or .pdf.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show on which inputs two conventions differ, how often, and the smallest counter-example.

    Exit code: 0 no difference found, 1 they differ, 2 bad use.

    Example:  [bold]intsim requant-diff tflite_double tflite_single[/bold]
    """
    from intsim.requant import compare

    values = None if acc is None else read_array(acc)
    difference = compare(a, b, acc=values, scale=scale, count=count, seed=seed)
    if picture is not None:
        difference.picture(picture)
        console.note(f"picture in {picture}")
    figures: dict[str, Any] = {
        "a": difference.a,
        "b": difference.b,
        "compared": difference.compared,
        "differing": difference.differing,
        "share": difference.share,
        "largest difference": difference.largest,
    }
    smallest = None
    if difference.smallest is not None:
        smallest = dict(zip((*difference.ports, difference.a, difference.b), difference.smallest, strict=True))
    by_shift = {shift: differing for shift, (_, differing) in difference.by_shift.items() if differing}
    if json:
        console.emit({**figures, "smallest": smallest, "by_shift": by_shift})
    else:
        console.facts("They differ" if difference.differing else "No difference found", figures)
        if smallest is not None:
            console.facts("Smallest counter-example", smallest)
            console.rows(("bits to the right", "differing"), list(by_shift.items()))
    if difference.differing:
        raise typer.Exit(1)
