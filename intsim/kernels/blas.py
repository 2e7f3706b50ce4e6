"""Integer products by a float32 library, exact: for processors whose integer multiplications are slower."""

from __future__ import annotations

import numpy as np

__all__ = ["multiply_floats"]

_HELD = 1 << 24  # float32 holds every integer up to here


def multiply_floats(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """``out += a @ b`` for integers of 8 bits, of either signedness, by sums that float32 holds exactly.

    Parameters
    ----------
    a, b : (..., M, K) and (..., K, N)
    out : int32 (..., M, N), wrapping
    """
    largest = [max(int(v.max()), -int(v.min()), 1) for v in (a, b)]
    chunk = _HELD // (largest[0] * largest[1])  # 1024 where both reach -128
    assert 0 < chunk * largest[0] * largest[1] <= _HELD
    for first in range(0, a.shape[-1], chunk):
        left = a[..., first : first + chunk].astype(np.float32)
        right = b[..., first : first + chunk, :].astype(np.float32)
        out += np.matmul(left, right).astype(np.int32)
