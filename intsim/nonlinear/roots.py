"""Integer square roots and the integer reciprocal.

:func:`isqrt` is exact. :func:`newton10` is I-ViT's ten Newton steps from ``2**16`` as the authors' code runs them:
they are too few for small arguments. Over all V, and measured in the tests: V < 34,596 may give a root that is
too large (0, 1 and 100 give 64; 1000 gives 68; 10,000 gives 108), from 34,596 to 2**42 the result is ``isqrt(V)`` or
``isqrt(V) + 1``, and above V = 142,882 the latter occurs only where V + 1 is a square, where the iteration swings
between both. The result is never below ``isqrt(V)`` and never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.operators import require_int
from intsim.unit import Hazard, Unit

__all__ = ["ISqrt", "NewtonSqrt", "Reciprocal", "integer_root", "isqrt", "newton10", "reciprocal"]

UINT32 = Int(32, signed=False)


def isqrt(value: Any) -> Any:
    """The largest integer whose square does not exceed `value`.

    Parameters
    ----------
    value : integer, or integer array of any shape and dtype, ``0 <= value < 2**63``

    Returns
    -------
    int for a Python integer, else int64 of the shape of `value`

    Raises
    ------
    DtypeError, IntsimError
        No integers, negative, or 2**63 and beyond.
    """
    values = Int(63, signed=False).check(value, "value")
    if isinstance(value, int):
        return integer_root(value)
    roots = np.empty(values.size, dtype=np.int64)
    run(_isqrt_all, np.ascontiguousarray(values).reshape(-1).astype(np.int64), roots)
    return roots.reshape(values.shape)[()]


@exact
def integer_root(value):
    """:func:`isqrt` as an operator, for ``0 <= value < 2**63``.

    Digit recurrence, one bit of the root per step, without a branch on data.
    """
    rest = value
    root = value * 0
    for step in range(31, -1, -1):
        bit = 1 << (2 * step)
        trial = root + bit
        take = rest >= trial
        rest = rest - take * trial
        root = (root >> 1) + take * bit
    return root


@exact
def newton10(value):
    """I-ViT's square root: exactly ten steps ``k = (k + value // k) >> 1`` from ``k = 2**16``."""
    k = 65536
    for _ in range(10):
        k = (k + value // k) >> 1
    return k


@exact
def reciprocal(divisor, bits):
    """``2**bits // divisor``, and 0 for a divisor of 0; ``bits <= 62``, ``divisor >= 0``."""
    return (1 << bits) // max(divisor, 1) * (divisor > 0)


@dataclass(frozen=True)
class ISqrt(Unit):
    """The exact integer square root, ``y = floor(sqrt(x))``, element by element.

    Parameters
    ----------
    x : unsigned integer format, up to 62 bits
    """

    _: KW_ONLY
    x: Format = UINT32

    def __post_init__(self) -> None:
        _require_unsigned(self.x)

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int((self.x.bits + 1) // 2, signed=False)}

    def real(self, *values: Any) -> Any:
        return np.sqrt(np.asarray(values[0], dtype=np.float64))

    def corners(self) -> tuple[np.ndarray, ...]:
        """Squares and their neighbours, powers of two, the ends."""
        top = int(self.outputs["y"].hi)
        roots = {0, 1, 2, 3, top} | {1 << i for i in range(top.bit_length())} | {(1 << i) - 1 for i in range(1, 32)}
        near = {r * r + d for r in roots for d in (-1, 0, 1)} | {self.x.hi, self.x.hi - 1}
        return (np.array(sorted(v for v in near if 0 <= v <= self.x.hi), dtype=self.x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].size, dtype=np.int64)
        run(_isqrt_all, columns[0].astype(np.int64), y)
        return {"y": y.astype(self.outputs["y"].dtype)}


@dataclass(frozen=True)
class NewtonSqrt(ISqrt):
    """I-ViT's ten-step Newton square root as a unit; see the module's text for where it does not converge."""

    @property
    def outputs(self) -> Mapping[str, Format]:
        # k1 = start / 2 >= root, and from above k + V/k <= k + root: ten steps leave start / 2**10 + root at most.
        start = 65536 + (self.x.hi >> 16)
        most = (start >> 10) + isqrt(self.x.hi) + 2
        return {"y": Int(most.bit_length(), signed=False)}

    def hazards(self) -> tuple[Hazard, ...]:
        return (Hazard("below 34,596 the ten steps do not converge (0 gives 64)", "use ISqrt for exact roots"),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].size, dtype=np.int64)
        run(_newton_all, columns[0].astype(np.int64), y)
        return {"y": y.astype(self.outputs["y"].dtype)}


@dataclass(frozen=True)
class Reciprocal(Unit):
    """The integer reciprocal, ``y = 2**bits // x``, and 0 for x = 0.

    Parameters
    ----------
    bits : fraction bits of the result, 1 to 62
    x : unsigned integer format, up to 62 bits
    """

    bits: int = 32
    _: KW_ONLY
    x: Format = UINT32

    def __post_init__(self) -> None:
        require_int(self, "bits", 1, 62, "2**bits must fit int64")
        _require_unsigned(self.x)

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": self.x}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(self.bits + 1, signed=False)}

    def real(self, *values: Any) -> Any:
        divisor = np.asarray(values[0], dtype=np.float64)
        with np.errstate(divide="ignore"):
            return np.where(divisor > 0, 2.0**self.bits / divisor, 0.0)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Small divisors, and those around which the quotient changes: ``2**bits / q``."""
        exact_ends = {(1 << self.bits) // q + d for q in range(1, 65) for d in (-1, 0, 1)}
        points = exact_ends | set(range(66)) | {1 << i for i in range(62)} | {self.x.hi - 1, self.x.hi}
        return (np.array(sorted(v for v in points if 0 <= v <= self.x.hi), dtype=self.x.dtype),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].size, dtype=np.int64)
        run(_reciprocal_all, columns[0].astype(np.int64), self.bits, y)
        return {"y": y.astype(self.outputs["y"].dtype)}


def _require_unsigned(fmt: Format) -> None:
    if not isinstance(fmt, Format) or fmt.signed or fmt.bits > 62:
        raise IntsimError(f"x must be unsigned with at most 62 bits, got {fmt}; use Int(bits, signed=False)")


@exact
def _isqrt_all(x, out):
    for i in range(x.size):
        out[i] = integer_root(x[i])


@exact
def _newton_all(x, out):
    for i in range(x.size):
        out[i] = newton10(x[i])


@exact
def _reciprocal_all(x, bits, out):
    for i in range(x.size):
        out[i] = reciprocal(x[i], bits)
