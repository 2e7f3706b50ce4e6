"""PyTorch on the CPU: integer products by oneDNN, rows in float32 into memory given."""

from __future__ import annotations

import os
import timeit

import numpy as np
import torch

from benchmarks.data import channel_constants, operands, real_rows, rows16, single_constants

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.set_grad_enabled(False)


def gemm(case):
    """The better of its two layouts of the weights."""
    a, b = (torch.from_numpy(v) for v in operands(case))
    rows = len(a)
    a = torch.cat([a, a.new_zeros(17 - rows, a.shape[1])]) if rows <= 16 else a  # it takes 17 rows or more
    weights = min((b, b.t().contiguous().t()), key=lambda w: _seconds(lambda: torch._int_mm(a, w)))
    return lambda: torch._int_mm(a, weights)[:rows]


def _seconds(run):
    run()
    return min(timeit.repeat(run, number=1, repeat=5))


def batch(case):
    a, b = (torch.from_numpy(v) for v in operands(case))
    pairs = list(zip(a.unbind(), b.unbind(), strict=True))
    return lambda: torch.stack([torch._int_mm(x, y) for x, y in pairs])


def fused(case):
    """oneDNN's quantised linear layer; requantises in float32."""
    a, b = operands(case)
    m, s = channel_constants(case.shape[2])
    torch.backends.quantized.engine = "onednn"
    scales = torch.from_numpy(m / 2.0**s)
    weight = torch.quantize_per_channel(
        torch.from_numpy(b.T.astype(np.float32)) * scales[:, None].float(),
        scales,
        torch.zeros(len(m), dtype=torch.long),
        0,
        torch.qint8,
    )
    packed = torch.ops.quantized.linear_prepack(weight, torch.zeros(len(m)))
    x = torch._make_per_tensor_quantized_tensor(torch.from_numpy((a.astype(np.int16) + 128).astype(np.uint8)), 1.0, 128)
    return lambda: torch.ops.quantized.linear(x, packed, 1.0, 128)


def gemm16(case):
    a, b = (torch.from_numpy(v.astype(np.float64)) for v in operands(case, np.int16))
    return lambda: torch.mm(a, b).long()


def requantise(case):
    x = torch.from_numpy(real_rows(case))
    m, s = single_constants()
    return lambda: torch.quantize_per_tensor(x, 2.0**s / m / 2**17, 0, torch.qint8)


def softmax(case):
    x = torch.from_numpy(real_rows(case))
    out = torch.empty_like(x)
    return lambda: torch.softmax(x, -1, out=out)


def norm(case):
    x = torch.from_numpy(real_rows(case))
    weight, bias = torch.ones(case.shape[1]), torch.zeros(case.shape[1])
    return lambda: torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def table16(case):
    x = torch.from_numpy(rows16(case).astype(np.float32) / 4096)
    out = torch.empty_like(x)
    return lambda: torch.ops.aten.gelu.out(x, out=out)


def emulate_gemm(case):
    a, b = (torch.from_numpy(v.astype(np.int32)) for v in operands(case))
    return lambda: a @ b
