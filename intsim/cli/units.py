"""From the text on the command line to a unit, a function, or input values."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.unit import Unit, load

if TYPE_CHECKING:
    from intsim.schemes import Scheme

__all__ = ["from_file", "function", "read_array", "resolve", "resolve_scheme"]


def resolve(text: str) -> Unit:
    """The unit that `text` names: a catalogue name, a JSON file, or ``file.py:name``.

    Raises
    ------
    IntsimError
        There is no such unit; the message offers the nearest name.
    """
    if ".py:" in text:
        found = from_file(text)
        if not isinstance(found, Unit) and callable(found) and not isinstance(found, type):
            found = found()
        if not isinstance(found, Unit):
            raise IntsimError(f"{text} is a {type(found).__name__}; give a unit, or a function that returns one")
        return found
    if text.endswith(".json") or "/" in text:
        return load(text)
    from intsim import catalogue

    if text not in catalogue.names() and Path(text).exists():
        raise IntsimError(f"{text} is no unit of the catalogue; name a file as ./{text} or with .json")
    return catalogue.get(text)


def resolve_scheme(text: str) -> Scheme:
    """The scheme that `text` names: a paper's name, a ``.toml`` or ``.json`` file, or ``file.py:name``.

    Raises
    ------
    IntsimError
        There is no such scheme; the message offers the nearest name.
    """
    from intsim.schemes import SCHEMES, Scheme

    if ".py:" in text:
        found = from_file(text)
        if not isinstance(found, Scheme):
            raise IntsimError(f"{text} is a {type(found).__name__}; give a scheme, such as ivit.replace(...)")
        return found
    if text.endswith((".toml", ".json")) or "/" in text:
        return Scheme.load(text)
    if text not in SCHEMES:
        raise UnknownName("scheme", text, SCHEMES)
    return SCHEMES[text]


def function(text: str) -> Any:
    """A real function: its name, or the callable at ``file.py:name``."""
    if ".py:" not in text:
        return text
    found = from_file(text)
    if not callable(found):
        raise IntsimError(f"{text} is a {type(found).__name__}; give a function of a float64 array")
    return found


def from_file(text: str) -> Any:
    """The object called ``name`` in the Python file of ``file.py:name``, which is executed."""
    path_text, _, name = text.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise IntsimError(f"there is no file {path}; give file.py:name")
    module_name = f"unit_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise IntsimError(f"{path} is no Python file; give file.py:name")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and enumerations look their module up
    sys.path.insert(0, str(path.parent.resolve()))  # as `python file.py` does
    try:
        spec.loader.exec_module(module)
    except IntsimError:
        raise
    except Exception as error:
        line = _line_in(error, path)
        raise IntsimError(f"{path}{line} raised {type(error).__name__}: {error}; correct the file") from error
    finally:
        sys.path.pop(0)
    if not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise UnknownName(f"name in {path}", name, known)
    return getattr(module, name)


def _line_in(error: Exception, path: Path) -> str:
    """``:line`` of the deepest place in `path` that the error passed, if any."""
    found, trace = "", error.__traceback__
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    while trace:
        if Path(trace.tb_frame.f_code.co_filename).name == path.name:
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def read_array(path: str | Path) -> np.ndarray:
    """The array in a ``.npy`` file.

    Raises
    ------
    IntsimError
        It cannot be read, is damaged, or holds Python objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise IntsimError(f"there is no file {path}; give a .npy file or integers such as 1,2,-3") from None
    except (OSError, ValueError, EOFError, SyntaxError, zipfile.BadZipFile) as error:
        raise IntsimError(f"{path} is no .npy file or is damaged ({error}); write it again with numpy.save") from None
    if not isinstance(array, np.ndarray):
        raise IntsimError(f"{path} holds several arrays; give one .npy file per port")
    return array
