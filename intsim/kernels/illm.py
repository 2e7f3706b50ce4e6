"""I-LLM's clipped softmax and its gate on rows: divisions by reciprocals, exponentials in vectors or by table.

Every quotient here is of integers n and d with ``n < 2**50``. Computed in float64 as ``(n + 1/2) (1/d)`` it is within
``2**-52 n/d`` of ``(n + 1/2) / d``, which is ``1 / (2 d)`` or more away from every integer: its integer part is right.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from intsim.exact import compiled, kernel
from intsim.kernels.dynamic import row_codes
from intsim.kernels.memory import aligned, room
from intsim.kernels.threads import in_parts
from intsim.linear.scale import dynamic_scale
from intsim.nonlinear.constants import DI_FORMS, DI_K_MAX, FIXED16, di_period
from intsim.nonlinear.exp import di_exp
from intsim.rounding import TO_NEG

__all__ = ["clipped_softmax", "gate_rows", "softmax_rows_of", "swiglu"]

_PARALLEL = 1 << 16
_EXPONENTIAL = 16  # bits of exp(0) in the form that vectors compute


def clipped_softmax(
    unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]
) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.clipped_softmax.DIClippedSoftmax` with its own scale."""
    x = columns[0]
    valid = columns[1] if len(columns) > 1 else np.empty((len(x), 0), dtype=np.uint8)
    m, k = (np.full(len(x), v, dtype=np.int64) for v in (unit.m, unit.k))
    y = softmax_rows_of(unit, x, valid, m, k, given.get("y"))
    return None if y is None else {"y": y}


def softmax_rows_of(
    unit: Any, x: np.ndarray, valid: np.ndarray, m: np.ndarray, k: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray | None:
    """The softmax with one scale per row; `valid` has no columns where every element counts. None: not covered."""
    n, form = x.shape[1], DI_FORMS.index(unit.exp)
    bounded = form == FIXED16 or bool((m == unit.m).all() and (k == unit.k).all())  # by unit.top
    if not bounded or unit.rounding != TO_NEG or unit.bits > 8 or max(unit.top << unit.out_bits, unit.top * n) >> 48:
        return None
    if unit.top >> 32:
        return None
    if out is None:
        out = aligned(x.shape, unit.outputs["y"].dtype)
    constants = (unit.clip, unit.bits, form, unit.headroom, unit.out_bits)

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        rooms = room("codes", (n,), np.uint8), room("near", (n,), np.int64), room("powers", (n,), np.uint32)
        compiled(softmax_rows)(x[part], valid[part], m[part], k[part], *constants, *rooms, out[part])

    in_parts(work, len(x), 1, x.size > _PARALLEL)
    return out


@kernel
def softmax_rows(x, valid, m, k, clip, bits, form, headroom, out_bits, codes, near, powers, out):
    """Row by row: the range, the codes, their exponentials, the quotients."""
    n = x.shape[1]
    masked = valid.shape[1] > 0
    full = (1 << bits) - 1
    table = np.empty(full + 1, dtype=np.uint32)
    for i in range(x.shape[0]):
        row, mark, result = x[i], valid[i], out[i]
        top, low = row_ends(row, mark, masked)
        low = max(low, top - (clip << k[i]) // m[i])
        span = max(top - low, 1)
        scale_m, scale_k = dynamic_scale(span * m[i], k[i], bits, 8, TO_NEG)
        scale_k = min(scale_k, DI_K_MAX)
        for j in range(n):
            near[j] = min(max(np.int64(row[j]), low), top)
        row_codes(near, low, span, bits, codes, 0)
        most = full if top > low else 0
        period = di_period(scale_m, scale_k)
        if n > 2 * full:
            for d in range(most + 1):
                table[most - d] = di_exp(-d, scale_m, scale_k, period, form, headroom)
            for j in range(n):
                powers[j] = table[codes[j]]
        elif form == FIXED16 and scale_k + 8 >= _EXPONENTIAL:
            shift, step = scale_k + 8, scale_m * 369
            for j in range(n):
                z = (most - np.int64(codes[j])) * step
                powers[j] = power(z, shift)
        else:
            for j in range(n):
                powers[j] = di_exp(np.int64(codes[j]) - most, scale_m, scale_k, period, form, headroom)
        if masked:
            for j in range(n):
                powers[j] = powers[j] if mark[j] != 0 else 0
        total = np.int64(0)
        for j in range(n):
            total += np.int64(powers[j])
        if total >> 48 != 0:
            raise AssertionError
        if out_bits > 16:
            raise AssertionError
        inverse, unit = 1.0 / np.float64(max(total, 1)), np.float64(1 << (out_bits - 1))
        for j in range(n):
            result[j] = np.int32((np.float64(powers[j]) * unit + 0.5) * inverse)


@kernel
def row_ends(row, mark, masked):
    """The largest and the least element that counts; zeros where none does."""
    if not masked:
        most, least = row[0], row[0]
        for j in range(row.size):
            most = max(most, row[j])
            least = min(least, row[j])
        return np.int64(most), np.int64(least)
    top, low = np.int64(-(1 << 62)), np.int64(1 << 62)
    for j in range(row.size):
        value = np.int64(row[j])
        top = max(top, value if mark[j] != 0 else np.int64(-(1 << 62)))
        low = min(low, value if mark[j] != 0 else np.int64(1 << 62))
    return (top, low) if top >= low else (np.int64(0), np.int64(0))


@kernel
def power(z, shift):
    """``2**16 2**(-z / 2**shift)`` by a straight line between halvings, as :func:`di_exp`; ``shift >= 16``."""
    halvings = z >> shift
    line = (np.int64(1) << shift) - ((z - (halvings << shift)) >> 1)
    return line >> min(halvings + shift - _EXPONENTIAL, np.int64(63))


def swiglu(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """:class:`~intsim.nonlinear.gated.DISwiGLU` with its own scale."""
    gate, up = (v.reshape(-1, v.shape[-1]) for v in columns)
    scale = (np.full(len(gate), v, dtype=np.int64) for v in (unit.m, unit.k))
    out = given.get("y")
    y = unit.gated(gate, up, *scale, None if out is None else out.reshape(gate.shape))
    return {"y": y.reshape(columns[0].shape)}


def gate_rows(
    unit: Any, gate: np.ndarray, up: np.ndarray, m: np.ndarray, k: np.ndarray, alpha: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> bool:  # fmt: skip
    """``gate sigmoid(gate/alpha) up`` into `out`; False where this form of the sigmoid has no kernel.

    Parameters
    ----------
    m, k : scale of each row
    alpha : m and k of the smoothing, one or one per channel
    """
    if unit.frame != "two_branch" or unit.form != DI_FORMS[FIXED16]:
        return False

    def work(first: int, last: int) -> None:
        part = slice(first, last)
        compiled(two_branch_rows)(gate[part], up[part], m[part], k[part], unit.out_bits, *alpha, out[part])

    in_parts(work, len(gate), 1, gate.size > _PARALLEL)
    return True


@kernel
def two_branch_rows(gate, up, m, k, out_bits, alpha_m, alpha_k, out):
    """With the exponential of the magnitude: ``own 2**(out_bits-1) // (2**16 + e)``.

    Both are below 2**32; a float64 division rounds their quotient up to an integer only where it is one.
    """
    if out_bits > 16:
        raise AssertionError
    for i in range(gate.shape[0]):
        row, other, result = gate[i], up[i], out[i]
        shift, step = k[i] + 8, m[i] * 369
        one = np.int64(1) << _EXPONENTIAL
        if alpha_m.size == 1 and shift >= _EXPONENTIAL:
            smooth, down = alpha_m[0], alpha_k[0]
            for j in range(row.size):
                x = np.int64(row[j])
                smoothed = (x * smooth) >> down
                e = power(abs(smoothed) * step, shift)
                own = one if smoothed >= 0 else e
                sigma = np.int64(np.float64(own << (out_bits - 1)) / np.float64(one + e))
                result[j] = x * sigma * np.int64(other[j])
        else:
            for j in range(row.size):
                c = j if alpha_m.size > 1 else 0
                x = np.int64(row[j])
                smoothed = (x * alpha_m[c]) >> alpha_k[c]
                far = di_exp(-abs(smoothed), m[i], k[i], 1, FIXED16, 0)
                near = di_exp(0, m[i], k[i], 1, FIXED16, 0)
                sigma = ((near if smoothed >= 0 else far) << (out_bits - 1)) // (near + far)
                result[j] = x * sigma * np.int64(other[j])
