"""Inputs of a requantiser where an implementation could break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from intsim.formats.base import Format

if TYPE_CHECKING:
    from intsim.requant.requantizer import Requantizer

__all__ = ["corners", "near_ties"]


def corners(unit: Requantizer) -> tuple[np.ndarray, ...]:
    """One column per input port: port ends crossed, and products beside ties, clamps and zero."""
    if not unit.channels:
        ends = np.meshgrid(_ends(unit.acc), _ends(unit.multiplier), _shifts(unit), indexing="ij")
        ties = near_ties(unit, 4000)
        columns = [np.concatenate([a.reshape(-1), b]) for a, b in zip(ends, ties, strict=True)]
        return tuple(c.astype(fmt.dtype) for c, fmt in zip(columns, unit.inputs.values(), strict=True))
    acc, channel = [], []
    for c, (factor, amount, addend) in enumerate(unit.constants):
        points = np.unique(np.concatenate([_ends(unit.acc), _beside(unit, factor, amount, addend)]))
        acc.append(points)
        channel.append(np.full(points.size, c))
    columns = [np.concatenate(acc)] if len(unit.channels) == 1 else [np.concatenate(acc), np.concatenate(channel)]
    return tuple(c.astype(fmt.dtype) for c, fmt in zip(columns, unit.inputs.values(), strict=True))


def near_ties(unit: Requantizer, count: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Accumulator, multiplier and shift with a product at, or one accumulator step beside, half a unit.

    Exact ties need a product divisible by a high power of two; where a multiplier makes none, the accumulator
    closest to one is taken.

    Parameters
    ----------
    unit : with multiplier and shift as ports
    count : rows
    seed : of the generator

    Returns
    -------
    acc, multiplier, shift : int64 arrays of `count` elements
    """
    rng = np.random.default_rng(seed)
    bits, wide = unit.largest_factor.bit_length(), min(unit.acc.bits, 40)
    zeros = rng.integers(0, bits, count)  # of the factor: powers of two and short factors make exact ties
    odd = (rng.integers(0, 1 << 31, count) >> (31 - bits + zeros)) | 1
    short = rng.integers(0, 2, count).astype(bool)
    amount = np.where(short, zeros + rng.integers(1, wide - 1, count), rng.integers(1, bits + wide - 2, count))
    # acc * odd * 2**zeros = odd * (2 j + 1) * 2**(amount - 1), half a unit more than a whole number: an exact tie
    exact = (2 * rng.integers(-100, 100, count) + 1) << np.maximum(amount - 1 - zeros, 0)
    # acc * factor = (2 n + 1) * 2**(amount - 1) for any factor: the closest accumulator
    factor = np.minimum(odd << zeros, unit.largest_factor)
    target = (2 * rng.integers(-200, 200, count) + 1).astype(object) << (amount - 1).astype(object)
    close = target // factor.astype(object)
    acc = np.where(short, exact.astype(object), close) + rng.integers(-1, 2, count) * rng.integers(0, 2, count)
    acc = np.clip(acc, unit.acc.lo, unit.acc.hi).astype(np.int64)
    shift = amount if unit.right else unit.binary_point - amount
    multiplier = factor << 16 if unit.reduced else factor
    return acc, multiplier, np.clip(shift, unit.shift.lo, unit.shift.hi)


def _ends(fmt: Format) -> np.ndarray:
    """Ends of a port, zero, powers of two and their neighbours."""
    points = {fmt.lo, fmt.lo + 1, -1, 0, 1, 2, fmt.hi - 1, fmt.hi}
    for bit in range(0, fmt.bits, max(fmt.bits // 8, 1)):
        points |= {(1 << bit) - 1, 1 << bit, -(1 << bit), -(1 << bit) - 1}
    return np.array(sorted(p for p in points if fmt.lo <= p <= fmt.hi), dtype=np.int64)


def _shifts(unit: Requantizer) -> np.ndarray:
    """Shifts around every change of behaviour: no shift, the first rounding's place, the product's width, the ends."""
    width = unit.widths["product"]
    points = {
        0,
        1,
        2,
        unit.binary_point - 1,
        unit.binary_point,
        unit.binary_point + 1,
        width - 2,
        width - 1,
        width,
        63,
        64,
    }
    amounts = points | {65, 66, -1, -2, -31, -32, -33, -48, -49}
    shifts = {a if unit.right else unit.binary_point - a for a in amounts} | {unit.shift.lo, unit.shift.hi}
    return np.array(sorted(s for s in shifts if unit.shift.lo <= s <= unit.shift.hi), dtype=np.int64)


def _beside(unit: Requantizer, factor: int, amount: int, addend: int) -> np.ndarray:
    """Accumulators around the ties of small results and of the clamps, for one channel's constants."""
    lo, hi = unit.bounds
    offset = unit.zero_point if unit.zero_first else 0
    # half a unit above small values, and above both ends of the clamp: (n + 1/2), times two
    doubled = [2 * n + 1 for n in (*range(-4, 4), *(end - offset for end in (lo - 1, lo, hi - 1, hi)))]
    points = set()
    for d in doubled:
        target = d << (amount - 1) if amount >= 1 else (d >> 1) >> min(-amount, 64)
        near = ((target - addend) >> unit.pre_shift) // max(factor, 1)
        points |= {near - 1, near, near + 1, near + 2}
    inside = [p for p in points if unit.acc.lo <= p <= unit.acc.hi] or [0]
    return np.array(inside, dtype=np.int64)
