"""Tables for one function side by side: their errors on every code, and what they take."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from intsim.errors import UnknownName
from intsim.formats import Float16
from intsim.tables import ExponentTable, FloatNLI, FloatPWL, RangeReduced, functions
from intsim.tables.design.float_cuts import FloatProblem, exact_error, solve
from intsim.unit import Unit

__all__ = ["FUNCTIONS", "Compared", "ablation", "compare_tables", "cost_of", "markdown"]

FUNCTIONS = ("exp", "gelu", "hardswish", "mish", "reciprocal", "rsqrt", "sigmoid", "silu", "tanh")
_KINDS = ("nli_{}_f16", "pwl16_{}_f16", "pwl256_{}_f16", "exponent_{}_f16", "range_reduced_{}_f16")
_TAU = 2.0**-14


@dataclass(frozen=True)
class Compared:
    """One table of a comparison.

    Attributes
    ----------
    name : of the unit in the catalogue
    function : approximated
    mean, maximum : relative error ``|y - f| / max(|f|, 2**-14)`` over every code of the function's domain
    words : table words, in a memory read once or twice per result
    memory_bits : of these words
    register_bits : of what every result may need at once, so that no memory holds it: cut points, scales
    comparators : of the width of the input
    multipliers : their operand widths
    """

    name: str
    function: str
    mean: float
    maximum: float
    words: int
    memory_bits: int
    register_bits: int
    comparators: int
    multipliers: str


def cost_of(unit: Unit) -> tuple[int, int, int, int, str]:
    """Words, memory bits, register bits, comparators and multipliers of a floating-point table.

    The same rule for all: words addressed by the input lie in memory, what is compared or selected in registers.
    """
    if isinstance(unit, FloatNLI):
        exponent_bits = max((max(unit.exponents) - min(unit.exponents)).bit_length(), 1)
        registers = len(unit.cuts) * unit.x.bits + unit.intervals * (unit.width + exponent_bits)
        words = len(unit.table)
        return words, words * unit.y.bits, registers, len(unit.cuts), " + ".join([f"{unit.width}x{unit.width}"] * 2)
    if isinstance(unit, FloatPWL):
        words = 2 * unit.segments
        bits = unit.y.fraction + 1
        return words, words * unit.y.bits, len(unit.breaks) * unit.x.bits, len(unit.breaks), f"{bits}x{bits}"
    if isinstance(unit, ExponentTable):
        address = (len(unit.table) - 1).bit_length()
        rows = unit.rows * (address + max(unit.splits).bit_length())
        words = len(unit.table)
        return words, words * unit.y.bits, rows, 0, f"{unit.width}x{unit.x.fraction}"
    if isinstance(unit, RangeReduced):
        words = len(unit.table)
        step = max(a - b for a, b in pairwise(unit.table)).bit_length()
        return words, words * (unit.frac + 1), 0, 0, f"{step}x{unit.x.fraction - unit.index_bits}"
    raise UnknownName("kind of table", type(unit).__name__, ["FloatNLI", "FloatPWL", "ExponentTable", "RangeReduced"])


def compare_tables(function: str) -> list[Compared]:
    """The catalogue's FP16 tables of one function, each measured on every code of the function's domain."""
    from intsim import catalogue

    if function not in FUNCTIONS:
        raise UnknownName("compared function", function, FUNCTIONS)
    real = functions.find(function)
    problem = FloatProblem.pose(real, Float16(), Float16(), _TAU, functions.domain(function))
    found = []
    for kind in _KINDS:
        name = kind.format(function)
        if name not in catalogue.names():
            continue
        unit = catalogue.get(name)
        fmt = next(iter(unit.outputs.values()))
        error = np.abs(fmt.decode(unit(problem.codes)) - problem.f) * problem.weight
        found.append(Compared(name, function, float(error.mean()), float(error.max()), *cost_of(unit)))
    return found


def ablation(function: str) -> dict[str, float]:
    """Mean relative error of 259 unrounded words, placed in five ways, in exact arithmetic.

    ``two-level`` is NLI's; ``free`` lets all 258 segments end anywhere; ``curvature`` gives all segments the same
    integral of ``sqrt |f''|``; ``uniform`` spaces them equally; ``cuts only`` joins the two-level table's cut points.
    """
    real = functions.find(function)
    problem = FloatProblem.pose(real, Float16(), Float16(), _TAU, functions.domain(function))
    cuts = solve(problem, 10, 32)
    xs = problem.xs
    slopes = np.diff(problem.f) / np.diff(xs)
    bend = np.sqrt(np.abs(np.diff(slopes) / (xs[2:] - xs[:-2]) * 2)) * (xs[2:] - xs[:-2]) / 2
    share = np.concatenate([[0.0], np.cumsum(bend), [bend.sum()]])
    return {
        "two-level": float(exact_error(problem, cuts, 32).mean()),
        "free": _error_at(problem, xs[solve(problem, 258, 1)]),
        "curvature": _error_at(problem, np.interp(np.linspace(0, share[-1], 259), share, xs)),
        "uniform": _error_at(problem, np.linspace(xs[0], xs[-1], 259)),
        "cuts only": _error_at(problem, xs[cuts]),
    }


def _error_at(problem: FloatProblem, knots: np.ndarray) -> float:
    """Mean relative error of chords between any knots."""
    chords = np.interp(problem.xs, knots, problem.function(knots))
    return float((np.abs(chords - problem.f) * problem.weight).mean())


def markdown() -> str:
    """The comparison of all functions as a table."""
    head = [
        "table",
        "mean relative",
        "max relative",
        "words",
        "memory bits",
        "register bits",
        "comparators",
        "multipliers",
    ]
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    for function in FUNCTIONS:
        for row in compare_tables(function):
            figures = (row.words, f"{row.memory_bits:,}", f"{row.register_bits:,}", row.comparators, row.multipliers)
            lines.append(
                f"| `{row.name}` | {row.mean:.2e} | {row.maximum:.2e} | " + " | ".join(map(str, figures)) + " |"
            )
    return "\n".join(lines)
