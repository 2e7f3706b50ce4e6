"""Values of settings: from text, and as plain JSON."""

from __future__ import annotations

import ast
import enum
import json
import re
from collections.abc import Mapping
from typing import Any

from intsim.errors import IntsimError
from intsim.formats import parse
from intsim.formats.base import Format
from intsim.parameters import Parameters, to_plain
from intsim.rounding import Rounding

__all__ = ["key", "plain", "read", "read_list"]

_WORDS = {"yes": True, "no": False, "none": None}


def read(text: str) -> Any:
    """The value that `text` stands for.

    ``yes``, ``no`` and ``none``, numbers, formats such as ``s16.12`` or ``f16``, roundings such as ``TIES_TO_EVEN``,
    tuples such as ``(-8, 8)``; anything else is text.
    """
    text = text.strip()
    if text in _WORDS:
        return _WORDS[text]
    if text in Rounding.__members__:
        return Rounding[text]
    if re.fullmatch(r"[su]\d+(\.-?\d+)?|b?f16", text):
        return parse(text)
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, (int, float, tuple)) else text


def read_list(text: str) -> tuple[Any, ...]:
    """Values between commas; ``2..12`` are all integers from 2 to 12, ``2..12..5`` every fifth of them.

    Raises
    ------
    IntsimError
        There is none, or a range is empty.
    """
    found: list[Any] = []
    for item in re.split(r",(?![^(]*\))", text):
        bounds = re.fullmatch(r"\s*(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?\s*", item)
        if not item.strip():
            raise IntsimError(f"{text!r} lacks a value; write values between commas, such as 8,16,32 or 2..12")
        if bounds is None:
            found.append(read(item))
            continue
        first, last, step = int(bounds[1]), int(bounds[2]), int(bounds[3] or 1)
        if step < 1 or last < first:
            raise IntsimError(f"the range {item.strip()} is empty; write FIRST..LAST or FIRST..LAST..STEP, upwards")
        found += range(first, last + 1, step)
    return tuple(found)


def plain(value: Any) -> Any:
    """`value` as JSON has it; formats as short text."""
    if isinstance(value, Format):
        return str(value) if _is_written(value) else to_plain(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Parameters):
        return to_plain(value)
    raise IntsimError(f"a setting is a number, text, format, rounding or tuple, got {type(value).__name__}")


def _is_written(fmt: Format) -> bool:
    try:
        return parse(str(fmt)) == fmt
    except IntsimError:
        return False


def key(value: Any) -> str:
    """The same text for the same settings."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
