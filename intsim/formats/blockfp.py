"""Block floating point: elements of a block share an exponent, and each keeps an integer mantissa.

:class:`BFP` aligns every element to the block's largest exponent. :class:`DBFP` aligns to a pivot instead.

Source of DBFP: DB-Attn, "Pushing the Limits of BFP on Narrow Precision LLM Inference" (arXiv 2502.00026, AAAI 2025).
**The paper's:** the pivot, with the median exponent as its example, instead of the maximum; elements of similar
size share an exponent ("adaptive grouping"), which shortens shifts and isolates outliers. **Ours**, because widths,
rounding and grouping rule are not published: the pivot is the exponent of a given rank in the block, limited to
``[lo, hi]``; larger elements saturate, smaller ones are shifted; instead of sorting elements into groups each
carries a tag bit that selects one of two exponents, ``E`` and ``E - delta``, the smaller one that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, is_compiled, run
from intsim.formats.base import smallest_dtype
from intsim.formats.fixed import round_real
from intsim.formats.minifloat import bit_length
from intsim.parameters import Parameters
from intsim.rounding import TIES_TO_POS, Rounding, saturate, shift_round

__all__ = ["BFP", "DBFP", "Blocks", "encode_blocks"]


_KERNEL_SIZE = 1 << 13  # elements from which a kernel may stand in for the plain operator


@dataclass(frozen=True, eq=False)
class Blocks:
    """An array in block floating point: what :meth:`DBFP.encode` gives and what block products take.

    Attributes
    ----------
    format : DBFP
    mantissas : integers (..., n)
    tags : 0 and 1 (..., n); 1 for the block's larger exponent, always 1 where the format has one exponent
    exponents : integers (..., ceil(n / group)), the larger exponent of each block
    """

    format: DBFP
    mantissas: np.ndarray
    tags: np.ndarray
    exponents: np.ndarray

    def decode(self) -> np.ndarray:
        """The real values, float64."""
        return self.format.decode(self)


@dataclass(frozen=True)
class DBFP(Parameters):
    """Block floating point with a pivot exponent and, if `delta` is not 0, a second exponent chosen by a tag.

    With ``e`` the exponent ``floor(log2 |v|)`` of an element (`lo` for zero) and ``b = bits - signed`` magnitude
    bits, over a block of `group` elements::

        E    = the smallest exponent that pivot % of the elements (rounded up) do not exceed, limited to [lo, hi]
        tag  = 0 if delta > 0 and |round(v / 2**(E - delta + 1 - b))| < 2**b, else 1
        q    = round(v / 2**(E - (1 - tag) * delta + 1 - b)), saturated to magnitude 2**b - 1

    Parameters
    ----------
    bits : of a mantissa, with its sign if signed; the tag comes on top
    group : elements of a block; the last block of a row may have fewer
    pivot : rank in percent: 100 is the maximum, 50 the median
    lo, hi : limits of the shared exponent; a `hi` below the largest exponent is the "clipped maximum"
    delta : distance of the second exponent below the first; 0 for one exponent and no tag
    signed : whether values have a sign
    rounding : of ``v / lsb``
    """

    bits: int = 7
    group: int = 32
    pivot: int = 100
    lo: int = -8
    hi: int = 3
    delta: int = 2
    signed: bool = False
    rounding: Rounding = TIES_TO_POS

    def __post_init__(self) -> None:
        if not 1 <= self.magnitude <= 24:
            raise IntsimError(f"a mantissa has 1 to 24 bits beside its sign, got {self.magnitude}")
        if self.group < 1:
            raise IntsimError(f"a block has at least 1 element, got group={self.group}")
        if not 1 <= self.pivot <= 100:
            raise IntsimError(f"pivot is a rank of 1 to 100 percent, got {self.pivot}; 100 is the maximum")
        if self.lo > self.hi or max(-self.lo, self.hi) > 512:
            raise IntsimError(f"exponents need lo <= hi within +-512, got [{self.lo}, {self.hi}]")
        if not 0 <= self.delta <= 32:
            raise IntsimError(f"delta must be 0 to 32, got {self.delta}")

    def __str__(self) -> str:
        return f"dbfp{self.bits}{'s' if self.signed else 'u'}g{self.group}"

    @property
    def magnitude(self) -> int:
        """Bits of a mantissa's magnitude."""
        return self.bits - self.signed

    @property
    def largest(self) -> int:
        """The largest mantissa; the smallest is its negative, or 0 without sign."""
        return (1 << self.magnitude) - 1

    @property
    def exponents(self) -> int:
        """How many values the shared exponent can take."""
        return self.hi - self.lo + 1

    def blocks(self, n: int) -> int:
        """Blocks of a row of `n` elements."""
        return -(-n // self.group)

    def storage(self, n: int) -> int:
        """Bits that a row of `n` elements takes: mantissas, tags, shared exponents."""
        return n * (self.bits + (self.delta > 0)) + self.blocks(n) * max((self.exponents - 1).bit_length(), 1)

    def quantize(self, codes: Any, frac: int) -> Blocks:
        """Blocks for fixed-point numbers ``codes * 2**-frac``, by integer arithmetic alone: what an encoder does.

        Parameters
        ----------
        codes : integers (..., n) of magnitude below 2**60, none negative if the format has no sign

        Raises
        ------
        DtypeError, IntsimError
            Not integers, no axis, empty, or negative where unsigned.
        """
        array = np.asarray(codes)
        if array.dtype.kind not in "iu":
            raise DtypeError(f"blocks are made of integer codes here, got {array.dtype}; use encode for real values")
        self._check(array)
        if array.dtype == np.int32 and array.size >= _KERNEL_SIZE and is_compiled():
            from intsim.kernels.quantise_blocks import quantise

            found = quantise(self, np.ascontiguousarray(array).reshape(-1, array.shape[-1]), frac)
            if found is not None:
                return self._shaped(array.shape, found[0], np.ones(array.shape, dtype=np.uint8), found[1])
        if max(int(array.max()), -int(array.min())) >> 60:
            raise IntsimError("codes must stay below 2**60 in magnitude; shift them to the right")
        rows = np.ascontiguousarray(array, dtype=np.int64).reshape(-1, array.shape[-1])
        valid = np.ones(rows.shape, dtype=np.uint8)
        q, tags = np.empty((2, *rows.shape), dtype=np.int64)
        exponents = np.empty((rows.shape[0], self.blocks(rows.shape[1])), dtype=np.int64)
        run(encode_blocks, rows, valid, frac, *self.constants(), exponents, tags, q)
        return self._shaped(array.shape, q, tags, exponents)

    def encode(self, values: Any) -> Blocks:
        """Blocks for real values ``(..., n)``.

        Raises
        ------
        IntsimError
            Not finite, no axis, empty, or negative where unsigned.
        """
        array = np.asarray(values, dtype=np.float64)
        if not np.all(np.isfinite(array)):
            raise IntsimError("blocks hold no NaN or infinity; remove them before encoding")
        self._check(array)
        rows = array.reshape(-1, array.shape[-1])
        n, count = rows.shape[1], self.blocks(rows.shape[1])
        own = np.clip(np.where(rows == 0, self.lo, np.frexp(rows)[1] - 1), self.lo, self.hi)
        exponents = np.empty((rows.shape[0], count), dtype=np.int64)
        for block in range(count):
            part = np.sort(own[:, block * self.group : (block + 1) * self.group], axis=1)
            exponents[:, block] = part[:, -(-part.shape[1] * self.pivot // 100) - 1]
        shared = np.repeat(exponents, self.group, axis=1)[:, :n]
        step = shared + 1 - self.magnitude
        near = round_real(np.ldexp(rows, self.delta - step), self.rounding)
        tags = np.where((self.delta > 0) & (np.abs(near) <= self.largest), 0, 1)
        q = np.where(tags == 0, near, round_real(np.ldexp(rows, -step), self.rounding))
        q = np.clip(q, -self.largest if self.signed else 0, self.largest).astype(np.int64)
        return self._shaped(array.shape, q, tags, exponents)

    def decode(self, blocks: Blocks) -> np.ndarray:
        """The real values of `blocks`, float64."""
        n = blocks.mantissas.shape[-1]
        shared = np.repeat(blocks.exponents.astype(np.int64), self.group, axis=-1)[..., :n]
        step = shared - (1 - blocks.tags.astype(np.int64)) * self.delta + 1 - self.magnitude
        return np.ldexp(blocks.mantissas.astype(np.float64), step)

    def constants(self) -> tuple[int, ...]:
        """What :func:`encode_blocks` takes between the fraction bits and its outputs."""
        return (
            self.group,
            self.pivot,
            self.lo,
            self.hi,
            self.delta,
            self.magnitude,
            -self.largest if self.signed else 0,
            int(self.rounding),
        )

    def _check(self, array: np.ndarray) -> None:
        if array.ndim == 0 or array.size == 0:
            raise IntsimError(f"blocks run along the last axis; got an array of shape {array.shape}")
        if not self.signed and array.min() < 0:
            raise IntsimError(f"{self} holds no negative numbers, found {array.min()}; use signed=True")

    def _shaped(self, shape: tuple[int, ...], q: np.ndarray, tags: np.ndarray, exponents: np.ndarray) -> Blocks:
        kind = smallest_dtype(-self.largest, self.largest)
        return Blocks(
            self,
            q.astype(kind, copy=False).reshape(shape),
            tags.astype(np.uint8, copy=False).reshape(shape),
            exponents.astype(np.int16).reshape(*shape[:-1], -1),
        )


def BFP(bits: int = 8, group: int = 32, *, lo: int = -126, hi: int = 127, rounding: Rounding = TIES_TO_POS) -> DBFP:
    """Plain block floating point: signed mantissas, one exponent, that of the block's largest element."""
    return DBFP(bits, group, 100, lo, hi, 0, True, rounding)


@exact
def element_exponent(code, frac, lo, hi):
    """The exponent of ``code * 2**-frac`` limited to ``[lo, hi]``; `lo` for zero."""
    length = bit_length(abs(code))
    return saturate(length - 1 - frac, lo, hi) if length > 0 else lo


@exact
def pivot_exponent(x, valid, i, start, stop, frac, pivot, lo, hi):
    """The smallest exponent in ``[lo, hi]`` that `pivot` % (rounded up) of a block's valid elements do not exceed."""
    count = 0
    for j in range(start, stop):
        count += valid[i, j] != 0
    wanted = (count * pivot + 99) // 100
    least, most = lo, hi
    while least < most:
        middle = (least + most) >> 1
        reached = 0
        for j in range(start, stop):
            reached += (valid[i, j] != 0) & (element_exponent(x[i, j], frac, lo, hi) <= middle)
        if reached >= wanted:
            most = middle
        else:
            least = middle + 1
    return least


@exact
def encode_element(code, frac, exponent, delta, magnitude, least, rounding):
    """Tag and mantissa of ``code * 2**-frac`` in a block of this shared exponent."""
    largest = (1 << magnitude) - 1
    shift = exponent + 1 - magnitude + frac
    if delta > 0:
        near = fitting(code, shift - delta, magnitude, rounding)
        if abs(near) <= largest:
            return 0, near
    return 1, saturate(fitting(code, shift, magnitude, rounding), least, largest)


@exact
def fitting(code, shift, magnitude, rounding):
    """``code / 2**shift`` rounded; beyond the magnitude some larger number of the same sign, so nothing overflows."""
    if code != 0 and bit_length(abs(code)) - shift > magnitude + 1 and shift < 0:
        return (1 << (magnitude + 1)) - (code < 0) * (1 << (magnitude + 2))
    return shift_round(code, shift, rounding)


@exact
def encode_blocks(
    x, valid, frac, group, pivot, lo, hi, delta, magnitude, least, rounding, out_exponent, out_tag, out_q
):
    """Shared exponents, tags and mantissas of the rows of `x`; an element that is not valid takes no part."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        for block in range(out_exponent.shape[1]):
            start, stop = block * group, min((block + 1) * group, n)
            exponent = pivot_exponent(x, valid, i, start, stop, frac, pivot, lo, hi)
            out_exponent[i, block] = exponent
            for j in range(start, stop):
                out_tag[i, j], out_q[i, j] = encode_element(x[i, j], frac, exponent, delta, magnitude, least, rounding)
