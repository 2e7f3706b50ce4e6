"""The unit protocol: an integer function with declared ports.

A unit is a frozen dataclass of parameters. It is its own golden model (call it on NumPy integers), it goes to
JSON and back, and everything downstream (verification, proof, synthesis, reports, vectors) is written once
against the members defined here.
"""

from __future__ import annotations

import abc
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import is_compiled
from intsim.formats.base import Format
from intsim.parameters import Parameters, digest, from_plain, to_plain

__all__ = ["Hazard", "Unit", "load", "save", "takes_kernel"]

_SCHEMA = 1
_KERNEL_SIZE = 1 << 13  # elements from which a kernel may stand in for the golden model


@dataclass(frozen=True)
class Hazard:
    """Something that can overflow or lose precision with the parameters chosen.

    Attributes
    ----------
    what : the condition, with the bound and the value found
    remedy : what to change
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


@dataclass(frozen=True)
class Unit(Parameters, abc.ABC):
    """Base of every unit. A subclass is a frozen dataclass and provides

    * :attr:`inputs` and :attr:`outputs`: ordered port name -> number format;
    * :meth:`_evaluate`: the golden model on checked integer arrays;
    * where they exist: :meth:`_trace`, :meth:`real`, :meth:`corners`, :meth:`hazards`.

    An elementwise unit is called on arrays of any shape, broadcast against each other. A **row unit** has a
    field ``max_row`` and is called on ``(..., n)``: its result depends on the whole row.
    """

    @property
    @abc.abstractmethod
    def inputs(self) -> Mapping[str, Format]: ...

    @property
    @abc.abstractmethod
    def outputs(self) -> Mapping[str, Format]: ...

    @property
    def name(self) -> str:
        """A short name for files and modules: letters, digits and underscores."""
        return type(self).__name__.lower()

    @property
    def is_row(self) -> bool:
        """Whether the unit works on whole rows (last axis) instead of single elements."""
        return hasattr(self, "max_row")

    def __call__(self, *arrays: Any, out: np.ndarray | tuple[np.ndarray, ...] | None = None) -> Any:
        """The golden model: integer codes in, integer codes out.

        Parameters
        ----------
        *arrays : one integer array per input port, in the order of :attr:`inputs`
        out : where the results go: an array of the result's dtype and shape, C-contiguous, or a tuple of them, one
            for each output port

        Returns
        -------
        ndarray, or a tuple of them where there are several output ports, of the smallest NumPy integer type
        that holds the port.

        Raises
        ------
        DtypeError, IntsimError
            Not integers, outside the port's format, empty, or of shapes that do not fit together.
        """
        columns, shape = self._admit(arrays)
        given = {} if out is None else self._place(out, shape)
        results = None
        if takes_kernel(columns[0].size):
            from intsim.kernels.units import evaluate

            results = evaluate(self, columns, given)
        if results is None:
            results = self._evaluate(*columns)
        if out is not None:
            for port, place in given.items():
                if results[port] is not place:
                    if results[port].shape != place.shape:
                        raise IntsimError(f"out holds {port} as {results[port].shape}; got {place.shape}")
                    place[...] = results[port]
            return out
        shaped = tuple(self._restore(results[port], shape) for port in self.outputs)
        return shaped[0] if len(shaped) == 1 else shaped

    def trace(self, *arrays: Any) -> dict[str, np.ndarray]:
        """The golden model with its named intermediates: inputs first, outputs last."""
        columns, shape = self._admit(arrays)
        nets = {port: column for port, column in zip(self.inputs, columns, strict=True)}
        nets.update(self._trace(*columns))
        return {name: self._restore(values, shape) for name, values in nets.items()}

    def real(self, *values: Any) -> Any:
        """The real function approximated: real values in and out, float64. None where there is none."""
        return None

    def corners(self) -> tuple[np.ndarray, ...]:
        """Inputs where the unit could break, one 1-D array per input port (row units: ``(rows, n)``).

        By default the Cartesian product of each port's ends, zero and their neighbours.
        """
        ends = []
        for fmt in self.inputs.values():
            candidates = {fmt.lo, fmt.lo + 1, -1, 0, 1, fmt.hi - 1, fmt.hi}
            ends.append(np.array(sorted(c for c in candidates if fmt.lo <= c <= fmt.hi), dtype=fmt.dtype))
        grid = np.meshgrid(*ends, indexing="ij")
        return tuple(axis.reshape(-1) for axis in grid)

    def hazards(self) -> tuple[Hazard, ...]:
        """What can overflow or lose precision with these parameters."""
        return ()

    @property
    def sha256(self) -> str:
        """Identity of the unit: its type and integer parameters, nothing else."""
        return digest(self)

    def to_json(self) -> str:
        """The unit as JSON text; :meth:`from_json` reads it back without loss."""
        body = {"intsim": _SCHEMA, "unit": to_plain(self), "sha256": self.sha256}
        return _compact(body) + "\n"

    @staticmethod
    def from_json(text: str) -> Unit:
        """The unit that :meth:`to_json` wrote.

        Raises
        ------
        IntsimError
            Not JSON, another schema, unknown type or parameter, or a digest that does not match.
        """
        try:
            body = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:  # also bytes that are no text
            raise IntsimError(f"not a unit: the JSON is damaged ({error}); write the file again") from None
        if not isinstance(body, dict) or "unit" not in body:
            raise IntsimError("not a unit: expected an object with the key 'unit'; write it with unit.to_json()")
        if body.get("intsim") != _SCHEMA:
            raise IntsimError(f"unit schema {body.get('intsim')!r}, this version reads {_SCHEMA}; write the file again")
        unit = from_plain(body["unit"])
        if not isinstance(unit, Unit):
            raise IntsimError(f"not a unit: the file holds a {type(unit).__name__}; give a unit's JSON")
        stated = body.get("sha256")
        if stated != unit.sha256:
            raise IntsimError(f"damaged unit: sha256 is {unit.sha256}, the file states {stated}; write it again")
        return unit

    # What a subclass provides -------------------------------------------------------------------------------

    @abc.abstractmethod
    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by port for checked inputs: 1-D contiguous arrays, or ``(rows, n)`` for a row unit."""

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        """Intermediates by name, then the outputs."""
        return self._evaluate(*columns)

    # Shapes -------------------------------------------------------------------------------------------------

    def _admit(self, arrays: tuple[Any, ...]) -> tuple[list[np.ndarray], tuple[int, ...]]:
        ports = self.inputs
        if len(arrays) != len(ports):
            raise IntsimError(f"{self.name} takes {len(ports)} inputs ({', '.join(ports)}), got {len(arrays)}")
        checked = [fmt.check(array, port) for (port, fmt), array in zip(ports.items(), arrays, strict=True)]
        shape = checked[0].shape
        try:
            if any(array.shape != shape for array in checked):
                shape = np.broadcast_shapes(*(array.shape for array in checked))
        except ValueError:
            shapes = ", ".join(f"{port} {array.shape}" for port, array in zip(ports, checked, strict=True))
            raise IntsimError(f"{self.name}: input shapes do not fit together: {shapes}") from None
        if self.is_row and not shape:
            raise IntsimError(f"{self.name} works on rows; give arrays of shape (..., n), got a single value")
        flat = (-1, shape[-1]) if self.is_row else (-1,)
        return [
            np.ascontiguousarray(array if array.shape == shape else np.broadcast_to(array, shape))
            .reshape(flat)
            .astype(fmt.dtype, copy=False)
            for array, fmt in zip(checked, ports.values(), strict=True)
        ], shape

    def _place(self, out: np.ndarray | tuple[np.ndarray, ...], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """`out` by its ports, in the shape of the columns, or of one value per row."""
        ports = dict(self.outputs)
        places = out if isinstance(out, tuple) else (out,)
        if len(places) != len(ports):
            raise IntsimError(
                f"{self.name} has {len(ports)} outputs ({', '.join(ports)}); out takes one array for each"
            )
        given = {}
        for place, (port, fmt) in zip(places, ports.items(), strict=True):
            shapes = (shape, shape[:-1]) if self.is_row else (shape,)
            fits = isinstance(place, np.ndarray) and place.dtype == fmt.dtype and place.shape in shapes
            if not fits or not (place.flags.c_contiguous and place.flags.writeable):
                found = f"{place.dtype} {place.shape}" if isinstance(place, np.ndarray) else type(place).__name__
                raise IntsimError(f"out holds {fmt.dtype} {shape}, C-contiguous and writeable; got {found}")
            given[port] = place.reshape((-1, shape[-1]) if self.is_row and place.shape == shape else (-1,))
        return given

    def _restore(self, values: np.ndarray, shape: tuple[int, ...]) -> Any:
        if not self.is_row:
            return values.reshape(shape)[()]
        return values.reshape(shape if values.ndim == 2 else shape[:-1])[()]


def takes_kernel(size: int) -> bool:
    """Whether a kernel may stand in for a golden model on so many elements: operators run compiled, and it pays."""
    return is_compiled() and size >= _KERNEL_SIZE


def one_input(unit: Unit) -> list[np.ndarray]:
    """An input that every unit takes: the code nearest to 0 at each port, of a row unit a row of two elements.

    Where all rows have the same length, or only one element, the row is as long as that.
    """
    n = getattr(unit, "row_length", None) or min(2, getattr(unit, "max_row", 1))
    shape = (1, n) if unit.is_row else (1,)
    return [np.full(shape, max(fmt.lo, min(0, fmt.hi)), dtype=fmt.dtype) for fmt in unit.inputs.values()]


def outputs_per_row(unit: Unit) -> tuple[bool, ...]:
    """For each output of a row unit, whether it is one value per row: seen from the shape of an answer."""
    probe = unit(*one_input(unit))
    return tuple(column.ndim == 1 for column in (probe if isinstance(probe, tuple) else (probe,)))


def _compact(body: dict[str, Any]) -> str:
    """Indented JSON with arrays of numbers kept on one line, so that a table does not take a page."""
    text = json.dumps(body, indent=1)
    return re.sub(r"\[\s+(-?\d+(?:,\s+-?\d+)*)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)


def load(path: str | Path) -> Unit:
    """The unit stored in a JSON file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give a unit's JSON file") from None
    try:
        return Unit.from_json(text)
    except IntsimError as error:
        raise IntsimError(f"{path}: {error}") from None


def save(unit: Unit, path: str | Path) -> None:
    """Write a unit's JSON, whole or not at all."""
    from intsim.files import write_text

    if not isinstance(unit, Unit):
        raise IntsimError(f"only units are saved, got {type(unit).__name__}; give a unit such as Shiftmax(-16)")
    write_text(path, unit.to_json())
