"""Readable names in emitted RTL, by editing Yosys's text form of the design before any pass runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["memory_modules", "order_ports", "plain_names"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\\\S+')
_MODULE = re.compile(r"^module \\(\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
_PORT = re.compile(r"(^\s*wire .*?)(input|output) (\d+)(.*? \\(\S+)$)", re.MULTILINE)


def plain_names(text: str) -> str:
    """The design with public names of letters, digits and underscores only, so that Verilog needs no escapes.

    Amaranth joins modules and fields by dots and numbers equal names with ``$``.
    """
    names = dict.fromkeys(token for token in _TOKEN.findall(text) if token.startswith("\\"))
    taken = {name for name in names if _plain(name) == name}
    renamed: dict[str, str] = {}
    for name in names:
        if name in taken:
            continue
        base = candidate = _plain(name)
        number = 2
        while candidate in taken:
            candidate = f"{base}_{number}"
            number += 1
        taken.add(candidate)
        renamed[name] = candidate
    return _TOKEN.sub(lambda match: renamed.get(match[0], match[0]), text)


def _plain(name: str) -> str:
    plain = re.sub(r"\W+", "_", name[1:].removeprefix("$signature__").lstrip("$"))
    return "\\" + (plain if re.match(r"[A-Za-z_]", plain) else f"n_{plain}")


def order_ports(text: str, first: Sequence[str]) -> str:
    """The design with the ports `first` leading every module's list; the others keep their order."""

    def module(match: re.Match[str]) -> str:
        ports = [(int(port[3]), port[5]) for port in _PORT.finditer(match[2])]
        rank = {name: place for place, name in enumerate(first)}
        ordered = sorted(ports, key=lambda port: (rank.get(port[1], len(rank)), port[0]))
        number = {name: place for place, (_, name) in enumerate(ordered, start=1)}
        body = _PORT.sub(lambda port: f"{port[1]}{port[2]} {number[port[5]]}{port[4]}", match[2])
        return f"module \\{match[1]}\n{body}end"

    return _MODULE.sub(module, text)


def memory_modules(text: str) -> list[str]:
    """Modules that are nothing but a memory, whose ports Amaranth leaves without names."""
    return [name for name, body in _MODULE.findall(text) if re.search(r"^\s*memory ", body, re.MULTILINE)]
