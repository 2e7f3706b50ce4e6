"""Frozen parameter objects that go to JSON and back without loss.

Units and number formats are frozen dataclasses of integers, strings, booleans, tuples, enumeration members and
each other. Reading JSON constructs registered types only; it imports nothing by name and executes nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import importlib
import json
import typing
from typing import Any

from intsim.errors import IntsimError, UnknownName

__all__ = ["Parameters", "digest", "from_plain", "note", "registered", "to_plain"]

_registry: dict[str, type[Parameters]] = {}
_enums: dict[str, type[enum.Enum]] = {}

# Our own packages that register types; loaded when a JSON names a type that is not registered yet.
_HOMES = (
    "intsim.formats",
    "intsim.tables",
    "intsim.requant",
    "intsim.linear",
    "intsim.nonlinear",
    "intsim.engine",
    "intsim.schemes",
)


class Parameters:
    """Base of every unit and format: a frozen dataclass, registered under its class name.

    Subclasses must be decorated with ``@dataclass(frozen=True)``.
    """

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A class defined again (a notebook cell, a reloaded file) replaces its namesake of the same module.
        known = _registry.get(cls.__name__)
        if known is not None and known.__module__ != cls.__module__:
            raise TypeError(
                f"a parameter type named {cls.__name__!r} exists in {known.__module__}; choose another class name"
            )
        _registry[cls.__name__] = cls


def note(default: Any = None) -> Any:
    """A dataclass field that is stored but not part of identity: neither compared nor in the SHA-256."""
    return dataclasses.field(default=default, compare=False, metadata={"note": True})


def to_plain(value: Any, *, notes: bool = True) -> Any:
    """JSON-ready form of a parameter object or of a value inside one."""
    if isinstance(value, Parameters):
        body: dict[str, Any] = {"type": type(value).__name__}
        for field in dataclasses.fields(value):  # type: ignore[arg-type]
            if notes or not field.metadata.get("note"):
                body[field.name] = to_plain(getattr(value, field.name), notes=notes)
        return body
    if isinstance(value, enum.Enum):
        _enums.setdefault(type(value).__name__, type(value))
        return {"enum": type(value).__name__, "name": value.name}
    if isinstance(value, bool) or value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, tuple):
        return [to_plain(item, notes=notes) for item in value]
    raise TypeError(f"a parameter must be an integer, string, tuple, enumeration or format, got {type(value).__name__}")


def from_plain(value: Any) -> Any:
    """The value that :func:`to_plain` wrote.

    Raises
    ------
    IntsimError
        Unknown type, unknown, missing or ill-typed field.
    """
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        if isinstance(value, float):
            raise IntsimError(f"parameters are integers, found the float {value!r}; scale it to an integer")
        return value
    if "enum" in value:
        return _read_enum(value)
    name = value.get("type")
    if not isinstance(name, str):
        raise IntsimError(f"expected an object with a 'type', found keys {sorted(value)}")
    cls = _lookup(name)
    _learn_enums(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    given = {key: from_plain(item) for key, item in value.items() if key != "type"}
    for key in given:
        if key not in fields:
            raise UnknownName(f"parameter of {name}", key, fields)
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in given:
            raise IntsimError(f"{name} lacks the parameter {key!r}; add it or write the file again")
    try:
        return cls(**given)
    except IntsimError:
        raise
    except (TypeError, AttributeError, ValueError, KeyError, IndexError) as error:
        raise IntsimError(f"{name} has a parameter of the wrong kind ({error}); write the file again") from error


def _lookup(name: str) -> type[Parameters]:
    known = _registry if name in _registry else registered()
    if name not in known:
        raise UnknownName("type", name, known)
    return known[name]


def registered() -> dict[str, type[Parameters]]:
    """Every type of this package by name, and those that others have defined so far."""
    for home in _HOMES:
        try:
            importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
    return dict(_registry)


def _learn_enums(cls: type[Parameters]) -> None:
    """Register the enumerations among the types of the fields of `cls`, also inside unions and tuples."""
    waiting = list(typing.get_type_hints(cls).values())
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            _enums.setdefault(kind.__name__, kind)
        waiting.extend(typing.get_args(kind))


def _read_enum(value: dict[str, Any]) -> enum.Enum:
    kind = _enums.get(str(value["enum"]))
    if kind is None:
        raise UnknownName("enumeration", str(value["enum"]), _enums)
    try:
        return kind[value.get("name", "")]
    except KeyError:
        raise UnknownName(kind.__name__, str(value.get("name")), kind.__members__) from None


def digest(value: Parameters) -> str:
    """SHA-256 over the type and its integer parameters: what is computed, not how it was found or called."""
    text = json.dumps(to_plain(value, notes=False), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
