"""The error of a unit against its real function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed, Format, Minifloat
from intsim.measure.inputs import domain_inputs
from intsim.unit import Unit

__all__ = ["Accuracy", "compare", "error"]


@dataclass(frozen=True)
class Accuracy:
    """The error of one output port over a set of inputs.

    Attributes
    ----------
    count : outputs compared
    complete : whether these are all inputs of the unit's domain
    mean, max, rmse : of the absolute error, in real units
    mean_lsb, max_lsb : the same in units of the last place of the output; None where it has no fixed one
    mean_relative, max_relative : of ``|error| / max(|real|, tau)``
    tau : smallest magnitude that counts fully in a relative error
    correctly_rounded : share of the outputs whose error is at most half a unit of the last place; None as above
    rounding_mean, rounding_max : absolute errors of correct rounding alone: no unit with this output can have less
    worst : codes of the inputs with the largest absolute error, one per port (row units: index of that output)
    worst_output : the code that came out there
    worst_real : the real value there
    """

    count: int
    complete: bool
    mean: float
    max: float
    rmse: float
    mean_lsb: float | None
    max_lsb: float | None
    mean_relative: float
    max_relative: float
    tau: float
    correctly_rounded: float | None
    rounding_mean: float
    rounding_max: float
    worst: tuple[Any, ...]
    worst_output: int
    worst_real: float

    def as_dict(self) -> dict[str, Any]:
        """The figures as a plain dict, for JSON."""
        return dataclasses.asdict(self)


def error(
    unit: Unit,
    inputs: Any = None,
    *,
    port: str | None = None,
    tau: float | None = None,
    seed: int = 0,
    real: Callable[..., Any] | None = None,
) -> Accuracy:
    """The error of `unit` against its real function.

    The real value is limited to the range of the output: a saturated output is right if the real value lies
    beyond.

    Parameters
    ----------
    unit : any unit with a real function
    inputs : integer codes, an array or a tuple of one per port; default: every input of the unit's domain up to
        2**24 combinations, else its corners and seeded random codes, 2**20 values together; without those that
        are no numbers or at which the real function is undefined
    port : the output port; default the first
    tau : default one unit in the last place of a fixed-point output, else 2**-14
    seed : of the random codes
    real : the function to compare with; default the unit's own. A unit designed for a function of one's own knows
        only its name

    Raises
    ------
    IntsimError
        The unit approximates no known function, or the real function is undefined at a given input.
    """
    if not isinstance(unit, Unit):
        raise IntsimError(f"expected a unit, got {type(unit).__name__}; catalogue.get(name) gives stored ones")
    port = port or next(iter(unit.outputs))
    if port not in unit.outputs:
        raise UnknownName("output port", port, unit.outputs)
    complete = False
    if inputs is None:
        columns, complete = domain_inputs(unit, seed)
        columns = defined_at(unit, columns, port, real)
    else:
        columns = inputs if isinstance(inputs, tuple) else (inputs,)
    codes, exact = compare(unit, columns, port, real)
    fmt = unit.outputs[port]
    absolute = np.abs(fmt.decode(codes) - exact)
    at = int(np.argmax(absolute))
    lsb = 2.0**-fmt.frac if isinstance(fmt, Fixed) else None
    tau = tau or lsb or 2.0**-14
    relative = absolute / np.maximum(np.abs(exact), tau)
    rounded = np.abs(fmt.decode(fmt.encode(exact, saturate=True)) - exact)
    return Accuracy(
        count=absolute.size,
        complete=complete,
        mean=float(absolute.mean()),
        max=float(absolute.max()),
        rmse=float(np.sqrt(np.mean(absolute**2))),
        mean_lsb=float(absolute.mean() / lsb) if lsb else None,
        max_lsb=float(absolute.max() / lsb) if lsb else None,
        mean_relative=float(relative.mean()),
        max_relative=float(relative.max()),
        tau=tau,
        correctly_rounded=float(np.mean(absolute <= 0.5 * lsb)) if lsb else None,
        rounding_mean=float(rounded.mean()),
        rounding_max=float(rounded.max()),
        worst=_inputs_at(unit, columns, exact.shape, at),
        worst_output=int(codes.flat[at]),
        worst_real=float(exact.flat[at]),
    )


def compare(
    unit: Unit, columns: tuple[Any, ...], port: str, function: Callable[..., Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Output codes of `port`, and the real values limited to its range, of one shape.

    Raises
    ------
    IntsimError
        As :func:`error`.
    """
    at = list(unit.outputs).index(port)
    results = unit(*columns)
    codes = np.atleast_1d(results[at] if isinstance(results, tuple) else results)
    real = np.broadcast_to(real_values(unit, columns, port, function), codes.shape)
    if np.any(np.isnan(real)):
        first = _inputs_at(unit, columns, codes.shape, int(np.argmax(np.isnan(real))))
        raise IntsimError(f"the real function of {unit.name} is undefined at input {first}; give inputs=...")
    return codes, _limited(real, unit.outputs[port])


def real_values(
    unit: Unit, columns: tuple[Any, ...], port: str, function: Callable[..., Any] | None = None
) -> np.ndarray:
    """The real function behind `port`, or another one; NaN where it is undefined.

    Raises
    ------
    IntsimError
        The unit approximates no known function.
    """
    with np.errstate(all="ignore"):
        values = (function or unit.real)(*(fmt.decode(c) for fmt, c in zip(unit.inputs.values(), columns, strict=True)))
    if values is None:
        raise IntsimError(f"{unit.name} approximates no function known here, so it has no error; see unit.real")
    if isinstance(values, tuple):
        values = values[list(unit.outputs).index(port)]
    return np.asarray(values, dtype=np.float64)


def defined_at(
    unit: Unit, columns: tuple[np.ndarray, ...], port: str, function: Callable[..., Any] | None = None
) -> tuple[np.ndarray, ...]:
    """The inputs of an elementwise unit that are numbers and at which its real function is defined."""
    if unit.is_row:
        return columns
    keep = ~np.isnan(real_values(unit, columns, port, function))
    for column, fmt in zip(columns, unit.inputs.values(), strict=True):
        keep &= np.isfinite(fmt.decode(column))
    return tuple(column[keep] for column in columns)


def _limited(real: np.ndarray, fmt: Format) -> np.ndarray:
    if isinstance(fmt, Fixed):
        return np.clip(real, float(fmt.decode(fmt.lo)), float(fmt.decode(fmt.hi)))
    if isinstance(fmt, Minifloat):
        return np.clip(real, -fmt.max, fmt.max)
    return real


def _inputs_at(unit: Unit, columns: tuple[Any, ...], shape: tuple[int, ...], at: int) -> tuple[Any, ...]:
    """The codes that led to flat output index `at`: single codes, or for a row unit the position in the rows."""
    where = np.unravel_index(at, shape)
    if unit.is_row:
        return tuple(int(i) for i in where)
    return tuple(int(np.broadcast_to(column, shape)[where]) for column in columns)
