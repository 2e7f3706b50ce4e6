"""From the text on the command line to what a sweep makes its units with."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intsim.cli.units import from_file, resolve
from intsim.errors import IntsimError, UnknownName
from intsim.parameters import registered
from intsim.sweep import Fields, Made, Recipe, TableOf
from intsim.unit import Unit

__all__ = ["FromFile", "recipe_of"]


def recipe_of(subject: str, *, table: bool) -> Recipe:
    """What `subject` names: a function to design tables for, a class, a function that returns a unit, or a unit.

    Raises
    ------
    IntsimError
        It names nothing, or something else.
    """
    if ".py:" in subject:
        path, _, name = subject.rpartition(":")
        found = FromFile(str(Path(path).resolve()), name, _digest(path))
        if table:
            return TableOf(found.checked("a function of a float64 array"))
        if isinstance(found.value, Unit):
            return Fields(found)
        return Made(found.checked("a unit, or a function that returns one"))
    if table:
        return TableOf(subject)
    if subject[:1].isupper() and subject.isidentifier():
        return Made(_unit_class(subject))
    return Fields(resolve(subject))


def _unit_class(name: str) -> type[Unit]:
    known = {known: cls for known, cls in registered().items() if issubclass(cls, Unit) and known != "Unit"}
    if name not in known:
        raise UnknownName("class of units", name, known)
    return known[name]


@dataclass(frozen=True)
class FromFile:
    """An object in a Python file, which is executed once in each process that uses it.

    Called, it calls that object, or returns it where it is a unit.

    Parameters
    ----------
    path : absolute, so that other processes find it
    name : of the object
    sha256 : of the file: a process that finds another one refuses
    """

    path: str
    name: str
    sha256: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _loaded, (self.path, self.name, self.sha256)  # loading registers the classes it defines

    @property
    def value(self) -> Any:
        return _value(self.path, self.name, self.sha256)

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        """Whose signature it has."""
        return self.value

    @property
    def __name__(self) -> str:
        return self.name

    def checked(self, wanted: str) -> FromFile:
        """Itself, where it can be called."""
        if not callable(self.value):
            raise IntsimError(f"{self.path}:{self.name} is a {type(self.value).__name__}; give {wanted}")
        return self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.value if isinstance(self.value, Unit) else self.value(*arguments, **named)

    def identity(self) -> dict[str, str]:
        """What it is, wherever the file lies."""
        return {"name": self.name, "sha256": self.sha256}


def _loaded(path: str, name: str, sha256: str) -> FromFile:
    _value(path, name, sha256)
    return FromFile(path, name, sha256)


@functools.cache
def _value(path: str, name: str, sha256: str) -> Any:
    if _digest(path) != sha256:
        raise IntsimError(f"{path} has changed since the sweep began; begin again in another folder")
    return from_file(f"{path}:{name}")


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        raise IntsimError(f"there is no file {path}; give file.py:name") from None
