"""Formats written as short text, as on the command line: ``s16.12``, ``u8``, ``f16``, ``bf16``."""

from __future__ import annotations

import re

from intsim.errors import IntsimError
from intsim.formats.base import Format
from intsim.formats.fixed import Fixed, Int
from intsim.formats.minifloat import BFloat16, Float16

__all__ = ["parse"]

_NAMED: dict[str, Format] = {"f16": Float16(), "bf16": BFloat16()}


def parse(text: str) -> Format:
    """The format that `text` names; ``str(fmt)`` writes it.

    Examples
    --------
    >>> parse("s16.12"), parse("u8")
    (Fixed(bits=16, frac=12, signed=True), Int(bits=8, frac=0, signed=False))
    """
    named = _NAMED.get(text.strip())
    if named is not None:
        return named
    match = re.fullmatch(r"([su])(\d+)(?:\.(-?\d+))?", text.strip())
    if not match:
        raise IntsimError(f"cannot read the format {text!r}; write s16.12, u8.8, s8, u8, f16 or bf16")
    signed, bits, frac = match[1] == "s", int(match[2]), match[3]
    return Int(bits, signed) if frac is None else Fixed(bits, int(frac), signed)
