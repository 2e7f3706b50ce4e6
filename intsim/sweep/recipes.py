"""How a variant comes from its settings: a table designed for a function, fields of a unit, arguments of a call."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit

__all__ = ["TABLES", "Fields", "Made", "Recipe", "TableOf"]

TABLES = {
    "nli": "NLI",
    "uniform": "Uniform",
    "dulut": "DULUT",
    "direct": "Direct",
    "pwl": "FloatPWL",
    "exponent": "ExponentTable",
    "range_reduced": "RangeReduced",
}
"""The kinds of table, and the classes of :mod:`intsim.tables` that design them."""

_NOT_SETTINGS = ("fn", "progress")


class Recipe(Protocol):
    """What makes a unit from named settings. It must survive pickling: other processes use it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every setting that it may take."""

    def takes(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Those among :attr:`names` that mean something beside the other settings."""

    def make(self, settings: Mapping[str, Any]) -> Unit:
        """The unit. Raises :class:`IntsimError` where the settings do not fit together."""

    @property
    def real(self) -> Callable[..., Any] | None:
        """The real function to compare with; None: the one that the unit knows."""

    def identity(self) -> dict[str, Any]:
        """What is varied, as JSON: two recipes of the same identity make the same units."""


@dataclass(frozen=True)
class TableOf:
    """A table designed for a function; the setting ``table`` is its kind, one of :data:`TABLES` (default ``nli``).

    A setting that only another kind takes is left out, so kinds with different sizes can be varied together.

    Parameters
    ----------
    fn : name of a function, or a callable on float64 arrays
    """

    fn: str | Callable[[Any], Any]

    @property
    def names(self) -> tuple[str, ...]:
        found = dict.fromkeys(["table"])
        for kind in TABLES:
            found.update(dict.fromkeys(self._arguments(kind)))
        return tuple(found)

    def takes(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return ("table", *self._arguments(str(settings.get("table", "nli"))))

    def make(self, settings: Mapping[str, Any]) -> Unit:
        arguments = {name: value for name, value in settings.items() if name != "table"}
        for port in ("x", "y"):
            if port not in arguments:
                raise IntsimError(f"a table needs the format of {port}; set it, such as {port}=s16.12")
        return _called(self._class(str(settings.get("table", "nli"))).design, {"fn": self.fn, **arguments})

    @property
    def real(self) -> Callable[..., Any] | None:
        from intsim.tables.design import function_and_name

        return None if isinstance(self.fn, str) else function_and_name(self.fn)[0]

    def identity(self) -> dict[str, Any]:
        return {"table of": self.fn if isinstance(self.fn, str) else _origin(self.fn)}

    def _arguments(self, kind: str) -> tuple[str, ...]:
        return _parameters(self._class(kind).design)

    @staticmethod
    def _class(kind: str) -> Any:
        from intsim import tables

        if kind not in TABLES:
            raise UnknownName("table", kind, TABLES)
        return getattr(tables, TABLES[kind])


@dataclass(frozen=True)
class Fields:
    """A unit with some of its fields changed.

    Parameters
    ----------
    unit : as it is where nothing is set; or a call that returns it
    """

    unit: Unit | Callable[[], Unit]

    @property
    def base(self) -> Unit:
        return self.unit if isinstance(self.unit, Unit) else self.unit()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in fields(self.base) if f.init and not f.metadata.get("note"))

    def takes(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.names

    def make(self, settings: Mapping[str, Any]) -> Unit:
        base = self.base
        return _called(replace, {name: _like(getattr(base, name), value) for name, value in settings.items()}, base)

    @property
    def real(self) -> None:
        return None

    def identity(self) -> dict[str, Any]:
        return {"unit": self.base.sha256}


@dataclass(frozen=True)
class Made:
    """What a call returns: a unit's class, its ``design``, or a function of one's own.

    Parameters
    ----------
    maker : called with the settings by name; a class that has a ``design`` is designed
    """

    maker: Callable[..., Any]

    @property
    def call(self) -> Callable[..., Any]:
        return getattr(self.maker, "design", self.maker)

    @property
    def names(self) -> tuple[str, ...]:
        return _parameters(self.call, drop=("progress",))

    def takes(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return self.names

    def make(self, settings: Mapping[str, Any]) -> Unit:
        made = _called(self.call, settings)
        if not isinstance(made, Unit):
            raise IntsimError(f"{_origin(self.maker)} returned a {type(made).__name__}; it must return a unit")
        return made

    @property
    def real(self) -> None:
        return None

    def identity(self) -> dict[str, Any]:
        return {"made by": _origin(self.maker)}


def _parameters(call: Callable[..., Any], drop: tuple[str, ...] = _NOT_SETTINGS) -> tuple[str, ...]:
    """Names of the arguments; a ``design`` that passes others on takes the fields of its class."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(call).parameters.values()
    found = dict.fromkeys(p.name for p in parameters if p.kind in named and p.name not in drop)
    owner = getattr(call, "__self__", None)
    if is_dataclass(owner) and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        found |= dict.fromkeys(f.name for f in fields(owner) if f.init and not f.metadata.get("note"))
    return tuple(found)


def _called(call: Callable[..., Any], settings: Mapping[str, Any], *first: Any) -> Any:
    try:
        return call(*first, **settings)
    except IntsimError:
        raise
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        given = ", ".join(f"{name}={value}" for name, value in settings.items() if not callable(value))
        raise IntsimError(f"{given or 'no settings'} cannot be made ({error}); set other values") from error


def _like(old: Any, value: Any) -> Any:
    """`value`, as a member where the field holds an enumeration and the value is its name."""
    if isinstance(old, enum.Enum) and isinstance(value, str):
        if value not in type(old).__members__:
            raise UnknownName(type(old).__name__, value, type(old).__members__)
        return type(old)[value]
    return value


def _origin(call: Callable[..., Any]) -> Any:
    """Where a callable comes from; one that knows better says so itself."""
    said = getattr(call, "identity", None)
    return said() if callable(said) else f"{call.__module__}:{getattr(call, '__qualname__', type(call).__name__)}"
