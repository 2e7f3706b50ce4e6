"""The engine's time as a table for the documentation."""

from __future__ import annotations

import hdl
from intsim.engine import Engine, Mode

__all__ = ["markdown"]


def markdown() -> str:
    """Cycles and pace of every mode for one, four and sixteen lanes."""
    lines = ["| mode | lanes | cycles of a lone row | pace |", "| --- | ---: | --- | ---: |"]
    for mode in Mode:
        for lanes in (1, 4, 16):
            part = hdl.create(Engine.design().select(mode, 0), lanes=lanes)
            slope = part.passes + 1
            lines.append(f"| {mode.name.lower()} | {lanes} | {slope} w + {part.overhead - slope} | {part.pace} |")
    return "\n".join(lines)
