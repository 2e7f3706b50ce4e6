"""What is measured: the work, its data, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """One piece of work.

    Attributes
    ----------
    name, title : short name; what it is, for the table
    kind : what the libraries implement
    shape : sizes, as the kind takes them
    limit : the measured limit that bounds it: ``vnni`` (byte operations) or ``copy`` (bytes moved)
    amount : operations, or bytes that must be moved at least
    exact : whether every library's result must be the same integers
    threads : how many each library may use
    """

    name: str
    title: str
    kind: str
    shape: tuple[int, ...]
    limit: str
    amount: int
    exact: bool = False
    threads: int = 1

    def random(self) -> np.random.Generator:
        """The same numbers in every library."""
        return np.random.default_rng(sum(map(ord, self.kind)))


def _gemm(name: str, kind: str, m: int, k: int, n: int, title: str, **options) -> Case:
    return Case(name, title, kind, (m, k, n), "vnni", 2 * m * k * n, **options)


def _rows(name: str, kind: str, title: str, moved: int, size: int = 4096, **options) -> Case:
    return Case(name, title, kind, (size, size), "copy", moved * size * size, **options)


_ALL = [
    _gemm("gemm512", "gemm", 512, 512, 512, "int8 product 512^3", exact=True),
    _gemm("gemm1024", "gemm", 1024, 1024, 1024, "int8 product 1024^3", exact=True),
    _gemm("gemm2048", "gemm", 2048, 2048, 2048, "int8 product 2048^3", exact=True),
    _gemm("gemm4096", "gemm", 256, 4096, 4096, "int8 product 256 x 4096 x 4096", exact=True),
    _gemm("gemm4096_2", "gemm", 256, 4096, 4096, "the same, 2 threads", exact=True, threads=2),
    Case("batch64", "256 int8 products 64^3", "batch", (256, 64, 64, 64), "vnni", 2 * 256 * 64**3, exact=True),
    _gemm("fused1024", "fused", 1024, 1024, 1024, "int8 product 1024^3, requantised per channel"),
    Case("single", "one row, int8 weights 4096 x 4096", "gemm", (1, 4096, 4096), "copy", 4096 * 4096, exact=True),
    Case("single4", "one row, int4 weights 4096 x 4096", "int4", (1, 4096, 4096), "copy", 4096 * 2048),
    _gemm("wide1024", "gemm16", 1024, 1024, 1024, "int16 product 1024^3, 64-bit sums", exact=True),
    _gemm("block1024", "block_gemm", 1024, 1024, 1024, "block floating-point product 1024^3, blocks of 32"),
    Case("blocks", "block floating-point quantiser, 4 M values", "block_quantise", (2048, 2048), "copy", 5 << 22),
    _rows("requantise", "requantise", "requantise int32 to int8, per tensor", 5),
    _rows("channels", "channels", "requantise int32 to int8, per channel", 5),
    _rows("dynamic", "dynamic", "requantise rows by their own range", 5),
    _rows("softmax", "softmax", "softmax of 4096 rows of 4096", 5),
    _rows("softmax_2", "softmax", "the same, 2 threads", 5, threads=2),
    _rows("norm", "norm", "LayerNorm of 4096 rows of 4096", 8),
    _rows("norm_2", "norm", "the same, 2 threads", 8, threads=2),
    _rows("table16", "table16", "16-bit GELU", 4),
    _rows("table8", "table8", "8-bit sigmoid", 2),
    Case("emulate", "requantise 1 M values (libraries that emulate)", "emulate", (1 << 20,), "copy", 5 << 20),
    Case(
        "emulate_softmax",
        "softmax of 1024 rows of 1024 (libraries that emulate)",
        "emulate_softmax",
        (1024, 1024),
        "copy",
        5 << 20,
    ),
    Case("emulate_gemm", "int8 product 256^3 (libraries that emulate)", "emulate_gemm", (256,) * 3, "vnni", 2 << 24),
]

CASES = {case.name: case for case in _ALL}
