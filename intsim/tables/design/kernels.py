"""The loops of the breakpoint search, compiled on first use. Design time: costs are float64, outputs integers.

Every function gets the same leading arguments, in this order:

``f, weight, least, knots`` of a :class:`~intsim.tables.design.problem.Problem`; ``inner`` and ``outer``, arrays
(2, N) of mantissas and shifts by span; ``stride, bins, t_bits, rounding``; and ``worst``, true where the cost is a
maximum instead of a sum.

A sum counts what exceeds the unavoidable rounding of the output (`least`), so that every partial sum is a lower
bound of the whole and the evaluation of an interval can stop as soon as it cannot win any more.
"""

from __future__ import annotations

import numpy as np

from intsim.exact import offline
from intsim.rounding import shift_round

__all__ = ["PIECES", "advance", "best_end", "evaluate", "left_clamps", "window"]

PIECES = 32  # an outer interval is evaluated in this many pieces, so that it can stop early


@offline
def add(a, b, worst):
    """Two costs together."""
    return max(a, b) if worst else a + b


@offline
def room(best, before, worst):
    """How much an interval may cost at most to improve on `best` after `before`; not positive: nothing does."""
    if worst:
        return best if before < best else 0.0
    return best - before


@offline
def constant(f, weight, least, first, last, word, worst, limit):
    """Cost of the constant `word` at the points ``first .. last - 1``; stops at `limit`."""
    total = 0.0
    for j in range(first, last):
        error = abs(word - f[j]) * weight[j]
        total = max(total, error) if worst else total + (error - least[j])
        if total >= limit:
            break
    return total


@offline
def interval(
    f, weight, least, knots, scales, stride, bins, t_bits, rounding, worst, segments, pieces, order, i, k, limit
):
    """Cost of the points ``i .. k - 1`` on an interval of `segments` segments from ``i`` to ``k``.

    The arithmetic is that of the golden model. Evaluated in ``order.size`` pieces (`pieces` per segment), in the
    given order; stops with some value not below `limit` once that is reached.
    """
    span = k - i
    step_of_knots = span * (bins // segments)
    mantissa, shift = scales[0, span], scales[1, span]
    advance_by = stride * mantissa
    mask = (1 << t_bits) - 1
    total = 0.0
    for piece in order:
        b = piece // pieces
        left = knots[i * bins + b * step_of_knots]
        step = knots[i * bins + (b + 1) * step_of_knots] - left
        start = span * b // segments
        while start * advance_by < b << (t_bits + shift):
            start += 1
        stop = span
        if b + 1 < segments:
            stop = span * (b + 1) // segments
            while stop * advance_by < (b + 1) << (t_bits + shift):
                stop += 1
        if pieces > 1:
            part = piece - b * pieces
            start, stop = start + (stop - start) * part // pieces, start + (stop - start) * (part + 1) // pieces
        for d in range(start, stop):
            t = ((d * advance_by) >> shift) & mask
            error = abs(left + shift_round(step * t, t_bits, rounding) - f[i + d]) * weight[i + d]
            total = max(total, error) if worst else total + (error - least[i + d])
        if total >= limit:
            break
    return total


@offline
def left_clamps(f, weight, least, knots, bins, worst, limit, out):
    """``out[i]``: cost of clamping everything left of grid point `i` to it."""
    for i in range(f.size):
        out[i] = constant(f, weight, least, 0, i, knots[i * bins], worst, limit)


@offline
def right_clamp(f, weight, least, knots, scales, stride, bins, t_bits, rounding, worst, i, k, limit):
    """Cost of the points from `k` on, which all get the output at the right end of the interval ``i .. k``."""
    span = k - i
    left, right = knots[i * bins], knots[k * bins]
    t = ((span * stride * scales[0, span]) >> scales[1, span]) & ((1 << t_bits) - 1)
    return constant(f, weight, least, k, f.size, left + shift_round((right - left) * t, t_bits, rounding), worst, limit)


@offline
def advance(
    f, weight, least, knots, inner, outer, stride, bins, t_bits, rounding, worst, short, order, ordered, bound, k0, k1,
    best, back,
):  # fmt: skip
    """The dynamic programme for the grid points ``k0 .. k1 - 1``.

    ``best[L, k]`` is the least cost of everything left of `k` with `L` intervals, the last of them ending at `k`
    (``L = 0``: the left clamp, given); ``back[L, k]`` where that interval begins. Spans below `short` cannot be
    inner intervals. Nothing that costs `bound` or more is kept.
    """
    layers = best.shape[0]
    for k in range(k0, k1):
        for i in range(k - 1, -1, -1):
            if layers > 1:
                limit = room(min(best[1, k], bound), best[0, i], worst)
                if limit > 0:
                    cost = interval(
                        f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered,
                        i, k, limit,
                    )  # fmt: skip
                    if cost < limit:
                        best[1, k] = add(best[0, i], cost, worst)
                        back[1, k] = i
            if k - i < short:
                continue
            limit = 0.0
            for L in range(2, layers):
                limit = max(limit, room(min(best[L, k], bound), best[L - 1, i], worst))
            if limit > 0:
                cost = interval(
                    f, weight, least, knots, inner, stride, bins, t_bits, rounding, worst, bins, 1, order, i, k, limit
                )
                if cost < limit:
                    for L in range(2, layers):
                        if cost < room(min(best[L, k], bound), best[L - 1, i], worst):
                            best[L, k] = add(best[L - 1, i], cost, worst)
                            back[L, k] = i


@offline
def best_end(f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, ordered, bound, best, out_ends):
    """The least total cost below `bound`; the last interval goes to ``out_ends``.

    Here `best` is the last row of the programme: everything but the last interval and the right clamp.
    """
    total = bound
    for k in range(f.size - 1, 0, -1):
        after = constant(f, weight, least, k + 1, f.size, knots[k * bins], worst, total)
        for i in range(k - 1, -1, -1):
            limit = room(total, best[i], worst)
            # `after` holds for all i unless the interval's own end differs from its word; then it is computed anew
            if limit <= 0 or (after >= total and knots[k * bins] == knots[i * bins]):
                continue
            cost = interval(
                f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered, i, k, limit
            )
            if cost >= limit:
                continue
            clamp = right_clamp(f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, i, k, limit)
            whole = add(best[i], add(cost, clamp, worst), worst)
            if whole < total:
                total = whole
                out_ends[0], out_ends[1] = i, k
    return total


@offline
def evaluate(f, weight, least, knots, inner, outer, stride, bins, t_bits, rounding, worst, order, ordered, cuts):
    """Total cost of the table with the given cut points (grid indices, ascending)."""
    last = cuts.size - 1
    total = constant(f, weight, least, 0, cuts[0], knots[cuts[0] * bins], worst, np.inf)
    for I in range(last):
        i, k = cuts[I], cuts[I + 1]
        if I in (0, last - 1):
            cost = interval(
                f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered, i, k, np.inf
            )
        else:
            cost = interval(
                f, weight, least, knots, inner, stride, bins, t_bits, rounding, worst, bins, 1, order, i, k, np.inf
            )
        total = add(total, cost, worst)
    clamp = right_clamp(
        f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, cuts[last - 1], cuts[last], np.inf
    )
    return add(total, clamp, worst)


@offline
def window(
    f, weight, least, knots, inner, outer, stride, bins, t_bits, rounding, worst, short, order, ordered, bound,
    choices, out_cuts,
):  # fmt: skip
    """The best table among those whose cut ``c`` is one of ``choices[c]`` (ascending; -1 is none).

    The whole product of choices is searched, by the same programme. Returns its cost, or `bound` if nothing is
    below it; then ``out_cuts`` is left alone.
    """
    last = choices.shape[0] - 1
    width = choices.shape[1]
    best = np.full((last + 1, width), np.inf)
    back = np.full((last + 1, width), -1)
    total = bound
    for a in range(width):
        i = choices[0, a]
        if i >= 0:
            best[0, a] = constant(f, weight, least, 0, i, knots[i * bins], worst, bound)
    for c in range(1, last + 1):
        for b in range(width):
            k = choices[c, b]
            if k < 0:
                continue
            for a in range(width):
                i = choices[c - 1, a]
                if i < 0 or i >= k or (1 < c < last and k - i < short):
                    continue
                limit = room(min(best[c, b], total), best[c - 1, a], worst)
                if limit <= 0:
                    continue
                if c == 1 or c == last:
                    cost = interval(
                        f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered,
                        i, k, limit,
                    )  # fmt: skip
                else:
                    cost = interval(
                        f, weight, least, knots, inner, stride, bins, t_bits, rounding, worst, bins, 1, order,
                        i, k, limit,
                    )  # fmt: skip
                if c == last and cost < limit:
                    clamp = right_clamp(
                        f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, i, k, limit
                    )
                    cost = add(cost, clamp, worst)
                if cost < limit:
                    best[c, b] = add(best[c - 1, a], cost, worst)
                    back[c, b] = a
    for b in range(width):
        if best[last, b] < total:
            total = best[last, b]
            at = b
            for c in range(last, -1, -1):
                out_cuts[c] = choices[c, at]
                at = back[c, at]
    return total
