"""What is known of a sweep: the lines of its journal, found again by what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intsim.sweep.journal import Journal
from intsim.sweep.results import Point
from intsim.sweep.values import key, plain

__all__ = ["Ledger", "Variant"]

_OF_COST = ("sha256", "options", "hardware")


@dataclass(frozen=True)
class Variant:
    """One combination: settings of the unit, and options of its hardware."""

    settings: dict[str, Any]
    options: dict[str, Any]


class Ledger:
    """The finished steps: designs by their settings, costs by their unit and options.

    Parameters
    ----------
    journal : where each line is kept
    hardware : identity of what measures hardware: other costs do not count. None: a point needs none
    retry : forget the steps that failed
    """

    def __init__(self, journal: Journal, *, hardware: dict[str, Any] | None, retry: bool):
        self._journal, self._hardware = journal, hardware
        self._designs: dict[str, dict[str, Any]] = {}
        self._costs: dict[str, dict[str, Any]] = {}
        for line in journal.lines:
            if not (retry and "error" in line):
                self._keep(line)

    def add(self, line: dict[str, Any]) -> None:
        """Keep a finished step, on the disk first."""
        self._journal.append(line)
        self._keep(line)

    def _keep(self, line: dict[str, Any]) -> None:
        if "settings" in line:
            self._designs[key(line["settings"])] = line
        else:
            self._costs[key([line[part] for part in _OF_COST])] = line

    def design_of(self, variant: Variant) -> dict[str, Any] | None:
        """The unit of a variant or why there is none; None if not tried yet."""
        return self._designs.get(key(variant.settings))

    def cost_of(self, variant: Variant) -> dict[str, Any] | None:
        """What the hardware of a variant costs or why it cannot be had; None if not tried yet."""
        head = self.cost_head(variant)
        return None if head is None else self._costs.get(key([head[part] for part in _OF_COST]))

    def cost_head(self, variant: Variant) -> dict[str, Any] | None:
        """What a line about the cost of a variant begins with; None where there is no unit."""
        made = self.design_of(variant)
        if made is None or "error" in made:
            return None
        return {"sha256": made["sha256"], "options": plain(variant.options), "hardware": self._hardware}

    def count(self, variants: Sequence[Variant]) -> int:
        """How many of them are finished."""
        return sum(self._is_finished(variant) for variant in variants)

    def _is_finished(self, variant: Variant) -> bool:
        made = self.design_of(variant)
        if made is None or "error" in made or self._hardware is None:
            return made is not None
        return self.cost_of(variant) is not None

    def point(self, variant: Variant) -> Point:
        """A finished variant."""
        settings = {**plain(variant.settings), **plain(variant.options)}
        made, cost = self.design_of(variant), self.cost_of(variant) if self._hardware is not None else {"figures": {}}
        assert made is not None
        if "error" in made:
            return Point(settings, {}, None, made["error"])
        assert cost is not None
        if "error" in cost:
            return Point(settings, {}, made["sha256"], cost["error"])
        return Point(settings, {**made["figures"], **cost["figures"]}, made["sha256"])

    def units(self, variants: Sequence[Variant]) -> dict[str, str]:
        """JSON by SHA-256 of the units of these variants."""
        found = [self.design_of(variant) or {} for variant in variants]
        return {line["sha256"]: line["unit"] for line in found if "unit" in line}
