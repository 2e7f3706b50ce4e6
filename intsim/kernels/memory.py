"""Memory for kernels: aligned to cache lines, and kept from call to call where it is only passed through."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["aligned", "room"]

_LINE = 64
_KEEP = 1 << 25  # bytes that a thread keeps for each purpose
_rooms = threading.local()


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Fresh memory that begins with a cache line, its contents undefined."""
    return _shaped(np.empty(_size(shape, dtype) + _LINE, dtype=np.uint8), shape, dtype)


def room(purpose: str, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """As :func:`aligned`; the same memory for every call of this thread with this purpose.

    Fresh memory costs a page fault every 4 kB, as much as a copy; so up to 32 MB per purpose are kept.
    """
    held: tuple[np.ndarray, np.ndarray] | None = getattr(_rooms, purpose, None)  # the memory, and how it was last used
    if held is not None and held[1].shape == shape and held[1].dtype == dtype:
        return held[1]
    size = _size(shape, dtype)
    memory = held[0] if held is not None and held[0].size >= size + _LINE else np.empty(size + _LINE, dtype=np.uint8)
    shaped = _shaped(memory, shape, dtype)
    if size <= _KEEP:
        setattr(_rooms, purpose, (memory, shaped))
    return shaped


def _size(shape: tuple[int, ...], dtype: DTypeLike) -> int:
    return math.prod(shape) * np.dtype(dtype).itemsize


def _shaped(held: np.ndarray, shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    start = -held.ctypes.data % _LINE
    return held[start : start + _size(shape, dtype)].view(dtype).reshape(shape)
