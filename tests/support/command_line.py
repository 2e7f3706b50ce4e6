"""Running commands in this process, and checking how they refuse."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intsim.cli.app import run

__all__ = ["Outcome", "intsim", "listing", "refuses"]


@dataclass(frozen=True)
class Outcome:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def intsim(*arguments: object) -> Outcome:
    """Run ``intsim ARGUMENTS`` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    outcome = Outcome(code, out.getvalue(), err.getvalue())
    assert "Traceback" not in outcome.err + outcome.out
    return outcome


def listing(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refuses(folder: Path, *arguments: object) -> str:
    """Run a command that must refuse: exit code 2, nothing on standard output, no file changed; its message."""
    before = listing(folder)
    outcome = intsim(*arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert listing(folder) == before
    assert outcome.err.strip()
    return " ".join(outcome.err.split())
