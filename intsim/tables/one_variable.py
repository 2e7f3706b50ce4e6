"""What tables of a function of one variable share: two ports, a name, and the real function behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Fixed, Format

__all__ = ["OneVariable", "TwoLevel", "as_signed", "check_ports"]


class OneVariable:
    """Ports ``x`` and ``y`` and the function ``fn``; listed before :class:`~intsim.unit.Unit` among the bases.

    Attributes
    ----------
    x, y : formats of input and output, provided by the table
    fn : name of the function, None where the table stands for none
    kind : first word of the unit's name
    """

    x: Any
    y: Any
    fn: str | None
    kind: ClassVar[str]

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": self.y}

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.fn}" if self.fn and self.fn.isidentifier() else self.kind

    def real(self, *values: Any) -> Any:
        from intsim.tables.functions import lookup

        function = lookup(self.fn)
        return None if function is None else function(np.asarray(values[0], dtype=np.float64))


class TwoLevel:
    """Geometry of the two-level table: free cuts, equal bins between them, one segment in the outer intervals."""

    cuts: tuple[int, ...]
    bins: int

    @property
    def intervals(self) -> int:
        return len(self.cuts) - 1

    @property
    def segments(self) -> tuple[int, ...]:
        """Segments per interval: one in the outer two, `bins` in the others."""
        last = self.intervals - 1
        return tuple(1 if i in (0, last) else self.bins for i in range(self.intervals))

    @property
    def bases(self) -> tuple[int, ...]:
        """Index of the first table word of each interval, and of the last word of all."""
        total, bases = 0, [0]
        for n in self.segments:
            total += n
            bases.append(total)
        return tuple(bases)


def check_ports(x: Fixed, y: Fixed, words: tuple[int, ...]) -> None:
    """A fixed-point table's input must fit a machine integer, its words the output.

    Raises
    ------
    IntsimError
        One of them does not.
    """
    if x.hi >> 63:
        raise IntsimError(f"{x} does not fit 63 bits and a sign; use an input format of at most 63 bits")
    if words and (min(words) < y.lo or max(words) > y.hi):
        raise IntsimError(f"table words {min(words)}..{max(words)} leave {y} = [{y.lo}, {y.hi}]; use a wider output")


def as_signed(codes: np.ndarray) -> np.ndarray:
    """`codes` in a signed type where they are uint64: Numba takes int64 with uint64 for a float."""
    return codes.astype(np.int64) if codes.dtype == np.uint64 else codes
