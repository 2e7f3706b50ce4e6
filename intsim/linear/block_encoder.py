"""The block floating-point encoder as a unit: one row is one block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import DBFP, Fixed, Format, Int
from intsim.formats.span import Span
from intsim.rows import extreme_rows
from intsim.unit import Unit

__all__ = ["BlockEncoder"]


@dataclass(frozen=True)
class BlockEncoder(Unit):
    """Fixed-point numbers into one block: per element the mantissa, the tag if there is one, and the block's exponent.

    The equations are those of :class:`~intsim.formats.blockfp.DBFP`; every element carries the exponent of its block,
    so that the three ports have one shape.

    Parameters
    ----------
    format : DBFP
    x : Fixed
        Format of the numbers, of at most 60 bits; unsigned if `format` is.
    """

    format: DBFP
    x: Fixed

    def __post_init__(self) -> None:
        if self.x.signed != self.format.signed:
            raise IntsimError(f"{self.x} and {self.format} must both have a sign or neither; change one of them")
        if self.x.bits > 60:
            raise IntsimError(f"x has at most 60 bits, got {self.x.bits}; shift it to the right")

    @property
    def max_row(self) -> int:
        """Elements of a block; fewer are allowed."""
        return self.format.group

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        fmt = self.format
        width = max(fmt.hi.bit_length(), (-fmt.lo - 1).bit_length() if fmt.lo < 0 else 0) + 1
        ports: dict[str, Format] = {"q": Int(fmt.bits, fmt.signed)}
        if fmt.delta:
            ports["tag"] = Int(1, False)
        return {**ports, "exponent": Span(width, fmt.lo, fmt.hi)}

    def corners(self) -> tuple[np.ndarray, ...]:
        """Extreme rows, and rows around every power of two where an exponent or a rounding changes."""
        x, n = self.x, min(self.max_row, 12)
        rows = extreme_rows(x, n)
        rng = np.random.default_rng(0)
        for k in range(x.bits):
            near = [v for v in ((1 << k) + d for d in (-1, 0, 1)) if v <= x.hi]
            near += [-v for v in near if x.signed]
            for value in near:
                rows.append(np.full(n, value))
                rows.append(np.where(np.arange(n) == n - 1, value, rng.integers(0, max(value.bit_length(), 1), n)))
            spread = rng.integers(-(1 << k) if x.signed else 0, (1 << k), (24, n))
            rows += list(np.clip(spread, x.lo, x.hi))
        return (np.array(rows).astype(x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        blocks = self.format.quantize(columns[0].astype(np.int64), self.x.frac)
        found: dict[str, Any] = {
            "q": blocks.mantissas,
            "tag": blocks.tags,
            "exponent": np.repeat(blocks.exponents, columns[0].shape[1], axis=1),
        }
        return {port: found[port].astype(fmt.dtype) for port, fmt in self.outputs.items()}
