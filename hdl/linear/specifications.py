"""What the linear operators compute, for proofs: written from the definition, by halves instead of by distances.

The golden model gathers its columns with NumPy, which has no unknowns. The tests compare these functions with it on
every input of a small width.
"""

from __future__ import annotations

from typing import Any

from hdl.flow.symbolic import specifies
from intsim import linear
from intsim.rounding import shift_round

__all__ = ["hadamard"]


@specifies(linear.Hadamard)
def hadamard(unit: linear.Hadamard, **x: Any) -> dict[str, Any]:
    """``H2 x ... x H2 x base`` by its definition: the transforms of both halves, their sum and their difference."""
    base = unit.base
    values, _ = _transform(unit, base, list(x.values()))
    fmt = unit.outputs["y0"]
    if unit.form == "requantised":
        values = [shift_round(v * unit.multiplier, unit.shift, unit.rounding) for v in values]
        values = [v + (v > fmt.hi) * (fmt.hi - v) + (v < fmt.lo) * (fmt.lo - v) for v in values]
    return {f"y{k}": value for k, value in enumerate(values)}


def _transform(unit: linear.Hadamard, base: Any, values: list[Any]) -> tuple[list[Any], int]:
    """The transform of a part, and how many stages it took."""
    if len(values) == len(base):
        signed = [[v if sign > 0 else -v for v, sign in zip(values, column, strict=True)] for column in base.T]
        return [sum(terms[1:], terms[0]) for terms in signed], 0
    half = len(values) // 2
    (low, stage), (high, _) = (_transform(unit, base, part) for part in (values[:half], values[half:]))
    joined = [a + b for a, b in zip(low, high, strict=True)] + [a - b for a, b in zip(low, high, strict=True)]
    if unit.form == "shifted" and stage % 2:
        joined = [shift_round(v, 1, unit.rounding) for v in joined]
    return joined, stage + 1
