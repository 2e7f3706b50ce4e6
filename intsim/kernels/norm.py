"""Normalisations of rows of up to 32 bits: the golden models' arithmetic in narrow lanes, divisions by reciprocals."""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.deviations import deviation_span, moment_span
from intsim.kernels.dots import LANES
from intsim.kernels.memory import aligned, room
from intsim.kernels.threads import in_parts
from intsim.nonlinear.roots import integer_root, newton10
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TO_ZERO, divide_round

__all__ = ["di_norm", "ibert_norm", "ivit_norm", "l1_norm"]

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
    whole = columns // LANES * LANES
    for i in range(rows):
        row, result = x[i], out[i]
        least, most, squares, total = row_moments(row, whole)
        mean = divide_round(total, columns, mode)
        reach = max(most - mean, mean - least) + 1
        if reach >> 30 != 0 or columns * ((reach >> shift) + 1) > (1 << 62) // ((reach >> shift) + 1):
            fine[i] = False
            continue
        if shift == 0:
            energy = squares - 2 * mean * total + columns * mean * mean  # it fits, so that wrapped terms do no harm
        else:
            energy = np.int64(0)
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
        if truncate:
            for j in range(columns):
                product = (np.int64(row[j]) - mean) * factor
                result[j] = (-((-product) >> 1) if product < 0 else product >> 1) + bias[j]
            continue
        done = 0
        if result.itemsize == 4 and factor >> 31 == 0 and whole > 0:
            done = whole
            deviation_span(row, mean, factor, bias, result, done, x.strides[0] if i + 1 < rows else 0)
        for j in range(done, columns):
            result[j] = (((np.int64(row[j]) - mean) * factor) >> 1) + bias[j]


@kernel
def row_moments(row, whole):
    """Least, largest, sum of squares modulo 2**64 and sum of a row, the first `whole` elements by vectors."""
    least, most = np.int64(row[0]), np.int64(row[0])
    squares, total = np.int64(0), np.int64(0)
    if whole > 0:
        least, most, squares, total = moment_span(row, whole)
        if max(most, -least) > 2147483647 // (whole // LANES):  # a lane of the sum may have wrapped
            total = np.int64(0)
            for j in range(whole):
                total += np.int64(row[j])
    for j in range(whole, row.size):
        value = np.int64(row[j])
        least, most = min(least, value), max(most, value)
        squares += value * value
        total += value
    return least, most, squares, total


def di_norm(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.norm.DINorm`."""
    (x,) = columns
    factors = np.array(unit.factors, dtype=np.int64)
    if factors.size not in (1, x.shape[1]) or x.shape[1] > unit.longest:
        return None
    unit._check_values(x)
    return {"y": _quotients(unit, x, factors, True, unit.F, given)}


def l1_norm(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.norm.L1Norm`."""
    (x,) = columns
    if unit.rounding != TIES_AWAY or x.shape[1] > unit.max_row:
        return None
    unit._check_values(x)
    return {"y": _quotients(unit, x, np.ones(1, dtype=np.int64), False, 0, given)}


def _quotients(
    unit: Any, x: np.ndarray, factors: np.ndarray, squares: bool, F: int, given: dict[str, np.ndarray]
) -> np.ndarray:
    out = given.get("y")
    if out is None:
        out = aligned(x.shape, unit.outputs["y"].dtype)

    def work(first: int, last: int) -> None:
        row = room("deviations", x.shape[1:], np.int64)
        compiled(quotient_rows)(x[first:last], factors, unit.center, squares, F, unit.G, row, out[first:last])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return out


@kernel
def quotient_rows(x, factors, center, squares, F, G, a, out):
    """Rows divided by the root of their mean square, or by their mean magnitude; `a` holds one row's deviations."""
    n = x.shape[1]
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(n):
            a[j] = np.int64(row[j]) * factors[j if factors.size > 1 else 0]
        if center:
            total = np.int64(0)
            for j in range(n):
                total += a[j]
            mean = divide_round(total, n, TIES_TO_EVEN)
            for j in range(n):
                a[j] -= mean
        energy, size = np.int64(0), np.int64(0)
        if squares:
            for j in range(n):
                energy += a[j] * a[j]
            divide_row(a, np.int64(1) << (F + G), max(integer_root((energy << (2 * F)) // n), 1), out[i])
        else:
            for j in range(n):
                size += abs(a[j])
            divide_row(a, np.int64(n) << G, max(size, 1), out[i])


@kernel
def divide_row(a, factor, divisor, out):
    """``a factor / divisor``, TIES_AWAY: on magnitudes, ``floor(N / (2 divisor))`` with ``N = 2 |a| factor + divisor``.

    Below 2**50 N is exact in float64, and ``(N + 1/2) / (2 divisor)`` is computed within ``2**-52`` of itself, which
    is less than its distance of ``1 / (4 divisor)`` or more from every integer: its integer part is right.
    """
    most = np.int64(0)
    for j in range(a.size):
        most = max(most, abs(a[j]))
    if (most * factor) >> 48 == 0 and divisor >> 48 == 0:
        if 2 * most * factor + divisor >= 1 << 50:
            raise AssertionError
        slope, start, inverse = 2.0 * np.float64(factor), np.float64(divisor) + 0.5, 1.0 / (2.0 * np.float64(divisor))
        for j in range(a.size):
            quotient = np.int64((abs(np.float64(a[j])) * slope + start) * inverse)
            out[j] = -quotient if a[j] < 0 else quotient
    else:
        for j in range(a.size):
            out[j] = divide_round(a[j] * factor, divisor, TIES_AWAY)
