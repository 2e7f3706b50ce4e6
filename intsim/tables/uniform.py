"""The table with equal steps: the baseline that every cleverer table is measured against.

The step is a power of two codes, so that the high bits of the distance to the first knot are the address and the
low bits the position between two words: one subtraction, one table read pair, one multiplication.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Fixed
from intsim.parameters import note
from intsim.rounding import TIES_TO_POS, Rounding, shift_round
from intsim.tables.one_variable import OneVariable, as_signed, check_ports
from intsim.unit import Unit

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform(OneVariable, Unit):
    """A table with equally spaced knots and linear interpolation, on fixed-point ports::

        d       = min(max(x - first, 0), segments << step_bits)
        g, t    = d >> step_bits, d mod 2**step_bits
        y       = table[g] + round((table[g+1] - table[g]) * t / 2**step_bits)

    At the last knot ``t`` is 0, and the word behind it counts as equal to the last one.

    Parameters
    ----------
    x, y : Fixed
        Formats of the input and the output.
    first : code of `x` at the first knot; inputs below it are clamped
    step_bits : a step is ``2**step_bits`` codes of `x`
    table : two or more codes of `y`; inputs beyond the last knot are clamped to it
    rounding : of the interpolated step
    fn : name of the function (a note)
    origin : how the table was found (a note)
    domain : first and last code of `x` for which the table was designed (a note); None: all of them

    Raises
    ------
    IntsimError
        Parameters that do not fit together, or whose intermediates would exceed 63 bits.
    """

    kind = "uniform"

    x: Fixed
    y: Fixed
    first: int
    step_bits: int
    table: tuple[int, ...]
    rounding: Rounding = TIES_TO_POS
    fn: str | None = note()
    origin: str | None = note()
    domain: tuple[int, int] | None = note()

    def __post_init__(self) -> None:
        x = self.x
        check_ports(x, self.y, self.table)
        if not 0 <= self.step_bits <= x.bits:
            raise IntsimError(f"step_bits must be 0 to {x.bits} for {x}, got {self.step_bits}")
        if len(self.table) < 2:
            raise IntsimError(f"a table has at least two words, got {len(self.table)}")
        if not x.lo <= self.first < x.hi:
            raise IntsimError(f"the first knot {self.first} is outside {x} = [{x.lo}, {x.hi - 1}]")
        if self.first + ((self.segments - 1) << self.step_bits) > x.hi:
            raise IntsimError(f"{self.segments} steps of 2**{self.step_bits} codes begin beyond {x}; use fewer words")
        if max(self.widths.values()) > 63:
            widest = max(self.widths, key=lambda net: self.widths[net])
            raise IntsimError(f"{widest} needs {self.widths[widest]} bits, 63 are available; use narrower formats")

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Fixed,
        y: Fixed,
        *,
        segments: int = 256,
        saturate: bool = False,
        domain: tuple[float, float] | None = None,
        rounding: Rounding = TIES_TO_POS,
    ) -> Uniform:
        """The table of a function at equal steps.

        The step is the smallest power of two codes with which `segments` steps cover the domain, so the table may
        have fewer segments than asked for. Words are the function rounded ties-to-even. A last knot beyond the
        domain gets the word with which the line to it passes through the function at the domain's end.

        Parameters
        ----------
        fn : name of a known function, or any callable on real numbers or float64 arrays
        x, y : formats of input and output
        segments : at most this many
        saturate : let values outside `y` become its ends instead of refusing them
        domain : real interval that matters; inputs outside it are clamped. Default: all of `x`
        rounding : of the interpolated step

        Raises
        ------
        IntsimError
            The function is not finite or does not fit `y` somewhere (the message names the first such input).
        """
        from intsim.tables.design.uniform import design

        return design(fn, x, y, segments=segments, saturate=saturate, domain=domain, rounding=rounding)

    @property
    def segments(self) -> int:
        return len(self.table) - 1

    @property
    def last(self) -> int:
        """Code at the last knot; it may lie one step beyond the codes of `x`."""
        return self.first + (self.segments << self.step_bits)

    @property
    def widths(self) -> dict[str, int]:
        """Bits of every intermediate: unsigned but for ``step`` and ``product``."""
        step = max(max(abs(b - a) for a, b in itertools.pairwise(self.table)).bit_length(), 1) + 1
        reach = min(self.last, self.x.hi) - self.first
        return {
            "distance": reach.bit_length(),
            "t": self.step_bits,
            "address": (reach >> self.step_bits).bit_length(),
            "step": step,
            "product": step + self.step_bits,
        }

    def corners(self) -> tuple[np.ndarray, ...]:
        """Range ends, both sides of every knot, and an input for every single change of a parameter that shows."""
        from intsim.tables.corners import uniform_corners

        return (uniform_corners(self),)

    def _parameters(self) -> tuple[Any, ...]:
        return self.first, self.step_bits, np.array(self.table, dtype=np.int64), int(self.rounding)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = as_signed(columns[0])
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate_uniform, x, *self._parameters(), y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = as_signed(columns[0])
        nets = np.empty((len(NETS), x.size), dtype=np.int64)
        y = np.empty(x.shape, dtype=self.y.dtype)
        run(interpolate_uniform_traced, x, *self._parameters(), nets, y)
        return {**dict(zip(NETS, nets, strict=True)), "y": y}


NETS = ("distance", "t", "address", "left", "step")


@exact
def locate_uniform(x, first, step_bits, table):
    """Clamped distance to the first knot, address, position in the segment, left word and step to the next."""
    last = table.size - 1
    distance = min(max(x - first, 0), last << step_bits)
    address = distance >> step_bits
    left = table[address]
    return distance, address, distance & ((1 << step_bits) - 1), left, table[min(address + 1, last)] - left


@exact
def interpolate_uniform(x, first, step_bits, table, rounding, out):
    """The table function on every element of `x`, into `out`."""
    for k in range(x.size):
        _, _, t, left, step = locate_uniform(x[k], first, step_bits, table)
        out[k] = left + shift_round(step * t, step_bits, rounding)


@exact
def interpolate_uniform_traced(x, first, step_bits, table, rounding, out_nets, out):
    """As :func:`interpolate_uniform`, keeping every intermediate in a row of `out_nets`."""
    interpolate_uniform(x, first, step_bits, table, rounding, out)
    for k in range(x.size):
        distance, address, t, left, step = locate_uniform(x[k], first, step_bits, table)
        out_nets[0, k] = distance
        out_nets[1, k] = t
        out_nets[2, k] = address
        out_nets[3, k] = left
        out_nets[4, k] = step
