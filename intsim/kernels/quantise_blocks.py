"""Block floating point with one exponent per block, from integers: the largest magnitude decides it."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.formats.minifloat import bit_length
from intsim.kernels.memory import aligned
from intsim.kernels.threads import in_parts
from intsim.rounding import TIES_TO_POS, shift_round

__all__ = ["quantise"]

_PARALLEL = 1 << 18


def quantise(fmt: Any, rows: np.ndarray, frac: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Mantissas int8 and exponents int64 of int32 rows, or None for formats with tags, another pivot or more bits."""
    if fmt.delta or fmt.pivot != 100 or fmt.magnitude > 7 or rows.dtype != np.int32:
        return None
    q = aligned(rows.shape, np.int8)
    exponents = np.empty((len(rows), fmt.blocks(rows.shape[1])), dtype=np.int64)
    least = -fmt.largest if fmt.signed else 0

    def work(first: int, last: int) -> None:
        compiled(quantise_rows)(
            rows[first:last], frac, fmt.group, fmt.lo, fmt.hi, fmt.magnitude, least, fmt.largest, int(fmt.rounding),
            exponents[first:last], q[first:last],
        )  # fmt: skip

    in_parts(work, len(rows), 1, rows.size > _PARALLEL)
    return q, exponents


@kernel
def quantise_rows(x, frac, group, lo, hi, magnitude, least, largest, rounding, exponents, q):
    """Block by block; shifts to the right by at most 40 bits, which leaves nothing of 32."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        for block in range(exponents.shape[1]):
            part = x[i, block * group : min((block + 1) * group, n)]
            result = q[i, block * group : min((block + 1) * group, n)]
            most = np.int64(0)
            for j in range(part.size):
                most = max(most, abs(np.int64(part[j])))
            exponent = min(max(bit_length(most) - 1 - frac, lo), hi) if most > 0 else lo
            exponents[i, block] = exponent
            shift = exponent + 1 - magnitude + frac
            if shift > 0 and rounding == TIES_TO_POS:
                count = min(shift, 40)
                half = np.int64(1) << (count - 1)
                for j in range(part.size):
                    value = (np.int64(part[j]) + half) >> count
                    result[j] = min(max(value, least), largest)
            else:
                for j in range(part.size):
                    value = np.int64(part[j])
                    if shift < -8:  # larger than every mantissa, or zero
                        value = min(max(value, -1), 1) << 20
                    else:
                        value = shift_round(value, min(shift, 40), rounding)
                    result[j] = min(max(value, least), largest)
