"""The exact integer matrix product, with an accumulator whose width is proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, is_compiled, run
from intsim.formats import Format
from intsim.kernels.memory import aligned

__all__ = ["PackedWeights", "accumulator_bits", "matmul", "pack", "prove_width"]

_WORDS, _LONG = np.dtype(np.int32), np.dtype(np.int64)


def accumulator_bits(x: Format | np.ndarray, w: Format | np.ndarray | PackedWeights, depth: int, bias: Any = 0) -> int:
    """Bits of a two's complement accumulator that no product of `x` and `w` can leave.

    Parameters
    ----------
    x, w : a format, when any of its values may come, or the values themselves: (..., depth) and (..., depth, n);
        `w` may be packed weights
    depth : length K of the inner products
    bias : integers added to them
    """
    reach = _magnitude(x)
    if isinstance(w, PackedWeights):
        inner = min(w.column_reach, depth * w.reach) * reach
    elif isinstance(w, np.ndarray) and isinstance(x, Format):
        inner = int(np.abs(w.astype(np.int64)).sum(axis=-2).max()) * reach  # weights are known: their own sums
    else:
        inner = depth * reach * _magnitude(w)
    # A sum of magnitude 2**b fits b + 1 bits only when negative: counted as positive, which costs a bit at most there.
    return (inner + _magnitude(np.asarray(bias))).bit_length() + 1


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A matrix ``(K, N)`` in the order that the machine's multiply instructions read; :func:`pack` makes it.

    It takes the place of `w` in :func:`matmul` and saves the ordering on every call, which for a few rows costs more
    than the product.

    Attributes
    ----------
    shape : (K, N)
    reach : the largest magnitude
    column_reach : the largest sum of magnitudes of a column
    limbs : the parts, about as many bytes as the values need
    """

    shape: tuple[int, int]
    reach: int
    column_reach: int
    limbs: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        """Bytes in memory: of the values, up to a few more where K or N fill no whole panels."""
        return sum(part.panels.nbytes + part.sums.nbytes for part in self.limbs)

    def values(self) -> np.ndarray:
        """The matrix, int64."""
        from intsim.kernels.gemm import unpack

        return sum(((unpack(part) + part.offset) << part.shift for part in self.limbs), np.int64(0))  # type: ignore


def pack(w: Any) -> PackedWeights:
    """Weights ``(K, N)`` of up to 32 bits, ordered once for many products.

    Raises
    ------
    IntsimError
        Not a matrix of integers, or values beyond 32 bits.
    """
    from intsim.kernels import gemm

    matrix = _integers(w, "w")
    lo, hi = int(matrix.min()), int(matrix.max())
    if matrix.ndim != 2:
        raise IntsimError(f"weights are packed as a matrix (K, N), got shape {matrix.shape}")
    if lo < -(1 << 31) or hi >= 1 << 31:
        raise IntsimError(f"packed weights have at most 32 bits, got values in [{lo}, {hi}]; multiply them as they are")
    parts = tuple(gemm.pack(part) for part in gemm.limbs(matrix, lo, hi))
    columns = np.abs(matrix, dtype=np.int64).sum(axis=0)
    return PackedWeights(matrix.shape, max(hi, -lo), int(columns.max()), parts)


def matmul(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    acc_bits: int = 32,
    x_format: Format | None = None,
    w_format: Format | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """``x @ w + bias`` in integers.

    Parameters
    ----------
    x : integers (..., M, K), or (K,)
    w : integers (K, N), or (..., K, N) with the leading shape of `x`; or weights that :func:`pack` ordered
    bias : integers (N,), at the scale of the product
    acc_bits : width of the accumulator, up to 64
    x_format, w_format : prove the width for every value of these formats. Without them the values given decide
    out : where the result goes, of its shape and dtype, C-contiguous

    Returns
    -------
    ndarray (..., M, N), int32 for accumulators up to 32 bits, else int64

    Raises
    ------
    IntsimError
        Shapes that do not fit, or an accumulator too narrow.

    Notes
    -----
    Beside the result it takes memory for the operands as bytes in the order of the machine's instructions (those of
    8 bits), or for each byte of them and one more result (wider ones). It is kept for the next call up to 32 MB.
    """
    packed = isinstance(w, PackedWeights)
    a, b = _integers(x, "x"), w if packed else _integers(w, "w")
    if x_format is not None:
        x_format.check(a, "x")
    if w_format is not None and not packed:
        w_format.check(b, "w")
    rows = a[None, :] if a.ndim == 1 else a
    sides = len(b.shape)
    if a.ndim < 1 or sides < 2 or rows.shape[-1] != b.shape[-2] or not (sides == 2 or b.shape[:-2] == rows.shape[:-2]):
        raise IntsimError(f"x {a.shape} and w {b.shape} do not multiply; give (..., M, K) and (K, N) or (..., K, N)")
    depth, width = b.shape[-2:]
    offsets = np.zeros(width, dtype=np.int64) if bias is None else _integers(bias, "bias").astype(np.int64)
    if offsets.shape not in ((width,), ()):
        raise IntsimError(f"bias {offsets.shape} does not fit {width} columns; give ({width},)")
    need = prove_width(x_format or a, w_format or b, depth, None if bias is None else offsets, acc_bits)
    shape = (*rows.shape[:-1], width)
    result = _output(out, shape if a.ndim > 1 else shape[1:], _WORDS if acc_bits <= 32 else _LONG)
    left = rows.reshape(-1, *rows.shape[-2:]) if sides > 2 else rows.reshape(1, -1, depth)
    right = b if packed else b.reshape(-1, depth, width)
    offsets = offsets if offsets.shape else np.full(width, offsets)
    _multiply(left, right, offsets, need, result.reshape(*left.shape[:2], width))
    return result


def _output(out: np.ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`out`, or fresh memory for the result."""
    if out is None:
        return aligned(shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise IntsimError(f"out holds {dtype} {shape}, C-contiguous; got {found}")
    if not out.flags.writeable:
        raise IntsimError("out is read-only; give an array that can be written")
    return out


_PLAIN_SIZE = 1 << 12  # multiplications up to which the plain operator is as quick


def _multiply(
    left: np.ndarray, right: np.ndarray | PackedWeights, bias: np.ndarray, need: int, out: np.ndarray
) -> None:
    """``out = left @ right + bias`` for matrices of a batch, by the plain operator or by the kernel equal to it."""
    packed = isinstance(right, PackedWeights)
    if not is_compiled() or (not packed and out.size * left.shape[-1] <= _PLAIN_SIZE):
        matrices = right.values()[None] if isinstance(right, PackedWeights) else right
        sums = out if out.dtype == np.int64 else np.empty(out.shape, dtype=np.int64)
        run(product, np.ascontiguousarray(left), np.ascontiguousarray(matrices), np.ascontiguousarray(bias), sums)
        out[...] = sums
        return
    from intsim.kernels import gemm

    fits = need <= 32
    parts = list(right.limbs) if isinstance(right, PackedWeights) else gemm.split(right, fits)
    gemm.multiply(gemm.split(left, fits), parts, bias, fits, out)


def prove_width(
    x: Format | np.ndarray, w: Format | np.ndarray | PackedWeights, depth: int, bias: np.ndarray | None, acc_bits: int
) -> int:
    """Bits that the accumulator needs, refused where it has fewer."""
    if not isinstance(acc_bits, (int, np.integer)) or not 2 <= acc_bits <= 64:
        raise IntsimError(f"acc_bits must be an integer in [2, 64], got {acc_bits!r}; 32 is usual")
    # What the types can hold settles most calls without a look at the values.
    need = (depth * _bound(x) * _bound(w) + (0 if bias is None else _magnitude(bias))).bit_length() + 1
    if need <= min(acc_bits, 32):
        return need
    bias = np.zeros((), dtype=np.int64) if bias is None else bias
    need = accumulator_bits(x, w, depth, bias)
    if need <= acc_bits:
        return need
    fits = depth
    known = isinstance(w, np.ndarray)
    while fits > 1 and accumulator_bits(x, w[..., :fits, :] if known else w, fits, bias) > acc_bits:  # type: ignore
        fits //= 2
    remedy = f"acc_bits={need}" if need <= 64 else "narrower operands (64 bits are the limit)"
    raise IntsimError(f"accumulator needs {need} bits for K={depth}, has {acc_bits}: use K <= {fits} or {remedy}")


def _bound(values: Format | np.ndarray | PackedWeights) -> int:
    """A magnitude that no value passes, known without a look at them."""
    if isinstance(values, np.ndarray):
        bits = 8 * values.dtype.itemsize
        return 1 << (bits - 1) if values.dtype.kind == "i" else (1 << bits) - 1
    return _magnitude(values)


def _magnitude(values: Format | np.ndarray | PackedWeights) -> int:
    if isinstance(values, Format):
        return max(values.hi, -values.lo)
    if isinstance(values, PackedWeights):
        return values.reach
    return max(int(values.max()), -int(values.min()))


def _integers(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:  # nested lists of unequal length
        raise DtypeError(f"{name}: {error}; give rows of equal length") from None
    if array.size == 0:
        raise IntsimError(f"{name}: empty array of shape {array.shape}; give at least one value")
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise DtypeError(f"{name}: expected integers up to int64, got {array.dtype}; encode real values first")
    return array


@exact
def product(a, b, bias, out):
    """Inner products of the rows of `a` with the columns of `b`, plus bias; `b` may be one for all."""
    step = 1 if b.shape[0] > 1 else 0
    for i in range(a.shape[0]):
        for r in range(a.shape[1]):
            for c in range(b.shape[2]):
                out[i, r, c] = bias[c]
            for j in range(a.shape[2]):
                left = a[i, r, j]
                for c in range(b.shape[2]):
                    out[i, r, c] += left * b[step * i, j, c]
