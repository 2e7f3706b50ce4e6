"""What the tests of sweeps measure: quick hardware that other processes can import, and designs that fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intsim.errors import IntsimError
from intsim.formats import Fixed
from intsim.tables import NLI
from intsim.unit import Unit

__all__ = ["Counted", "delayed", "mortal", "stubborn", "table"]


@dataclass(frozen=True)
class Counted:
    """Counts instead of synthesising: ``comb`` grows with the words and ``fmax`` with the stages.

    Each call leaves a line in a file, so that a test sees what was measured how often.
    """

    log: str = os.devnull
    kind: int = 1

    def names(self, unit: Unit) -> tuple[str, ...]:
        return ("stages", "lanes")

    def __call__(self, unit: Unit, options: Mapping[str, Any]) -> dict[str, Any]:
        with open(self.log, "a") as stream:
            stream.write(f"{unit.sha256} {dict(options)}\n")
        if options["stages"] == 13:
            raise IntsimError("13 stages bring bad luck; use 12")
        if options["stages"] == 14:
            raise ZeroDivisionError("a defect")
        return {"comb": len(unit.table) + 10 * options["stages"], "fmax": 20.0 * options["stages"]}

    def identity(self) -> dict[str, Any]:
        return {"counted": self.kind}


def table(intervals: int, bins: int, saturate: bool = True) -> NLI:
    """A small table of SiLU; six intervals of five bins cannot be made."""
    if (intervals, bins) == (6, 5):
        raise IntsimError("no such table")
    x = Fixed(8, 4)
    return NLI.design("silu", x, x, intervals=intervals, bins=bins, saturate=saturate, solver="equal")


def delayed(intervals: int, bins: int, seconds: float) -> NLI:
    """As :func:`table`, after a while."""
    time.sleep(seconds)
    return table(intervals, bins)


def stubborn(marker: str, bins: int) -> NLI:
    """A table; with 4 bins it fails until there is a file `marker`."""
    if bins == 4 and not os.path.exists(marker):
        raise OSError("the disk is away")
    return table(4, bins)


def mortal(marker: str, bins: int) -> NLI:
    """A table; with 3 bins the process is killed, unless there is a file `marker`."""
    if bins == 3 and not os.path.exists(marker):
        os.kill(os.getpid(), signal.SIGKILL)
    return table(4, bins)
