"""What the machine can do: byte operations of the vector unit on cached data, and copying memory that is not cached."""

from __future__ import annotations

import threading

import numpy as np

from intsim.exact import compiled
from intsim.kernels.dots import LANES, ROWS, VECTORS
from intsim.kernels.machine import threads
from intsim.kernels.memory import aligned
from intsim.kernels.product import multiply_vectors

COPIED = 1 << 26
_STEPS = 256


def vnni(_case):
    """As many operations as one 512^3 product: the innermost loop, again and again on operands in the nearest cache."""
    repeat = 2 * 512**3 // operations()
    parts = [_operands() for _ in range(threads())]
    run = compiled(multiply_vectors)

    def work(part):
        for _ in range(repeat // len(parts)):
            run(*part)

    return lambda: _together(work, parts)


def operations():
    """Of one call of the innermost loop."""
    return 2 * 8 * ROWS * VECTORS * LANES * _STEPS * 4


def _operands():
    a = aligned((8 * ROWS, 4 * _STEPS), np.uint8)
    b = aligned((VECTORS, _STEPS, LANES), np.int32)
    a[:], b[:] = 1, 1
    starts = [np.zeros(9 * ROWS, np.int32), np.zeros(VECTORS * LANES, np.int32)]
    room, out = (aligned((n, VECTORS * LANES), np.int32) for n in (ROWS, 8 * ROWS))
    return a, b, *starts, room, out


def copy(_case):
    """64 MB from one place to another, in as many parts as there are threads."""
    source, target = aligned((COPIED,), np.uint8), aligned((COPIED,), np.uint8)
    source[:], target[:] = 1, 2
    parts = list(zip(np.array_split(target, threads()), np.array_split(source, threads()), strict=True))
    return lambda: _together(lambda pair: np.copyto(*pair), parts)


def _together(work, parts):
    others = [threading.Thread(target=work, args=(part,)) for part in parts[1:]]
    for other in others:
        other.start()
    work(parts[0])
    for other in others:
        other.join()
