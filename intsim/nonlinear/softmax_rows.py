"""The arithmetic of the softmaxes: every row of a matrix, under a matrix of valid bits."""

from __future__ import annotations

from intsim.exact import exact
from intsim.linear.scale import dynamic_code, dynamic_scale
from intsim.nonlinear.constants import DI_K_MAX, di_period
from intsim.nonlinear.exp import di_exp, ibert_exp, shift_exp
from intsim.rounding import TIES_TO_EVEN, TO_NEG, divide_round, shift_round
from intsim.rows import row_range

__all__ = ["E16_MAX", "INT32_MAX", "di_softmax_rows", "ibert_softmax_rows", "shiftmax_rows"]

INT32_MAX = (1 << 31) - 1
E16_MAX = (1 << 15) - 1


@exact
def shiftmax_rows(x, valid, x0, n, limit, tvm, shift, out_max, out_e, out_sum, out_factor, out):
    """I-ViT's softmax of every row."""
    for i in range(x.shape[0]):
        top, _, _ = row_range(x, valid, i)
        total = 0
        for j in range(x.shape[1]):
            e = 0
            if valid[i, j] != 0:
                _, _, e = shift_exp(x[i, j] - top, x0, n, limit, tvm)
            out_e[i, j] = e
            total += e
        limited = total if tvm else min(total, INT32_MAX)
        factor = INT32_MAX // limited if limited > 0 else 0
        for j in range(x.shape[1]):
            out[i, j] = (out_e[i, j] * factor) >> shift
        out_max[i] = top
        out_sum[i] = total
        out_factor[i] = factor


@exact
def ibert_softmax_rows(x, valid, x0, b, c, multiplier, e_shift, shift, out_max, out_e, out_sum, out_factor, out):
    """I-BERT's softmax of every row."""
    for i in range(x.shape[0]):
        top, _, _ = row_range(x, valid, i)
        total = 0
        for j in range(x.shape[1]):
            e = 0
            if valid[i, j] != 0:
                q, _, polynomial = ibert_exp(x[i, j] - top, x0, b, c, 30)
                e = min(shift_round(polynomial * multiplier, e_shift - 30 + q, TIES_TO_EVEN), E16_MAX)
            out_e[i, j] = e
            total += e
        factor = (1 << 32) // total if total > 0 else 0
        for j in range(x.shape[1]):
            out[i, j] = (out_e[i, j] * factor) >> shift
        out_max[i] = top
        out_sum[i] = total
        out_factor[i] = factor


@exact
def di_softmax_rows(
    x,
    valid,
    m,
    k,
    clip,
    bits,
    form,
    headroom,
    out_bits,
    rounding,
    out_max,
    out_low,
    out_m,
    out_k,
    out_code,
    out_e,
    out_sum,
    out,
):
    """I-LLM's clipped softmax of every row."""
    for i in range(x.shape[0]):
        top, low, _ = row_range(x, valid, i)
        low = max(low, top - (clip << k[i]) // m[i])
        span = max(top - low, 1)
        scale_m, scale_k = dynamic_scale(span * m[i], k[i], bits, 8, TO_NEG)
        scale_k = min(scale_k, DI_K_MAX)
        t = di_period(scale_m, scale_k)
        code_top = dynamic_code(top, low, span, bits)
        total = 0
        for j in range(x.shape[1]):
            code = 0
            e = 0
            if valid[i, j] != 0:
                code = dynamic_code(max(x[i, j], low), low, span, bits)
                e = di_exp(code - code_top, scale_m, scale_k, t, form, headroom)
            out_code[i, j] = code
            out_e[i, j] = e
            total += e
        for j in range(x.shape[1]):
            out[i, j] = divide_round(out_e[i, j] << (out_bits - 1), max(total, 1), rounding)
        out_max[i] = top
        out_low[i] = low
        out_m[i] = scale_m
        out_k[i] = scale_k
        out_sum[i] = total
