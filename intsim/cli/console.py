"""What commands print: figures as a table or as JSON on standard output, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["emit", "facts", "flat", "note", "number", "progress", "rows", "steps"]


_PIPED_WIDTH = 180  # columns, where no terminal says how many it has


def _out() -> Console:
    wide = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(highlight=False, width=wide)


def _err() -> Console:
    return Console(stderr=True, highlight=False)


def emit(body: Any) -> None:
    """`body` as JSON; NumPy's numbers and arrays become plain ones."""
    print(json.dumps(body, indent=1, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return str(value)


def facts(title: str, items: Mapping[str, Any]) -> None:
    """Names and values in two columns."""
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in items.items():
        table.add_row(name, number(value))
    _out().print(table)


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested figures as one level: ``{"cells": {"LUT4": 3}}`` becomes ``{"cells LUT4": 3}``."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        label = f"{prefix} {name}".strip()
        found.update(flat(value, label) if isinstance(value, Mapping) else {label: value})
    return found


def rows(head: Sequence[str], body: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table with a head; columns of numbers are aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for index, name in enumerate(head):
        numeric = all(isinstance(row[index], (int, float, np.generic)) for row in body)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(*(number(cell) for cell in row))
    _out().print(table)


def number(value: Any) -> str:
    """Integers with thousands separators, other numbers with four significant digits, anything else as text."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.4g}"
    return str(value).replace("[", "\\[")


def note(text: str) -> None:
    """One line for the reader that is not part of the result."""
    _err().print(text, style="dim", soft_wrap=True, markup=False)


@contextmanager
def progress(label: str) -> Iterator[Callable[[float, float], None]]:
    """A bar on standard error while the body runs; call it with what is done and what there is in all."""
    with _bar() as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def steps(total: int) -> Iterator[Callable[[str], Callable[[float, float], None]]]:
    """A bar of `total` named steps; call it with the name of the step that begins.

    Its answer may be called with what of the step is done and what there is in all.
    """
    with _bar() as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def begin(label: str) -> Callable[[float, float], None]:
            nonlocal begun
            before = begun
            bar.update(task, completed=before, description=label)
            begun += 1
            return lambda done, whole: bar.update(task, completed=before + done / whole)

        yield begin


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = _err()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
