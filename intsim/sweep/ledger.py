"""What is known of a sweep: the lines of its journal, found again by what they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intsim.sweep.journal import Journal
from intsim.sweep.results import Point
from intsim.sweep.values import key, plain

__all__ = ["Ledger", "Variant"]


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
    with_hardware : whether a point is finished with its cost only
    retry : forget the steps that failed
    """

    def __init__(self, journal: Journal, *, with_hardware: bool, retry: bool):
        self._journal, self._with_hardware = journal, with_hardware
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
            self._costs[key([line["sha256"], line["options"]])] = line

    def design_of(self, variant: Variant) -> dict[str, Any] | None:
        """The unit of a variant or why there is none; None if not tried yet."""
        return self._designs.get(key(variant.settings))

    def cost_of(self, variant: Variant) -> dict[str, Any] | None:
        """What the hardware of a variant costs or why it cannot be had; None if not tried yet."""
        made = self.design_of(variant)
        return None if made is None else self._costs.get(key([made.get("sha256"), variant.options]))

    def count(self, variants: Sequence[Variant]) -> int:
        """How many of them are finished."""
        return sum(self._is_finished(variant) for variant in variants)

    def _is_finished(self, variant: Variant) -> bool:
        made = self.design_of(variant)
        if made is None or "error" in made or not self._with_hardware:
            return made is not None
        return self.cost_of(variant) is not None

    def point(self, variant: Variant) -> Point:
        """A finished variant."""
        settings = {**plain(variant.settings), **plain(variant.options)}
        made, cost = self.design_of(variant), self.cost_of(variant) if self._with_hardware else {"figures": {}}
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
