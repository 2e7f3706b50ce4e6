"""Writes a page of the documentation from a finished sweep.

::

    python -m intsim.sweep.page FOLDER NAME [--docs docs]

writes ``reference/NAME.md``, ``reference/NAME.json`` with every point, and ``pictures/NAME.svg`` below ``docs``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from intsim.files import write_text
from intsim.markdown import table
from intsim.sweep.picture import LABELS, draw
from intsim.sweep.results import Point, Results

__all__ = ["AXES", "main", "page", "to_json", "write"]

AXES = ("error", "comb", "fmax")
_COLUMNS = ("error", "max_lsb", "words", "comb", "ff", "dsp", "bram", "nand2", "fmax", "latency")

_PAGE = """\
# A sweep: {title}

Made by `python -m intsim.sweep.page`; do not edit. {count} points, each designed, measured over its whole domain,
synthesised, placed and routed:

```sh
{command}
```

![Error over cells and over clock rate]({picture})

Points that no other beats on {axes}: {front} of {count}. The error is the mean over all codes of `x`, in real
units; cells and Fmax are those of an ECP5 LFE5U-25F, speed grade 6, one placement, between registers; one result per
cycle. All points: [{name}.json]({name}.json). Made with {tools}.

{table}

What one setting does to the others, all else equal:

{effects}
"""


def page(results: Results, name: str) -> str:
    """The page as Markdown."""
    best = results.front(AXES)
    hardware = dict(results.head["hardware"])
    hardware.pop("seeds", None)
    return _PAGE.format(
        title=f"{results.head['table of']} as a table",
        count=len(results.points),
        command=command(results),
        picture=f"../pictures/{name}.svg",
        axes=", ".join(f"`{axis}`" for axis in AXES),
        front=len(best),
        name=name,
        tools=", ".join(f"{tool} {version}" for tool, version in hardware.items()),
        table=_front(results, best),
        effects=_effects(results),
    )


def command(results: Results) -> str:
    """The command that repeats the sweep."""
    settings = [point.settings for point in results.points]
    words = ["intsim sweep", str(results.head["table of"]), "--table", str(settings[0]["table"])]
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in settings[0]:
        column = tuple(str(values[name]) for values in settings)
        groups.setdefault(column, []).append(name)
    for column, names in groups.items():
        if names == ["table"]:
            continue
        option = "--vary" if set(names) <= set(results.varied) else "--set"
        words += [option, f"{','.join(names)}={','.join(dict.fromkeys(column))}"]
    return " ".join([*words, "-o", "sweep/"])


def _columns(results: Results) -> dict[str, list[str]]:
    """The settings that vary, as text per point; settings that go together are one."""
    found: dict[str, list[str]] = {}
    for name in results.varied:
        cells = [str(point.settings[name]) for point in results.points]
        together = next((other for other, column in found.items() if column == cells), None)
        if together is None:
            found[name] = cells
        else:
            found[f"{together},{name}"] = found.pop(together)
    return found


def _front(results: Results, best: Sequence[Point]) -> str:
    columns = _columns(results)
    rows = []
    for point in best:
        at = results.points.index(point)
        settings = [cells[at] for cells in columns.values()]
        rows.append([*settings, *(_short(point.figures[name]) for name in _COLUMNS)])
    return table([*columns, *_COLUMNS], rows)


def _effects(results: Results) -> str:
    """For each setting, the mean of some figures over all points with each of its values."""
    rows = []
    for name, cells in _columns(results).items():
        for value in dict.fromkeys(cells):
            group = [p.figures for p, cell in zip(results.points, cells, strict=True) if cell == value]
            means = [sum(figures[axis] for figures in group) / len(group) for axis in (*AXES, "nand2")]
            rows.append([f"{name} = {value}", str(len(group)), *map(_short, means)])
    head = ["setting", "points", *(f"mean of {LABELS[axis]}" for axis in (*AXES, "nand2"))]
    return table(head, rows)


def _short(value: float) -> str:
    return f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:.3g}"


def to_json(results: Results) -> str:
    """The results with a line per point."""
    body = results.as_dict()
    points = ",\n".join(json.dumps(point) for point in body.pop("points"))
    return f'{json.dumps(body)[:-1]}, "points": [\n{points}\n]}}\n'


def write(results: Results, name: str, docs: str | Path) -> None:
    """Write page, points and picture."""
    root = Path(docs)
    draw(results, AXES, root / "pictures" / f"{name}.svg")
    write_text(root / "reference" / f"{name}.json", to_json(results))
    write_text(root / "reference" / f"{name}.md", page(results, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", help="of the finished sweep")
    parser.add_argument("name", help="of the page")
    parser.add_argument("--docs", default="docs")
    given = parser.parse_args()
    write(Results.load(given.folder), given.name, given.docs)


if __name__ == "__main__":
    main()
