"""The command line: ``intsim VERB ...``, one file per verb.

A verb is a module with a function ``command``, listed in :data:`intsim.cli.app.VERBS`. Its exit code is a verdict:
0 it holds, 1 it differs, 2 bad use or cannot be built.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; `arguments` default to the process's own."""
    try:
        from intsim.cli.app import run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(run(arguments))
