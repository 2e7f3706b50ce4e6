"""A step of preparation as a scheme names it: what is done to a network before it is quantised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.parameters import Parameters

__all__ = ["STEPS", "Step"]

STEPS: Mapping[str, Mapping[str, str | int]] = MappingProxyType(
    {
        "smooth": {"strength": "1/2"},
        "gps": {"bits": 8},
        "hadamard": {},
        "klt_hadamard": {},
    }
)
"""Every step with its options and what they are by default; a share is a fraction in text, never a float."""


@dataclass(frozen=True)
class Step(Parameters):
    """One step, by name; :mod:`intsim.prepare.steps` carries it out.

    Parameters
    ----------
    name : a key of :data:`STEPS`
    options : pairs of option and value
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise UnknownName("step", self.name, STEPS)
        known = STEPS[self.name]
        for option, value in self.options:
            if option not in known:
                raise UnknownName(f"option of the step {self.name}", option, known)
            if option == "strength":
                _check_share(option, value)
            elif not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= 16:
                raise IntsimError(f"{option} of the step {self.name} must lie in [2, 16], got {value!r}")
        object.__setattr__(self, "options", tuple(sorted(self.options)))

    @classmethod
    def of(cls, name: str, **options: Any) -> Step:
        """The step of a name, its options by keyword."""
        return cls(name, tuple(options.items()))

    @property
    def settings(self) -> dict[str, Any]:
        """Every option with its value, defaults filled in."""
        return {**STEPS[self.name], **dict(self.options)}


def _check_share(option: str, value: Any) -> None:
    try:
        fits = isinstance(value, str) and 0 <= Fraction(value) <= 1
    except (ValueError, ZeroDivisionError):
        fits = False
    if not fits:
        raise IntsimError(f'{option} must be text of a fraction in [0, 1], got {value!r}; write "1/2"')
