"""DB-Attn's softmax: distances to the maximum in dynamic block floating point, exponentials from a two-level table.

Source: DB-Attn (arXiv 2502.00026, AAAI 2025). **The paper's:** the format with a pivot exponent
(:class:`~intsim.formats.blockfp.DBFP`), the table indexed by shared exponent and mantissa
(:class:`~intsim.tables.dhlut.DHLUT`). **Ours**, since no text of substance was at hand: the passes of the engine, one
normalised reciprocal per row, every width and rounding, and the single-pass form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int
from intsim.formats.blockfp import DBFP, element_exponent, encode_element, pivot_exponent
from intsim.nonlinear.softmax_base import NormalisedSum, RowSoftmax, with_valid
from intsim.operators import from_scale, require_int
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.rows import row_corners, sum_rows
from intsim.tables.dhlut import DHLUT, dh_exp
from intsim.tables.range_reduced import NormalReciprocal, normal_reciprocal

__all__ = ["DBAttnSoftmax"]


@dataclass(frozen=True)
class DBAttnSoftmax(NormalisedSum, RowSoftmax):
    """Softmax by block floating point and DH-LUT.

    The engine's passes over a row::

        1  top = max x
        2  d = (top - x) * multiplier * 2**-frac;  blocks of `format`: pivot E, tags, mantissas q
           e = table(E - (1 - tag) * delta, q);  sum
        3  f, s = reciprocal(sum);  y = round(e * f / 2**(s - out_bits + 1))      # scale 2**-(out_bits - 1)

    **Single pass** (`online`): block by block the maximum so far stands in for `top`; where a block raises it, the sum
    is multiplied by the table's value of the rise (a block of one element), and so is at the end every block's `e`
    by that of its maximum's distance from the last one; products are rounded to the table's fraction bits. The row
    is then read once, and only `e` and one maximum per block are kept.

    Parameters
    ----------
    format : DBFP
        Unsigned format of the distances.
    table : DHLUT
        Covers the exponents ``lo - delta .. hi`` of `format` with its mantissas.
    multiplier, frac : the real step of a code of `x` is ``multiplier * 2**-frac``
    reciprocal : NormalReciprocal
        Divider or table; None makes a table of 128 segments, wide enough for `max_row`.
    out_bits : of the result, unsigned; 1.0 is ``2**(out_bits - 1)``
    online : the single-pass form
    rounding : of products
    """

    format: DBFP
    table: DHLUT
    multiplier: int
    frac: int
    reciprocal: NormalReciprocal | None = None
    out_bits: int = 16
    online: bool = False
    _: KW_ONLY
    rounding: Rounding = TIES_TO_POS

    def __post_init__(self) -> None:
        self._check_row()
        fmt, table = self.format, self.table
        require_int(self, "multiplier", 1, (1 << 24) - 1, "use a smaller mantissa for the scale")
        require_int(self, "frac", -32, 62, "it is the exponent of the scale")
        require_int(self, "out_bits", 2, 24, "the table has some 16 bits")
        if fmt.signed:
            raise IntsimError("distances have no sign; use a DBFP with signed=False")
        if (table.bits, table.lo, table.hi) != (fmt.bits, fmt.lo - fmt.delta, fmt.hi):
            raise IntsimError(
                f"the table needs {fmt.bits} bits and exponents {fmt.lo - fmt.delta}..{fmt.hi}, "
                f"has {table.bits} and {table.lo}..{table.hi}"
            )
        if max(table.high[r << (table.bits - table.low_bits)] for r in range(table.hi - table.lo + 1)) < 1:
            raise IntsimError("the table must be positive at distance 0")
        distance = (self.x.hi - self.x.lo) * self.multiplier
        if distance >> 60:
            raise IntsimError(f"distance * multiplier needs {distance.bit_length()} bits of 60; use a narrower input")
        largest = self.max_row << table.frac
        if self.reciprocal is None:
            object.__setattr__(self, "reciprocal", NormalReciprocal.design(Int(largest.bit_length(), False)))
        self._check_reciprocal(largest)

    @classmethod
    def design(
        cls,
        scale: float,
        *,
        bits: int = 7,
        group: int = 32,
        pivot: int = 100,
        lo: int = -8,
        hi: int = 3,
        delta: int = 2,
        low_bits: int = 0,
        frac: int = 15,
        **options: Any,
    ) -> DBAttnSoftmax:
        """The unit for scores of real step `scale`: mantissa of the step 16 bits, fewer where it is exact with fewer.

        Parameters
        ----------
        bits, group, pivot, lo, hi, delta : of :class:`DBFP`; the defaults are the maximum exponent limited to 3 (a
            distance of 16), and a second one 2 below
        low_bits, frac : of :class:`DHLUT`
        options : fields of the unit
        """
        m, k = from_scale(scale)
        if m >> 16:
            drop = m.bit_length() - 16
            m, k = (m + (1 << (drop - 1))) >> drop, k - drop
        table = DHLUT.design(bits, lo - delta, hi, frac=frac, low_bits=low_bits)
        return cls(DBFP(bits, group, pivot, lo, hi, delta), table, m, k, scale=from_scale(scale), **options)

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self.out_bits, self.out_bits - 1, signed=False)}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.multiplier << max(-self.frac, 0), 1 << max(self.frac, 0))

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates for rows up to `max_row`, unsigned but for ``exponent``."""
        fmt, frac = self.format, self.table.frac
        return {
            "distance": ((self.x.hi - self.x.lo) * self.multiplier).bit_length(),
            "exponent": max(fmt.hi.bit_length(), (-(fmt.lo - fmt.delta) - 1).bit_length()) + 1,
            "q": fmt.bits,
            "e": frac + 1,
            "sum": (self.max_row << frac).bit_length(),
            "factor": self.factor.bits + 1,
            "product": frac + 1 + self.factor.bits + 1,
        }

    def corners(self) -> tuple[np.ndarray, ...]:
        per_unit = Fraction(1, self.implied_scale)  # codes of `x` in a distance of 1
        limits = [per_unit * Fraction(2) ** k for k in range(self.format.lo, self.format.hi + 2)]
        powers = [int(limit) + d for limit in limits for d in (-1, 0, 1)]
        halving = Fraction(6931, 10000) * per_unit
        # two blocks where the row allows it, so that exponents differ inside a row
        width = min(self.max_row, max(2 * self.format.group, 24), 80)
        rows = row_corners(self.x, self.max_row, halving, 24, powers, width)
        telling = [[self.x.hi - d * (j % 2) for j in range(rows.shape[1])] for d in self._telling()]
        sums = sum_rows(self.x, rows.shape[1], halving)
        slight = np.array(telling, self.x.dtype).reshape(-1, rows.shape[1])
        return self._corner_ports(np.concatenate([rows, slight, sums]))

    def _telling(self) -> list[int]:
        """Distances that round differently with the least change of the multiplier, for every step of a mantissa."""
        fmt, found = self.format, []
        distance = np.arange(1, min(self.x.hi - self.x.lo, 1 << 12) + 1)
        product = distance * self.multiplier
        for exponent in range(fmt.lo, fmt.hi + 1):
            step = 1 << max(self.frac + exponent + 1 - fmt.magnitude, 1)
            from_tie = product % step - step // 2
            here = (product < step << fmt.magnitude) & (abs(from_tie) <= distance)
            for side in (from_tie >= 0, from_tie < 0):  # a change by one moves a distance's product by the distance
                near = distance[here & side]
                found += [int(d) for d in np.concatenate([near[:3], near[-3:]])]
        return found

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x, valid = with_valid(columns)
        x = x.astype(np.int64)
        self._check_row_sum(x.shape[1], 1 << self.table.frac)
        rows, n = x.shape
        distance, tag, q, e = np.empty((4, *x.shape), dtype=np.int64)
        exponents, tops, rescale = np.empty((3, rows, self.format.blocks(n)), dtype=np.int64)
        total, factor, shift = np.empty((3, rows), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        fmt = self.format
        form = (fmt.group, fmt.pivot, fmt.lo, fmt.hi, fmt.delta, fmt.magnitude, int(fmt.rounding))
        high, low, *split = self.table.constants()
        bits, words, *index = self.factor.constants()
        run(
            db_attn_rows, x, valid, self.multiplier, self.frac, form, high, low, tuple(split), bits, words,
            tuple(index), self.online, self.out_bits, int(self.rounding),
            tops, distance, exponents, tag, q, e, rescale, total, factor, shift, y,
        )  # fmt: skip
        return {
            "distance": distance, "tag": tag, "q": q, "e": e, "sum": total, "factor": factor, "shift": shift, "y": y,
        }  # fmt: skip


@exact
def block_exp(distance, frac, exponent, form, high, low, split):
    """Tag, mantissa and exponential of one distance in a block of this exponent."""
    _, _, _, _, delta, magnitude, rounding = form
    lo, bits, low_bits, e_frac, e_rounding = split
    tag, q = encode_element(distance, frac, exponent, delta, magnitude, 0, rounding)
    return tag, q, dh_exp(exponent - (1 - tag) * delta, q, high, low, lo, bits, low_bits, e_frac, e_rounding)


@exact
def lone_exp(distance, frac, form, high, low, split):
    """The exponential of a distance that is a block of its own."""
    _, _, lo, hi, _, _, _ = form
    _, _, e = block_exp(distance, frac, element_exponent(distance, frac, lo, hi), form, high, low, split)
    return e


@exact
def block_top(x, valid, i, start, stop, found, top):
    """Whether a valid element has been found up to the end of a block, and the largest so far."""
    for j in range(start, stop):
        if valid[i, j] != 0:
            top = max(top, x[i, j]) if found else x[i, j]
            found = True
    return found, top


@exact
def db_attn_rows(
    x, valid, multiplier, frac, form, high, low, split, bits, words, index, online, out_bits, rounding,
    out_tops, out_distance, out_exponents, out_tag, out_q, out_e, out_rescale, out_sum, out_factor, out_shift, out,
):  # fmt: skip
    """The softmax of every row; `online`: with the maximum so far in each block."""
    group, pivot, lo, hi, _, _, _ = form
    index_bits, t_bits = index
    e_frac = split[3]
    n, blocks = x.shape[1], out_exponents.shape[1]
    for i in range(x.shape[0]):
        found, top = False, 0
        if not online:
            found, top = block_top(x, valid, i, 0, n, found, top)
        total = 0
        for block in range(blocks):
            start, stop = block * group, min((block + 1) * group, n)
            if online:
                before, had = top, found
                found, top = block_top(x, valid, i, start, stop, found, top)
                if had and top > before:
                    rise = lone_exp((top - before) * multiplier, frac, form, high, low, split)
                    total = shift_round(total * rise, e_frac, rounding)
            out_tops[i, block] = top
            for j in range(start, stop):
                out_distance[i, j] = (top - x[i, j]) * multiplier if valid[i, j] != 0 else 0
            exponent = pivot_exponent(out_distance, valid, i, start, stop, frac, pivot, lo, hi)
            out_exponents[i, block] = exponent
            for j in range(start, stop):
                tag, q, e = block_exp(out_distance[i, j], frac, exponent, form, high, low, split)
                out_tag[i, j] = tag
                out_q[i, j] = q
                out_e[i, j] = e if valid[i, j] != 0 else 0
                total += out_e[i, j]
        factor, shift = normal_reciprocal(total, bits, words, index_bits, t_bits)
        for block in range(blocks):
            rescale = 1 << e_frac
            if top > out_tops[i, block]:
                rescale = lone_exp((top - out_tops[i, block]) * multiplier, frac, form, high, low, split)
            out_rescale[i, block] = rescale
            for j in range(block * group, min((block + 1) * group, n)):
                e = shift_round(out_e[i, j] * rescale, e_frac, rounding)
                out[i, j] = shift_round(e * factor, shift - out_bits + 1, rounding)
        out_sum[i] = total
        out_factor[i] = factor
        out_shift[i] = shift
