"""What other projects call the five rounding modes.

The same word means different rules in different places ("half up" sends -2.5 to -2 in one project and to -3 in
another), so a name is only translated together with the project it comes from.
"""

from __future__ import annotations

from fractions import Fraction

from intsim import markdown
from intsim.errors import UnknownName
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS, TO_NEG, TO_ZERO, Rounding, divide_round, saturate

__all__ = ["EXAMPLES", "FAMILIES", "from_name", "names", "table"]

# Names by project; the first is the one `names` returns. "ap_fixed" is the type of Vitis HLS; "tflite" are the
# functions of gemmlowp and TensorFlow Lite that round so (no name there covers a whole requantisation).
FAMILIES: dict[str, dict[Rounding, tuple[str, ...]]] = {
    "ap_fixed": {
        TO_NEG: ("AP_TRN",),
        TO_ZERO: ("AP_TRN_ZERO",),
        TIES_TO_POS: ("AP_RND",),
        TIES_AWAY: ("AP_RND_INF",),
        TIES_TO_EVEN: ("AP_RND_CONV",),
    },
    "qonnx": {
        TO_NEG: ("FLOOR",),
        TO_ZERO: ("DOWN",),
        TIES_AWAY: ("HALF_UP",),
        TIES_TO_EVEN: ("ROUND", "HALF_EVEN"),
    },
    "tflite": {
        TIES_TO_POS: ("SaturatingRoundingDoublingHighMul", "single rounding"),
        TIES_AWAY: ("RoundingDivideByPOT", "TfLiteRound"),
    },
    "apytypes": {
        TO_NEG: ("TO_NEG", "TRN"),
        TO_ZERO: ("TO_ZERO", "TRN_ZERO"),
        TIES_TO_POS: ("TIES_POS", "RND"),
        TIES_AWAY: ("TIES_AWAY", "RND_INF"),
        TIES_TO_EVEN: ("TIES_EVEN", "RND_CONV"),
    },
    "xls": {
        TO_NEG: ("RTN",),
        TO_ZERO: ("RTZ",),
        TIES_AWAY: ("RNA",),
        TIES_TO_EVEN: ("RNE",),
    },
}

# Codes of s8.2: both ends of the range, and on both sides of zero ties at both kinds of neighbour with the values
# a quarter below and above them.
EXAMPLES = tuple(Fraction(n, 4) for n in (-128, -127, -11, -10, -9, -7, -6, -5, -2, 2, 5, 6, 7, 9, 10, 11, 126, 127))
_ENDS = (-32, 31)  # of s6, the integer part of s8.2


def names(mode: Rounding, family: str) -> tuple[str, ...]:
    """What the project `family` calls `mode`; empty where it has no such mode."""
    return _family(family).get(mode, ())


def from_name(name: str, family: str) -> Rounding:
    """The mode that the project `family` calls `name`.

    Raises
    ------
    UnknownName
        No such project, or it has no such name.

    Examples
    --------
    >>> from_name("HALF_UP", "qonnx"), from_name("AP_RND", "ap_fixed")
    (<Rounding.TIES_AWAY: 3>, <Rounding.TIES_TO_POS: 2>)
    """
    known = {alias: mode for mode, aliases in _family(family).items() for alias in aliases}
    if name not in known:
        raise UnknownName(f"rounding mode of {family}", name, known)
    return known[name]


def table() -> str:
    """Two Markdown tables: what each mode makes of :data:`EXAMPLES`, and its names elsewhere.

    A result beyond the ends of s6 is followed by what saturation makes of it.
    """
    head = ["v", *(f"`{mode}`" for mode in Rounding)]
    rows = [[_decimal(v), *(_outcome(v, mode) for mode in Rounding)] for v in EXAMPLES]
    titles = {
        "ap_fixed": "ap_fixed",
        "qonnx": "QONNX",
        "tflite": "TFLite, gemmlowp",
        "apytypes": "apytypes",
        "xls": "XLS",
    }
    aliases = [
        [f"`{mode}`", *(", ".join(f"`{alias}`" for alias in names(mode, family)) or "-" for family in titles)]
        for mode in Rounding
    ]
    return markdown.table(head, rows) + "\n" + markdown.table(["mode", *titles.values()], aliases)


def _family(family: str) -> dict[Rounding, tuple[str, ...]]:
    if family not in FAMILIES:
        raise UnknownName("project", family, FAMILIES)
    return FAMILIES[family]


def _outcome(value: Fraction, mode: Rounding) -> str:
    rounded = divide_round(value.numerator, value.denominator, mode)
    saturated = saturate(rounded, *_ENDS)
    return str(rounded) if rounded == saturated else f"{rounded} -> {saturated}"


def _decimal(value: Fraction) -> str:
    whole, hundredths = divmod(abs(value) * 100, 100)
    text = f"{'-' if value < 0 else ''}{whole}.{int(hundredths):02d}"
    return text.rstrip("0").rstrip(".")
