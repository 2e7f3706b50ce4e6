"""Reciprocal and inverse square root with the exponent apart: the table holds one octave (or two) of mantissas.

An anchor beside NLI, with the same interface: a table on the raw value spends its words on 31 octaves of binary16,
this one on a single octave (two for the inverse square root, whose exponent must be even). Prior art: RI-LUT (DAC
2023) and every hardware reciprocal; the layout and the special values are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int, Minifloat
from intsim.formats.minifloat import bit_length, exponent_of, infinity, pack, significand
from intsim.tables.one_variable import OneVariable
from intsim.unit import Unit

__all__ = ["NormalReciprocal", "RangeReduced", "normal_reciprocal"]

_FUNCTIONS = {"reciprocal": -1, "rsqrt": -2}  # the result's exponent is the input's divided by this


@dataclass(frozen=True)
class RangeReduced(OneVariable, Unit):
    """``1/x`` or ``1/sqrt(x)`` on floating-point ports by range reduction and linear interpolation.

    With ``|x| = (1 + f) * 2**e`` (subnormals normalised), for the reciprocal ``p = 0, k = e``, for the inverse square
    root ``p = e mod 2, k = (e - p) / 2``; ``i, t`` the first `index_bits` bits of `f` and the others::

        w = table[p * 2**index_bits + i]
        m = w - floor((w - table[p * 2**index_bits + i + 1]) * t / 2**bits(t))
        y = m * 2**(-frac - k), rounded to `y`, ties to even

    **Special values:** NaN gives NaN. The reciprocal keeps the sign; zeros and results beyond the largest number
    give the largest number of that sign; infinity gives zero. The inverse square root of a negative number is NaN,
    of a zero the largest number, of infinity zero.

    Parameters
    ----------
    fn : ``"reciprocal"`` or ``"rsqrt"``
    x, y : Minifloat
    index_bits : 2**index_bits segments per octave
    frac : fraction bits of the words, of which the first, for 1, is ``2**frac``
    table : ``2**index_bits + 1`` words, or twice as many and one for ``rsqrt``, descending
    """

    fn: str
    x: Minifloat
    y: Minifloat
    index_bits: int
    frac: int
    table: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.fn not in _FUNCTIONS:
            raise UnknownName("range-reduced function", self.fn, _FUNCTIONS)
        if not 1 <= self.index_bits <= self.x.fraction:
            raise IntsimError(f"index_bits must be 1 to {self.x.fraction} for {self.x}, got {self.index_bits}")
        if not 4 <= self.frac <= 40:
            raise IntsimError(f"frac must be 4 to 40, got {self.frac}; 16 serves binary16")
        words = (len(self.octaves) << self.index_bits) + 1
        if len(self.table) != words:
            raise IntsimError(f"{self.fn} with {self.index_bits} index bits needs {words} words, got {len(self.table)}")
        if any(a < b for a, b in zip(self.table, self.table[1:], strict=False)) or self.table[-1] < 1:
            raise IntsimError("the words must be positive and descend")
        if self.table[0] >> (self.frac + 1):
            raise IntsimError(f"the first word, for 1, is at most {(2 << self.frac) - 1}, got {self.table[0]}")

    @classmethod
    def design(cls, fn: str, x: Minifloat, y: Minifloat, *, index_bits: int = 5, frac: int = 16) -> RangeReduced:
        """The table of function values at equal steps of the mantissa, ties to even."""
        if fn not in _FUNCTIONS:
            raise UnknownName("range-reduced function", fn, _FUNCTIONS)
        octave = 1 + np.arange(1 << index_bits) / (1 << index_bits)
        places = np.append(octave, 2.0) if fn == "reciprocal" else np.concatenate([octave, 2 * octave, [4.0]])
        words = np.rint(places ** (1 / _FUNCTIONS[fn]) * 2.0**frac).astype(int)
        return cls(fn, x, y, index_bits, frac, tuple(words.tolist()))

    @property
    def octaves(self) -> range:
        """The octaves that the table holds: one, or two where the exponent is halved."""
        return range(-_FUNCTIONS[self.fn])

    @property
    def name(self) -> str:
        return f"range_reduced_{self.fn}_{self.x}"

    def corners(self) -> tuple[np.ndarray, ...]:
        """Special codes of both signs, and in several octaves both sides and the middle of every segment."""
        x = self.x
        sign = 1 << (x.bits - 1)
        special = np.array([0, 1, 2, (1 << x.fraction) - 1, 1 << x.fraction, x.largest, x.infinity, x.nan, sign - 1])
        step = 1 << (x.fraction - self.index_bits)
        places = (np.arange(0, 1 << x.fraction, max(step // 2, 1))[:, None] + np.arange(-1, 2)).reshape(-1)
        fields = np.array([1, 2, x.bias - 1, x.bias, x.bias + 1, 2 * x.bias]) << x.fraction
        near = np.clip((fields[:, None] + places).reshape(-1), 0, x.largest)
        codes = np.unique(np.concatenate([special, near, *self._witnesses()]))
        return (np.concatenate([codes, codes | sign]).astype(x.dtype),)

    def _witnesses(self) -> Iterator[np.ndarray]:
        """In the two octaves from 1 on, codes at which a changed word shows, for several sizes of the change."""
        x = self.x
        codes = (np.arange(2 << x.fraction) + (x.bias << x.fraction)).astype(x.dtype)
        y = self(codes)
        for g, word in enumerate(self.table):
            for change in (1, -1, 8, -8, 64, -64):
                words = (*self.table[:g], word + change, *self.table[g + 1 :])
                other = np.empty_like(y)
                self._look_up(codes, words, other)
                yield codes[other != y][:2]

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        out = np.empty(columns[0].shape, dtype=self.y.dtype)
        self._look_up(columns[0], self.table, out)
        return {"y": out}

    def _look_up(self, codes: np.ndarray, words: tuple[int, ...], out: np.ndarray) -> None:
        table = np.array(words, dtype=np.int64)
        form = (self.x.bits, self.x.fraction, self.y.bits, self.y.fraction)
        halved = self.fn == "rsqrt"
        run(range_reduced, codes.astype(np.int64), table, halved, self.index_bits, self.frac, form, self.y.nan, out)


@dataclass(frozen=True)
class NormalReciprocal(Unit):
    """The reciprocal of a positive integer as mantissa and exponent: ``1/x = mantissa * 2**-exponent``.

    With ``L`` the position of the leading one and ``f`` the bits behind it::

        exponent = L + bits
        mantissa = floor(2**(L + bits) / x)                     # index_bits = 0: a divider
        mantissa = as RangeReduced, `t_bits` bits behind the index   # else a table

    A softmax needs it once per row. 0 gives mantissa 0.

    Parameters
    ----------
    x : unsigned integer format, up to 46 bits
    bits : the mantissa lies in ``2**(bits - 1) .. 2**bits``
    index_bits : 0 for a divider, else 2**index_bits segments
    t_bits : bits of the position in a segment; what lies behind is dropped
    table : ``2**index_bits + 1`` words, descending from ``2**bits``; empty for a divider
    """

    x: Fixed
    bits: int = 16
    index_bits: int = 0
    t_bits: int = 0
    table: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.x.signed or self.x.bits > 46 or not 4 <= self.bits <= 16:
            raise IntsimError(f"x is unsigned of up to 46 bits, bits 4 to 16; got {self.x} and {self.bits}")
        if not 0 <= self.index_bits <= 12 or not 0 <= self.t_bits <= 24:
            raise IntsimError(f"index_bits must be 0 to 12 and t_bits 0 to 24, got {self.index_bits} and {self.t_bits}")
        words = (1 << self.index_bits) + 1 if self.index_bits else 0
        if len(self.table) != words:
            raise IntsimError(f"{self.index_bits} index bits need {words} words, got {len(self.table)}")
        if words and (self.table[0] > 1 << self.bits or min(self.table) < 1):
            raise IntsimError(f"words lie in [1, {1 << self.bits}], got {min(self.table)} and {self.table[0]}")
        if any(a < b for a, b in zip(self.table, self.table[1:], strict=False)):
            raise IntsimError("the words must descend")

    @classmethod
    def design(cls, x: Fixed, bits: int = 16, *, index_bits: int = 7, t_bits: int = 8) -> NormalReciprocal:
        """The unit with a table of 2**index_bits segments."""
        words = np.rint(2.0**bits / (1 + np.arange((1 << index_bits) + 1) / (1 << index_bits))).astype(int)
        return cls(x, bits, index_bits, t_bits, tuple(words.tolist()))

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {
            "mantissa": Int(self.bits + 1, False),
            "exponent": Int((self.bits + self.x.bits - 1).bit_length(), False),
        }

    def corners(self) -> tuple[np.ndarray, ...]:
        """Powers of two and their neighbours, and in two octaves both sides of every knot."""
        points = {0, 1, 2, 3, self.x.hi - 1, self.x.hi}
        for k in range(self.x.bits):
            points.update((1 << k) + d for d in (-1, 0, 1))
        for top in {min(self.index_bits + self.t_bits, self.x.bits - 1), self.x.bits - 1}:
            step = max(1 << top >> self.index_bits >> 1, 1)
            points.update(v + d for v in range(1 << top, 2 << top, max(step, (1 << top) >> 13)) for d in (-1, 0, 1))
        inside = sorted(p for p in points if 0 <= p <= self.x.hi)
        return (np.array(inside, dtype=self.x.dtype),)

    def constants(self) -> tuple[Any, ...]:
        """What :func:`normal_reciprocal` takes behind the value."""
        return self.bits, np.array(self.table or (0,), dtype=np.int64), self.index_bits, self.t_bits

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        mantissa, exponent = np.empty((2, columns[0].size), dtype=np.int64)
        run(normal_reciprocals, columns[0].astype(np.int64), *self.constants(), mantissa, exponent)
        outputs = self.outputs
        return {
            "mantissa": mantissa.astype(outputs["mantissa"].dtype),
            "exponent": exponent.astype(outputs["exponent"].dtype),
        }


@exact
def octave_word(row, fraction, fraction_bits, table, index_bits):
    """Word of a descending table, interpolated at ``fraction / 2**fraction_bits`` of octave `row`."""
    t_bits = fraction_bits - index_bits
    place = (row << index_bits) + (fraction >> t_bits)
    t = fraction & ((1 << t_bits) - 1)
    return table[place] - (((table[place] - table[place + 1]) * t) >> t_bits)


@exact
def normal_reciprocal(value, bits, table, index_bits, t_bits):
    """Mantissa and exponent of ``1 / value``; 0 and 0 for 0."""
    if value == 0:
        return 0, 0
    length = bit_length(value) - 1
    if index_bits == 0:
        return (1 << (length + bits)) // value, length + bits
    kept = index_bits + t_bits
    fraction = value - (1 << length)
    aligned = fraction >> (length - kept) if length > kept else fraction << (kept - length)
    return octave_word(0, aligned, kept, table, index_bits), length + bits


@exact
def normal_reciprocals(x, bits, table, index_bits, t_bits, out_mantissa, out_exponent):
    """:func:`normal_reciprocal` of every element."""
    for k in range(x.size):
        out_mantissa[k], out_exponent[k] = normal_reciprocal(x[k], bits, table, index_bits, t_bits)


@exact
def range_reduced(x, table, halved, index_bits, frac, form, nan, out):
    """Reciprocal, or if `halved` inverse square root, of every code of `x`."""
    x_bits, x_fraction, y_bits, y_fraction = form
    limit, largest = infinity(x_bits, x_fraction), infinity(y_bits, y_fraction) - 1
    for k in range(x.size):
        magnitude = x[k] & ((1 << (x_bits - 1)) - 1)
        negative = x[k] >> (x_bits - 1)
        if magnitude > limit or (halved and negative != 0 and magnitude > 0):
            out[k] = nan
        elif magnitude == limit:
            out[k] = negative << (y_bits - 1)
        elif magnitude == 0:
            out[k] = largest | (0 if halved else negative << (y_bits - 1))
        else:
            m, e = significand(magnitude, x_bits, x_fraction), exponent_of(magnitude, x_bits, x_fraction)
            length = bit_length(m) - 1
            fraction = (m << (x_fraction - length)) & ((1 << x_fraction) - 1)
            e += length
            row = e & 1 if halved else 0
            word = octave_word(row, fraction, x_fraction, table, index_bits)
            code = pack(word, -frac - (e >> 1 if halved else e), y_bits, y_fraction)
            out[k] = min(code, largest) | (negative << (y_bits - 1))
