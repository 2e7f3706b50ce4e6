"""The exact integer matrix product, with an accumulator whose width is proven."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.exact import exact, run
from intsim.formats import Format

__all__ = ["accumulator_bits", "matmul"]


def accumulator_bits(x: Format | np.ndarray, w: Format | np.ndarray, depth: int, bias: Any = 0) -> int:
    """Bits of a two's complement accumulator that no product of `x` and `w` can leave.

    Parameters
    ----------
    x, w : a format, when any of its values may come, or the values themselves: (..., depth) and (..., depth, n)
    depth : length K of the inner products
    bias : integers added to them
    """
    reach = _magnitude(x)
    if isinstance(w, np.ndarray) and isinstance(x, Format):
        inner = int(np.abs(w.astype(np.int64)).sum(axis=-2).max()) * reach  # weights are known: their own sums
    else:
        inner = depth * reach * _magnitude(w)
    # A sum of magnitude 2**b fits b + 1 bits only when negative: counted as positive, which costs a bit at most there.
    return (inner + _magnitude(np.asarray(bias))).bit_length() + 1


def matmul(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    acc_bits: int = 32,
    x_format: Format | None = None,
    w_format: Format | None = None,
) -> np.ndarray:
    """``x @ w + bias`` in integers.

    Parameters
    ----------
    x : integers (..., M, K), or (K,)
    w : integers (K, N), or (..., K, N) with the leading shape of `x`
    bias : integers (N,), at the scale of the product
    acc_bits : width of the accumulator, up to 64
    x_format, w_format : prove the width for every value of these formats. Without them the values given decide

    Returns
    -------
    ndarray (..., M, N), int32 for accumulators up to 32 bits, else int64

    Raises
    ------
    IntsimError
        Shapes that do not fit, or an accumulator too narrow.
    """
    a, b = _integers(x, "x"), _integers(w, "w")
    for array, fmt, name in ((a, x_format, "x"), (b, w_format, "w")):
        if fmt is not None:
            fmt.check(array, name)
    rows = a[None, :] if a.ndim == 1 else a
    if (
        a.ndim < 1
        or b.ndim < 2
        or rows.shape[-1] != b.shape[-2]
        or not (b.ndim == 2 or b.shape[:-2] == rows.shape[:-2])
    ):
        raise IntsimError(f"x {a.shape} and w {b.shape} do not multiply; give (..., M, K) and (K, N) or (..., K, N)")
    depth, width = b.shape[-2:]
    offsets = np.zeros(width, dtype=np.int64) if bias is None else _integers(bias, "bias").astype(np.int64)
    if offsets.shape not in ((width,), ()):
        raise IntsimError(f"bias {offsets.shape} does not fit {width} columns; give ({width},)")
    _prove(x_format or a, w_format or b, depth, offsets, acc_bits)
    left = np.ascontiguousarray(rows).reshape(-1 if b.ndim > 2 else 1, *rows.shape[-2:] if b.ndim > 2 else (-1, depth))
    right = np.ascontiguousarray(b).reshape(-1, depth, width)
    out = np.empty((left.shape[0], left.shape[1], width), dtype=np.int64)
    run(product, left, right, np.ascontiguousarray(np.broadcast_to(offsets, (width,))), out)
    result = out.reshape(*rows.shape[:-1], width)
    return (result[0] if a.ndim == 1 else result).astype(np.int32 if acc_bits <= 32 else np.int64)


def _prove(x: Format | np.ndarray, w: Format | np.ndarray, depth: int, bias: np.ndarray, acc_bits: int) -> None:
    if not isinstance(acc_bits, (int, np.integer)) or not 2 <= acc_bits <= 64:
        raise IntsimError(f"acc_bits must be an integer in [2, 64], got {acc_bits!r}; 32 is usual")
    need = accumulator_bits(x, w, depth, bias)
    if need <= acc_bits:
        return
    fits = depth
    while fits > 1 and accumulator_bits(x, w if isinstance(w, Format) else w[..., :fits, :], fits, bias) > acc_bits:
        fits //= 2
    remedy = f"acc_bits={need}" if need <= 64 else "narrower operands (64 bits are the limit)"
    raise IntsimError(f"accumulator needs {need} bits for K={depth}, has {acc_bits}: use K <= {fits} or {remedy}")


def _magnitude(values: Format | np.ndarray) -> int:
    if isinstance(values, Format):
        return max(values.hi, -values.lo)
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
