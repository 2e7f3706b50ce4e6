"""The accuracy of the catalogue's fixed-point units, as a table of the documentation."""

from __future__ import annotations

import numpy as np

from intsim import catalogue
from intsim.formats import Fixed
from intsim.markdown import table
from intsim.measure.errors import error
from intsim.unit import Unit

__all__ = ["markdown"]


def markdown() -> str:
    """One row per fixed-point unit that approximates a known function: its error over its whole domain."""
    rows = []
    for name in catalogue.names():
        unit = catalogue.get(name)
        if not _is_fixed_point(unit) or _has_no_real_function(unit):
            continue
        figures = error(unit)
        ports = " -> ".join(str(fmt) for fmt in (*unit.inputs.values(), *unit.outputs.values()))
        rows.append(
            [
                f"`{name}`",
                ports,
                f"{figures.count:,}",
                f"{figures.mean_lsb:.3f}",
                f"{figures.max_lsb:.2f}",
                f"{100 * (figures.correctly_rounded or 0):.1f} %",
                f"{figures.mean:.2e}",
                f"{figures.max:.2e}",
                f"{100 * figures.mean_relative:.3f} %",
            ]
        )
    head = ["unit", "ports", "inputs", "mean LSB", "max LSB", "within 1/2 LSB", "mean", "max", "mean relative"]
    return table(head, rows)


def _is_fixed_point(unit: Unit) -> bool:
    return all(isinstance(fmt, Fixed) for fmt in (*unit.inputs.values(), *unit.outputs.values()))


def _has_no_real_function(unit: Unit) -> bool:
    ends = (np.atleast_1d(fmt.decode(fmt.hi)) for fmt in unit.inputs.values())
    return unit.real(*ends) is None
