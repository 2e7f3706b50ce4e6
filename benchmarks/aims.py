"""What the kernels are meant to reach, as ratios within one run, and what a run reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["AIMS", "Aim"]

_Cases = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Aim:
    """One of them.

    Attributes
    ----------
    text : what it says
    least : the ratio that is wanted at least
    reached : the ratio of a run's cases; it may miss a case or a library (KeyError), then nothing is said
    """

    text: str
    least: float
    reached: Callable[[_Cases], float]


def _limit(case: str, key: str = "of_limit") -> Callable[[_Cases], float]:
    """Of what the machine can do."""
    return lambda cases: cases[case][key]


def _faster(case: str, *libraries: str) -> Callable[[_Cases], float]:
    """Than the fastest of these libraries."""

    def ratio(cases: _Cases) -> float:
        times = cases[case]["times"]
        found = [times[library]["median"] for library in libraries if library in times]
        if not found:
            raise KeyError(case)
        return min(found) / times["intsim"]["median"]

    return ratio


def _against_plain(case: str) -> Callable[[_Cases], float]:
    """Time of our plain product over that of this case, in turns."""
    return lambda cases: cases[case]["times"]["plain"]["median"] / cases[case]["times"]["intsim"]["median"]


_FLOATS = "torch_cpu", "onnx_runtime"

AIMS = [
    Aim("int8 product 1024^3: of the VNNI peak, best call", 0.90, _limit("gemm1024", "of_limit_best")),
    Aim("the same: as fast as PyTorch and ONNX Runtime", 1 / 1.05, _faster("gemm1024", *_FLOATS)),
    Aim("int8 product 2048^3: as fast as PyTorch and ONNX Runtime", 1 / 1.05, _faster("gemm2048", *_FLOATS)),
    Aim("int8 product 256 x 4096 x 4096: as fast as both", 1 / 1.05, _faster("gemm4096", *_FLOATS)),
    Aim("int8 product 1024^3: faster than exact BLAS", 4, _faster("gemm1024", "numpy_exact")),
    Aim("256 products 64^3: as fast as PyTorch", 1, _faster("batch64", "torch_cpu")),
    Aim("product with requantisation: as fast as without", 1 / 1.10, _against_plain("fused1024")),
    Aim("one row: as fast as ONNX Runtime", 1, _faster("single", "onnx_runtime")),
    Aim("one row: int4 faster than int8", 1.8, _against_plain("single4")),
    Aim("int16 product: faster than exact dgemm", 2, _faster("wide1024", "numpy_exact", "torch_cpu")),
    Aim("block floating-point product: of the VNNI peak", 0.60, _limit("block1024")),
    Aim("requantise per tensor: of copying", 0.90, _limit("requantise")),
    Aim("requantise per channel: of copying", 0.55, _limit("channels")),
    Aim("requantise rows by their own range: of copying", 0.50, _limit("dynamic")),
    Aim("softmax: of copying", 0.50, _limit("softmax")),
    Aim("softmax, 2 threads: of copying", 0.70, _limit("softmax_2")),
    Aim("softmax: faster than float32 of PyTorch and ONNX Runtime", 1.5, _faster("softmax", *_FLOATS)),
    Aim("LayerNorm: of copying", 0.50, _limit("norm")),
    Aim("LayerNorm, 2 threads: of copying", 0.70, _limit("norm_2")),
    Aim("LayerNorm: faster than float32 of PyTorch and ONNX Runtime", 1.5, _faster("norm", *_FLOATS)),
    Aim("requantise: faster than APyTypes", 50, _faster("emulate", "apytypes_emulation")),
    Aim("requantise: faster than Brevitas", 50, _faster("emulate", "brevitas_emulation")),
    Aim("softmax: faster than I-ViT's operators", 40, _faster("emulate_softmax", "ivit_emulation")),
]
