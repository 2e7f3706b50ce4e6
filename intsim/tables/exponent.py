"""The exponent-addressed table: sign and exponent of the input choose a row, its first mantissa bits a word.

An anchor beside NLI, with the same interface: no comparator, no subtraction and no multiplication for the address.
The form is that of a 2026 submission artefact ("XDA") and, earlier, of US patent 11,106,430; how many words each row
gets is decided here by an exact knapsack instead of a greedy rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Minifloat
from intsim.formats.minifloat import infinity
from intsim.parameters import note
from intsim.tables.nli_float import WIDTHS, blend_float
from intsim.tables.one_variable import OneVariable
from intsim.unit import Unit

__all__ = ["ExponentTable"]


@dataclass(frozen=True)
class ExponentTable(OneVariable, Unit):
    """A table addressed by sign and exponent, with linear interpolation, on floating-point ports.

    Rows are the exponents of positive numbers, ascending, then those of negative ones. Row `r` has ``2**splits[r]``
    segments; the word behind its last one is the next row's first, and each sign has one word more at its end::

        a, t  = first splits[r] bits of the fraction, the others
        y     = table[base[r] + a] + t * cut_width(table[base[r] + a + 1] - table[base[r] + a]), rounded ties to even

    **Special values:** NaN gives NaN, infinities count as the largest number, -0 starts the negative rows.

    Parameters
    ----------
    x, y : Minifloat
        Formats of the input and the output.
    splits : per row, 0 to the fraction bits of `x`
    table : codes of `y`, finite
    width : significant bits kept of the difference of two words
    fn : name of the function (a note; not part of the unit's identity)
    """

    x: Minifloat
    y: Minifloat
    splits: tuple[int, ...]
    table: tuple[int, ...]
    width: int = 18
    fn: str | None = note()

    def __post_init__(self) -> None:
        if len(self.splits) != self.rows or not all(0 <= k <= self.x.fraction for k in self.splits):
            raise IntsimError(f"{self.x} has {self.rows} rows of 0 to {self.x.fraction} bits, got {self.splits}")
        if len(self.table) != self.bases[-1]:
            raise IntsimError(f"these splits need {self.bases[-1]} words, got {len(self.table)}")
        if min(self.table) < 0 or max(self.table) > self.y.hi or not np.isfinite(self.y.decode(self.table)).all():
            raise IntsimError(f"table words must be codes of finite {self.y} numbers")
        if not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise IntsimError(f"width must be {WIDTHS[0]} to {WIDTHS[1]} bits, got {self.width}; 18 is usual")

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Minifloat,
        y: Minifloat,
        *,
        entries: int = 256,
        width: int = 18,
        tau: float = 2.0**-14,
        domain: tuple[float, float] | None = None,
    ) -> ExponentTable:
        """At most `entries` segments, shared among the exponents for the least summed relative error."""
        from intsim.tables.design.exponent import design

        return design(fn, x, y, entries=entries, width=width, tau=tau, domain=domain)

    @property
    def rows(self) -> int:
        return 2 * ((1 << self.x.exponent) - 1)

    @property
    def bases(self) -> tuple[int, ...]:
        """First word of each row, and the number of words."""
        total, bases = 0, []
        for row, bits in enumerate(self.splits):
            total += row == self.rows // 2  # behind the last word of the positive rows
            bases.append(total)
            total += 1 << bits
        return (*bases, total + 1)

    @property
    def name(self) -> str:
        return f"exponent_{self.fn}_{self.x}" if self.fn and self.fn.isidentifier() else "exponent_table"

    def corners(self) -> tuple[np.ndarray, ...]:
        """Special codes; of every row the ends, the knots and the middles between them."""
        x = self.x
        codes = [x.infinity, x.nan, (1 << (x.bits - 1)) - 1]
        codes += [c | 1 << (x.bits - 1) for c in codes]
        for row, bits in enumerate(self.splits):
            half = self.rows // 2
            start = (row % half) << x.fraction | (row >= half) << (x.bits - 1)
            step = 1 << (x.fraction - bits)
            for place in range(0, 1 << x.fraction, max(step // 2, 1)):
                codes += [start + p for p in (place - 1, place, place + 1) if 0 <= p < 1 << x.fraction]
            codes.append(start + (1 << x.fraction) - 1)
        return (np.unique(np.array(codes)).astype(x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, y = self.x, self.y
        out = np.empty(columns[0].shape, dtype=y.dtype)
        words = [np.array(w, dtype=np.int64) for w in (self.splits, self.bases, self.table)]
        form = (x.bits, x.fraction, y.bits, y.fraction)
        run(exponent_table, columns[0].astype(np.int64), *words, self.width, y.nan, form, out)
        return {"y": out}


@exact
def exponent_table(x, splits, bases, table, width, nan, form, out):
    """The table function on every code of `x`."""
    x_bits, x_fraction, _, _ = form
    limit = infinity(x_bits, x_fraction)
    half = splits.size // 2
    for k in range(x.size):
        magnitude = x[k] & ((1 << (x_bits - 1)) - 1)
        if magnitude > limit:
            out[k] = nan
        else:
            magnitude = min(magnitude, limit - 1)
            row = (magnitude >> x_fraction) + half * (x[k] >> (x_bits - 1))
            t_bits = x_fraction - splits[row]
            fraction = magnitude & ((1 << x_fraction) - 1)
            address = bases[row] + (fraction >> t_bits)
            _, _, out[k] = blend_float(address, fraction & ((1 << t_bits) - 1), -t_bits, table, width, form)
