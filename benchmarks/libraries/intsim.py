"""This project, by its public functions."""

from __future__ import annotations

import numpy as np

from benchmarks.data import channel_constants, operands, rows, rows16, single_constants
from intsim import Fixed, Int, catalogue
from intsim.formats.blockfp import BFP
from intsim.linear import BlockMatmul, DynamicRequantize, linear, matmul, pack
from intsim.nonlinear import IViTLayerNorm, Shiftmax
from intsim.requant import Requantizer
from intsim.tables import Direct


def gemm(case):
    a, b = operands(case)
    weights, out = pack(b), np.empty((case.shape[0], case.shape[2]), dtype=np.int32)
    return lambda: matmul(a, weights, out=out)


def batch(case):
    a, b = operands(case)
    out = np.empty((*a.shape[:-1], b.shape[-1]), dtype=np.int32)
    return lambda: matmul(a, b, out=out)


def fused(case):
    a, b = operands(case)
    weights, unit = pack(b), _per_channel(case.shape[2])
    out = np.empty((case.shape[0], case.shape[2]), dtype=np.int8)
    return lambda: linear(a, weights, unit, out=out)


def int4(case):
    a, b = operands(case)
    weights, out = pack(b >> 4), np.empty((case.shape[0], case.shape[2]), dtype=np.int32)
    return lambda: matmul(a, weights, out=out)


def gemm16(case):
    a, b = operands(case, np.int16)
    weights, out = pack(b), np.empty((case.shape[0], case.shape[2]), dtype=np.int64)
    return lambda: matmul(a, weights, acc_bits=64, out=out)


def block_gemm(case):
    fmt = BFP(8, 32)
    a, b = operands(case, np.int16)
    left, right = fmt.quantize(a.astype(np.int32), 15), fmt.quantize(b.T.astype(np.int32), 15)
    unit = BlockMatmul(fmt, fmt, max_k=case.shape[1])
    shape = case.shape[0], case.shape[2]
    out = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int16)
    return lambda: unit(left, right, out=out)


def block_quantise(case):
    fmt, x = BFP(8, 32), rows(case)
    return lambda: fmt.quantize(x, 17)


def _per_channel(channels):
    constants = tuple((int(m), int(s)) for m, s in zip(*channel_constants(channels), strict=True))
    return Requantizer(channels=constants, right=True, y=Int(8))


def _unit(unit, *ports):
    shape = np.broadcast_shapes(*(port.shape for port in ports))
    out = np.empty(shape, dtype=next(iter(unit.outputs.values())).dtype)
    return lambda: unit(*ports, out=out)


def requantise(case):
    return _unit(Requantizer(channels=(single_constants(),), right=True, y=Int(8)), rows(case))


emulate = requantise


def channels(case):
    return _unit(_per_channel(case.shape[1]), rows(case), np.arange(case.shape[1]))


def dynamic(case):
    unit, x = DynamicRequantize(m=200, k=30), rows(case)
    return lambda: unit(x)


def softmax(case):
    return _unit(Shiftmax.design(1 / (1 << 9), out_bits=8), rows(case) >> 8)


emulate_softmax = softmax


def norm(case):
    return _unit(IViTLayerNorm(), rows(case))


def table16(case):
    return _unit(catalogue.get("nli_gelu"), rows16(case))


def table8(case):
    unit = Direct.design("sigmoid", Fixed(8, 4), Fixed(8, 7), saturate=True)
    return _unit(unit, rows16(case).astype(np.int8))


def emulate_gemm(case):
    a, b = operands(case)
    return lambda: matmul(a, b)
