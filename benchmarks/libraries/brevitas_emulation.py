"""Brevitas: quantisation simulated in float32."""

from __future__ import annotations

import brevitas.nn as qnn
import torch

from benchmarks.data import operands, real_rows

torch.set_grad_enabled(False)


def emulate(case):
    layer = qnn.QuantIdentity(bit_width=8, return_quant_tensor=False).eval()
    x = torch.from_numpy(real_rows(case))
    return lambda: layer(x)


def emulate_gemm(case):
    a, b = operands(case)
    layer = qnn.QuantLinear(case.shape[1], case.shape[2], bias=False, weight_bit_width=8).eval()
    layer.weight.copy_(torch.from_numpy(b.T.astype("float32")))
    x = torch.from_numpy(a.astype("float32"))
    return lambda: layer(x)
