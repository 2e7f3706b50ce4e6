"""The two steps of a variant, as other processes run them: plain arguments in, plain figures out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Protocol

import intsim
from intsim.errors import IntsimError
from intsim.measure import error
from intsim.sweep.recipes import Recipe
from intsim.unit import Unit

__all__ = ["Hardware", "accuracy", "design", "measure", "words"]

_TABLES = ("table", "slopes", "intercepts")  # fields that hold what a memory holds


class Hardware(Protocol):
    """What measures a unit's hardware; see :class:`hdl.flow.sweep.Hardware`. It must survive pickling."""

    def names(self, unit: Unit) -> tuple[str, ...]:
        """Options that the hardware of this unit takes."""

    def __call__(self, unit: Unit, options: Mapping[str, Any]) -> dict[str, Any]:
        """Figures by name."""

    def identity(self) -> dict[str, Any]:
        """What is measured and by which tools, as JSON."""


class OtherVersion(IntsimError):
    """A worker that would not compute the same."""


def design(recipe: Recipe, settings: Mapping[str, Any], version: str) -> dict[str, Any]:
    """First step: the unit, and how far it is from the real function. An error is a result too."""
    _check(version)
    try:
        unit = recipe.make(settings)
        return {"unit": unit.to_json(), "sha256": unit.sha256, "figures": accuracy(unit, recipe.real)}
    except Exception as failure:
        return {"error": _said(failure)}


def measure(recipe: Recipe, unit: str, hardware: Hardware, options: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Second step: what the hardware of a unit costs. The recipe comes along because it may bring the unit's class."""
    _check(version)
    try:
        return {"figures": hardware(Unit.from_json(unit), options)}
    except Exception as failure:
        return {"error": _said(failure)}


def accuracy(unit: Unit, real: Callable[..., Any] | None = None) -> dict[str, Any]:
    """Errors against the real function (none where none is known), and words of its tables (none where there are none).

    ``error`` and ``max_error`` in real units, ``mean_relative``, ``max_relative``, ``mean_lsb``, ``max_lsb``,
    ``correctly_rounded``, as :class:`intsim.measure.Accuracy` has them; ``words``. What is not finite is left out.
    """
    figures: dict[str, Any] = {}
    try:
        found = error(unit, real=real)
    except IntsimError:
        pass
    else:
        figures = {
            "error": found.mean,
            "max_error": found.max,
            "mean_relative": found.mean_relative,
            "max_relative": found.max_relative,
            "mean_lsb": found.mean_lsb,
            "max_lsb": found.max_lsb,
            "correctly_rounded": found.correctly_rounded,
        }
    figures["words"] = words(unit) or None
    return {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}


def words(unit: Unit) -> int:
    """How many words the tables of a unit and of the units inside it hold."""
    total = 0
    for field in fields(unit):
        value = getattr(unit, field.name)
        if isinstance(value, Unit):
            total += words(value)
        elif isinstance(value, tuple) and field.name in _TABLES:
            total += len(value)
    return total


def _check(version: str) -> None:
    if version != intsim.__version__:
        raise OtherVersion(f"a worker has intsim {intsim.__version__}, this is {version}; install the same there")


def _said(failure: Exception) -> str:
    return str(failure) if isinstance(failure, IntsimError) else f"{type(failure).__name__}: {failure}"
