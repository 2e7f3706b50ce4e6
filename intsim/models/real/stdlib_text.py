"""English text that every machine has: the docstrings of Python's standard library.

The split into training and held-out text is by module, by a hash of its name, so that no held-out sentence stands
in the training text and the split is the same on every machine. The text itself depends on the Python version.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Docstring", "docstrings", "is_held_out"]

_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "lib2to3", "__pycache__"}


@dataclass(frozen=True)
class Docstring:
    """One documented module, class or function.

    Attributes
    ----------
    module : dotted name
    name : qualified name inside the module, empty for the module itself
    text : the docstring, without indentation
    """

    module: str
    name: str
    text: str


def docstrings(root: Path | None = None) -> Iterator[Docstring]:
    """Every docstring of the standard library's Python sources, in a fixed order."""
    root = Path(sysconfig.get_paths()["stdlib"]) if root is None else root
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if _SKIPPED.intersection(inside.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue  # templates and files for another version
        module = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
        yield from _of(tree, module, "")


def _of(node: ast.AST, module: str, prefix: str) -> Iterator[Docstring]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        text = ast.get_docstring(node, clean=False)
        if text and text.strip():
            yield Docstring(module, prefix, inspect.cleandoc(text))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _of(child, module, f"{prefix}.{child.name}" if prefix else child.name)


def is_held_out(module: str) -> bool:
    """Whether a module's text is kept out of training and calibration: about one in eight."""
    return hashlib.sha256(module.encode()).digest()[0] % 8 == 0
