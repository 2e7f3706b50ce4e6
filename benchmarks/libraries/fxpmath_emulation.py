"""fxpmath: fixed-point numbers on NumPy."""

from __future__ import annotations

import numpy as np
from fxpmath import Fxp

from benchmarks.data import operands, rows, single_constants


def emulate(case):
    m, s = single_constants()
    acc = Fxp(rows(case).astype(np.int64), signed=True, n_word=32, n_frac=0)
    factor = m / 2.0**s
    return lambda: Fxp(acc.get_val() * factor, signed=True, n_word=8, n_frac=0, rounding="around", overflow="saturate")


def emulate_gemm(case):
    a, b = (Fxp(v.astype(np.int64), signed=True, n_word=8, n_frac=0) for v in operands(case))
    return lambda: np.dot(a, b)
