"""Large work in parts, one per processor: kernels run without Python's global lock, so plain threads are enough."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from intsim.kernels.machine import threads

__all__ = ["in_parts"]


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(threads() - 1, 1), thread_name_prefix="intsim")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def in_parts(work: Callable[[int, int], None], size: int, grain: int, parallel: bool) -> None:
    """Call ``work(first, last)`` for parts of ``range(size)`` that begin at multiples of `grain`.

    Parameters
    ----------
    work : a function that spends its time in compiled kernels
    size, grain : how much there is, and what a part is a multiple of
    parallel : whether it is worth threads; else one call does all
    """
    pieces = -(-size // grain)
    count = min(threads(), pieces) if parallel else 1
    if count <= 1:
        work(0, size)
        return
    ends = [min(pieces * i // count * grain, size) for i in range(count + 1)]
    others = [_pool().submit(work, ends[i], ends[i + 1]) for i in range(1, count)]
    try:
        work(ends[0], ends[1])
    finally:
        for other in others:
            other.result()
