"""A function between two fixed-point formats, and the checks that every table makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Fixed
from intsim.tables import functions

__all__ = ["Target", "function_and_name", "target_for"]

_CHECKED = 1 << 24  # domains of up to this many codes are checked at every code
_CHUNK = 1 << 18


@dataclass(frozen=True, eq=False)
class Target:
    """A function between two fixed-point formats, with the checks that a table needs.

    Parameters
    ----------
    function : real function, vectorised over float64
    x, y : formats
    first, last : the codes of `x` that bound the domain
    saturate : values outside `y` become its ends
    """

    function: Callable[[np.ndarray], Any]
    x: Fixed
    y: Fixed
    first: int
    last: int
    saturate: bool

    @property
    def domain(self) -> tuple[int, int] | None:
        """The first and last code, or None where that is all of `x`."""
        return None if (self.first, self.last) == (self.x.lo, self.x.hi) else (self.first, self.last)

    def values(self, codes: np.ndarray) -> np.ndarray:
        """The function at (possibly fractional) codes of `x`, in units of the last place of `y`, limited to it.

        Raises
        ------
        IntsimError
            The function is not finite, or does not fit `y` and `saturate` is not set; names the first such input.
        """
        real = np.ldexp(codes.astype(np.float64), -self.x.frac)
        with np.errstate(all="ignore"):
            values = np.asarray(self.function(real), dtype=np.float64)
        if values.shape != real.shape:
            values = np.broadcast_to(values, real.shape)
        unusable = np.isnan(values) if self.saturate else ~np.isfinite(values)
        if np.any(unusable):
            at = int(np.argmax(unusable))
            remedy = "pass domain=(lo, hi) where it is defined"
            if not np.isnan(values[at]):
                remedy += ", or saturate=True"
            raise IntsimError(f"the function is {values[at]} at x = {real[at]} (code {codes[at]}); {remedy}")
        scaled = np.ldexp(values, self.y.frac)
        rounded = np.rint(scaled)
        outside = (rounded < self.y.lo) | (rounded > self.y.hi)
        if np.any(outside) and not self.saturate:
            at = int(np.argmax(outside))
            raise IntsimError(
                f"the function is {values[at]} at x = {real[at]} (code {codes[at]}), outside {self.y} = "
                f"[{float(self.y.decode(self.y.lo))!r}, {float(self.y.decode(self.y.hi))!r}]; use a wider output "
                "format, pass domain=(lo, hi), or pass saturate=True"
            )
        return np.clip(scaled, self.y.lo, self.y.hi)

    def sweep(self) -> None:
        """Check every code of the domain (beyond 2**24 codes, that many at equal steps and the last).

        Raises
        ------
        IntsimError
            As :meth:`values`.
        """
        stride = -(-(self.last - self.first + 1) // _CHECKED)
        for start in range(self.first, self.last + 1, stride * _CHUNK):
            self.values(np.arange(start, min(start + stride * _CHUNK, self.last + 1), stride, dtype=np.int64))
        self.values(np.array([self.last]))

    def words(self, codes: np.ndarray) -> np.ndarray:
        """Table words: the function at `codes`, as codes of `y` (ties to even)."""
        return np.clip(np.rint(self.values(codes)), self.y.lo, self.y.hi).astype(np.int64)


def target_for(
    function: Callable[[np.ndarray], Any],
    x: Fixed,
    y: Fixed,
    domain: tuple[float, float] | None,
    saturate: bool,
) -> Target:
    """The function between its formats, limited to `domain`.

    Raises
    ------
    IntsimError
        Formats that are not fixed point, or a domain that holds no code of `x`.
    """
    for port, fmt in (("x", x), ("y", y)):
        if not isinstance(fmt, Fixed):
            raise IntsimError(f"{port} must be a fixed-point format such as Fixed(16, 12), got {fmt!r}")
    first, last = x.lo, x.hi
    if domain is not None:
        lo, hi = (float(end) for end in domain)
        if lo < hi:
            # clip before the conversion: an infinite end means the end of the format
            first = int(np.ceil(np.clip(np.ldexp(lo, x.frac), x.lo, x.hi)))
            last = int(np.floor(np.clip(np.ldexp(hi, x.frac), x.lo, x.hi)))
        if not lo < hi or first >= last:
            raise IntsimError(
                f"the domain [{lo}, {hi}] holds fewer than two codes of {x} = "
                f"[{float(x.decode(x.lo))}, {float(x.decode(x.hi))}]; use a wider domain or a finer format"
            )
    return Target(function, x, y, first, last, saturate)


def function_and_name(fn: str | Callable[[np.ndarray], Any]) -> tuple[Callable[[np.ndarray], Any], str]:
    """A real function of float64 arrays and the name that a unit stores for it.

    A function of single numbers, such as ``math.sin`` or one with an ``if``, is applied element by element. A callable
    that merely shares its name with a known function is stored as ``user_<name>``, so that nobody takes the known
    function for what it approximates.
    """
    if isinstance(fn, str):
        return functions.find(fn), fn
    if not callable(fn):
        raise IntsimError(f"fn must be a function's name or a callable, got {type(fn).__name__}")
    name = getattr(fn, "__name__", type(fn).__name__)
    known = functions.lookup(name)
    if known is fn:
        return fn, name
    return _on_arrays(fn), name if known is None else f"user_{name}"


def _on_arrays(fn: Callable[[Any], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A user's function on float64 arrays, whether or not it takes arrays itself; NaN where it raises."""

    def on_arrays(x: np.ndarray) -> np.ndarray:
        try:
            values = fn(x)
            if np.iscomplexobj(values):
                raise TypeError("complex values")
            return np.broadcast_to(np.asarray(values, dtype=np.float64), x.shape)
        except (TypeError, ValueError, ArithmeticError):  # what functions of single numbers raise on arrays
            each = (_at(fn, v) for v in x.reshape(-1).tolist())
            return np.fromiter(each, dtype=np.float64, count=x.size).reshape(x.shape)

    return on_arrays


def _at(fn: Callable[[Any], Any], x: float) -> float:
    try:
        return float(fn(x))
    except (ArithmeticError, ValueError):  # outside the domain, as the functions of ``math`` say it
        return np.nan
    except TypeError as error:
        raise IntsimError(f"the function fails at x = {x}: {error}; it takes a real number and returns one") from None
