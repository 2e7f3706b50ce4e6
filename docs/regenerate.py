"""Rewrite the tables in the documentation that code makes: ``python docs/regenerate.py``.

A Markdown file holds such a table between two comments, the first of which names the function that makes it::

    <!-- made by intsim.rounding_names:table -->
    ...
    <!-- end -->

The function takes no argument and returns Markdown. The tests assert that every such block is current.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- made by ([\w.]+):(\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def pages() -> Iterator[Path]:
    """Every page that may hold a table made by code."""
    yield ROOT / "README.md"
    yield from sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)


def regenerated(text: str) -> str:
    """`text` with each block as its function makes it now."""

    def make(block: re.Match[str]) -> str:
        function = getattr(importlib.import_module(block[2]), block[3])
        return f"{block[1]}\n{function().strip()}\n\n{block[5]}"

    return BLOCK.sub(make, text)


def main() -> int:
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = regenerated(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"rewrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
