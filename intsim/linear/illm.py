"""I-LLM's linear operators on quantised tensors: DI-MatMul and the residual add, both requantised dynamically."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, run
from intsim.formats.quantized import Quantized
from intsim.linear.dynamic import DynamicRequantize
from intsim.linear.matmul import matmul
from intsim.parameters import Parameters
from intsim.rounding import TO_NEG, Rounding

__all__ = ["DIMatMul", "DIResidualAdd"]


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

    def accumulate(self, a: Quantized, b: Quantized, bias: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The product before its requantisation.

        Returns
        -------
        P : int64 (..., M, N)
        m, k : scale of each row, of shape (..., M, 1) or broadcasting to it
        """
        _check_quantized(a, b)
        if a.granularity not in ("tensor", "token"):
            raise IntsimError("the left operand's scale varies along the reduction; use one per tensor or per token")
        if _varies(b, -2):
            raise IntsimError("the right operand's scale varies along the reduction; use one per tensor or per column")
        product = matmul(a.centred, b.centred, bias, acc_bits=self.acc_bits).astype(np.int64)
        if b.granularity == "tensor":
            return product, a.m * b.m, a.k + b.k
        least = b.k.min(axis=-1, keepdims=True) if b.k.ndim else b.k
        columns = np.broadcast_to(b.m, np.broadcast_shapes(b.m.shape, b.k.shape))
        if int(np.abs(product).max()) * int(columns.max()) >> 62:
            raise IntsimError("product * m2 leaves 62 bits; use narrower mantissas for the right operand")
        drop = np.minimum(b.k - least, 63)
        return (product * columns) >> drop, a.m, a.k + least

    def __call__(self, a: Quantized, b: Quantized, bias: Any = None) -> Quantized:
        """The requantised product.

        Parameters
        ----------
        a : (..., M, K), one scale per tensor or per token
        b : (K, N) or (..., K, N), one scale per tensor or per column
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
        left, right = ((side.centred * side.m).reshape(-1, a.shape[-1]) for side in (a, b))
        if max(int(np.abs(left).max()), int(np.abs(right).max())) >> (44 - _ALIGN):
            raise IntsimError(f"a term passes {44 - _ALIGN} bits; use codes of 16 bits and mantissas of 8")
        total = np.empty(left.shape, dtype=np.int64)
        run(add_aligned, left, right, common - ka, common - kb, total)
        return requantize_rows(self.stage(), total.reshape(a.shape), np.ones(rows, np.int64), common.reshape(rows))


_ALIGN = 18  # 17 + 8 bits of a term, 18 of alignment and 16 of the code stay below 62


def requantize_rows(stage: DynamicRequantize, x: np.ndarray, m: np.ndarray, k: np.ndarray) -> Quantized:
    """Dynamic requantisation of (..., n) integers of scale ``m / 2**k`` per row."""
    rows = (*x.shape[:-1], 1)
    scale_m, scale_k = (np.ascontiguousarray(np.broadcast_to(v, rows)).reshape(-1) for v in (m, k))
    nets = stage.rows(np.ascontiguousarray(x).reshape(-1, x.shape[-1]), scale_m, scale_k)
    m_out, k_out, zero = (nets[name].astype(np.int64).reshape(rows) for name in ("m", "k", "zero_point"))
    return Quantized(nets["y"].reshape(x.shape), m_out, k_out, zero)


def _check_quantized(*tensors: Any) -> None:
    for tensor in tensors:
        if not isinstance(tensor, Quantized):
            raise DtypeError(f"expected a Quantized tensor, got {type(tensor).__name__}; use Quantized(data, m, k)")


def _varies(q: Quantized, axis: int) -> bool:
    """Whether the scale or the zero point of a matrix differs along `axis`."""
    return any(v.ndim >= -axis and v.shape[axis] > 1 for v in (q.m, q.k, q.zero_point))


@exact
def add_aligned(a, b, shift_a, shift_b, out):
    """Rows of `a` and `b`, each shifted to the left, or to the right where the shift is negative, and added."""
    for i in range(a.shape[0]):
        left_a, right_a = max(shift_a[i], 0), min(max(-shift_a[i], 0), 63)
        left_b, right_b = max(shift_b[i], 0), min(max(-shift_b[i], 0), 63)
        for j in range(a.shape[1]):
            out[i, j] = ((a[i, j] << left_a) >> right_a) + ((b[i, j] << left_b) >> right_b)
