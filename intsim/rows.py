"""What row operators share: the range of a masked row, and the rows that break things."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import numpy as np

from intsim.exact import exact
from intsim.formats import Format

__all__ = [
    "extreme_rows",
    "near_halvings",
    "row_corners",
    "row_range",
    "row_sum",
    "spread_rows",
    "step_rows",
    "sum_rows",
]

_WIDTH = 24  # elements of a corner row, unless the hardware holds fewer
_TRIED = 3072  # rows, for each distance, among which there are some near a step of the reciprocal


@exact
def row_range(x, valid, i):
    """Largest and smallest valid element of row `i`, and how many there are; zeros where there is none."""
    top = 0
    low = 0
    count = 0
    for j in range(x.shape[1]):
        if valid[i, j] != 0:
            value = x[i, j]
            top = value if count == 0 else max(top, value)
            low = value if count == 0 else min(low, value)
            count += 1
    return top, low, count


@exact
def row_sum(x, i):
    """The sum of row `i`."""
    total = 0
    for j in range(x.shape[1]):
        total += x[i, j]
    return total


def extreme_rows(fmt: Format, width: int) -> list[np.ndarray]:
    """Equal rows at the ends and at zero, one-hot rows, ramps up and down, alternating ends."""
    lo, hi = fmt.lo, fmt.hi
    place = range(width)
    rows = [[value] * width for value in (lo, lo + 1, -1, 0, 1, hi - 1, hi) if lo <= value <= hi]
    for hot in {0, width // 2, width - 1}:
        for inside, outside in ((hi, lo), (lo, hi), (min(hi, 1), 0)):
            rows.append([inside if j == hot else outside for j in place])
    ramp = [lo + (hi - lo) * j // max(width - 1, 1) for j in place]
    rows += [ramp, ramp[::-1], [hi if j % 2 else lo for j in place]]
    rows.append([min(max(j - width // 2, lo), hi) for j in place])
    return [np.array(row, dtype=object) for row in rows]  # Python integers: no NumPy type holds -1 and 2**64 - 1


def near_halvings(fmt: Format, period: Fraction, halvings: int, distances: Iterable[int] = ()) -> list[int]:
    """Distances at which an exponential has halved once more, or half of that, +-2; small ones, and `distances`."""
    near = {0, 1, 2, 3, 5, 8, 13, 21}
    for i in range(1, 2 * halvings + 6):
        centre = period * i // 2
        near.update(range(centre - 2, centre + 3))
    near.update(distances)
    return sorted(d for d in near if 0 <= d <= fmt.hi - fmt.lo)


def row_corners(
    fmt: Format, max_row: int, period: Fraction, halvings: int, distances: Iterable[int] = (), width: int | None = None
) -> np.ndarray:
    """Rows for an operator that looks at distances to the row maximum.

    Parameters
    ----------
    fmt : format of the elements
    period : distance over which the exponential halves
    halvings : how many of them matter
    distances : more distances where something changes
    width : elements of a row where the operator prescribes it
    """
    width = width or min(max_row, _WIDTH)
    rng = random.Random(0)
    inside = near_halvings(fmt, period, halvings, distances)
    rows = [[int(v) for v in row] for row in extreme_rows(fmt, width)]  # an array of codes near 2**64 may become float
    for start in range(0, len(inside), max(width - 1, 1)):
        part = inside[start : start + width - 1]
        part = part + [part[-1]] * (width - 1 - len(part)) if part else []
        for top in {fmt.hi, min(fmt.hi, max(fmt.lo + max(part, default=0), 0))}:
            rows.append([max(top - d, fmt.lo) for d in [0, *part]])
    # Rows of every spread: a change of one in a constant moves some sum or quotient over a limit.
    reach = min(-(-period * (halvings + 2) // 1), fmt.hi - fmt.lo)
    for i in range(96):
        spread = max(reach * (i % 24 + 1) // 24, 1)
        top = fmt.hi if i % 2 else min(fmt.hi, fmt.lo + spread + rng.randint(0, spread))
        rows.append([max(top - rng.randint(0, spread), fmt.lo) for _ in range(width)])
    # A few elements that share the whole, the others far away: quotients are large and tell the most.
    for i in range(192):
        few = [rng.randint(0, reach) for _ in range(1 + i % 3)]
        rows.append([max(fmt.hi - d, fmt.lo) for d in [0, *few, *[fmt.hi - fmt.lo] * width][:width]])
    return np.array(rows, dtype=fmt.dtype)


def sum_rows(fmt: Format, width: int, period: Fraction, count: int = 6144) -> np.ndarray:
    """Rows whose exponentials sum to every mantissa there is, for an operator that looks the sum up in a table.

    A few elements within three halvings of the maximum, the others as far below as the format allows.
    """
    rng = random.Random(1)
    far = fmt.hi - fmt.lo
    reach = min(max(3 * period // 1, 3), far)
    near = [[0, *(rng.randint(0, reach) for _ in range(2 + i % 10))] for i in range(count)]
    return np.array([[fmt.hi - d for d in [*row, *[far] * width][:width]] for row in near], dtype=fmt.dtype)


def step_rows(
    fmt: Format, width: int, distances: Sequence[int], terms: np.ndarray, factor: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Rows in which one exponential off by one gives another reciprocal, for every distance to the maximum.

    A deep element is a part in 2**15 of a row's sum: in most rows no result tells whether it is off by one.

    Parameters
    ----------
    distances : from the maximum, ascending; rows are made of these
    terms : the exponentials at these distances
    factor : of sums: what the exponentials are multiplied by
    """
    rng = random.Random(0)
    rows = []
    for place in range(len(distances) if width > 2 else 0):
        tried = np.full((_TRIED, width), len(distances) - 1)
        tried[:, 0], tried[:, 1] = 0, place
        few = min(width, 5) - 2
        tried[:, 2 : 2 + few] = [[rng.randrange(len(distances)) for _ in range(few)] for _ in range(_TRIED)]
        total, often = terms[tried].sum(axis=1), (tried == place).sum(axis=1)
        for step in (-often, often):
            differs = (total + step > 0) & (factor(np.maximum(total + step, 1)) != factor(np.maximum(total, 1)))
            rows += [[fmt.hi - distances[k] for k in row] for row in tried[differs][:2].tolist()]
    return np.array(rows, dtype=fmt.dtype).reshape(-1, width)


def spread_rows(fmt: Format, width: int) -> np.ndarray:
    """Extreme rows, small rows, and random rows of every spread, around zero and away from it."""
    rng = random.Random(0)
    rows = [[int(v) for v in row] for row in extreme_rows(fmt, width)]
    rows += [[min(max(rng.randint(-3, 3), fmt.lo), fmt.hi) for _ in range(width)] for _ in range(64)]
    reach = fmt.hi - fmt.lo
    spread = 1
    while spread <= reach:
        for i in range(6):
            centre = 0 if i < 3 else rng.randint(fmt.lo, fmt.hi)
            rows.append([min(max(centre + rng.randint(-spread, spread), fmt.lo), fmt.hi) for _ in range(width)])
        rows.append([min(max(spread if j == 0 else 0, fmt.lo), fmt.hi) for j in range(width)])
        rows.append([min(max(spread if j % 2 else -spread, fmt.lo), fmt.hi) for j in range(width)])
        spread *= 2
    return np.array(rows, dtype=fmt.dtype)
