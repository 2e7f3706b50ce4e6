"""The integer constants of the exponentials: how they follow from a real scale, and what they must satisfy."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.exact import exact
from intsim.formats.dyadic import illm
from intsim.operators import from_scale, require_int
from intsim.unit import Hazard

__all__ = [
    "DI_FORMS",
    "DI_K_MAX",
    "FIXED16",
    "HEADROOM",
    "IVIT_PROFILES",
    "LITERAL",
    "check_di_exp",
    "check_di_reach",
    "check_ibert_exp",
    "check_profile",
    "check_shift_exp",
    "design_di_scale",
    "design_exact_scale",
    "design_ibert",
    "design_x0",
    "di_exp_hazards",
    "di_period",
    "di_top",
    "ibert_top",
    "shift_limit",
]

IVIT_PROFILES = ("ivit", "ivit_tvm")
DI_FORMS = ("literal", "headroom", "fixed16")
LITERAL, HEADROOM, FIXED16 = range(3)

DI_K_MAX = 40  # beyond, 2**(k+8) and clip * 2**k come near int64
DI_M_MAX = (1 << 16) - 1  # the product of two 8-bit mantissas


def check_profile(profile: str) -> None:
    """Only the two published programs of I-ViT have names."""
    if profile not in IVIT_PROFILES:
        raise UnknownName("profile", profile, IVIT_PROFILES)


def design_x0(scale: float, profile: str, factor: Fraction | int = 1) -> int:
    """I-ViT's x0 for codes of ``scale * factor``, exactly: ``floor(-1/s)``, in the TVM layer ``trunc(-1/s - 1)``."""
    m, k = from_scale(scale)
    inverse = Fraction(1 << k, m) / factor
    return math.floor(-inverse) if profile == "ivit" else math.trunc(-inverse - 1)


def design_exact_scale(scale: float, factor: Fraction | int = 1) -> float:
    """The least scale at or above `scale` whose ``-1/(scale factor)`` is an integer, up to a float's rounding.

    x0 is rounded down, which makes the exponential of a coarse scale too flat: at 1/3.07 as if it were 1/4.
    """
    m, k = from_scale(scale)
    count = math.floor(Fraction(1 << k, m) / factor)
    if count < 1:
        return float(scale)  # x0 is -1 whatever the scale
    exact = float(1 / (count * Fraction(factor)))
    return exact if Fraction(exact) * count * factor >= 1 else math.nextafter(exact, math.inf)


def check_shift_exp(unit: Any) -> None:
    """Bounds of I-ViT's exponential inside any unit with the fields x0, n and profile."""
    check_profile(unit.profile)
    require_int(unit, "n", 1, 40, "use 15 (softmax) or 23 (GELU)")
    most = 1 << (61 - unit.n)
    require_int(unit, "x0", -most, -1, f"|x0| 2**{unit.n} must fit 62 bits: use a larger scale or a smaller n")


def shift_limit(x0: int) -> int:
    """The largest shift to the left of ``r - 2 x0`` that keeps 62 bits."""
    return 62 - (-2 * x0).bit_length()


def design_ibert(scale: float) -> tuple[int, int, int]:
    """I-BERT's ``x0, b, c`` for a real scale."""
    m, k = from_scale(scale)
    step = Fraction(m, 1 << k)
    a = Fraction("0.35815147")
    return (
        math.floor(Fraction("-0.6931") / step),
        math.floor(Fraction("0.96963238") / a / step),
        math.floor(1 / a / (step * step)),
    )


def ibert_top(x0: int, b: int, c: int) -> int:
    """The largest value of the polynomial on ``x0 < r <= 0`` (it is convex: an end)."""
    return max(c, (x0 + 1 + b) * (x0 + 1) + c, 0)


def check_ibert_exp(unit: Any, n: int) -> None:
    """Bounds of I-BERT's exponential inside any unit with the fields x0, b and c."""
    if hasattr(unit, "n"):
        require_int(unit, "n", 1, 40, "use 30")
    require_int(unit, "x0", -(1 << 31), -1, "use a larger scale")
    require_int(unit, "b", -(1 << 31), 1 << 31, "use a larger scale")
    require_int(unit, "c", -(1 << 62), 1 << 62, "use a larger scale")
    bits = ibert_top(unit.x0, unit.b, unit.c).bit_length() + n
    if bits > 63:
        raise IntsimError(
            f"the exponential needs {bits} bits of 63 with c={unit.c} and {n} bits behind it; use a larger scale"
        )


def design_di_scale(scale: float, bits: int = 8) -> tuple[int, int]:
    """The dyadic ``(m, k)`` of a real scale with `bits` bits of mantissa; bits of m go where k would pass 40."""
    m, k = (int(v) for v in illm(bits)(scale))
    excess = max(k - DI_K_MAX, 0)
    return m >> excess, k - excess


@exact
def di_period(m, k):
    """Codes per halving of ``exp(x m / 2**k)``: ``2**k / (1.4375 m)``, ties upwards, at least 1."""
    mf = m + (m >> 1) - (m >> 4)
    return max((2 * (1 << k) + mf) // (2 * mf), 1)


def di_top(t: int, form: int, headroom: int) -> int:
    """``exp(0)`` in each form."""
    return (t, t << headroom, 1 << 16)[form]


def check_di_exp(unit: Any) -> None:
    """Bounds of I-LLM's exponential inside any unit with the fields m, k, form and headroom."""
    if unit.form not in DI_FORMS:
        raise UnknownName("form of DI-Exp", unit.form, DI_FORMS)
    require_int(unit, "headroom", 0, 20, "use 15")
    check_di_scale(unit)
    bits = unit.top.bit_length()
    if bits > 60:
        raise IntsimError(f"exp(0) needs {bits} bits, 60 are available; normalise m or use fewer bits of headroom")


def check_di_scale(unit: Any) -> None:
    """Bounds of a dyadic scale ``m / 2**k`` with which nothing of I-LLM leaves int64."""
    require_int(unit, "m", 1, DI_M_MAX, "round the mantissa to 8 bits, or to 16 for a product of two scales")
    require_int(unit, "k", 0, DI_K_MAX, f"2**(k+8) and clip * 2**k leave int64 above k = {DI_K_MAX}: drop bits of m")


def check_di_reach(farthest: int, m: int) -> None:
    """``-x * m * 369`` must fit int64."""
    if (farthest * m * 369) >> 62:
        raise IntsimError(f"x = -{farthest} times m = {m} leaves 62 bits; use narrower codes or an 8-bit mantissa")


def di_exp_hazards(m: int, k: int, form: str, headroom: int) -> tuple[Hazard, ...]:
    """What a static scale costs in precision."""
    found = []
    t = di_period(m, k)
    if m < 128:
        mf = m + (m >> 1) - (m >> 4)
        found.append(Hazard(f"m = {m} < 128: log2(e) becomes {mf}/{m}", "normalise m to [128, 255]"))
    if form == "literal" and t < 1 << 8:
        found.append(
            Hazard(
                f"literal DI-Exp has |t| = {t} levels, fewer than {t.bit_length()} bits",
                "use form='fixed16' or 'headroom'",
            )
        )
    return tuple(found)
