"""torchao: block formats, 32 values with a shared exponent (8-bit elements; it has no integer ones)."""

from __future__ import annotations

import torch
from torchao.prototype.mx_formats.mx_tensor import to_mx

from benchmarks.data import real_rows

torch.set_grad_enabled(False)


def block_quantise(case):
    x = torch.from_numpy(real_rows(case))
    return lambda: to_mx(x, torch.float8_e4m3fn, 32)
