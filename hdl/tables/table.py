"""Writes ``docs/reference/float-tables-rtl.md``: what NLI and its anchors cost on one FPGA and in gates.

::

    python -m hdl.tables.table [docs/reference/float-tables-rtl.md]

Every figure is measured on the RTL of the working tree; see :func:`hdl.flow.cost.cost`.
"""

from __future__ import annotations

import argparse

import hdl
from hdl.flow.cost import cost
from hdl.flow.synthesis import synth
from intsim import catalogue, markdown
from intsim.files import write_text
from intsim.measure import anchors

__all__ = ["HEAD", "hardware_rows", "main"]

SHOWN = ("silu", "exp", "reciprocal", "rsqrt")
HEAD = ("table", "latency", "TRELLIS_COMB", "FF", "DSP", "BRAM", "Fmax, MHz", "NAND2, words in gates", "in registers")


def hardware_rows(function: str) -> list[list[str]]:
    """What each FP16 table of one function costs, as cells below :data:`HEAD`."""
    rows = []
    for table in anchors.compare_tables(function):
        unit = catalogue.get(table.name)
        found = cost(unit)
        assert found is not None
        gates = [synth(unit, "nand2", memory=kind)["area"] for kind in ("logic", "registers")]
        figures = [found["comb"], found["ff"], found["dsp"], found["bram"], round(found["fmax"]), *map(round, gates)]
        rows.append([f"`{table.name}`", str(hdl.create(unit).latency), *(f"{figure:,}" for figure in figures)])
    return rows


_PAGE = """\
# FP16 tables in RTL: time and cost

Made by `python -m hdl.tables.table`; do not edit. All engines give one result per cycle. ECP5 LFE5U-25F, speed grade 6,
one placement, words in block RAM. NAND2 is the area of the whole engine in two-input NAND gates, with the words as
constants in gates, and in flip-flops that a loader fills after reset. Cut points, breakpoints and scales are constants
in gates in every engine and every column. Errors of the same tables: [](../contract/float-tables.md).

{table}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", nargs="?", default="docs/reference/float-tables-rtl.md")
    path = parser.parse_args().path
    rows = []
    for function in SHOWN:
        for row in hardware_rows(function):
            rows.append(row)
            print(" ".join(row), flush=True)
    write_text(path, _PAGE.format(table=markdown.table(HEAD, rows)))


if __name__ == "__main__":
    main()
