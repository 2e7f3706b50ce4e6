"""I-ViT's integer softmax as its project runs it: integers held in floats, one PyTorch operator after the other.

Restated here from the paper (arXiv 2207.01405, section 3.3): the project itself needs a graphics card.
"""

from __future__ import annotations

import os

import torch

from benchmarks.data import rows

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.set_grad_enabled(False)

_N = 15


def emulate_softmax(case):
    scale = torch.tensor(1 / (1 << 9))
    x = torch.from_numpy(rows(case) >> 8).float() * scale
    return lambda: _softmax(x, scale, 8)


def _softmax(x, scale, bits):
    codes = x / scale
    codes = codes - codes.max(dim=-1, keepdim=True).values
    power = _shift_exp(codes, scale)
    total = power.sum(dim=-1, keepdim=True).clamp_max(2.0**31 - 1)
    factor = torch.floor((2.0**31 - 1) / total)
    return torch.floor(power * factor / 2.0 ** (32 - bits)) * 2.0 ** (1 - bits)


def _shift_exp(codes, scale):
    x0 = torch.floor(-1 / scale)
    codes = codes + torch.floor(codes / 2) - torch.floor(codes / 16)
    codes = torch.maximum(codes, _N * x0)
    q = torch.floor(codes / x0)
    rest = codes - x0 * q
    return torch.floor((rest / 2 - x0) * 2.0 ** (_N - q)).clamp_min(0)
