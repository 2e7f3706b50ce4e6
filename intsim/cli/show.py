"""``intsim show``: what one unit is."""

from __future__ import annotations

import dataclasses
import json as json_module
from typing import Any

from intsim.cli import console
from intsim.cli.options import AsJson, UnitArgument
from intsim.cli.units import resolve
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["command"]

_SHOWN = 60  # characters of a parameter


def command(unit: UnitArgument, json: AsJson = False) -> None:
    """Show a unit: ports, parameters, widths of its intermediates, latency, hazards.

    Example:  [bold]intsim show silu[/bold]
    """
    found = resolve(unit)
    widths = getattr(found, "widths", {})
    timing = _timing(found)
    if json:
        console.emit(
            {
                "name": found.name,
                "class": type(found).__name__,
                "sha256": found.sha256,
                "ports": {
                    port: {"direction": direction, "format": str(fmt), "bits": fmt.bits, "lo": fmt.lo, "hi": fmt.hi}
                    for direction, ports in (("in", found.inputs), ("out", found.outputs))
                    for port, fmt in ports.items()
                },
                "unit": json_module.loads(found.to_json()),
                "widths": widths,
                "hardware": timing,
                "hazards": [dataclasses.asdict(hazard) for hazard in found.hazards()],
            }
        )
        return
    console.facts(found.name, {"class": type(found).__name__, "sha256": found.sha256, **timing})
    ports = [
        [name, direction, str(fmt), fmt.lo, fmt.hi]
        for direction, group in (("in", found.inputs), ("out", found.outputs))
        for name, fmt in group.items()
    ]
    console.rows(["port", "", "format", "least code", "largest code"], ports, "\nports")
    console.facts(
        "\nparameters", {field.name: _short(getattr(found, field.name)) for field in dataclasses.fields(found)}
    )
    if widths:
        console.facts("\nbits of the intermediates", widths)
    for hazard in found.hazards():
        console.note(f"hazard: {hazard}")


def _timing(unit: Unit) -> dict[str, Any]:
    """Latency and interval of the hardware; empty where there is none, or its extra is not installed."""
    try:
        import hdl

        component = hdl.create(unit)
    except (ModuleNotFoundError, IntsimError):
        return {}
    return {"latency": component.latency, "interval": component.interval}


def _short(value: Any) -> str:
    text = str(value)
    if len(text) <= _SHOWN:
        return text
    count = f" ({len(value)} values)" if isinstance(value, tuple) else ""
    return f"{text[:_SHOWN]} ...{count}"
