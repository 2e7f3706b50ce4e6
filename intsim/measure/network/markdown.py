"""Writes ``docs/reference/networks.md`` and its pictures from comparisons that were made before::

python -m intsim.measure.network.markdown DIR/compare.json ... -o docs/reference/networks.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intsim.files import write_bytes, write_text
from intsim.markdown import table
from intsim.measure.network.comparison import PARTS
from intsim.measure.network.report import METRICS, picture_by_width
from intsim.measure.network.statistics import shown

__all__ = ["main", "page", "picture_name"]

_HEAD = """\
# Networks under every scheme

Made by `python -m intsim.measure.network.markdown` from what the commands below measured; do not edit. Each figure with
its 95 % bootstrap interval; in brackets what is lost against float32, the same items drawn for both. What each scheme
computes at which place: [Networks](../contract/networks.md). How to read and repeat this:
[Judge a network](../howto/judge-a-network.md).
"""
_HARDWARE = """\
The cells are the sum of the scheme's softmax, activation and norm in this project's own RTL, one lane each, on a
Lattice ECP5 at speed grade 6, each placed alone; Fmax is that of the slowest.
"""
_COSTS = ("comb", "ff", "dsp", "bram", "fmax")


def page(summaries: Sequence[Mapping[str, Any]]) -> str:
    """The page of several comparisons."""
    return "\n".join([_HEAD, *(_section(summary) for summary in summaries)])


def picture_name(summary: Mapping[str, Any]) -> str:
    """The file of a comparison's picture, in ``docs/pictures``."""
    return f"networks-{Path(summary['model']).name}.svg"


def _section(summary: Mapping[str, Any]) -> str:
    metric, widths = summary["metric"], summary["widths"]
    title, explained = METRICS.get(metric, (metric, ""))
    real = summary["float"][metric]
    counted = ", ".join(f"{count:,} {name}" for name, count in summary["items"].items())
    placed = any(scheme["hardware"] for scheme in summary["schemes"])
    rows = [["float32", *[_range(real)] * len(widths), *["–"] * (5 if placed else 0)]]
    for scheme in summary["schemes"]:
        total = scheme["total"]
        cells = [_cell(scheme["cells"][width]["figures"], metric) for width in widths]
        costs = [f"{total[key]:,.0f}" if total else "–" for key in _COSTS] if placed else []
        rows.append([scheme["name"] + _in_float(scheme), *cells, *costs])
    head = ["scheme", *(width.upper() for width in widths)]
    head += ["COMB", "FF", "DSP", "BRAM", "Fmax, MHz"] if placed else []
    lines = [f"## {summary['model']}", "", f"{title.capitalize()} ({explained}); {counted}.", ""]
    lines += [f"```sh\n{summary['command']}\n```", "", f"![{title} by width](../pictures/{picture_name(summary)})", ""]
    lines += [table(head, rows)] + [_HARDWARE] * placed
    parts = [_part(scheme["name"], part, h) for scheme in summary["schemes"] for part, h in scheme["hardware"].items()]
    if parts:
        head = [
            "scheme",
            "part",
            "unit",
            "COMB",
            "FF",
            "DSP",
            "BRAM",
            "Fmax, MHz",
            "row",
            "cycles, lone row",
            "cycles per row",
        ]
        lines += [table(head, parts)]
    refused = {
        (scheme["name"], width): cell["refused"]
        for scheme in summary["schemes"]
        for width, cell in scheme["cells"].items()
        if cell["refused"]
    }
    lines += [f"* {name} {width.upper()} is refused: {why}" for (name, width), why in refused.items()]
    return "\n".join(lines)


def _cell(figures: Mapping[str, Any] | None, metric: str) -> str:
    if figures is None:
        return "refused"
    lost = figures["difference"][metric]["mean"]
    return f"{_range(figures['integer'][metric])} ({lost:+.3f})"


def _range(figure: Mapping[str, float]) -> str:
    return f"{shown(figure['mean'])} in {shown(figure['low'])} .. {shown(figure['high'])}"


def _in_float(scheme: Mapping[str, Any]) -> str:
    parts = [part for part in PARTS if part in scheme["left_in_float"]]
    return f" ({', '.join(parts)} in float)" if parts else ""


def _part(scheme: str, part: str, h: Mapping[str, Any]) -> list[str]:
    if "comb" not in h:
        return [scheme, part, h["unit"], *["–"] * 8]
    cells = [f"{h[key]:,.0f}" for key in ("comb", "ff", "dsp", "bram", "fmax", "row", "first", "sustained")]
    return [scheme, part, h["unit"], *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("comparisons", nargs="+", type=Path)
    parser.add_argument("-o", "--output", default="docs/reference/networks.md")
    arguments = parser.parse_args()
    summaries = [json.loads(path.read_text(encoding="utf-8")) for path in arguments.comparisons]
    for summary in summaries:
        folder = Path(arguments.output).parent.parent / "pictures"
        write_bytes(folder / picture_name(summary), picture_by_width(summary))
    write_text(arguments.output, page(summaries))


if __name__ == "__main__":
    main()
