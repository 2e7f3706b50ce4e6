"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from intsim.errors import IntsimError

__all__ = ["cache_root", "make_folder", "write_bytes", "write_files", "write_text"]


def cache_root() -> Path:
    """Where everything that can be made again is kept: ``$INTSIM_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get("INTSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "intsim"


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8; the file appears complete or not at all.

    Raises
    ------
    IntsimError
        The folder is missing or cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data`; the file appears complete or not at all."""
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise IntsimError(f"cannot write {target}: {error.strerror}; choose a folder you can write to") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise IntsimError(f"cannot write {target}: {error.strerror}; choose another path") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make_folder(path: str | Path) -> Path:
    """`path` as an existing folder, created with its parents where needed."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IntsimError(f"cannot create the folder {folder}: {error.strerror}; choose another path") from None
    return folder


def write_files(folder: str | Path, files: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Write several files into `folder`: all of them are written elsewhere first, then moved in together.

    Returns
    -------
    dict
        The paths, by name.

    Raises
    ------
    IntsimError
        The folder cannot be created or written; none of the files is touched then.
    """
    home = make_folder(folder)
    paths = {name: home / name for name in files}
    try:
        with tempfile.TemporaryDirectory(prefix=".intsim-", dir=home) as name:
            for file, content in files.items():
                (Path(name) / file).write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            for file, target in paths.items():
                os.replace(Path(name) / file, target)
    except OSError as error:
        raise IntsimError(f"cannot write to {home}: {error.strerror}; choose a folder you can write to") from None
    return paths
