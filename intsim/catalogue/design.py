"""Design the catalogue's units again: ``python -m intsim.catalogue.design [NAME ...]``.

Every design is deterministic, so the files come out as they were.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from intsim.catalogue.entries import ENTRIES
from intsim.catalogue.store import path_of
from intsim.errors import IntsimError, UnknownName
from intsim.unit import save

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Design the units named (all of them by default) and store them. Returns the exit code."""
    try:
        for name in arguments:
            if name not in ENTRIES:
                raise UnknownName("catalogue entry", name, ENTRIES)
        for name in arguments or ENTRIES:
            unit = ENTRIES[name]()
            save(unit, path_of(name))
            print(f"{name}: {getattr(unit, 'origin', '')}", flush=True)
    except IntsimError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
