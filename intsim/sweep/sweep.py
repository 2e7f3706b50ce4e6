"""The sweep itself: every combination of settings, each made and measured once."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import intsim
from intsim.errors import IntsimError, UnknownName
from intsim.sweep import workers
from intsim.sweep.journal import opened
from intsim.sweep.ledger import Ledger, Variant
from intsim.sweep.recipes import Recipe
from intsim.sweep.results import Results
from intsim.sweep.schedule import Schedule
from intsim.sweep.steps import Hardware
from intsim.sweep.values import key, plain, read

__all__ = ["Sweep"]

_SCHEMA = 1

Axes = Mapping[str | tuple[str, ...], Sequence[Any]]


class Sweep:
    """Every combination of some settings of a unit and of its hardware.

    Parameters
    ----------
    recipe : makes a unit from settings
    vary : values by name; a tuple of names takes each value together. Texts are read as on the command line
    fixed : settings that all points share
    hardware : measures the hardware, such as :class:`hdl.flow.sweep.Hardware`; its options may be varied too.
        None: only the golden model is measured

    Raises
    ------
    IntsimError
        Nothing to vary, or a name given twice.
    """

    def __init__(
        self, recipe: Recipe, vary: Axes, fixed: Mapping[str, Any] | None = None, hardware: Hardware | None = None
    ):
        self.recipe, self.hardware = recipe, hardware
        self._axes = [((n,) if isinstance(n, str) else tuple(n), _values(n, values)) for n, values in vary.items()]
        self._fixed = {name: _read(value) for name, value in (fixed or {}).items()}
        names = [*self._fixed, *(name for group, _ in self._axes for name in group)]
        if not self._axes:
            raise IntsimError("nothing to vary; name settings with several values, such as bins=8,16,32")
        for name in names:
            if names.count(name) > 1:
                raise IntsimError(f"{name} is given twice; give all its values at once")
        self.varied = tuple(name for group, values in self._axes if len(values) > 1 for name in group)

    @property
    def head(self) -> dict[str, Any]:
        """Which sweep it is: what is varied, by which version."""
        return {"sweep": _SCHEMA, "intsim": intsim.__version__, **plain(self.recipe.identity())}

    def run(
        self,
        folder: str | Path,
        *,
        workers: int = 1,
        scheduler: str | None = None,
        retry: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Results:
        """Make and measure every point; what the folder already holds is not done again.

        Each finished step is a line of ``steps.jsonl``; at the end ``sweep.json`` holds all points in the order of
        the grid and ``units/`` every unit. A point that fails is a result, and does not stop the others.

        Parameters
        ----------
        folder : made where it does not exist. The same folder serves other grids of the same recipe, with hardware
            and without
        workers : processes; 1: this one
        scheduler : address of a Dask cluster to run on instead
        retry : also do again what failed
        progress : called with the points done and the points in all

        Raises
        ------
        UnknownName
            Neither the recipe nor the hardware takes a setting of this name.
        IntsimError
            The folder holds another sweep; no cluster at this address; a worker died; the recipe is made of what
            other processes cannot be given, such as a function inside another.
        """
        variants = list(self._variants())
        self._check(variants)
        if workers > 1 and scheduler is None:
            _check_that_it_travels(self.recipe, self.hardware)
        with opened(folder, self.head) as journal:
            measured = None if self.hardware is None else plain(self.hardware.identity())
            ledger = Ledger(journal, hardware=measured, retry=retry)
            with _somewhere(workers, scheduler) as place:
                Schedule(self.recipe, self.hardware, ledger, variants).run(place, progress)
            results = Results({**self.head, "hardware": measured}, self.varied, tuple(map(ledger.point, variants)))
            results.write(folder, ledger.units(variants))
        return results

    def __len__(self) -> int:
        """Points: combinations, without those that differ only in settings that mean nothing there."""
        return len(list(self._variants()))

    def _variants(self) -> Iterator[Variant]:
        known, seen = self.recipe.names, set()
        for chosen in itertools.product(*(values for _, values in self._axes)):
            given = dict(self._fixed)
            for (group, _), value in zip(self._axes, chosen, strict=True):
                given |= dict.fromkeys(group, value)
            takes = self.recipe.takes(given)
            variant = Variant(
                {name: value for name, value in given.items() if name in takes},
                {name: value for name, value in given.items() if name not in known},
            )
            text = key([variant.settings, variant.options])
            if text not in seen:
                seen.add(text)
                yield variant

    def _check(self, variants: Sequence[Variant]) -> None:
        """Refuse names that neither the recipe takes nor, as far as is known yet, the hardware."""
        known = dict.fromkeys(name for variant in variants for name in self.recipe.takes(variant.settings))
        for name in (*self._fixed, *(name for group, _ in self._axes for name in group)):
            if name not in known and (name in self.recipe.names or self.hardware is None):
                remark = "" if self.hardware is not None else " (no hardware is measured, so it has no options)"
                raise UnknownName(f"setting{remark}", name, known)


def _somewhere(count: int, scheduler: str | None) -> AbstractContextManager[workers.Workers]:
    if scheduler is not None:
        return workers.on_dask(scheduler)
    if count < 1:
        raise IntsimError(f"{count} workers cannot work; give at least 1")
    return workers.here() if count == 1 else workers.processes(count)


def _check_that_it_travels(*parts: Any) -> None:
    """Refuse what other processes cannot be given, before the work begins."""
    try:
        pickle.dumps(parts)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise IntsimError(
            f"other processes cannot be given this ({error}); define it at the top of a module, or use one worker"
        ) from None


def _read(value: Any) -> Any:
    return read(value) if isinstance(value, str) else value


def _values(names: str | tuple[str, ...], values: Sequence[Any]) -> list[Any]:
    found = [_read(value) for value in values]
    if not found:
        raise IntsimError(f"{names} has no values; give at least one")
    return found
