"""The tables of the documentation's page on requantisation, made from the conventions themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from intsim.requant.conventions import INTEGER
from intsim.requant.difference import compare
from intsim.requant.documented import Documented
from intsim.requant.float_scale import FLOAT
from intsim.requant.requantizer import Requantizer

__all__ = ["differences", "floats", "integers"]

PAIRS = (
    ("tflite_double", "tflite_single"),
    ("tflite_single", "hawq"),
    ("tflite_single", "tvm_tonearest"),
    ("tvm_upward", "tvm_truncate"),
    ("tflite_double", "tosa_double"),
    ("tflite_int64", "tflite_single"),
    ("xnnpack_fp32", "xnnpack_rndnu"),
    ("qnnpack_q31", "qnnpack_precise"),
)


def integers() -> str:
    """Conventions with an integer multiplier: one row for each different function."""
    rows = []
    for unit in dict.fromkeys(INTEGER.values()):
        names = [name for name, other in INTEGER.items() if other == unit]
        rows.append((_names(names), f"`{unit.acc}`", f"`{unit.multiplier}`", f"`{unit.shift}`", _roundings(unit)))
    documented = [
        (f"`{name}`", _documented(unit.documented)) for name, unit in INTEGER.items() if unit.documented is not None
    ]
    return (
        _table(("names of one function", "accumulator", "multiplier", "shift", "rounding"), rows)
        + "\n\n"
        + _table(("name", "documented, and refused otherwise with `strict=True`"), documented)
    )


def floats() -> str:
    """Conventions with a float32 scale."""
    rows = []
    for method in dict.fromkeys(c.method for c in FLOAT.values()):
        members = [c for c in FLOAT.values() if c.method is method]
        ranges = {c.name: f"2^{c.scales[0]} to below 2^{c.scales[1]}" for c in members}
        alone = len(members) == 1
        scales = "; ".join(text if alone else f"`{name}` {text}" for name, text in ranges.items())
        rows.append((_names(c.name for c in members), method.description, scales))
    return _table(("names of one function", "how", "documented scales"), rows)


def differences() -> str:
    """Pairs of conventions: the smallest counter-example, if there is one."""
    rows = []
    for a, b in PAIRS:
        found = compare(a, b, count=1 << 14)
        if found.smallest is None:
            rows.append((f"`{a}`", f"`{b}`", "none found", "", ""))
            continue
        *inputs, ya, yb = found.smallest
        example = ", ".join(f"{port} {value}" for port, value in zip(found.ports, inputs, strict=True))
        rows.append((f"`{a}`", f"`{b}`", example, str(ya), str(yb)))
    return _table(("first", "second", "smallest counter-example", "first gives", "second gives"), rows)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _roundings(unit: Requantizer) -> str:
    what = "reduced to 15 bits, then " if unit.reduced else ""
    if unit.first is None:
        return f"{what}one: `{unit.rounding}`"
    return f"{what}two: `{unit.first}` at {unit.point} bits, `{unit.rounding}` of the rest"


def _documented(ranges: Documented) -> str:
    found = []
    if ranges.shift is not None:
        found.append(f"shift {ranges.shift[0]} to {ranges.shift[1]}")
    if ranges.multiplier is not None:
        zero = "0 or " if ranges.multiplier[0] else ""
        found.append(f"multiplier {zero}{ranges.multiplier[0]} to {ranges.multiplier[1]}")
    if ranges.shifted_bits is not None:
        found.append(f"acc << max(shift, 0) fits {ranges.shifted_bits} bits")
    if ranges.product_bits is not None:
        found.append(f"the product fits {ranges.product_bits} bits")
    if ranges.below_half:
        found.append("acc within ±2^(30 - shift)")
    return "; ".join([*found, f"the result fits {ranges.result_bits} bits"])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
