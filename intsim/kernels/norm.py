"""LayerNorms of I-ViT and I-BERT on rows of up to 32 bits: the golden model's arithmetic in narrow lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.memory import aligned
from intsim.kernels.threads import in_parts
from intsim.nonlinear.roots import integer_root, newton10
from intsim.rounding import TIES_TO_EVEN, TO_ZERO, divide_round

__all__ = ["ibert_norm", "ivit_norm"]

_PARALLEL = 1 << 17


def ivit_norm(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.layernorm.IViTLayerNorm`."""
    truncate = unit.profile == "ivit_tvm"
    return _norm(unit, columns[0], given, TO_ZERO if truncate else TIES_TO_EVEN, truncate, True, 0)


def ibert_norm(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.layernorm.IBertLayerNorm`."""
    return _norm(unit, columns[0], given, TIES_TO_EVEN, False, False, unit.shift)


def _norm(
    unit: Any, x: np.ndarray, given: dict[str, np.ndarray], mode: int, truncate: bool, newton: bool, shift: int
) -> dict[str, np.ndarray] | None:
    """The outputs, or None where a row has a sum of squares that the golden model refuses or a wide element."""
    if x.dtype.itemsize > 4 or x.dtype == np.uint32:
        return None
    bias = unit._channels(x.shape[1])
    dtype = unit.outputs["y"].dtype
    if int(np.abs(bias).max(initial=0)) >> 30:
        return None
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, dtype)
    narrow = bias.astype(np.int32)
    limit = (1 << unit._energy_limit) - 1
    fine = np.ones(len(x), dtype=np.bool_)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        compiled(norm_rows)(x[part], narrow, int(mode), truncate, newton, shift, limit, fine[part], out[part])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return {"y": out} if fine.all() else None


@kernel
def norm_rows(x, bias, mode, truncate, newton, shift, limit, fine, out):
    """Rows whose deviations from the mean fit 30 bits and whose sum of squares keeps to `limit`; others are marked."""
    rows, columns = x.shape
    for i in range(rows):
        row, result = x[i], out[i]
        total = np.int64(0)
        for j in range(columns):
            total += np.int64(row[j])
        least, most = row[0], row[0]
        for j in range(columns):  # a loop of its own: its lanes are narrower
            least = min(least, row[j])
            most = max(most, row[j])
        mean = divide_round(total, columns, mode)
        reach = max(np.int64(most) - mean, mean - np.int64(least)) + 1
        if reach >> 30 != 0 or columns * ((reach >> shift) + 1) > (1 << 62) // ((reach >> shift) + 1):
            fine[i] = False
            continue
        energy = np.int64(0)
        centre = np.int32(mean)  # every deviation fits 31 bits, see above
        if shift == 0:
            for j in range(columns):
                short = np.int32(row[j] - centre)
                energy += np.int64(short) * np.int64(short)
        else:
            for j in range(columns):
                short = np.int32((np.int64(row[j]) - mean) >> shift)
                energy += np.int64(short) * np.int64(short)
        if energy > limit:
            fine[i] = False
            continue
        if newton:
            factor = 2147483647 // newton10(energy)
        else:
            root = integer_root(energy) << shift
            factor = (1 << 31) // root if root > 0 else 0
        scale = np.int32(factor) if factor <= 2147483647 else np.int32(0)
        if truncate or factor != np.int64(scale):
            for j in range(columns):
                product = (np.int64(row[j]) - mean) * factor
                result[j] = (-((-product) >> 1) if truncate and product < 0 else product >> 1) + bias[j]
        else:
            for j in range(columns):
                product = np.int64(np.int32(row[j] - centre)) * np.int64(scale)
                result[j] = (product >> 1) + np.int64(bias[j])
