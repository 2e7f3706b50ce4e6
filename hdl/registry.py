# amaranth: UnusedElaboratable=no
"""Which hardware realises which unit.

The first line tells Amaranth not to warn of components that are created only to be asked for their latency.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from hdl.component import UnitComponent
from intsim.errors import IntsimError
from intsim.unit import Unit

__all__ = ["create", "has_hardware", "realises"]

C = TypeVar("C", bound=type[UnitComponent])

_realisations: dict[type[Unit], type[UnitComponent]] = {}


def realises(unit_class: type[Unit]) -> Callable[[C], C]:
    """Class decorator: the component is the hardware of `unit_class`."""

    def register(component: C) -> C:
        _realisations[unit_class] = component
        return component

    return register


def create(unit: Unit, **options: Any) -> UnitComponent:
    """The hardware of `unit`.

    Parameters
    ----------
    unit : any unit whose class has hardware
    **options : the component's own, such as ``stages`` or ``memory``

    Raises
    ------
    IntsimError
        There is no hardware for this class of unit, or an option does not exist.
    """
    component = _find(unit)
    if component is None:
        raise IntsimError(f"{type(unit).__name__} has no hardware here; register a component with @hdl.realises")
    try:
        return component(unit, **options)
    except TypeError as error:
        raise IntsimError(f"{component.__name__}: {error}") from error


def has_hardware(unit: Unit) -> bool:
    """Whether a component is registered for this class of unit."""
    return _find(unit) is not None


def _find(unit: Unit) -> type[UnitComponent] | None:
    for cls in type(unit).__mro__:
        if cls not in _realisations and cls.__module__.startswith("intsim."):
            _import_mirror(cls.__module__)
        if cls in _realisations:
            return _realisations[cls]
    return None


def _import_mirror(module: str) -> None:
    """Load ``hdl.x.y`` for ``intsim.x.y``: hardware stands at the path of its golden model."""
    mirror = "hdl" + module.removeprefix("intsim")
    try:
        importlib.import_module(mirror)
    except ModuleNotFoundError as error:
        if error.name is None or not mirror.startswith(error.name):
            raise
