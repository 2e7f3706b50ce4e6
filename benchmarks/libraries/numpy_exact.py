"""NumPy, exact: sums of bytes in float32 pieces of 1024, of 16 bits in float64; integer expressions elsewhere."""

from __future__ import annotations

import numpy as np

from benchmarks.data import channel_constants, operands, rows, rows16, single_constants


def gemm(case):
    a, b = operands(case)
    left = [np.ascontiguousarray(a[:, i : i + 1024], dtype=np.float32) for i in range(0, a.shape[1], 1024)]
    right = [np.ascontiguousarray(b[i : i + 1024], dtype=np.float32) for i in range(0, a.shape[1], 1024)]

    def run():
        total = np.matmul(left[0], right[0]).astype(np.int32)
        for x, y in zip(left[1:], right[1:], strict=True):
            total += np.matmul(x, y).astype(np.int32)
        return total

    return run


def batch(case):
    a, b = operands(case)
    left, right = a.astype(np.float32), b.astype(np.float32)
    return lambda: np.matmul(left, right).astype(np.int32)


def gemm16(case):
    a, b = operands(case, np.int16)
    left, right = a.astype(np.float64), b.astype(np.float64)
    return lambda: np.matmul(left, right).astype(np.int64)


def requantise(case):
    acc = rows(case)
    m, s = single_constants()
    return lambda: np.clip((acc * np.int64(m) + (1 << (s - 1))) >> s, -128, 127).astype(np.int8)


def channels(case):
    acc = rows(case)
    m, s = channel_constants(case.shape[1])
    half = np.int64(1) << (s - 1)
    return lambda: np.clip((acc * m + half) >> s, -128, 127).astype(np.int8)


def emulate(case):
    acc = rows(case)
    m, s = single_constants()
    return lambda: np.clip((acc * np.int64(m) + (1 << (s - 1))) >> s, -128, 127).astype(np.int8)


def emulate_gemm(case):
    a, b = operands(case)
    left, right = a.astype(np.int32), b.astype(np.int32)
    return lambda: left @ right


def table16(case):
    x = rows16(case)
    table = np.arange(1 << 16).astype(np.int16)
    index = x.view(np.uint16)
    out = np.empty_like(x)
    return lambda: np.take(table, index, out=out, mode="clip")
