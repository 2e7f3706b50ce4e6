"""The accuracy of the catalogue's fixed-point units, as a table of the documentation."""

from __future__ import annotations

from intsim import catalogue
from intsim.formats import Fixed
from intsim.markdown import table
from intsim.measure.errors import error

__all__ = ["markdown"]


def markdown() -> str:
    """One row per fixed-point unit: error over its whole domain against the real function."""
    rows = []
    for name in catalogue.names():
        unit = catalogue.get(name)
        if not all(isinstance(fmt, Fixed) for fmt in (*unit.inputs.values(), *unit.outputs.values())):
            continue
        figures = error(unit)
        ports = " -> ".join(str(fmt) for fmt in (*unit.inputs.values(), *unit.outputs.values()))
        exact = figures.correctly_rounded
        rows.append(
            [
                f"`{name}`",
                ports,
                f"{figures.count:,}",
                "" if figures.mean_lsb is None else f"{figures.mean_lsb:.3f}",
                "" if figures.max_lsb is None else f"{figures.max_lsb:.2f}",
                "" if exact is None else f"{100 * exact:.1f} %",
                f"{figures.mean:.2e}",
                f"{figures.max:.2e}",
                f"{100 * figures.mean_relative:.3f} %",
            ]
        )
    head = ["unit", "ports", "inputs", "mean LSB", "max LSB", "within 1/2 LSB", "mean", "max", "mean relative"]
    return table(head, rows)
