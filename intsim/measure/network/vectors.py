"""The integers between the layers of a network as files, for a testbench of the whole network."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import intsim
from intsim.errors import IntsimError
from intsim.files import write_files
from intsim.formats.base import Format, smallest_dtype
from intsim.formats.quantized import Quantized
from intsim.linear import PackedWeights
from intsim.linear.illm import PackedQuantized
from intsim.measure.network.operators import fitted, format_of, kind_of
from intsim.measure.network.record import Call, record
from intsim.models.network import IntegerNetwork
from intsim.unit import Unit, load

__all__ = ["MANIFEST", "Vectors", "read_vectors", "write_vectors"]

MANIFEST = "manifest.json"
_SCHEMA = 1


def write_vectors(network: IntegerNetwork, inputs: Any, folder: str | Path) -> dict[str, Path]:
    """Run a network on one batch and write every tensor, every layer's constants and every unit.

    * ``manifest.json``: tensors and layers in the order of the data, with formats, shapes, scales, files
    * ``<place>.npy``: the codes; ``<place>.m.npy``, ``<place>.k.npy`` ... where the scale is not one number
    * ``<place>.mem``: the same codes for ``$readmemh``, two's complement of the format's width, a word a line, last
      axis fastest
    * ``<place>.weight.npy`` ...: integers that a layer holds, also as ``.mem``
    * ``<unit>-<sha256>.unit.json``: the units; :func:`intsim.load` reads them

    Parameters
    ----------
    inputs : tokens or pixels, one batch
    folder : where to; created if missing. All files appear together or none does

    Returns
    -------
    dict
        The paths by name.
    """
    run, files = record(network, inputs), _Files(network)
    files.add("input", Quantized(np.asarray(inputs)), fitted(np.asarray(inputs)))
    for place, tensor in run.tensors.items():
        files.add(place, tensor, format_of(network, place, tensor))
    layers = [files.layer(call) for call in run.calls]
    body = {
        "intsim_vectors": _SCHEMA,
        "generator": f"intsim {intsim.__version__}",
        "scheme": json.loads(network.scheme.to_json()),
        "integer_only": network.is_integer_only,
        "tensors": files.tensors,
        "layers": layers,
        "sha256": {name: hashlib.sha256(_bytes(content)).hexdigest() for name, content in files.contents.items()},
    }
    return write_files(folder, {**files.contents, MANIFEST: json.dumps(body, indent=1) + "\n"})


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


class _Files:
    """What is written, and what the manifest says of it."""

    def __init__(self, network: IntegerNetwork):
        self._network = network
        self._known: list[tuple[Quantized, str]] = []
        self.contents: dict[str, str | bytes] = {}
        self.tensors: dict[str, dict[str, Any]] = {}

    def add(self, name: str, tensor: Quantized, fmt: Format) -> str:
        """A tensor; its name."""
        self._known.append((tensor, name))
        self.tensors[name] = self._tensor(name, tensor, fmt)
        return name

    def _tensor(self, name: str, tensor: Quantized, fmt: Format) -> dict[str, Any]:
        scale = {part: self._scale(f"{name}.{part}", getattr(tensor, part)) for part in ("m", "k", "zero_point")}
        return {**self._array(name, tensor.data, fmt), **scale}

    def _scale(self, name: str, values: np.ndarray) -> Any:
        """A number where there is one, else a file."""
        return int(values.item()) if values.size == 1 else self._array(name, values, fitted(values))

    def _array(self, name: str, codes: np.ndarray, fmt: Format) -> dict[str, Any]:
        buffer = io.BytesIO()
        np.save(buffer, codes, allow_pickle=False)
        self.contents[f"{name}.npy"] = buffer.getvalue()
        self.contents[f"{name}.mem"] = hex_words(codes, fmt.bits)
        about = {"format": str(fmt), "bits": fmt.bits, "signed": fmt.signed, "frac": getattr(fmt, "frac", 0)}
        return {"file": f"{name}.npy", "hex": f"{name}.mem", "shape": list(codes.shape), **about}

    def layer(self, call: Call) -> dict[str, Any]:
        """One layer: its tensors by name, its constants, its units."""
        constants: dict[str, Any] = {}
        for part in dataclasses.fields(call.layer):  # type: ignore[arg-type]
            value, name = getattr(call.layer, part.name), f"{call.place}.{part.name}"
            if isinstance(value, np.ndarray):
                constants[part.name] = self._array(name, value, fitted(value))
            elif isinstance(value, PackedWeights):
                codes = value.values()
                codes = codes.astype(smallest_dtype(int(codes.min()), int(codes.max())))
                constants[part.name] = self._array(name, codes, fitted(codes))
            elif isinstance(value, PackedQuantized):
                weights = value.unpacked()
                constants[part.name] = self._tensor(name, weights, fitted(weights.data))
            elif isinstance(value, Quantized):
                constants[part.name] = self._tensor(name, value, fitted(value.data))
            elif isinstance(value, int) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value)):
                constants[part.name] = value
        return {
            "place": call.place,
            "kind": kind_of(call.place),
            "layer": type(call.layer).__name__,
            "inputs": [self._named(tensor, call, f"in{n}") for n, tensor in enumerate(call.inputs)],
            "output": self._named(call.output, call, "out"),
            "units": [self._unit(unit) for unit in call.layer.units],
            "constants": constants,
        }

    def _named(self, tensor: Any, call: Call, role: str) -> str:
        """The name of a tensor; one of no place, such as heads still apart, is written under one of its own."""
        name = f"{call.place}.{role}"
        if not isinstance(tensor, Quantized):
            codes = np.asarray(tensor)
            codes = codes.astype(np.uint8) if codes.dtype == bool else codes
            return self.add(name, Quantized(codes), fitted(codes))
        for known, place in self._known:
            if known is tensor:
                return place
        fmt = format_of(self._network, call.place, tensor) if role == "out" else fitted(tensor.data)
        return self.add(name, tensor, fmt)

    def _unit(self, unit: Unit) -> str:
        name = f"{unit.name}-{unit.sha256[:16]}.unit.json"
        self.contents[name] = unit.to_json()
        return name


def hex_words(codes: np.ndarray, bits: int) -> bytes:
    """Codes as two's complement of `bits` bits in hexadecimal, a word a line, last axis fastest."""
    digits = -(-bits // 4)
    words = np.ascontiguousarray(codes).reshape(-1).astype(np.int64).view(np.uint64)
    words = words & np.uint64((1 << bits) - 1)
    shifts = np.arange(4 * (digits - 1), -1, -4, dtype=np.uint64)
    nibbles = (words[:, None] >> shifts & np.uint64(15)).astype(np.uint8)
    text = np.full((words.size, digits + 1), ord("\n"), dtype=np.uint8)
    text[:, :-1] = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[nibbles]
    return text.tobytes()


# Reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vectors:
    """What :func:`write_vectors` wrote.

    Attributes
    ----------
    folder : where it lies
    manifest : what ``manifest.json`` says
    """

    folder: Path
    manifest: Mapping[str, Any]

    def tensor(self, name: str) -> Quantized:
        """A tensor by its place, or by the name that a layer gives for it."""
        return self._quantized(self.manifest["tensors"][name])

    def constants(self, place: str) -> dict[str, Any]:
        """What the layer at a place holds: arrays, weights with scales, numbers."""
        (layer,) = (layer for layer in self.manifest["layers"] if layer["place"] == place)
        return {
            name: value
            if not isinstance(value, dict)
            else self._quantized(value)
            if "m" in value
            else self._load(value)
            for name, value in layer["constants"].items()
        }

    def units(self, place: str) -> tuple[Unit, ...]:
        """The units of the layer at a place."""
        (layer,) = (layer for layer in self.manifest["layers"] if layer["place"] == place)
        return tuple(load(self.folder / name) for name in layer["units"])

    def _quantized(self, entry: Mapping[str, Any]) -> Quantized:
        parts = (entry[name] for name in ("m", "k", "zero_point"))
        return Quantized(self._load(entry), *(self._load(v) if isinstance(v, dict) else v for v in parts))

    def _load(self, entry: Mapping[str, Any]) -> np.ndarray:
        return np.load(self.folder / entry["file"], allow_pickle=False)


def read_vectors(folder: str | Path) -> Vectors:
    """The vectors in a folder, every file compared with its SHA-256.

    Raises
    ------
    IntsimError
        No manifest, another schema, or a file that is missing or changed.
    """
    place = Path(folder)
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
        if manifest.get("intsim_vectors") != _SCHEMA:
            raise IntsimError(f"{place / MANIFEST} is of another schema; write the vectors again")
        for name, stated in manifest["sha256"].items():
            if hashlib.sha256((place / name).read_bytes()).hexdigest() != stated:
                raise IntsimError(f"{place / name} was changed since it was written; write the vectors again")
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise IntsimError(f"no vectors in {place}: {error}; write them with intsim eval --vectors") from None
    return Vectors(place, manifest)
