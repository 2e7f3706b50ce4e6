"""Bit widths as one writes them: ``w4a8``, and positions by name."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.schemes import Bits, Scheme, StaticScheme

__all__ = ["with_bits"]


def with_bits(scheme: Scheme, widths: str, **positions: int) -> Scheme:
    """The scheme with other widths; what is not named stays as the paper has it.

    Parameters
    ----------
    widths : of weights and activations, such as ``w8a8``
    **positions : fields of :class:`~intsim.schemes.Bits`, such as ``scores=16``

    Raises
    ------
    IntsimError
        Not of that form, a position that is not known, or a width out of range.
    """
    found = re.fullmatch(r"w(\d+)a(\d+)", widths.strip().lower())
    if found is None:
        raise IntsimError(f"widths are written like w8a8, got {widths!r}")
    weight, activation = map(int, found.groups())
    known = [field.name for field in dataclasses.fields(Bits)]
    for name in positions:
        if name not in known:
            raise UnknownName("position of a width", name, known)
    bits = dataclasses.replace(scheme.bits, weight=weight, activation=activation, **positions)
    changes: dict[str, Any] = {"bits": bits}
    if isinstance(scheme, StaticScheme) and bits.weight != scheme.bits.weight:
        changes["weight_limits"] = (1 - 2 ** (bits.weight - 1), 2 ** (bits.weight - 1) - 1)
    return scheme.replace(**changes)
