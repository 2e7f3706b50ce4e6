"""What every scheme puts where in a network: the tables of the documentation.

``python docs/regenerate.py`` runs these functions; a test asserts that the page is current.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from intsim.markdown import table
from intsim.measure.network.operators import format_of
from intsim.measure.network.tasks import Data, open_task
from intsim.models.left_in_float import Float
from intsim.schemes import SCHEMES, Bits, Operator, Scheme, StaticScheme

__all__ = ["float_table", "operator_table", "place_table", "width_table"]

_PARTS = ("requantize", "softmax", "activation", "gated", "norm", "residual")
_INSTEAD = {
    "softmax": "float between integers",
    "activation": "float between integers",
    "norm": "float between integers",
    "embedding": "table of {embedded} bits",
    "rotary embedding": "integer rotation of {residual} bits, sine and cosine of 16",
    "final norm": "the scheme's norm, 8 bits at least",
    "head": "a linear layer of 8 bits at least",
}
"""What the networks here do where a paper stays in floating point."""


def operator_table() -> str:
    """The operators of each scheme with the options that were chosen."""
    rows = []
    for name, scheme in SCHEMES.items():
        rows.append([f"**{name}**", *(_operator(scheme, part) for part in _PARTS)])
    return _left(["scheme", "requantisation", *_PARTS[1:]], rows)


def width_table() -> str:
    """Every width that a scheme names, the defaults of ``Bits`` beside them."""
    names = [field.name for field in dataclasses.fields(Bits)]
    rows = [[f"**{scheme.name}**", *(str(getattr(scheme.bits, name)) for name in names)] for scheme in SCHEMES.values()]
    return table(["scheme", *names], rows)


def float_table() -> str:
    """What each paper leaves in floating point, and what the networks here do there."""
    rows = []
    for scheme in SCHEMES.values():
        parts = [
            f"{part}: {_INSTEAD[part].format(embedded=scheme.bits.embedded, residual=scheme.bits.residual)}"
            for part in scheme.left_in_float
        ]
        scales = "at run time, per token" if scheme.dynamic else "calibrated, per tensor"
        codes = "asymmetric" if scheme.dynamic else "symmetric"
        limits = (
            f"{scheme.weight_limits[0]} .. {scheme.weight_limits[1]}" if isinstance(scheme, StaticScheme) else "all"
        )
        rows.append([f"**{scheme.name}**", scheme.paper, scales, codes, limits, "; ".join(parts) or "nothing"])
    return _left(
        ["scheme", "paper", "scales of activations", "codes", "codes of 8-bit weights", "the paper's floats, and here"],
        rows,
    )


def place_table() -> str:
    """Formats by place in the small vision transformer at W8A8, read off the networks themselves; f is float inside."""
    task = open_task("digits-vit", Data(count=2))
    found: dict[str, dict[str, str]] = {}
    for name, scheme in SCHEMES.items():
        network = task.design(scheme)
        for place, tensor in network.trace(task.probe[0][:1]).items():
            if not place.startswith(("1.", "2.", "3.")):
                inside = " f" if isinstance(network.layers.get(place), Float) else ""
                found.setdefault(place, {})[name] = f"{format_of(network, place, tensor)}{inside}"
    rows = [[f"`{place}`", *(formats[name] for name in SCHEMES)] for place, formats in found.items()]
    return table(["place", *SCHEMES], rows)


def _operator(scheme: Scheme, part: str) -> str:
    chosen: Any = getattr(scheme, part)
    if chosen is None:
        return "–"
    if isinstance(chosen, Operator):
        return _call(chosen.unit, dict(chosen.options))
    chosen_options = {
        field.name: getattr(chosen, field.name)
        for field in dataclasses.fields(chosen)
        if field.name in ("rounding", "mantissa_bits")
    }
    return _call(type(chosen).__name__, chosen_options)


def _call(name: str, options: dict[str, Any]) -> str:
    shown = ", ".join(f"{key}={_short(value)}" for key, value in options.items())
    return f"`{name}`" + (f" {shown}" if shown else "")


def _short(value: Any) -> str:
    return value.name if hasattr(value, "name") else str(value)


def _left(head: list[str], rows: list[list[str]]) -> str:
    """A table of text, every column aligned to the left."""
    return table(head, rows).replace("---:", "---", len(head))
