"""DH-LUT: the exponential of a block floating-point number by a table of two levels.

Source: DB-Attn (arXiv 2502.00026, AAAI 2025). **The paper's** (as a survey relays it): a two-dimensional table for
softmax's exponentials, first index the shared exponent, second the mantissa; "dynamic", because only the sub-table
of the exponents at hand need be near the lanes. **Ours:** sizes, words, and the factored form, in which the mantissa
is split and two small words are multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int
from intsim.formats.span import Span
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.unit import Unit

__all__ = ["DHLUT", "dh_exp"]


@dataclass(frozen=True)
class DHLUT(Unit):
    """``exp(-q * 2**(E + 1 - bits))`` from two levels of words: level one by exponent, level two by mantissa.

    ::

        full (low_bits = 0):   y = high[E - lo][q]
        factored:              y = round(high[E - lo][q >> low_bits] * low[E - lo][q mod 2**low_bits] / 2**frac)

    The largest mantissa of the largest exponent stands for everything beyond and gives 0, if the table says so.

    Parameters
    ----------
    bits : of the mantissa `q`, unsigned
    lo, hi : exponents `E`
    frac : fraction bits of the words; 1.0 is ``2**frac``
    high, low : words by exponent, all rows concatenated; `low` is empty in the full form
    low_bits : mantissa bits that the second factor takes; 0 for the full form
    rounding : of the product of the factored form
    """

    bits: int
    lo: int
    hi: int
    frac: int
    high: tuple[int, ...]
    low: tuple[int, ...] = ()
    low_bits: int = 0
    rounding: Rounding = TIES_TO_POS

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16 or not 0 <= self.low_bits < self.bits:
            raise IntsimError(f"a mantissa has 1 to 16 bits, fewer of them low, got {self.bits} and {self.low_bits}")
        if not 1 <= self.frac <= 30:
            raise IntsimError(f"frac must be 1 to 30, got {self.frac}; 15 fills 16-bit words")
        if self.lo > self.hi:
            raise IntsimError(f"exponents need lo <= hi, got [{self.lo}, {self.hi}]")
        rows = self.hi - self.lo + 1
        sizes = rows << (self.bits - self.low_bits), (rows << self.low_bits) * (self.low_bits > 0)
        if (len(self.high), len(self.low)) != sizes:
            raise IntsimError(f"the tables need {sizes} words, got {len(self.high)} and {len(self.low)}")
        words = (*self.high, *self.low)
        if min(words) < 0 or max(words) > 1 << self.frac:
            raise IntsimError(f"words lie in [0, {1 << self.frac}], got {min(words)} and {max(words)}")

    @classmethod
    def design(
        cls,
        bits: int = 7,
        lo: int = -8,
        hi: int = 3,
        *,
        frac: int = 15,
        low_bits: int = 0,
        end_is_zero: bool = True,
        rounding: Rounding = TIES_TO_POS,
    ) -> DHLUT:
        """The exponential's words, each rounded ties-to-even.

        Parameters
        ----------
        low_bits : 0 for the full table; 3 of 7 makes 16 + 8 words per exponent of 128
        end_is_zero : the largest mantissa at the largest exponent, to which everything beyond saturates, gives 0
        """
        step = np.ldexp(1.0, np.arange(lo, hi + 1) + 1 - bits)[:, None]
        high = np.rint(np.exp(-step * (np.arange(1 << (bits - low_bits)) << low_bits)) * 2.0**frac).astype(int)
        low = np.rint(np.exp(-step * np.arange(1 << low_bits)) * 2.0**frac).astype(int)
        if end_is_zero:
            # factored, that is the last group of mantissas: all below 2**-frac where hi is 3 or more
            high[-1, -1] = 0
        flat = (tuple(high.reshape(-1).tolist()), tuple(low.reshape(-1).tolist()) if low_bits else ())
        return cls(bits, lo, hi, frac, *flat, low_bits, rounding)

    @property
    def inputs(self) -> Mapping[str, Format]:
        width = max(self.hi.bit_length(), (-self.lo - 1).bit_length() if self.lo < 0 else 0) + 1
        return {"exponent": Span(width, self.lo, self.hi), "q": Int(self.bits, False)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self.frac + 1, self.frac, False)}

    @property
    def table_bits(self) -> int:
        """Bits of all words."""
        return (len(self.high) + len(self.low)) * (self.frac + 1)

    def real(self, *values: Any) -> Any:
        exponent, q = (np.asarray(v, dtype=np.float64) for v in values)
        return np.exp(-q * 2.0 ** (exponent + 1 - self.bits))

    def corners(self) -> tuple[np.ndarray, ...]:
        """Every word there is: all exponents with all mantissas."""
        e, q = self.inputs.values()
        grid = np.meshgrid(np.arange(self.lo, self.hi + 1), np.arange(1 << self.bits), indexing="ij")
        return tuple(axis.reshape(-1).astype(fmt.dtype) for axis, fmt in zip(grid, (e, q), strict=True))

    def constants(self) -> tuple[Any, ...]:
        """What :func:`dh_exp` takes behind exponent and mantissa."""
        high = np.array(self.high, dtype=np.int64)
        low = np.array(self.low or (0,), dtype=np.int64)
        return high, low, self.lo, self.bits, self.low_bits, self.frac, int(self.rounding)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        exponent, q = columns
        y = np.empty(q.shape, dtype=self.outputs["y"].dtype)
        run(dh_exp_all, exponent.astype(np.int64), q.astype(np.int64), *self.constants(), y)
        return {"y": y}


@exact
def dh_exp(exponent, q, high, low, lo, bits, low_bits, frac, rounding):
    """``exp(-q 2**(exponent + 1 - bits))`` in units of ``2**-frac``."""
    row = exponent - lo
    first = high[(row << (bits - low_bits)) + (q >> low_bits)]
    if low_bits == 0:
        return first
    return shift_round(first * low[(row << low_bits) + (q & ((1 << low_bits) - 1))], frac, rounding)


@exact
def dh_exp_all(exponent, q, high, low, lo, bits, low_bits, frac, rounding, out):
    """:func:`dh_exp` of every element."""
    for k in range(q.size):
        out[k] = dh_exp(exponent[k], q[k], high, low, lo, bits, low_bits, frac, rounding)
