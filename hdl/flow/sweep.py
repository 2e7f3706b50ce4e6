"""What a sweep learns of a unit's hardware: :class:`Hardware` measures it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hdl.component import UnitComponent
from hdl.flow import tools
from hdl.flow.cost import cost
from hdl.nonlinear.rows import RowComponent
from hdl.registry import create
from intsim.unit import Unit

__all__ = ["Hardware"]

_SMALL_ROW = 8  # row length of the gate count: without the row memories, which would be flip-flops there
_NOT_OPTIONS = ("self", "unit", "members")


@dataclass(frozen=True)
class Hardware:
    """Measures the hardware of units, for :class:`intsim.sweep.Sweep`.

    ``comb``, ``ff``, ``dsp``, ``bram``, ``fmax`` (MHz) and ``nand2`` are those of :func:`hdl.flow.cost.cost`, gates of
    row units without their row memories. From the component's own statement of time:

    * ``latency``: cycles from an element in to its result out; of a row unit, from the first word of the longest row
      to its last result;
    * ``pace``: cycles from one transfer to the next; of a row unit, from one longest row to the next;
    * ``delay``: the latency in ns at `fmax`, and ``rate``: elements per microsecond at `fmax` and `pace`.

    Parameters
    ----------
    seeds : placements; Fmax is their median
    """

    seeds: int = 1

    def names(self, unit: Unit) -> tuple[str, ...]:
        """Options that the component of this unit takes.

        Raises
        ------
        IntsimError
            The unit has no hardware.
        """
        parameters = inspect.signature(type(create(unit)).__init__).parameters
        return tuple(name for name in parameters if name not in _NOT_OPTIONS)

    def __call__(self, unit: Unit, options: Mapping[str, Any]) -> dict[str, Any]:
        small: Any = replace(unit, max_row=_SMALL_ROW) if unit.is_row else None  # type: ignore[call-arg]
        found = cost(unit, seeds=self.seeds, gates_of=small, **options)
        assert found is not None
        figures = {name: found[name] for name in ("comb", "ff", "dsp", "bram", "nand2", "fmax")}
        component = create(unit, **options)
        latency, pace, elements = _time(component)
        return {
            **figures,
            "latency": latency,
            "pace": pace,
            "delay": round(1000 * latency / found["fmax"], 3),
            "rate": round(found["fmax"] * elements / pace, 3),
        }

    def identity(self) -> dict[str, Any]:
        """What is measured, and by which tools."""
        return {"seeds": self.seeds, **tools.versions("yosys", "nextpnr-ecp5")}


def _time(component: UnitComponent) -> tuple[int, int, int]:
    """Latency, cycles until the next one may begin, and elements that this gives."""
    if isinstance(component, RowComponent):
        longest = component.unit.max_row  # type: ignore[attr-defined]
        return component.cycles(longest), component.sustained(longest), longest
    return component.latency, component.interval, component.lanes
