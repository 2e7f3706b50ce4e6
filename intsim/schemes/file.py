"""A scheme as a file that a person can read and write: TOML or JSON, the same content in both.

Operators are tables with the name of a unit class and its options; finished units, formats and requantisers are
tables with a ``type``. What is left out takes its default. Reading constructs registered types only: it imports
nothing by name and executes nothing, so a scheme with a unit of one's own is read after the file that defines it
was imported.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.files import write_text
from intsim.parameters import _lookup, from_plain, to_plain
from intsim.schemes.scheme import Scheme

__all__ = ["from_json", "from_toml", "load", "save", "to_json", "to_toml"]

_SCHEMA = 1
_KEY = "intsim_scheme"
_PARTS = ("softmax", "activation", "gated", "norm", "residual", "pool")


def to_toml(scheme: Scheme) -> str:
    """The scheme as TOML text."""
    lines: list[str] = []
    _write_table(_to_file(scheme), (), lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def to_json(scheme: Scheme) -> str:
    """The scheme as JSON text."""
    return json.dumps(_to_file(scheme), indent=1) + "\n"


def from_toml(text: str) -> Scheme:
    """The scheme in TOML text.

    Raises
    ------
    IntsimError
        No TOML, another schema, an unknown key (the message offers the nearest), a value that does not fit.
    """
    try:
        return _from_file(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, TypeError, RecursionError) as error:
        raise IntsimError(f"not a scheme: the TOML is damaged ({error}); correct that line") from None


def from_json(text: str) -> Scheme:
    """The scheme in JSON text. Raises as :func:`from_toml`."""
    try:
        body = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise IntsimError(f"not a scheme: the JSON is damaged ({error}); correct that line") from None
    return _from_file(body)


def save(scheme: Scheme, path: str | Path) -> None:
    """Write a scheme by the ending of the name, whole or not at all."""
    write_text(path, {"toml": to_toml, "json": to_json}[_ending(path)](scheme))


def load(path: str | Path) -> Scheme:
    """The scheme in a ``.toml`` or ``.json`` file."""
    read = {"toml": from_toml, "json": from_json}[_ending(path)]
    try:
        return read(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give a scheme's file") from None
    except IntsimError as error:
        raise IntsimError(f"{path}: {error}") from None


def _ending(path: str | Path) -> str:
    ending = Path(path).suffix[1:]
    if ending not in ("toml", "json"):
        raise IntsimError(f"a scheme is stored as .toml or .json, got {path}; choose a name that ends so")
    return ending


# Between the parameters' plain form and the file's ---------------------------------------------------------------


def _to_file(scheme: Scheme) -> dict[str, Any]:
    body = {_KEY: _SCHEMA, **_pairs_to_tables(to_plain(scheme))}
    body["steps"] = [{"name": step["name"], **step.get("options", {})} for step in body["steps"]]
    if from_plain(_to_parameters(body)) != scheme:
        raise IntsimError(f"{scheme.name}: a part is None where its default is not, so no file can hold it; set it")
    return body


def _pairs_to_tables(plain: Any) -> Any:
    """Options as tables, operators without their type, nothing where a field is None."""
    if isinstance(plain, list):
        return [_pairs_to_tables(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kept = {key: _pairs_to_tables(value) for key, value in plain.items() if value is not None}
    if kept.get("type") in ("Operator", "Step"):
        kept["options"] = dict(kept["options"])
        if kept.pop("type") == "Operator" and not kept["options"]:
            del kept["options"]
    return kept


def _from_file(body: Any) -> Scheme:
    if not isinstance(body, dict) or body.get(_KEY) != _SCHEMA:
        found = body.get(_KEY) if isinstance(body, dict) else body
        raise IntsimError(
            f"not a scheme: expected {_KEY} = {_SCHEMA}, found {found!r}; write it with scheme.save(path)"
        )
    cls = _lookup(body["type"]) if isinstance(body.get("type"), str) else None
    if cls is None or not issubclass(cls, Scheme):
        raise IntsimError(f"not a scheme: type is {body.get('type')!r}; use StaticScheme or DynamicScheme")
    known = [_KEY, "type", *(field.name for field in dataclasses.fields(cls))]
    for key in body:
        if key not in known:
            raise UnknownName("part of a scheme", key, known)
    scheme: Scheme = from_plain(_to_parameters(body))
    return scheme


def _to_parameters(body: dict[str, Any]) -> dict[str, Any]:
    """The plain form of :func:`intsim.parameters.from_plain` of a file's content."""
    plain = {key: _checked(value, key) for key, value in body.items() if key != _KEY}
    for part in _PARTS:
        value = plain.get(part)
        if isinstance(value, dict) and "type" not in value:
            plain[part] = {**value, "type": "Operator", "options": _pairs(value.get("options", {}), part)}
    if isinstance(plain.get("bits"), dict):
        plain["bits"] = {**plain["bits"], "type": "Bits"}
    steps = plain.get("steps", [])
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise IntsimError("steps is an array of tables, each with a name; write [[steps]]")
    plain["steps"] = [
        {
            "type": "Step",
            **({"name": step["name"]} if "name" in step else {}),
            "options": _pairs({key: value for key, value in step.items() if key != "name"}, "steps"),
        }
        for step in steps
    ]
    return plain


def _pairs(options: Any, part: str) -> list[list[Any]]:
    if not isinstance(options, dict):
        raise IntsimError(f"options of {part} are a table such as {{n = 15}}, got {options!r}")
    return [[key, value] for key, value in options.items()]


def _checked(value: Any, key: str) -> Any:
    """`value`, where it holds only what both file formats and parameters have."""
    if isinstance(value, dict):
        return {inner: _checked(item, inner) for inner, item in value.items()}
    if isinstance(value, list):
        return [_checked(item, key) for item in value]
    if not isinstance(value, (str, int)) and value is not None:
        raise IntsimError(f"{key} is {value!r}; a scheme holds integers, text and tables, scale it to an integer")
    return value


# TOML, which Python reads but does not write ---------------------------------------------------------------------


def _write_table(table: dict[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    inner = {key: value for key, value in table.items() if isinstance(value, dict) and "enum" not in value}
    for key, value in table.items():
        if key not in inner:
            lines.append(f"{_name(key)} = {_inline(value)}")
    for key, value in inner.items():
        where = (*path, _name(key))
        lines.extend(["", f"[{'.'.join(where)}]"])
        _write_table(value, where, lines)


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if value is None:
        raise IntsimError("an array with None has no TOML; save the scheme as .json")
    return str(value)


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _inline(key)
