"""Writes ``docs/reference/operators-rtl.md``: time and cost of the integer operators on one FPGA and in gates.

::

    python -m hdl.nonlinear.table [docs/reference/operators-rtl.md] [--seeds 1] [--known]

Every figure is measured on the RTL of the working tree. Results are kept in the user's cache under a hash of the
emitted Verilog, so that a second run costs seconds and a changed unit is measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import hdl
from hdl.flow.cost import cost
from hdl.nonlinear.rows import RowComponent
from intsim import catalogue
from intsim.files import write_text
from intsim.formats import Int
from intsim.linear.dynamic import DynamicRequantize
from intsim.nonlinear.activations import HardSwish, IBertGELU, ShiftGELU, SquaredReLU
from intsim.nonlinear.exp import DIExp, IBertExp, ShiftExp
from intsim.nonlinear.gated import DISigmoid, DISwiGLU
from intsim.nonlinear.layernorm import IBertLayerNorm, IViTLayerNorm
from intsim.nonlinear.norm import DINorm, L1Norm
from intsim.nonlinear.qans import QANSSoftmax
from intsim.nonlinear.softmax import DIClippedSoftmax, IBertSoftmax, Shiftmax
from intsim.operators import non_positive
from intsim.unit import Unit

__all__ = ["ELEMENTWISE", "ROWS", "main", "measure"]

ELEMENTWISE: Mapping[str, Unit] = {
    "ShiftExp, n16, x0 = -20, n = 15": ShiftExp(-20, 15, x=non_positive(16)),
    "IBertExp, n16, s = 0.01": IBertExp.design(0.01, x=non_positive(16)),
    "DIExp fixed16, s16, 241/2^12": DIExp(241, 12, x=Int(16)),
    "IBertGELU, s16, s = 1e-4": IBertGELU.design(1e-4, x=Int(16)),
    "IBertGELU, s32, s = 1e-5": IBertGELU.design(1e-5, x=Int(32)),
    "HardSwish, s16, s = 1e-3": HardSwish.design(1e-3, x=Int(16)),
    "SquaredReLU, s16": SquaredReLU(5, x=Int(16)),
    "DISigmoid two_branch, s16": DISigmoid(241, 12, x=Int(16)),
    "DISwiGLU two_branch, s9 x s9": DISwiGLU(241, 9, x=Int(9), up=Int(9)),
}

ROWS: Mapping[str, Unit] = {
    "Shiftmax, s8": Shiftmax(-20, x=Int(8)),
    "IViTLayerNorm, s16, 768": IViTLayerNorm(max_row=768, x=Int(16)),
    "IBertLayerNorm, s16, 768": IBertLayerNorm(max_row=768, x=Int(16)),
    "IBertSoftmax, s16": IBertSoftmax.design(0.001, x=Int(16)),
    "ShiftGELU, s8, 3072": ShiftGELU(-20, max_row=3072, x=Int(8)),
    "DISwiGLU row_max, s9 x s9": DISwiGLU(241, 9, "row_max", x=Int(9), up=Int(9)),
    "DIClippedSoftmax, s16, mask": DIClippedSoftmax(241, 12, x=Int(16)),
    "QANSSoftmax, DULUT 32 + 64, s16, mask": QANSSoftmax.design(
        0.001, 20, exp=catalogue.get("dulut_exp20"), x=Int(16), masked=True
    ),
    "QANSSoftmax, NLI, s16, mask": QANSSoftmax.design(0.001, 16, exp=catalogue.get("nli_exp"), x=Int(16), masked=True),
    "DINorm (RMSNorm), s8": DINorm(x=Int(8)),
    "L1Norm, s8, 768": L1Norm(max_row=768, x=Int(8)),
    "DynamicRequantize, s32 to u8": DynamicRequantize(37, 30, x=Int(32)),
}

SMALL_ROW = 8  # row length of the gate count: without the row memories, which would be flip-flops there
LIMITS = {"elementwise": 120, "row": 90}  # MHz below which a unit needs a reason

_HEAD = """\
# The integer operators in RTL: time and cost

Made by `python -m hdl.nonlinear.table`; do not edit. One lane each. ECP5 LFE5U-25F, speed grade 6, placed and routed
between registers, without I/O cells; Fmax of {seeds}. NAND2 is the area in two-input NAND
gates of the whole unit, row units with `max_row = {small}`: their row memories, block RAM on an FPGA, are a macro's
business on silicon. All units are compared with their golden models in `tests/hdl`; the figures below are of the
parameters named.

## Elementwise units

One result per cycle.

| unit | latency | TRELLIS_COMB | FF | DSP | Fmax, MHz | NAND2 |
|---|---|---|---|---|---|---|
{elementwise}

## Row units

`cycles(n)` is the time of a lone row from its first element in to its last result out, with w = ceil(n / lanes)
transfers; rows behind each other take max(w, pace) cycles each.
IViTLayerNorm's pace is ten divisions, each of which waits for the one before (I-ViT's Newton steps for the root):
rows of 152 transfers and more hide them.

| unit | longest row | cycles(n) | pace | TRELLIS_COMB | FF | DSP | BRAM | Fmax, MHz | NAND2 |
|---|---|---|---|---|---|---|---|---|---|
{rows}
"""


def measure(unit: Unit, seeds: int, *, known_only: bool = False) -> dict[str, Any] | None:
    """Cost of one unit, its gates without row memories; see :func:`hdl.flow.cost.cost`."""
    small: Any = replace(unit, max_row=SMALL_ROW) if unit.is_row else unit  # type: ignore[call-arg]
    return cost(unit, seeds=seeds, gates_of=small, known_only=known_only)


def _element_line(name: str, unit: Unit, found: Mapping[str, Any]) -> str:
    cells = [name, hdl.create(unit).latency, found["comb"], found["ff"], found["dsp"], round(found["fmax"])]
    return _line([*cells, round(found["nand2"])])


def _row_line(name: str, unit: Unit, found: Mapping[str, Any]) -> str:
    part = hdl.create(unit)
    assert isinstance(part, RowComponent)
    slope = part.passes + 1
    formula = f"{slope} w + {part.overhead - slope}"
    longest = unit.max_row  # type: ignore[attr-defined]
    cells = [name, longest, formula, part.pace, found["comb"], found["ff"], found["dsp"], found["bram"]]
    return _line([*cells, round(found["fmax"]), round(found["nand2"])])


def _line(cells: list) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", default="docs/reference/operators-rtl.md")
    parser.add_argument("--seeds", type=int, default=1, help="placements per unit")
    parser.add_argument("--known", action="store_true", help="measure nothing: list what was measured before")
    arguments = parser.parse_args()
    lines: dict[str, list[str]] = {"elementwise": [], "row": []}
    for kind, units, line in (("elementwise", ELEMENTWISE, _element_line), ("row", ROWS, _row_line)):
        for name, unit in units.items():
            found = measure(unit, arguments.seeds, known_only=arguments.known)
            if found is None:
                print(f"{name}: not measured yet", flush=True)
                continue
            lines[kind].append(line(name, unit, found))
            slow = "" if found["fmax"] >= LIMITS[kind] else f"   below {LIMITS[kind]} MHz"
            print(lines[kind][-1] + slow, flush=True)
    text = _HEAD.format(
        seeds="one placement" if arguments.seeds == 1 else f"the median of {arguments.seeds} placements",
        small=SMALL_ROW,
        elementwise="\n".join(lines["elementwise"]),
        rows="\n".join(lines["row"]),
    )
    write_text(arguments.path, text)


if __name__ == "__main__":
    main()
