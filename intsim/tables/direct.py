"""The direct table: one word per input code. For 8-bit inputs it is exact, and what cleverer tables must beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed
from intsim.parameters import note
from intsim.tables.one_variable import OneVariable, check_ports
from intsim.unit import Unit

__all__ = ["Direct"]


@dataclass(frozen=True)
class Direct(OneVariable, Unit):
    """``y = table[x - lo(x)]``.

    Parameters
    ----------
    x, y : Fixed
        Formats of the input, of at most 16 bits, and the output.
    table : a code of `y` for every code of `x`, ascending
    fn : name of the function (a note; not part of the unit's identity)
    """

    kind = "direct"

    x: Fixed
    y: Fixed
    table: tuple[int, ...]
    fn: str | None = note()

    def __post_init__(self) -> None:
        if self.x.bits > 16 or len(self.table) != self.x.hi - self.x.lo + 1:
            raise IntsimError(f"{self.x} needs a word for each code, of at most 2**16; got {len(self.table)} words")
        check_ports(self.x, self.y, self.table)

    @classmethod
    def design(cls, fn: str | Callable[[np.ndarray], Any], x: Fixed, y: Fixed, *, saturate: bool = False) -> Direct:
        """The function at every code, ties to even.

        Raises
        ------
        IntsimError
            The function is not finite or does not fit `y` somewhere.
        """
        from intsim.tables.design.target import function_and_name, target_for

        function, name = function_and_name(fn)
        words = target_for(function, x, y, None, saturate).words(x.codes().astype(np.int64))
        return cls(x, y, tuple(words.tolist()), name)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Every code."""
        return (self.x.codes(),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].shape, dtype=self.y.dtype)
        run(look_up, columns[0].astype(np.int64), self.x.lo, np.array(self.table, dtype=np.int64), y)
        return {"y": y}


@exact
def look_up(x, first, table, out):
    """The word of every element."""
    for k in range(x.size):
        out[k] = table[x[k] - first]
