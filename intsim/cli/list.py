"""``intsim list``: the units of the catalogue."""

from __future__ import annotations

from intsim.cli import console
from intsim.cli.options import AsJson

__all__ = ["command"]


def command(json: AsJson = False) -> None:
    """List the units of the catalogue: name, class, ports.

    Example:  [bold]intsim list[/bold]
    """
    from intsim import catalogue

    units = {name: catalogue.get(name) for name in catalogue.names()}
    if json:
        console.emit(
            [
                {
                    "name": name,
                    "class": type(unit).__name__,
                    "inputs": {port: str(fmt) for port, fmt in unit.inputs.items()},
                    "outputs": {port: str(fmt) for port, fmt in unit.outputs.items()},
                    "row": unit.is_row,
                    "sha256": unit.sha256,
                }
                for name, unit in units.items()
            ]
        )
        return
    body = [[name, type(unit).__name__, _ports(unit.inputs), _ports(unit.outputs)] for name, unit in units.items()]
    console.rows(["unit", "class", "inputs", "outputs"], body)


def _ports(ports) -> str:
    return ", ".join(f"{port}: {fmt}" for port, fmt in ports.items())
