"""The widths and the scales of an NLI table: integers only, decided before any cut point is known.

Because the widths depend on the formats alone, the solver's cost can use the very scale that the unit will hold.
"""

from __future__ import annotations

import numpy as np

from intsim.errors import IntsimError

__all__ = ["position_bits", "scale", "scales"]

_MULTIPLIER = 17  # unsigned bits that fit the signed 18 x 18 multipliers of common FPGAs


def position_bits(rise: int, x_bits: int) -> tuple[int, int]:
    """``(t_bits, mantissa_bits)`` for a table whose words span `rise` steps of the output.

    Truncating ``t`` costs less than ``rise * 2**-t_bits``, truncating the mantissa less than
    ``rise * 2**(1 - mantissa_bits)`` steps. With 3 and 4 bits more than `rise` has, each is below 1/8 and both
    together below 1/4 of a step, wherever the whole rise happens. Widths stop at 17 bits while `rise` has no
    more, so that both products fit signed 18 x 18 multipliers; the real cost is then decided by the rise of the
    interval at hand, and the solver sees it because its cost is computed with these same truncations.

    Raises
    ------
    IntsimError
        The products would exceed 63 bits.
    """
    bits = max(rise.bit_length(), 1)
    wide = bits > _MULTIPLIER
    t_bits = bits + 3 if wide else min(bits + 3, _MULTIPLIER)
    mantissa_bits = min(bits + 4, 63 - x_bits) if wide else min(bits + 4, _MULTIPLIER, 63 - x_bits)
    if bits + 1 + t_bits > 63:
        raise IntsimError(
            f"step * t needs {bits + 1 + t_bits} bits for values that span {bits} bits, 63 are available: "
            f"use an output format of at most 29 bits or a smaller domain"
        )
    if mantissa_bits < 2:
        raise IntsimError(f"dx * mantissa exceeds 63 bits for a {x_bits}-bit input; use at most 61 bits")
    return t_bits, mantissa_bits


def scale(span: int, segments: int, t_bits: int, mantissa_bits: int) -> tuple[int, int]:
    """``(mantissa, shift)``: the largest scale of `mantissa_bits` bits below ``segments * 2**t_bits / span``.

    Strictly below, so that ``(span * mantissa) >> shift`` stays inside the last segment and no clamp is needed
    behind the multiplier. A span too short for the width (less than ``segments * 2**(t_bits - mantissa_bits)``)
    gives a wider mantissa with shift 0.
    """
    extra = 64
    exact = ((segments << (t_bits + extra)) - 1) // span
    drop = max(exact.bit_length() - mantissa_bits, extra - 62)
    shift = extra - drop
    if shift < 0:
        drop, shift = extra, 0
    return exact >> drop, shift


def scales(spans: np.ndarray, segments: int, t_bits: int, mantissa_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """:func:`scale` for each positive span, as two int64 arrays; zeros where the span is not positive."""
    mantissas, shifts = np.zeros(spans.size, dtype=np.int64), np.zeros(spans.size, dtype=np.int64)
    for j, span in enumerate(spans.tolist()):
        if span > 0:
            mantissas[j], shifts[j] = scale(span, segments, t_bits, mantissa_bits)
    return mantissas, shifts
