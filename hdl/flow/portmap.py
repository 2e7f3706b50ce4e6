"""How a design of somebody else's is connected to a unit: the port map, written as TOML.

::

    interface = "valid-ready"   # or "combinational", "latency", "valid"
    latency = 3                 # "latency" only: clock edges from an input to its output

    [clock]
    port = "clk_i"              # not for "combinational"

    [reset]                     # may be left out
    port = "rst_ni"
    active = "low"              # "high" unless stated
    asynchronous = true         # false unless stated; true: it is applied without a clock edge

    [inputs]                    # every input of the unit
    x = "data_i"                # a port as wide as the format,
    # x = "packed_i[31:16]"     # a slice of one,
    # x = ["a_i", "b_i"]        # one per lane, or a single port that holds all lanes, the first one lowest,
    # x = {port = "data_i", signed = true}   # the same, stating how the design reads it

    [outputs]
    y = "data_o"

    [handshake]                 # "valid": both valids; "valid-ready": also in_ready, and out_ready if there is one
    in_valid = "valid_i"
    in_ready = "ready_o"
    out_valid = "valid_o"
    out_ready = "ready_i"

    [row]                       # row units
    in_last = "last_i"          # if the design is told where rows end,
    out_last = "last_o"         # and if it tells;
    length = 16                 # otherwise the length of every row
    in_keep = "keep_i"          # with several lanes: a bit per lane; without it, rows fill their lanes
    out_keep = "keep_o"

    [constants]                 # inputs of the design that are tied
    enable = 1

    [parameters]
    WIDTH = 16
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit

__all__ = ["INTERFACES", "Binding", "PortMap", "Reset", "Slice"]

INTERFACES = ("combinational", "latency", "valid", "valid-ready")

_SECTIONS = {
    "clock": ("port",),
    "reset": ("port", "active", "asynchronous"),
    "handshake": ("in_valid", "in_ready", "out_valid", "out_ready"),
    "row": ("in_last", "out_last", "in_keep", "out_keep", "length"),
}
_KEYS = ("interface", "latency", *_SECTIONS, "inputs", "outputs", "constants", "parameters")


@dataclass(frozen=True)
class Slice:
    """A port of the design, or the bits `msb` down to `lsb` of one."""

    port: str
    msb: int | None = None
    lsb: int | None = None

    @classmethod
    def parse(cls, text: str) -> Slice:
        match = re.fullmatch(r"(\w+)\s*(?:\[\s*(\d+)\s*(?::\s*(\d+)\s*)?\])?", text.strip())
        if not match:
            raise IntsimError(f"cannot read the port {text!r}; write name, name[msb:lsb] or name[bit]")
        if match[2] is None:
            return cls(match[1])
        msb = int(match[2])
        lsb = msb if match[3] is None else int(match[3])
        if msb < lsb:
            raise IntsimError(f"{text}: the first index of a slice is the higher one; write {match[1]}[{lsb}:{msb}]")
        return cls(match[1], msb, lsb)

    def __str__(self) -> str:
        return self.port if self.msb is None else f"{self.port}[{self.msb}:{self.lsb}]"


@dataclass(frozen=True)
class Binding:
    """Where one field of the unit lies: a slice per lane, or a single one; `signed` as the map states it."""

    slices: tuple[Slice, ...]
    signed: bool | None = None


@dataclass(frozen=True)
class Reset:
    """The design's reset."""

    port: str
    active_low: bool = False
    asynchronous: bool = False


@dataclass(frozen=True)
class PortMap:
    """The connections of one design; see the module's text for the TOML form.

    Attributes
    ----------
    interface : one of :data:`INTERFACES`
    inputs, outputs : field of the unit -> where it lies
    row_length : the only length of rows the design takes, None if it is told by ``in_last``
    """

    interface: str
    inputs: Mapping[str, Binding]
    outputs: Mapping[str, Binding]
    latency: int = 0
    clock: str | None = None
    reset: Reset | None = None
    in_valid: str | None = None
    in_ready: str | None = None
    out_valid: str | None = None
    out_ready: str | None = None
    in_last: str | None = None
    out_last: str | None = None
    in_keep: str | None = None
    out_keep: str | None = None
    row_length: int | None = None
    constants: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def stallable(self) -> bool:
        """Whether the design waits while its output is not taken."""
        return self.interface == "combinational" or self.out_ready is not None

    @classmethod
    def load(cls, path: str | Path, unit: Unit) -> PortMap:
        """The port map in a TOML file, checked against the unit's ports.

        Raises
        ------
        IntsimError
            Not TOML, an unknown or missing key, or a value of the wrong kind; the message names the file.
        """
        try:
            return cls.parse(Path(path).read_text(encoding="utf-8"), unit)
        except (OSError, UnicodeDecodeError) as error:
            raise IntsimError(f"cannot read {path}: {error}; give a port map in TOML") from None
        except IntsimError as error:
            raise IntsimError(f"{path}: {error}") from None

    @classmethod
    def parse(cls, text: str, unit: Unit) -> PortMap:
        """The port map in TOML text."""
        try:
            body = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise IntsimError(f"not TOML: {error}") from None
        _known("key of a port map", body, _KEYS)
        for section, keys in _SECTIONS.items():
            _known(f"key of [{section}]", _table(body, section), keys)
        row = _table(body, "row")
        made = cls(
            interface=_interface(body),
            inputs=_bindings(body, "inputs", unit),
            outputs=_bindings(body, "outputs", unit),
            latency=_number(body, "latency", 0),
            clock=_name(_table(body, "clock"), "port", "[clock]"),
            reset=_reset(_table(body, "reset")),
            **{key: _name(_table(body, "handshake"), key, "[handshake]") for key in _SECTIONS["handshake"]},
            **{key: _name(row, key, "[row]") for key in ("in_last", "out_last", "in_keep", "out_keep")},
            row_length=_number(row, "length", 1) if "length" in row else None,
            constants={name: _constant(name, value) for name, value in _table(body, "constants").items()},
            parameters={name: _parameter(name, value) for name, value in _table(body, "parameters").items()},
        )
        made._check("latency" in body, unit)
        return made

    def _check(self, states_latency: bool, unit: Unit) -> None:
        """The keys that this interface needs are there, and no others."""
        needed = {
            "combinational": (),
            "latency": ("clock",),
            "valid": ("clock", "in_valid", "out_valid"),
            "valid-ready": ("clock", "in_valid", "in_ready", "out_valid"),
        }[self.interface]
        optional = ("reset", "out_ready") if self.interface == "valid-ready" else ("reset",)
        allowed = () if self.interface == "combinational" else (*needed, *optional)
        for name in ("clock", "reset", *_SECTIONS["handshake"]):
            if name in needed and getattr(self, name) is None:
                raise IntsimError(f"interface {self.interface!r} needs {name}; add it to the port map")
            if name not in allowed and getattr(self, name) is not None:
                raise IntsimError(f"interface {self.interface!r} has no {name}; remove it or choose another interface")
        if states_latency != (self.interface == "latency"):
            verb = "needs" if self.interface == "latency" else "has no"
            raise IntsimError(
                f"interface {self.interface!r} {verb} latency; {INTERFACES[1]!r} is the one that states it"
            )
        if unit.is_row and self.in_last is None and self.row_length is None:
            raise IntsimError("a row unit needs [row] in_last, or length if the design counts its rows itself")
        if not unit.is_row and (self.in_last or self.out_last or self.row_length):
            raise IntsimError(f"{unit.name} is no row unit: remove [row]")
        if self.row_length is not None and unit.is_row and self.row_length > unit.max_row:  # type: ignore[attr-defined]
            raise IntsimError(f"[row] length {self.row_length} exceeds the unit's max_row {unit.max_row}")  # type: ignore[attr-defined]


def _known(kind: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise UnknownName(kind, name, known)


def _table(body: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    value = body.get(section, {})
    if not isinstance(value, dict):
        raise IntsimError(f"{section} must be a table, got {value!r}; write [{section}] and its keys below")
    return value


def _name(table: Mapping[str, Any], key: str, where: str) -> str | None:
    value = table.get(key)
    if value is not None and not (isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value)):
        raise IntsimError(f"{where} {key} must be the name of a port, got {value!r}")
    return value


def _number(table: Mapping[str, Any], key: str, least: int) -> int:
    value = table.get(key, least)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 4096:
        raise IntsimError(f"{key} must be an integer from {least} to 4096, got {value!r}")
    return value


def _interface(body: Mapping[str, Any]) -> str:
    value = body.get("interface")
    if value is None:
        raise IntsimError(f"the port map lacks interface; one of {', '.join(INTERFACES)}")
    if value not in INTERFACES:
        raise UnknownName("interface", str(value), INTERFACES)
    return value


def _reset(table: Mapping[str, Any]) -> Reset | None:
    if not table:
        return None
    port, active = _name(table, "port", "[reset]"), table.get("active", "high")
    if port is None:
        raise IntsimError("[reset] lacks port; name the design's reset")
    if active not in ("high", "low"):
        raise IntsimError(f"[reset] active must be 'high' or 'low', got {active!r}")
    asynchronous = table.get("asynchronous", False)
    if not isinstance(asynchronous, bool):
        raise IntsimError(f"[reset] asynchronous must be true or false, got {asynchronous!r}")
    return Reset(port, active == "low", asynchronous)


def _bindings(body: Mapping[str, Any], section: str, unit: Unit) -> dict[str, Binding]:
    table, ports = _table(body, section), getattr(unit, section)
    _known(f"field in [{section}] of {unit.name}", table, tuple(ports))
    for port in ports:
        if port not in table:
            raise IntsimError(f"[{section}] lacks {port!r}; say which port of the design carries it")
    return {port: _binding(port, table[port]) for port in ports}


def _binding(name: str, value: Any) -> Binding:
    signed = None
    if isinstance(value, dict):
        _known(f"key of the field {name}", value, ("port", "signed"))
        signed, value = value.get("signed"), value.get("port")
        if not isinstance(signed, bool | None):
            raise IntsimError(f"{name}: signed must be true or false, got {signed!r}")
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, str) for entry in entries):
        raise IntsimError(f"{name}: expected a port, a slice or a list of them, got {value!r}")
    return Binding(tuple(Slice.parse(entry) for entry in entries), signed)


def _constant(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise IntsimError(f"[constants] {name} must be an integer of at least 0, got {value!r}")
    return value


def _parameter(name: str, value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise IntsimError(f"[parameters] {name} must be an integer or a string, got {value!r}")
    return value
