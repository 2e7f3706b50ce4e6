"""I-LLM's linear operators on quantised tensors: DI-MatMul and the residual add, both requantised dynamically."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, run
from intsim.formats.base import smallest_dtype
from intsim.formats.quantized import Quantized
from intsim.linear.dynamic import DynamicRequantize
from intsim.linear.matmul import PackedWeights, matmul, pack, prove_width
from intsim.parameters import Parameters
from intsim.rounding import TIES_AWAY, TO_NEG, Rounding, divide_round
from intsim.unit import takes_kernel

__all__ = ["DIMatMul", "DIResidualAdd", "PackedQuantized", "Sums", "add_bias", "requantize_rows"]


@dataclass(frozen=True, eq=False)
class Sums:
    """Inner products before their columns share a scale: ``(values * factors) >> drop`` of scale ``m / 2**k``.

    Attributes
    ----------
    values : int32 or int64 (..., M, N)
    factors, drop : int64, (N,) or (..., 1, N), or one number: mantissas of the columns, and shifts up to 63
    m, k : scale of each row, (..., M, 1) or broadcasting to it
    """

    values: np.ndarray
    factors: np.ndarray
    drop: np.ndarray
    m: np.ndarray
    k: np.ndarray

    def aligned(self) -> np.ndarray:
        """The products at the scale of their row, int64."""
        *batch, rows, width = self.values.shape
        factors, drop = (
            np.ascontiguousarray(np.broadcast_to(v, (*batch, 1, width))).reshape(-1, width)
            for v in (self.factors, self.drop)
        )
        out = np.empty(self.values.shape, dtype=np.int64)
        run(align_columns, self.values.reshape(-1, rows, width), factors, drop, out.reshape(-1, rows, width))
        return out


@dataclass(frozen=True, eq=False)
class PackedQuantized:
    """A quantised matrix of weights, its integers in the machine's order only; :meth:`of` makes it.

    Attributes
    ----------
    codes : (K, N), the integers that the scale multiplies
    m, k : int64, the scale of all or of each column
    """

    codes: PackedWeights
    m: np.ndarray
    k: np.ndarray

    @classmethod
    def of(cls, weights: Quantized) -> PackedQuantized:
        """The same weights, ordered once.

        Raises
        ------
        IntsimError
            Not a matrix, or a scale that varies along the reduction.
        """
        _check_columns(weights)
        return cls(pack(weights.narrow_centred), weights.m, weights.k)

    @property
    def shape(self) -> tuple[int, int]:
        return self.codes.shape

    @property
    def granularity(self) -> str:
        """``tensor`` or ``channel``."""
        return "tensor" if self.m.size == self.k.size == 1 else "channel"

    def unpacked(self) -> Quantized:
        """The weights in rows and columns, of the smallest integer type that holds them."""
        codes = self.codes.values()
        return Quantized(codes.astype(smallest_dtype(int(codes.min()), int(codes.max()))), self.m, self.k)


@dataclass(frozen=True)
class DIMatMul(Parameters):
    """I-LLM's DI-MatMul: an integer product of two quantised tensors, requantised row by row.

    ::

        P = (X1 - zp1) (X2 - zp2) + bias;  with scales per column j of X2: P_j = (P_j m2_j) >> (k2_j - min k2)
        y, m, k, zp = DynamicRequantize(P; m1 m2, k1 + k2)

    Source: I-LLM (arXiv 2405.17849), section 3.3, known from its figure and from transcriptions; see
    :class:`DynamicRequantize` for what is the paper's. **Ours (reading R1):** scales per column are aligned before the
    row's range is taken (the paper has one scale per matmul, its code one per output channel); the bias is added to
    the accumulator.

    Parameters
    ----------
    bits, include_zero, mantissa_bits, rounding : of the requantisation
    acc_bits : width of the accumulator
    """

    bits: int = 8
    include_zero: bool = True
    mantissa_bits: int = 8
    rounding: Rounding = TO_NEG
    acc_bits: int = 32

    def __post_init__(self) -> None:
        self.stage()

    def stage(self, m: int = 1, k: int = 0, **options: Any) -> DynamicRequantize:
        """The requantisation as a unit, for a product of scale ``m / 2**k``."""
        return DynamicRequantize(m, k, self.bits, self.include_zero, self.mantissa_bits, self.rounding, **options)

    def accumulate(
        self, a: Quantized, b: Quantized | PackedQuantized, bias: Any = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The product before its requantisation.

        Returns
        -------
        P : int32 or int64 (..., M, N)
        m, k : scale of each row, of shape (..., M, 1) or broadcasting to it
        """
        sums = self.multiply(a, b, bias)
        return (sums.values if b.granularity == "tensor" else sums.aligned()), sums.m, sums.k

    def multiply(self, a: Quantized, b: Quantized | PackedQuantized, bias: Any = None) -> Sums:
        """The inner products, and what brings their columns to one scale."""
        _check_quantized(a)
        if a.granularity not in ("tensor", "token"):
            raise IntsimError("the left operand's scale varies along the reduction; use one per tensor or per token")
        left = a.narrow_centred
        if isinstance(b, PackedQuantized):
            right: np.ndarray | PackedWeights = b.codes
        else:
            _check_columns(b)
            right = b.narrow_centred
        offset = np.zeros((), np.int64) if bias is None else np.asarray(bias)
        need = prove_width(left, right, left.shape[-1], offset, self.acc_bits)
        product = matmul(left, right, bias, acc_bits=min(self.acc_bits, 32) if need <= 32 else self.acc_bits)
        one = np.ones((), np.int64)
        if b.granularity == "tensor":
            return Sums(product, one, 0 * one, a.m * b.m, a.k + b.k)
        least = b.k.min(axis=-1, keepdims=True) if b.k.ndim else b.k
        columns = np.broadcast_to(b.m, np.broadcast_shapes(b.m.shape, b.k.shape))
        largest = 1 << 31 if product.dtype == np.int32 else max(int(product.max()), -int(product.min()))
        if largest * int(np.abs(columns).max()) >> 62:
            raise IntsimError("product * m2 leaves 62 bits; use narrower mantissas for the right operand")
        return Sums(product, columns, np.minimum(b.k - least, 63), a.m, a.k + least)

    def __call__(self, a: Quantized, b: Quantized | PackedQuantized, bias: Any = None) -> Quantized:
        """The requantised product.

        Parameters
        ----------
        a : (..., M, K), one scale per tensor or per token
        b : (K, N) or (..., K, N), one scale per tensor or per column; or weights in the machine's order
        bias : integers (N,) at the scale of the product

        Returns
        -------
        Quantized
            Unsigned codes, one scale and zero point per row.
        """
        return requantize_rows(self.stage(), *self.accumulate(a, b, bias))


@dataclass(frozen=True)
class DIResidualAdd(Parameters):
    """The sum of two quantised tensors, requantised row by row, 16 bits by default.

    ::

        kc  = min(max(ka, kb), min(ka, kb) + 18)
        acc = align((a - za) ma, kc - ka) + align((b - zb) mb, kc - kb)     # << exact, >> floor where negative
        y, m, k, zp = DynamicRequantize(acc; 1, kc)

    Source: I-LLM (arXiv 2405.17849) gives the residual stream 16 bits and no algorithm. **Ours (reading R1):** all of
    it; exact where the exponents differ by at most 18, which keeps int64.

    Parameters
    ----------
    bits, include_zero, mantissa_bits, rounding : of the requantisation
    """

    bits: int = 16
    include_zero: bool = True
    mantissa_bits: int = 8
    rounding: Rounding = TO_NEG

    def __post_init__(self) -> None:
        self.stage()

    def stage(self, k: int = 0, **options: Any) -> DynamicRequantize:
        """The requantisation as a unit, for a sum of scale ``2**-k``."""
        return DynamicRequantize(1, k, self.bits, self.include_zero, self.mantissa_bits, self.rounding, **options)

    def __call__(self, a: Quantized, b: Quantized) -> Quantized:
        """The requantised sum of two tensors of one shape, each with scales per tensor or per token."""
        _check_quantized(a, b)
        if a.shape != b.shape:
            raise IntsimError(f"shapes {a.shape} and {b.shape} differ; add tensors of one shape")
        for side in (a, b):
            if side.granularity not in ("tensor", "token"):
                raise IntsimError("a scale varies along the row; use one per tensor or per token")
        rows = (*a.shape[:-1], 1)
        ka, kb = (np.broadcast_to(side.k, rows).reshape(-1) for side in (a, b))
        common = np.minimum(np.maximum(ka, kb), np.minimum(ka, kb) + _ALIGN)
        if max(map(_largest_term, (a, b))) >> (44 - _ALIGN):
            raise IntsimError(f"a term passes {44 - _ALIGN} bits; use codes of 16 bits and mantissas of 8")
        codes = (np.ascontiguousarray(v.data, np.int64 if v.data.dtype == np.uint64 else None) for v in (a, b))
        terms = [
            (v.reshape(-1, a.shape[-1]), *_per_row(rows, side.zero_point, side.m))
            for v, side in zip(codes, (a, b), strict=True)
        ]
        total = np.empty(terms[0][0].shape, dtype=np.int64)
        run(add_aligned, *terms[0], common - ka, *terms[1], common - kb, total)
        return requantize_rows(self.stage(), total.reshape(a.shape), np.ones(rows, np.int64), common.reshape(rows))


_ALIGN = 18  # 17 + 8 bits of a term, 18 of alignment and 16 of the code stay below 62


def requantize_rows(stage: DynamicRequantize, x: np.ndarray, m: np.ndarray, k: np.ndarray) -> Quantized:
    """Dynamic requantisation of (..., n) integers of scale ``m / 2**k`` per row."""
    rows = (*x.shape[:-1], 1)
    return _quantized(stage.rows(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), *_per_row(rows, m, k)), x.shape)


def add_bias(stage: DynamicRequantize, sums: Sums, bias: np.ndarray, fraction: int) -> Quantized:
    """Sums and a bias, requantised.

    Parameters
    ----------
    stage : the requantisation
    sums : of a matrix of weights: one factor per column
    bias : int64 (N,) with `fraction` fraction bits; a division brings it to each row's scale (TIES_AWAY)
    """
    shape, width = sums.values.shape, sums.values.shape[-1]
    m, k = _per_row((*shape[:-1], 1), sums.m, sums.k)
    if takes_kernel(sums.values.size):
        from intsim.kernels.dynamic import requantize_linear

        factors, drop = (
            np.ascontiguousarray(np.broadcast_to(v.reshape(-1), (width,))) for v in (sums.factors, sums.drop)
        )
        out = np.empty((len(m), width), dtype=stage.outputs["y"].dtype)
        found = requantize_linear(stage, sums.values.reshape(-1, width), factors, drop, bias, m, k, fraction, out)
        if stage.holds(found, m):
            return _quantized(stage.with_byte_exponents(found), shape)
    total = np.empty((len(m), width), dtype=np.int64)
    run(bias_rows, sums.aligned().reshape(-1, width), bias, m, k, fraction, total)
    return _quantized(stage.rows(total, m, k), shape)


def _quantized(nets: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> Quantized:
    """What a requantisation of rows found, as a tensor (..., n)."""
    scale = (nets[name].astype(np.int64).reshape(*shape[:-1], 1) for name in ("m", "k", "zero_point"))
    return Quantized(nets["y"].reshape(shape), *scale)


def _per_row(rows: tuple[int, ...], *values: np.ndarray) -> Iterator[np.ndarray]:
    """One number per row, from what broadcasts to them."""
    return (np.ascontiguousarray(np.broadcast_to(v, rows)).reshape(-1) for v in values)


def _largest_term(q: Quantized) -> int:
    """A bound of ``|(data - zero_point) m|``: by the ends of the type, and where those are far, by the values."""
    m = int(np.abs(q.m).max())
    if q.data.dtype.itemsize <= 2:
        ends = np.iinfo(q.data.dtype)
        reach = max(int(ends.max) - int(q.zero_point.min()), int(q.zero_point.max()) - int(ends.min))
        if reach * m >> (44 - _ALIGN) == 0:
            return reach * m
    return int(np.abs(q.centred * q.m).max())


def _check_quantized(*tensors: Any) -> None:
    for tensor in tensors:
        if not isinstance(tensor, Quantized):
            raise DtypeError(f"expected a Quantized tensor, got {type(tensor).__name__}; use Quantized(data, m, k)")


def _check_columns(b: Quantized) -> None:
    """A right operand: no scale and no zero point that differs along the reduction."""
    _check_quantized(b)
    if any(v.ndim >= 2 and v.shape[-2] > 1 for v in (b.m, b.k, b.zero_point)):
        raise IntsimError("the right operand's scale varies along the reduction; use one per tensor or per column")


@exact
def add_aligned(a, zero_a, m_a, shift_a, b, zero_b, m_b, shift_b, out):
    """Rows ``(x - zero) m``, each shifted to the left, or to the right where the shift is negative, and added."""
    for i in range(a.shape[0]):
        left_a, right_a = max(shift_a[i], 0), min(max(-shift_a[i], 0), 63)
        left_b, right_b = max(shift_b[i], 0), min(max(-shift_b[i], 0), 63)
        for j in range(a.shape[1]):
            term_a = ((a[i, j] - zero_a[i]) * m_a[i]) << left_a
            term_b = ((b[i, j] - zero_b[i]) * m_b[i]) << left_b
            out[i, j] = (term_a >> right_a) + (term_b >> right_b)


@exact
def align_columns(x, factors, drop, out):
    """Matrices with their columns times a factor and shifted to the right; the factors may be those of all."""
    step = 1 if factors.shape[0] > 1 else 0
    for i in range(x.shape[0]):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                out[i, r, c] = (x[i, r, c] * factors[step * i, c]) >> drop[step * i, c]


@exact
def bias_rows(x, bias, m, k, fraction, out):
    """Rows of scale ``m / 2**k`` plus a bias of scale ``2**-fraction``, rounded to the row's scale (TIES_AWAY)."""
    for i in range(x.shape[0]):
        shift = k[i] - fraction
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] + divide_round(bias[j] << max(shift, 0), m[i] << max(-shift, 0), TIES_AWAY)
