"""A linear layer in one step: product, bias and requantisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import is_compiled
from intsim.linear.matmul import PackedWeights, matmul, prove_width
from intsim.requant.requantizer import Requantizer

__all__ = ["linear"]


def linear(
    x: Any, w: Any, requantizer: Requantizer, bias: Any = None, *, acc_bits: int = 32, out: np.ndarray | None = None
) -> np.ndarray:
    """``requantizer(x @ w + bias)``, with one multiplier and shift or with those of each output channel.

    The same integers as :func:`matmul` followed by the requantiser. With packed weights of 8 bits the accumulators
    stay in the cache.

    Parameters
    ----------
    x : integers (..., M, K), or (K,)
    w : integers (K, N), or weights that :func:`pack` ordered
    requantizer : with constants of its own: one, or N of them
    bias : integers (N,), at the scale of the product
    acc_bits : width of the accumulator, up to the requantiser's
    out : where the result goes: (..., M, N) of the dtype of the requantiser's port y, C-contiguous

    Raises
    ------
    IntsimError
        Shapes that do not fit, an accumulator too narrow, or a requantiser without constants for N channels.
    """
    channels, width = len(requantizer.channels), w.shape[-1] if hasattr(w, "shape") else np.shape(w)[-1]
    if channels not in (1, width):
        raise IntsimError(f"the requantiser has {channels} channels for {width} columns; give it 1 or {width}")
    if is_compiled() and isinstance(w, PackedWeights):
        result = _fused(x, w, requantizer, bias, acc_bits, out)
        if result is not None:
            return result
    acc = matmul(x, w, bias, acc_bits=acc_bits)
    return requantizer(acc, np.arange(width), out=out) if channels > 1 else requantizer(acc, out=out)


def _fused(
    x: Any, w: PackedWeights, requantizer: Requantizer, bias: Any, acc_bits: int, out: np.ndarray | None
) -> np.ndarray | None:
    """The result where one kernel covers all of it."""
    a = np.asarray(x)
    fits = a.dtype in (np.dtype(np.int8), np.dtype(np.uint8)) and a.ndim > 1 and a.shape[-1] == w.shape[0] and a.size
    if not fits or len(w.limbs) != 1 or acc_bits > 32:
        return None
    from intsim.kernels.dots import LANES
    from intsim.kernels.fused import multiply_requantized
    from intsim.kernels.gemm import Limb
    from intsim.kernels.memory import aligned
    from intsim.kernels.requantizer import constants

    depth, width = w.shape
    form = constants(requantizer)
    offsets = np.zeros(width, dtype=np.int64) if bias is None else np.asarray(bias)
    if form is None or width < LANES or offsets.shape != (width,) or offsets.dtype.kind not in "iu":
        return None
    prove_width(a, w, depth, None if bias is None else offsets, acc_bits)
    shape = (*a.shape[:-1], width)
    if out is None:
        out = aligned(shape, requantizer.y.dtype)
    elif out.shape != shape or out.dtype != requantizer.y.dtype or not out.flags.c_contiguous:
        return None  # refused with a message by the requantiser
    flat = out.reshape(-1, width)
    multiply_requantized(Limb(a.reshape(-1, depth)), w.limbs[0], offsets.astype(np.int64, copy=False), form, flat)
    return out
