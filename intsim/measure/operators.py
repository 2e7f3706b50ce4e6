"""How far the integer operators are from the real functions: the tables of the documentation.

``python docs/regenerate.py`` runs these functions; a test asserts that the pages are current.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from intsim.formats import Int
from intsim.nonlinear import (
    DIClippedSoftmax,
    DIExp,
    DINorm,
    DISigmoid,
    HardSwish,
    IBertExp,
    IBertGELU,
    IBertLayerNorm,
    IBertSoftmax,
    IViTLayerNorm,
    L1Norm,
    ShiftExp,
    ShiftGELU,
    Shiftmax,
)
from intsim.operators import non_positive
from intsim.unit import Unit

__all__ = ["elementwise_table", "norm_table", "row_error", "softmax_rows", "softmax_table"]

LENGTHS = (64, 512, 2048)


def elementwise_table() -> str:
    """Largest and mean error over every code of the domain, in parts of the function's largest value there."""
    n8, n16 = non_positive(8), non_positive(16)
    cases: list[tuple[str, str, Unit]] = [
        ("`ShiftExp`", "8 bits, s = 1/16", ShiftExp.design(1 / 16, 15, x=n8)),
        ("`ShiftExp`", "16 bits, s = 2^-11", ShiftExp.design(2.0**-11, 15, x=n16)),
        ("`ShiftExp` `ivit_tvm`", "8 bits, s = 1/16", ShiftExp.design(1 / 16, 16, "ivit_tvm", x=n8)),
        ("`IBertExp`", "8 bits, s = 1/16", IBertExp.design(1 / 16, x=n8)),
        ("`IBertExp`", "16 bits, s = 2^-11", IBertExp.design(2.0**-11, x=n16)),
    ]
    for form in ("literal", "headroom", "fixed16"):
        cases.append((f"`DIExp` {form}", "8 bits, s = 15/255", DIExp.design(15 / 255, form, x=Int(9))))
        cases.append((f"`DIExp` {form}", "16 bits, s = 15/65535", DIExp.design(15 / 65535, form, x=Int(17))))
    cases += [
        ("`ShiftGELU`", "8 bits, s = 1/32", ShiftGELU.design(1 / 32, x=Int(8))),
        ("`ShiftGELU` n = 15", "8 bits, s = 1/32", ShiftGELU.design(1 / 32, 15, x=Int(8))),
        ("`IBertGELU`", "8 bits, s = 1/32", IBertGELU.design(1 / 32, x=Int(8))),
        ("`IBertGELU`", "16 bits, s = 2^-13", IBertGELU.design(2.0**-13, x=Int(16))),
    ]
    for frame in ("row_max", "two_branch"):
        for form in ("literal", "headroom", "fixed16"):
            sigmoid = DISigmoid.design(0.05, frame, form=form, x=Int(8))
            cases.append((f"`DISigmoid` {frame}, {form}", "8 bits, s = 0.05", sigmoid))
    cases.append(("`HardSwish`", "8 bits, s = 1/32", HardSwish.design(1 / 32, x=Int(8))))
    lines = ["| operator | domain | largest error | mean error |", "|---|---|---|---|"]
    for name, domain, unit in cases:
        (fmt,) = unit.inputs.values()
        worst, mean = _errors(unit, np.arange(fmt.lo, fmt.hi + 1))
        lines.append(f"| {name} | {domain} | {worst:.2%} | {mean:.3%} |")
    return "\n".join(lines)


def softmax_table() -> str:
    """L1 distance of a row to the real softmax, and the row's sum."""
    m, k = 241, 20
    scale, fine = m / 2**k, 2.0**-12
    cases: list[tuple[str, Unit, float]] = [
        ("`Shiftmax`, 8-bit scores", Shiftmax.design(1 / 8, x=Int(8)), 1 / 8),
        ("`Shiftmax`, 16-bit scores", Shiftmax.design(fine, x=Int(18)), fine),
        ("`Shiftmax`, 8-bit scores and results", Shiftmax.design(1 / 8, out_bits=8, x=Int(8)), 1 / 8),
        ("`Shiftmax` `ivit_tvm`", Shiftmax.design(1 / 8, 16, 8, "ivit_tvm", x=Int(8)), 1 / 8),
        ("`IBertSoftmax`, 8-bit results", IBertSoftmax.design(fine, x=Int(18)), fine),
        ("`IBertSoftmax`, 16-bit results", IBertSoftmax.design(fine, 16, x=Int(18)), fine),
    ]
    for form, bits in (("literal", 8), ("literal", 16), ("headroom", 8), ("fixed16", 8)):
        for out_bits in (8, 16):
            clipped = DIClippedSoftmax(m, k, out_bits=out_bits, exp=form, bits=bits)
            cases.append((f"`DIClippedSoftmax` {form}, {bits}-bit scores, {out_bits}-bit results", clipped, scale))
    lines = ["| softmax | " + " | ".join(f"T = {n}: L1, sum" for n in LENGTHS) + " |", "|---" * 4 + "|"]
    for name, unit, step in cases:
        figures = (row_error(unit, step, n) for n in LENGTHS)
        lines.append(f"| {name} | " + " | ".join(f"{d:.3f}, {total:.3f}" for d, total in figures) + " |")
    return "\n".join(lines)


def norm_table() -> str:
    """Largest error on Gaussian rows, in parts of the largest result."""
    units: list[tuple[str, Unit]] = [
        ("`IViTLayerNorm`", IViTLayerNorm()),
        ("`IBertLayerNorm`", IBertLayerNorm()),
        ("`DINorm` centred, F = 8", DINorm(center=True)),
        ("`DINorm` centred, F = 0", DINorm(center=True, F=0)),
        ("`DINorm`, F = 8", DINorm()),
        ("`L1Norm`", L1Norm()),
    ]
    spreads = (2, 30, 1000, 8000)
    lines = ["| norm | " + " | ".join(f"std {s}" for s in spreads) + " |", "|---" * (len(spreads) + 1) + "|"]
    for name, unit in units:
        rows = (np.rint(np.random.default_rng(0).normal(0, s, (100, 192))).astype(np.int64) for s in spreads)
        lines.append(f"| {name} | " + " | ".join(f"{_errors(unit, x)[0]:.2%}" for x in rows) + " |")
    return "\n".join(lines)


def softmax_rows(width: int, rows: int = 64) -> np.ndarray:
    """Real scores as attention has them: Gaussian, standard deviation 3, one raised by 9."""
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (rows, width))
    scores[np.arange(rows), rng.integers(0, width, rows)] += 9
    return scores


def row_error(unit: Unit, scale: float, width: int) -> tuple[float, float]:
    """Mean L1 distance of :func:`softmax_rows` to the real softmax, and the mean sum of a row."""
    fmt = next(iter(unit.inputs.values()))
    scores = softmax_rows(width)
    codes = np.clip(np.rint((scores - scores.max(axis=-1, keepdims=True)) / scale), fmt.lo, fmt.hi)
    got = unit.outputs["y"].decode(unit(codes.astype(np.int64)))
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    real = powers / powers.sum(axis=-1, keepdims=True)
    return float(np.abs(got - real).sum(axis=-1).mean()), float(got.sum(axis=-1).mean())


def _errors(unit: Unit, *codes: Any) -> tuple[float, float]:
    """Largest and mean absolute error, in parts of the largest real value."""
    ports: Iterable[Any] = unit.inputs.values()
    real = np.asarray(unit.real(*(fmt.decode(c) for fmt, c in zip(ports, codes, strict=True))))
    (fmt,) = unit.outputs.values()
    error = np.abs(fmt.decode(unit(*codes)) - real) / np.abs(real).max()
    return float(error.max()), float(error.mean())
