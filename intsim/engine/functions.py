"""The seven functions as banks for the engine of the default dimensions, designed once and stored.

``python -m intsim.engine.functions`` designs them again (a few minutes) and writes ``functions.json``.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from intsim.engine.bank import Bank
from intsim.engine.engine import Engine
from intsim.errors import UnknownName
from intsim.files import write_text
from intsim.formats import Fixed
from intsim.markdown import table
from intsim.parameters import from_plain, to_plain

__all__ = ["FUNCTIONS", "STORED", "error", "markdown", "stored_bank"]

STORED = Path(__file__).with_name("functions.json")

FUNCTIONS: dict[str, tuple[Fixed, Fixed, tuple[float, float] | None]] = {
    "exp": (Fixed(16, 11), Fixed(16, 14), (-16.0, 0.0)),
    "reciprocal": (Fixed(16, 11), Fixed(16, 8), (0.0625, 15.99)),
    "rsqrt": (Fixed(16, 11), Fixed(16, 12), (0.0625, 15.99)),
    "gelu": (Fixed(16, 11), Fixed(16, 11), None),
    "silu": (Fixed(16, 11), Fixed(16, 11), None),
    "sigmoid": (Fixed(16, 11), Fixed(16, 15), None),
    "tanh": (Fixed(16, 13), Fixed(16, 14), None),
}
"""Function -> formats of input and output, and the domain outside of which inputs are clamped (None: all codes)."""


@functools.cache
def _stored() -> dict[str, Bank]:
    return {name: from_plain(body) for name, body in json.loads(STORED.read_text(encoding="utf-8")).items()}


def stored_bank(fn: str) -> Bank:
    """The stored bank of one of :data:`FUNCTIONS`, for an engine of the default dimensions."""
    if fn not in FUNCTIONS:
        raise UnknownName("function of the engine", fn, FUNCTIONS)
    return _stored()[fn]


def error(fn: str) -> float:
    """The largest error of a stored bank in codes of its output, over every code of the domain."""
    x, y, domain = FUNCTIONS[fn]
    unit, codes = stored_bank(fn).table, x.codes()
    values = x.decode(codes)
    if domain is not None:
        inside = (domain[0] <= values) & (values <= domain[1])
        codes, values = codes[inside], values[inside]
    exact = np.clip(unit.real(values) * 2.0**y.frac, y.lo, y.hi)
    return float(np.abs(unit(codes) - exact).max())


def markdown() -> str:
    """The stored banks as a table."""
    rows = [
        [
            f"`{fn}`",
            str(x),
            str(y),
            "every code" if domain is None else f"{domain[0]:g} to {domain[1]:g}",
            f"{error(fn):.2f}",
        ]
        for fn, (x, y, domain) in FUNCTIONS.items()
    ]
    return table(["bank", "input", "output", "domain", "largest error, LSB"], rows)


def main() -> None:
    engine = Engine.design()
    banks = {fn: engine.design_bank(fn, x, y, domain=domain) for fn, (x, y, domain) in FUNCTIONS.items()}
    body = ",\n".join(f"{json.dumps(fn)}: {json.dumps(to_plain(bank))}" for fn, bank in banks.items())
    write_text(STORED, "{\n" + body + "\n}\n")


if __name__ == "__main__":
    main()
