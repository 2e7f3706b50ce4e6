"""The file that a sweep writes as it goes: a line of JSON per finished step, so that nothing is done twice.

A line is written by one call, at the end of the file. Whatever ends the program, all lines but the last are whole; a
last line that is not is dropped when the sweep continues.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intsim.errors import IntsimError
from intsim.files import make_folder

__all__ = ["Journal", "opened"]

_NAME = "steps.jsonl"


class Journal:
    """The lines of one sweep.

    Attributes
    ----------
    lines : what the file holds, without its head
    """

    def __init__(self, path: Path, descriptor: int, head: Mapping[str, Any]):
        self._path, self._descriptor = path, descriptor
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.ftruncate(descriptor, len(whole))
        try:
            self.lines: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise IntsimError(f"{path} is damaged ({error}); remove it or choose another folder") from None
        if not self.lines:
            self.append(head)
        self._compare(self.lines.pop(0), head)

    def _compare(self, found: Mapping[str, Any], head: Mapping[str, Any]) -> None:
        for name in {**head, **found}:
            if found.get(name) != head.get(name):
                raise IntsimError(
                    f"{self._path} holds another sweep ({name}: {found.get(name)}, now {head.get(name)}); "
                    "choose another folder, or remove that file to begin again"
                )

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line to the disk."""
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if os.write(self._descriptor, data) < len(data):
            raise IntsimError(f"{self._path}: the disk is full; make room and continue with the same command")
        os.fsync(self._descriptor)
        self.lines.append(dict(line))


@contextmanager
def opened(folder: str | Path, head: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of a folder, made where there is none; one process at a time has it.

    Parameters
    ----------
    head : says which sweep it is; the first line, which must be equal where the file exists

    Raises
    ------
    IntsimError
        It belongs to another sweep, is damaged, in use, or cannot be written.
    """
    path = make_folder(folder) / _NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise IntsimError(f"cannot write {path}: {error.strerror}; choose another folder") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise IntsimError(f"another sweep is writing to {path}; wait for it or choose another folder") from None
        yield Journal(path, descriptor, head)
    finally:
        os.close(descriptor)
