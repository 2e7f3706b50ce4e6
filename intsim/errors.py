"""Errors a user can act on: each message states the bound, the value found and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["DtypeError", "IntsimError", "UnknownName", "nearest"]


class IntsimError(ValueError):
    """Base of every error this project raises on bad input or impossible parameters.

    The command line prints its message and exits with code 2.
    """


class DtypeError(IntsimError, TypeError):
    """An array of the wrong kind, such as floats where integers belong."""


class UnknownName(IntsimError, LookupError):
    """A name that is not known; the message offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        known = sorted(known)
        hint = nearest(name, known)
        offer = f"did you mean {hint!r}?" if hint else "known: " + ", ".join(known)
        super().__init__(f"unknown {kind} {name!r}; {offer}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None if nothing comes near."""
    matches = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
