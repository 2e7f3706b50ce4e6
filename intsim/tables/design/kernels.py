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
def left_clamps(f, weight, least, knots, bins, worst, limit, points, out):
    """``out[a]``: cost of clamping everything left of ``points[a]`` to it."""
    for a in range(points.size):
        i = points[a]
        out[a] = constant(f, weight, least, 0, i, knots[i * bins], worst, limit)


@offline
def right_clamp(f, weight, least, knots, scales, stride, bins, t_bits, rounding, worst, i, k, limit):
    """Cost of the points from `k` on, which all get the output at the right end of the interval ``i .. k``."""
    span = k - i
    left, right = knots[i * bins], knots[k * bins]
    t = ((span * stride * scales[0, span]) >> scales[1, span]) & ((1 << t_bits) - 1)
    return constant(f, weight, least, k, f.size, left + shift_round((right - left) * t, t_bits, rounding), worst, limit)


@offline
def advance(
    f, weight, least, knots, inner, outer, stride, bins, t_bits, rounding, worst, short, order, ordered, bound, points,
    begin, end, best, back,
):  # fmt: skip
    """The dynamic programme for the candidates ``points[begin:end]``, ascending grid indices.

    ``best[L, b]`` is the least cost of everything left of ``points[b]`` with `L` intervals, the last of them ending
    there (``L = 0``: the left clamp, given); ``back[L, b]`` is the candidate where that interval begins. Spans below
    `short` cannot be inner intervals. Nothing that costs `bound` or more is kept.
    """
    layers = best.shape[0]
    for b in range(begin, end):
        k = points[b]
        for a in range(b - 1, -1, -1):
            i = points[a]
            if layers > 1:
                limit = room(min(best[1, b], bound), best[0, a], worst)
                if limit > 0:
                    cost = interval(
                        f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered,
                        i, k, limit,
                    )  # fmt: skip
                    if cost < limit:
                        best[1, b] = add(best[0, a], cost, worst)
                        back[1, b] = a
            if k - i < short:
                continue
            limit = 0.0
            for L in range(2, layers):
                limit = max(limit, room(min(best[L, b], bound), best[L - 1, a], worst))
            if limit > 0:
                cost = interval(
                    f, weight, least, knots, inner, stride, bins, t_bits, rounding, worst, bins, 1, order, i, k, limit
                )
                if cost < limit:
                    for L in range(2, layers):
                        if cost < room(min(best[L, b], bound), best[L - 1, a], worst):
                            best[L, b] = add(best[L - 1, a], cost, worst)
                            back[L, b] = a


@offline
def best_end(
    f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, ordered, bound, points, best, out_ends
):
    """The least total cost below `bound`; the candidates of the last interval go to ``out_ends``.

    Here `best` is the last row of the programme: everything but the last interval and the right clamp.
    """
    total = bound
    for b in range(points.size - 1, 0, -1):
        k = points[b]
        after = constant(f, weight, least, k + 1, f.size, knots[k * bins], worst, total)
        for a in range(b - 1, -1, -1):
            i = points[a]
            limit = room(total, best[a], worst)
            # the clamp repeats the word at k if the position next to it is fine enough for the interval's rise
            exact = abs(knots[k * bins] - knots[i * bins]) < 1 << (t_bits - 1)
            if limit <= 0 or (exact and after >= limit):
                continue
            cost = interval(
                f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, 1, PIECES, ordered, i, k, limit
            )
            if cost >= limit:
                continue
            clamp = right_clamp(f, weight, least, knots, outer, stride, bins, t_bits, rounding, worst, i, k, limit)
            whole = add(best[a], add(cost, clamp, worst), worst)
            if whole < total:
                total = whole
                out_ends[0], out_ends[1] = a, b
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
