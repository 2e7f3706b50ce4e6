"""What this processor has: which instructions multiply integers, and how wide its vectors are."""

from __future__ import annotations

import ctypes
import enum
import functools
import os
import platform
from collections.abc import Callable

from intsim.errors import UnknownName

__all__ = ["Route", "has", "lanes", "route", "threads"]


class Route(enum.Enum):
    """How inner products of bytes are computed, fastest first.

    ``AMX``: tiles of 16 x 64 bytes. ``VNNI``: groups of four bytes (AVX512-VNNI or AVX-VNNI). ``SDOT``: the same on
    AArch64. ``PAIRS``: portable vector code for pairs of 16-bit numbers, which compilers turn into ``vpmaddwd``
    (AVX2), ``pmaddwd`` (SSE2) or ``smull`` (AArch64). ``BLAS``: sums cut into pieces that float32 holds exactly.
    """

    AMX = "amx"
    VNNI = "vnni"
    SDOT = "sdot"
    PAIRS = "pairs"
    BLAS = "blas"


@functools.cache
def _features() -> dict[str, bool]:
    """Of the processor that Numba compiles for; unknown where the user names another one."""
    from llvmlite import binding
    from numba.core import config

    if getattr(config, "CPU_NAME", None) or getattr(config, "CPU_FEATURES", None):
        given = str(getattr(config, "CPU_FEATURES", None) or "").split(",")
        return {name[1:]: True for name in given if name.startswith("+")}
    return dict(binding.get_host_cpu_features())


def has(feature: str) -> bool:
    """Whether the processor has an instruction set, by LLVM's name, such as ``avx512vnni``."""
    return _features().get(feature, False)


@functools.cache
def lanes() -> int:
    """How many 32-bit integers a vector register holds."""
    if has("avx512bw") and has("avx512vl"):
        return 16
    return 8 if has("avx2") else 4


@functools.cache
def route() -> Route:
    """The fastest route of this processor; the environment variable ``INTSIM_KERNELS`` names a slower one.

    Raises
    ------
    UnknownName
        The variable names none of the routes, or one that this processor has not.
    """
    available = [r for r in Route if _AVAILABLE[r]()]
    wanted = os.environ.get("INTSIM_KERNELS")
    if not wanted:
        return available[0]
    for candidate in available:
        if candidate.value == wanted:
            return candidate
    raise UnknownName("kernel route", wanted, [r.value for r in available])


def vector_route() -> Route:
    """As :func:`route`, for products of a few rows, where a tile of 16 would be empty."""
    return Route.VNNI if route() is Route.AMX else route()


def _has_vnni() -> bool:
    return (lanes() == 16 and has("avx512vnni")) or (lanes() == 8 and has("avxvnni"))


_ARCH_REQ_XCOMP_PERM, _TILE_DATA, _ARCH_PRCTL = 0x1023, 18, 158


@functools.cache
def _may_use_tiles() -> bool:
    """AMX, and the kernel's permission to use it: Linux gives the 8 kB of state to processes that ask."""
    if not (has("amx-int8") and _has_vnni() and platform.system() == "Linux" and platform.machine() == "x86_64"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _TILE_DATA) == 0


_AVAILABLE: dict[Route, Callable[[], bool]] = {
    Route.AMX: _may_use_tiles,
    Route.VNNI: _has_vnni,
    Route.SDOT: lambda: has("dotprod"),
    Route.PAIRS: lambda: True,
    Route.BLAS: lambda: True,
}


@functools.cache
def threads() -> int:
    """Threads for large work: ``INTSIM_THREADS``, else the processors this process may use."""
    wanted = os.environ.get("INTSIM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
