"""Which step runs when: units first made, then their hardware measured; nothing twice."""

from __future__ import annotations

import concurrent.futures as futures
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import intsim
from intsim.errors import IntsimError, UnknownName
from intsim.sweep import steps
from intsim.sweep.ledger import Ledger, Variant
from intsim.sweep.recipes import Recipe
from intsim.sweep.values import key, plain
from intsim.sweep.workers import Workers
from intsim.unit import Unit

__all__ = ["Schedule"]


class _Step(NamedTuple):
    """A call for a worker, and the head of the line that its result completes."""

    call: Callable[..., dict[str, Any]]
    arguments: tuple[Any, ...]
    head: dict[str, Any]


class Schedule:
    """The steps that a ledger lacks.

    Parameters
    ----------
    recipe, hardware : make and measure a unit; without hardware, making it measures it
    ledger : what is known
    variants : what is wanted; those with the same settings share a unit
    """

    def __init__(self, recipe: Recipe, hardware: steps.Hardware | None, ledger: Ledger, variants: Sequence[Variant]):
        self._recipe, self._hardware, self._ledger, self._variants = recipe, hardware, ledger, variants
        self._waiting: deque[_Step] = deque()
        self._asked: set[str] = set()
        self._sharing: dict[str, list[Variant]] = {}
        for variant in variants:
            self._sharing.setdefault(key(variant.settings), []).append(variant)
        for siblings in reversed(self._sharing.values()):
            self._measure(siblings)
        for siblings in self._sharing.values():
            if ledger.design_of(siblings[0]) is None:
                settings = siblings[0].settings
                arguments = (recipe, settings, intsim.__version__)
                self._waiting.append(_Step(steps.design, arguments, {"settings": plain(settings)}))

    def run(self, place: Workers, progress: Callable[[int, int], None] | None = None) -> None:
        """Run the steps at a place, and keep each result as it comes."""
        under_way: dict[futures.Future, _Step] = {}
        while True:
            if progress:
                progress(self._ledger.count(self._variants), len(self._variants))
            while self._waiting and (place.at_once is None or len(under_way) < place.at_once):
                step = self._waiting.popleft()
                under_way[place.submit(step.call, *step.arguments)] = step
            if not under_way:
                return
            finished, _ = futures.wait(under_way, return_when=futures.FIRST_COMPLETED)
            for future in finished:
                line = {**under_way.pop(future).head, **future.result()}
                self._ledger.add(line)
                if "settings" in line:
                    self._measure(self._sharing[key(line["settings"])])

    def _measure(self, siblings: Sequence[Variant]) -> None:
        """Queue what the hardware of a unit needs, ahead of further units."""
        made = self._ledger.design_of(siblings[0])
        if self._hardware is None or made is None or "error" in made:
            return
        self._check_options(made["unit"], siblings[0])
        for variant in reversed(siblings):
            head = self._ledger.cost_head(variant)
            if head is not None and self._ledger.cost_of(variant) is None and key(head) not in self._asked:
                self._asked.add(key(head))
                arguments = (self._recipe, made["unit"], self._hardware, variant.options, intsim.__version__)
                self._waiting.appendleft(_Step(steps.measure, arguments, head))

    def _check_options(self, unit: str, variant: Variant) -> None:
        """Refuse options that the unit's hardware does not take; where there is no hardware, each point says so."""
        assert self._hardware is not None
        try:
            known = self._hardware.names(Unit.from_json(unit))
        except IntsimError:
            return
        for name in variant.options:
            if name not in known:
                raise UnknownName("setting", name, [*self._recipe.takes(variant.settings), *known])
