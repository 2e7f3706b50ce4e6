"""Dynamic requantisation of rows: the division by a row's span becomes a multiplication by its reciprocal.

:func:`requantize_rows` is :func:`intsim.linear.dynamic.dynamic_rows`, with its arguments. :func:`linear_rows` puts
before it what a linear layer does to its accumulators, so that nothing wider than them is ever written to memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.memory import aligned, room
from intsim.kernels.spans import GROUP, line_span
from intsim.kernels.threads import in_parts
from intsim.linear.scale import dynamic_scale
from intsim.rounding import TIES_AWAY, divide_round

__all__ = ["dynamic_requantize", "requantize", "requantize_linear"]

_PARALLEL = 1 << 17
_PORTS = ("low", "span", "m", "k", "zero_point")


def dynamic_requantize(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.linear.DynamicRequantize` with its own scale."""
    (x,) = columns
    m, k = (np.full(len(x), v, dtype=np.int64) for v in (unit.m, unit.k))
    out = given.get("y")
    found = requantize(unit, x, m, k, aligned(x.shape, unit.outputs["y"].dtype) if out is None else out)
    return {port: found[port].astype(fmt.dtype, copy=False) for port, fmt in unit.outputs.items()}


def requantize(unit: Any, x: np.ndarray, m: np.ndarray, k: np.ndarray, out: np.ndarray) -> dict[str, np.ndarray]:
    """Codes into `out`; scale, zero point and range of every row, int64, of a scale ``m / 2**k`` per row."""
    nets = np.empty((5, len(x)), dtype=np.int64)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        compiled(requantize_rows)(x[part], m[part], k[part], *_constants(unit), *nets[:, part], out[part])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return {**dict(zip(_PORTS, nets, strict=True)), "y": out}


def requantize_linear(
    unit: Any, sums: np.ndarray, factors: np.ndarray, drop: np.ndarray, bias: np.ndarray, m: np.ndarray, k: np.ndarray,
    fraction: int, out: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """As :func:`requantize`, for ``((sums * factors) >> drop) + bias``, the bias brought to each row's scale.

    Parameters
    ----------
    sums : int32 or int64 (rows, n), products with `factors` of up to 62 bits
    factors, drop : int64 (n,), shifts up to 63
    bias : int64 (n,) with `fraction` fraction bits
    """
    nets = np.empty((5, len(sums)), dtype=np.int64)
    largest = int(np.abs(bias).max(initial=0))

    def work(first: int, last: int) -> None:
        part, row = slice(first, last), room("row", sums.shape[1:], np.int64)
        compiled(linear_rows)(
            sums[part], factors, drop, bias, largest, m[part], k[part], fraction, *_constants(unit), row,
            *nets[:, part], out[part],
        )  # fmt: skip

    in_parts(work, len(sums), 1, sums.size > _PARALLEL)
    return {**dict(zip(_PORTS, nets, strict=True)), "y": out}


def _constants(unit: Any) -> tuple[int, bool, int, int]:
    return unit.bits, unit.include_zero, unit.mantissa_bits, int(unit.rounding)


@kernel
def requantize_rows(
    x, m, k, bits, include_zero, mantissa_bits, rounding, out_low, out_span, out_m, out_k, out_zero, out
):
    """Codes, scale and zero point of every row."""
    for i in range(x.shape[0]):
        row = x[i]
        low, span, scale_m, scale_k, zero = row_scale(row, m[i], k[i], bits, include_zero, mantissa_bits, rounding)
        row_codes(row, low, span, bits, out[i], x.strides[0] if i + 1 < x.shape[0] else 0)
        out_low[i], out_span[i], out_m[i], out_k[i], out_zero[i] = low, span, scale_m, scale_k, zero


@kernel
def linear_rows(
    sums, factors, drop, bias, largest, m, k, fraction, bits, include_zero, mantissa_bits, rounding, row, out_low,
    out_span, out_m, out_k, out_zero, out,
):  # fmt: skip
    """The rows of a linear layer, one after the other in `row`."""
    for i in range(sums.shape[0]):
        source = sums[i]
        for j in range(row.size):
            row[j] = (np.int64(source[j]) * factors[j]) >> drop[j]
        if largest > 0:
            add_bias(row, bias, largest, m[i], k[i], fraction)
        low, span, scale_m, scale_k, zero = row_scale(row, m[i], k[i], bits, include_zero, mantissa_bits, rounding)
        row_codes(row, low, span, bits, out[i], 0)
        out_low[i], out_span[i], out_m[i], out_k[i], out_zero[i] = low, span, scale_m, scale_k, zero


@kernel
def row_scale(row, m, k, bits, include_zero, mantissa_bits, rounding):
    """Least element, span, dyadic scale and zero point; what does not fit 62 bits has a span that tells it."""
    least, most = row[0], row[0]
    for j in range(row.size):
        least = min(least, row[j])
        most = max(most, row[j])
    low, top = np.int64(least), np.int64(most)
    if include_zero:
        low, top = min(low, 0), max(top, 0)
    span = max(top - low, 1) if (top >> 1) - (low >> 1) < 1 << 61 else np.int64(1 << 62)  # a span that is refused
    scale_m, scale_k = dynamic_scale(span * m, k, bits, mantissa_bits, rounding)
    return low, span, scale_m, scale_k, divide_round(-1 * low * ((1 << bits) - 1), span, TIES_AWAY)


@kernel
def row_codes(row, low, span, bits, out, following):
    """``floor((2 (x - low) full + span) / (2 span))`` of every element, ``full = 2**bits - 1``.

    With n the numerator and d = 2 span, ``(n + 1/2) / d`` lies at least ``1 / (2 d)`` away from every integer, so that
    this straight line of x may be off by as much. Where ``|x| full < 2**48`` its two constants and its value have
    errors of ``2**-53`` of their size, together less than ``1 / (4 d)``: its integer part is right. Beyond, the
    quotient is at most one off, which the remainder corrects; n stays below 2**62 (the unit checks it).

    `following` : bytes to the row that comes next
    """
    full = np.int64((1 << bits) - 1)
    if bits > 16:
        raise AssertionError
    if span <= 0:
        raise AssertionError
    scale = 1.0 / (2.0 * np.float64(span))
    reach = max(abs(low), abs(low + span))
    if reach >> 48 == 0 and reach * full >> 48 == 0:
        slope = np.float64(full) / np.float64(span)
        start = (np.float64(span) + 0.5 - 2.0 * np.float64(low) * np.float64(full)) / (2.0 * np.float64(span))
        if row.size >= GROUP:
            line_span(row, slope, start, out, row.size, following)
        else:
            for j in range(row.size):
                out[j] = np.int32(np.float64(row[j]) * slope + start)
    else:
        divisor = 2 * span
        for j in range(row.size):
            numerator = 2 * (np.int64(row[j]) - low) * full + span
            quotient = np.int64(np.float64(numerator) * scale)
            rest = numerator - quotient * divisor
            out[j] = quotient + (rest >= divisor) - (rest < 0)


@kernel
def add_bias(row, bias, largest, m, k, fraction):
    """A bias of `fraction` fraction bits, rounded to the scale ``m / 2**k`` (TIES_AWAY), to every element.

    On magnitudes: ``floor((2 b + d) / (2 d))``. Below 2**50 the quotient by the reciprocal is at most one off.
    """
    left, divisor = max(k - fraction, 0), m << max(fraction - k, 0)
    if divisor == 1 and left == 0:
        for j in range(row.size):
            row[j] += bias[j]
    elif left < 62 and (2 * largest << left) >> left == 2 * largest and (2 * largest << left) + divisor < 1 << 50:
        if divisor <= 0:
            raise AssertionError
        scale, double = 1.0 / (2.0 * np.float64(divisor)), 2 * divisor
        for j in range(row.size):
            value = bias[j] << left
            numerator = 2 * abs(value) + divisor
            quotient = np.int64(np.float64(numerator) * scale)
            rest = numerator - quotient * double
            quotient += np.int64(rest >= double) - np.int64(rest < 0)
            row[j] += -quotient if value < 0 else quotient
    else:
        for j in range(row.size):
            row[j] += divide_round(bias[j] << left, divisor, TIES_AWAY)
