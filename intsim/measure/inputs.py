"""The inputs on which a unit is measured: all of them where that is possible, a stated sample otherwise."""

from __future__ import annotations

import numpy as np

from intsim.unit import Unit

__all__ = ["domain_inputs"]

_COMPLETE_BITS = 24
_SAMPLE = 1 << 20


def domain_inputs(unit: Unit, seed: int = 0) -> tuple[tuple[np.ndarray, ...], bool]:
    """Codes for every input port, and whether they are the whole domain.

    Elementwise units with up to 24 input bits: every combination. Wider ones and row units: the unit's corners and
    seeded uniformly random codes, 2**20 values together. A unit that notes the `domain` it was designed for is
    measured inside it.
    """
    formats = list(unit.inputs.values())
    limits = [(fmt.lo, fmt.hi) for fmt in formats]
    noted = getattr(unit, "domain", None)
    if noted is not None and len(formats) == 1:
        limits = [noted]
    if not unit.is_row and sum(fmt.bits for fmt in formats) <= _COMPLETE_BITS:
        axes = [np.arange(lo, hi + 1, dtype=fmt.dtype) for (lo, hi), fmt in zip(limits, formats, strict=True)]
        return tuple(axis.reshape(-1) for axis in np.meshgrid(*axes, indexing="ij")), True
    generator = np.random.default_rng(seed)
    corners = unit.corners()
    if unit.is_row:
        n = corners[0].shape[-1]
        shape: tuple[int, ...] = (max(_SAMPLE // n, 1), n)
    else:
        shape = (_SAMPLE,)
    columns = []
    for corner, (lo, hi), fmt in zip(corners, limits, formats, strict=True):
        drawn = generator.integers(lo, hi, size=shape, dtype=fmt.dtype, endpoint=True)
        columns.append(np.concatenate([corner, drawn]))
    inside = np.ones(len(columns[0]), dtype=bool)
    if not unit.is_row:
        for column, (lo, hi) in zip(columns, limits, strict=True):
            inside &= (column >= lo) & (column <= hi)
    return tuple(column[inside] for column in columns), False
