"""APyTypes: fixed-point arrays in C++, exact."""

from __future__ import annotations

import apytypes
import numpy as np

from benchmarks.data import operands, rows, single_constants


def emulate(case):
    acc = apytypes.APyFixedArray.from_array(rows(case), int_bits=32, frac_bits=0)
    m, s = single_constants()
    factor = apytypes.APyFixed(m, int_bits=32 - s, frac_bits=s)
    half_up, saturate = apytypes.QuantizationMode.RND, apytypes.OverflowMode.SAT
    return lambda: (acc * factor).cast(int_bits=8, frac_bits=0, quantization=half_up, overflow=saturate)


def emulate_gemm(case):
    a, b = (apytypes.APyFixedArray.from_array(v.astype(np.int64), int_bits=8, frac_bits=0) for v in operands(case))
    return lambda: a @ b
