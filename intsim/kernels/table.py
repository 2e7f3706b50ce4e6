"""Elementwise units of few input bits as one table of all their results, made once by the unit's own golden model."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import compiled, kernel
from intsim.kernels.memory import aligned
from intsim.kernels.threads import in_parts

__all__ = ["look_up"]

_BITS = 16
_WORTH = 2  # times as many elements as the table has words
_PARALLEL = 1 << 21
_KEPT = 64  # tables

_tables: OrderedDict[str, dict[str, np.ndarray] | None] = OrderedDict()


def look_up(unit: Any, columns: tuple[np.ndarray, ...], given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """Every output of a unit with one input of at most 16 bits, by its code."""
    formats = list(unit.inputs.values())
    if len(formats) != 1 or formats[0].bits > _BITS or columns[0].size < _WORTH << formats[0].bits:
        return None
    tables = _tables_of(unit, formats[0])
    if tables is None:
        return None
    (x,) = columns
    codes = x.view(np.uint8 if x.dtype.itemsize == 1 else np.uint16)
    results = {}
    for port, words in tables.items():
        out = given.get(port)
        results[port] = out = aligned(x.shape, words.dtype) if out is None else out

        def work(first: int, last: int, words: np.ndarray = words, out: np.ndarray = out) -> None:
            compiled(gather)(codes[first:last], words, out[first:last])

        in_parts(work, x.size, 1 << 12, x.size > _PARALLEL)
    return results


def _tables_of(unit: Any, fmt: Any) -> dict[str, np.ndarray] | None:
    """The results for every bit pattern of the input's dtype; None where the unit refuses one of its codes."""
    key = unit.sha256
    if key not in _tables:
        size = 1 << (8 * fmt.dtype.itemsize)
        patterns = np.arange(size).astype(f"u{fmt.dtype.itemsize}").view(fmt.dtype)
        inside = np.clip(patterns, fmt.lo, fmt.hi)  # others never come: the port refuses them
        try:
            results = unit._evaluate(inside)
            _tables[key] = {port: np.ascontiguousarray(results[port]) for port in unit.outputs}
        except IntsimError:
            _tables[key] = None
        if len(_tables) > _KEPT:
            _tables.popitem(last=False)
    return _tables[key]


@kernel
def gather(codes, table, out):
    """The word of every bit pattern."""
    for k in range(codes.size):
        out[k] = table[codes[k]]
