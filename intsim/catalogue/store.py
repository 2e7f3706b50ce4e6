"""Where the catalogue's units are stored, and how a name finds its unit."""

from __future__ import annotations

import functools
from pathlib import Path

from intsim.errors import UnknownName
from intsim.unit import Unit, load

__all__ = ["get", "names", "path_of"]

_FOLDER = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all stored units, in alphabetical order. Nothing is loaded."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def path_of(name: str) -> Path:
    """The JSON file of the unit called `name`, which may not exist yet."""
    return _FOLDER / f"{name}.json"


def get(name: str) -> Unit:
    """The unit called `name`; a bare function name such as ``"silu"`` means ``"nli_silu"``.

    The integer conventions of :mod:`intsim.requant`, such as ``"tflite_double"``, are found here too.

    Raises
    ------
    UnknownName
        No such unit; the message offers the nearest name.
    """
    known = names()
    for stored in (name, f"nli_{name}"):
        if stored in known:
            return _load(stored)
    from intsim.requant.conventions import INTEGER

    if name in INTEGER:
        return INTEGER[name]
    short = [stored.removeprefix("nli_") for stored in known if stored.startswith("nli_")]
    raise UnknownName("unit", name, [*known, *short, *INTEGER])


@functools.cache
def _load(name: str) -> Unit:
    return load(path_of(name))
