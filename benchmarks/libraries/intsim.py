"""This project, by its public functions."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.data import channel_constants, operands, rows, rows16, single_constants
from intsim import Fixed, Int, catalogue
from intsim.formats.blockfp import BFP
from intsim.linear import BlockMatmul, DynamicRequantize, linear, matmul, pack
from intsim.nonlinear import IViTLayerNorm, Shiftmax
from intsim.requant import Requantizer
from intsim.tables import Direct


def _again(function, *args):
    """The call again and again, into the memory of its first result."""
    out = function(*args)
    return lambda: function(*args, out=out)


def gemm(case):
    a, b = operands(case)
    return _again(matmul, a, pack(b))


def batch(case):
    a, b = operands(case)
    return _again(matmul, a, b)


def fused(case):
    a, b = operands(case)
    return _again(linear, a, pack(b), _per_channel(case.shape[2]))


def int4(case):
    a, b = operands(case)
    return _again(matmul, a, pack(b >> 4))


def gemm16(case):
    a, b = operands(case, np.int16)
    return _again(partial(matmul, acc_bits=64), a, pack(b))


def block_gemm(case):
    fmt = BFP(8, 32)
    a, b = operands(case, np.int16)
    left, right = fmt.quantize(a.astype(np.int32), 15), fmt.quantize(b.T.astype(np.int32), 15)
    unit = BlockMatmul(fmt, fmt, max_k=case.shape[1])
    return _again(unit, left, unit.pack(right))


def block_quantise(case):
    fmt, x = BFP(8, 32), rows(case)
    return lambda: fmt.quantize(x, 17)


def _per_channel(channels):
    constants = tuple((int(m), int(s)) for m, s in zip(*channel_constants(channels), strict=True))
    return Requantizer(channels=constants, right=True, y=Int(8))


def requantise(case):
    return _again(Requantizer(channels=(single_constants(),), right=True, y=Int(8)), rows(case))


emulate = requantise


def channels(case):
    return _again(_per_channel(case.shape[1]), rows(case), np.arange(case.shape[1]))


def dynamic(case):
    return _again(DynamicRequantize(m=200, k=30), rows(case))


def softmax(case):
    return _again(Shiftmax.design(1 / (1 << 9), out_bits=8), rows(case) >> 8)


emulate_softmax = softmax


def norm(case):
    return _again(IViTLayerNorm(), rows(case))


def table16(case):
    return _again(catalogue.get("nli_gelu"), rows16(case))


def table8(case):
    unit = Direct.design("sigmoid", Fixed(8, 4), Fixed(8, 7), saturate=True)
    return _again(unit, rows16(case).astype(np.int8))


def emulate_gemm(case):
    a, b = operands(case)
    return lambda: matmul(a, b)
