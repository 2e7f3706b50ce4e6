"""One requantiser: accumulator times multiplier, shifted right, rounded, zero point, clamp.

Every project computes this, each with its own widths, roundings and limits; those are the parameters here, and
:data:`intsim.requant.CONVENTIONS` holds the projects' choices by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import is_compiled, run
from intsim.formats import Fixed, Format, Int
from intsim.parameters import note
from intsim.requant.arithmetic import LIMIT, ONE_ROUNDING, reduced_multiplier, requantize, requantize_traced
from intsim.requant.documented import Documented
from intsim.rounding import TIES_TO_POS, Rounding
from intsim.unit import Hazard, Unit

__all__ = ["Requantizer"]

NETS = ("factor", "amount", "product", "rounded")
S32, U31, S8 = Int(32), Int(31, signed=False), Int(8)


@dataclass(frozen=True)
class Requantizer(Unit):
    """``y = clamp(round(acc * multiplier * 2**-amount) + zero_point)``, with the roundings named.

    ::

        factor  = multiplier, or its upper half where `reduced`
        product = (acc << pre_shift) * factor + addend
        amount  = point - shift             (TFLite's shift, positive to the left), or shift where `right`
        rounded = product / 2**amount, by `rounding`
                  with `first`: to `point` bits by `first`, then the rest by `rounding` (only `first` where
                  amount <= point)
        y       = saturate(rounded + zero_point, lo, hi)

    A result outside ``[lo, hi]`` saturates; nothing wraps.

    Parameters
    ----------
    acc : format of the accumulator
    multiplier : format of the multiplier, unsigned
    shift : format of the shift
    y : format of the output
    rounding : of the only or the second stage
    first : of the first of two stages; None for one stage
    point : real scale = ``multiplier * 2**(shift - point)``; with `first` also where that stage rounds
    right : `shift` counts bits to the right instead: real scale = ``multiplier * 2**-shift``
    reduced : the multiplier is rounded to its upper half first (31 to 15 bits, `point` then counts from there), as
        the paths with 64-bit accumulators do
    pre_shift : bits the accumulator is shifted left before the product
    zero_point : added to the rounded value
    zero_first : add the zero point before the clamp (the usual order) or behind it
    lo, hi : clamp; the ends of `y` where None. The zero point may lie outside
    channels : constants ``(multiplier, shift)`` or ``(multiplier, shift, addend)``. Empty: multiplier and shift are
        input ports. One: per tensor. Several: per channel, chosen by an input port ``channel``
    strict : refuse inputs that the documentation of the named project excludes, and results
    documented : those ranges (a note)
    convention : name of the project's convention (a note)

    Raises
    ------
    IntsimError
        Formats or constants that do not fit together, or a product beyond 63 bits.
    """

    acc: Fixed = S32
    multiplier: Fixed = U31
    shift: Fixed = S8
    y: Fixed = S32
    rounding: Rounding = TIES_TO_POS
    first: Rounding | None = None
    point: int = 31
    right: bool = False
    reduced: bool = False
    pre_shift: int = 0
    zero_point: int = 0
    zero_first: bool = True
    lo: int | None = None
    hi: int | None = None
    channels: tuple[tuple[int, ...], ...] = ()
    strict: bool = False
    documented: Documented | None = note()  # noqa: RUF009 - a field, not a value
    convention: str | None = note()

    def __post_init__(self) -> None:
        self._check_formats()
        self._check_clamp()
        for c, constants in enumerate(self.channels):
            self._check_channel(c, constants)
        if self.largest_product > 1 << 62:
            raise IntsimError(
                f"the product of {self.acc} << {self.pre_shift} and {self.multiplier} reaches {self.largest_product}, "
                "2**62 is the bound: accumulators of more than 32 bits go with multipliers of at most 15 bits"
            )

    def _check_formats(self) -> None:
        for port in ("acc", "multiplier", "shift", "y"):
            if getattr(self, port).frac:
                raise IntsimError(f"{port} is an integer port, got {getattr(self, port)}; use Int(...)")
        if self.multiplier.lo < 0:
            raise IntsimError(f"the multiplier is never negative, got {self.multiplier}; use Int(..., signed=False)")
        if self.reduced and self.multiplier.hi >> 31:
            raise IntsimError(f"a reduced multiplier starts from 31 bits, got {self.multiplier}; use Int(31, False)")
        if not 0 <= self.point <= 62 or not 0 <= self.pre_shift <= 31:
            raise IntsimError(f"point {self.point} must be in 0..62 and pre_shift {self.pre_shift} in 0..31")

    def _check_clamp(self) -> None:
        lo, hi = self.bounds
        shifted = 0 if self.zero_first else self.zero_point
        if lo > hi:
            raise IntsimError(f"the clamp [{lo}, {hi}] is empty; give lo <= hi")
        if lo + shifted < self.y.lo or hi + shifted > self.y.hi:
            raise IntsimError(
                f"results [{lo + shifted}, {hi + shifted}] leave {self.y} = [{self.y.lo}, {self.y.hi}]; "
                "narrow the clamp or widen y"
            )
        if max(abs(lo), abs(hi), abs(self.zero_point)) >> (LIMIT - 1):
            raise IntsimError(f"clamp [{lo}, {hi}] and zero point {self.zero_point} must stay below 2**{LIMIT - 1}")

    def _check_channel(self, c: int, constants: tuple[int, ...]) -> None:
        if len(constants) not in (2, 3):
            raise IntsimError(f"channel {c}: expected (multiplier, shift) or (multiplier, shift, addend): {constants}")
        for port, value in (("multiplier", constants[0]), ("shift", constants[1])):
            fmt = getattr(self, port)
            if not fmt.lo <= value <= fmt.hi:
                raise IntsimError(f"channel {c}: {port} {value} is outside {fmt} = [{fmt.lo}, {fmt.hi}]")

    # What the unit protocol asks for ------------------------------------------------------------------------

    @property
    def inputs(self) -> Mapping[str, Format]:
        if not self.channels:
            return {"acc": self.acc, "multiplier": self.multiplier, "shift": self.shift}
        if len(self.channels) == 1:
            return {"acc": self.acc}
        return {"acc": self.acc, "channel": self.channel_format}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": self.y}

    @property
    def name(self) -> str:
        return self.convention or "requantizer"

    @property
    def channel_format(self) -> Format:
        """Format of the port that chooses among several channels."""
        from intsim.formats.span import Span

        last = len(self.channels) - 1
        return Span(max(last.bit_length(), 1), 0, last, signed=False)

    @property
    def bounds(self) -> tuple[int, int]:
        """The clamp, with the ends of `y` where none is given."""
        shifted = 0 if self.zero_first else self.zero_point
        return (
            self.y.lo - shifted if self.lo is None else self.lo,
            self.y.hi - shifted if self.hi is None else self.hi,
        )

    @property
    def binary_point(self) -> int:
        """`point`, as it stands behind the multiplication: 16 less for a reduced multiplier."""
        return self.point - 16 if self.reduced else self.point

    @property
    def constants(self) -> tuple[tuple[int, int, int], ...]:
        """Per channel: factor as it enters the product, bits to the right, addend."""
        return tuple(
            (
                reduced_multiplier(multiplier) if self.reduced else multiplier,
                shift if self.right else self.binary_point - shift,
                addend[0] if addend else 0,
            )
            for multiplier, shift, *addend in self.channels
        )

    @property
    def largest_factor(self) -> int:
        """The largest value that enters the product as its second factor."""
        if self.channels:
            return max(factor for factor, _, _ in self.constants)
        return reduced_multiplier(self.multiplier.hi) if self.reduced else self.multiplier.hi

    @property
    def largest_product(self) -> int:
        """A bound of the product's magnitude, with the addend."""
        addend = max((abs(a) for _, _, a in self.constants), default=0)
        return (max(-self.acc.lo, self.acc.hi) << self.pre_shift) * self.largest_factor + addend

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates: ``factor`` unsigned, the others two's complement."""
        return {
            "factor": max(self.largest_factor.bit_length(), 1),
            "amount": max(max(abs(a) for a in self.amounts).bit_length(), 1) + 1,
            "product": self.largest_product.bit_length() + 1,
        }

    @property
    def amounts(self) -> tuple[int, ...]:
        """Bits to the right: of every channel, or the smallest and the largest the shift port can ask for."""
        if self.channels:
            return tuple(amount for _, amount, _ in self.constants)
        if self.right:
            return self.shift.lo, self.shift.hi
        return self.binary_point - self.shift.hi, self.binary_point - self.shift.lo

    def __call__(
        self, *arrays: Any, strict: bool | None = None, out: np.ndarray | tuple[np.ndarray, ...] | None = None
    ) -> Any:
        """The golden model.

        Parameters
        ----------
        acc, multiplier, shift : integer arrays, broadcast against each other. Any shift is accepted: beyond the
            ends of the port's format the result is that of the end
        acc, channel : where there are several channels
        acc : where there is one
        strict : refuse what the project's documentation excludes; the unit's own setting where None
        out : where the result goes: of its dtype and shape, C-contiguous

        Returns
        -------
        ndarray of the smallest NumPy integer type that holds `y`

        Raises
        ------
        DtypeError, IntsimError
            As for every unit; and with `strict`, inputs or results outside the documented ranges.
        """
        if self.channels:
            result = self._by_column(arrays, out)
            return super().__call__(*arrays, out=out) if result is None else result
        if len(arrays) == 3:
            arrays = (arrays[0], arrays[1], self._within_reach(arrays[2]))
        unit = self._for_multiplier(arrays)
        result = super(Requantizer, unit).__call__(*arrays, out=out)
        if (self.strict if strict is None else strict) and self.documented is not None:
            self.documented.check(self, *(np.asarray(a) for a in arrays))
        return result

    def _by_column(self, arrays: tuple[Any, ...], out: Any) -> np.ndarray | None:
        """The result where the last axis decides the channel and a kernel knows this form; else None."""
        if len(arrays) != 2 or isinstance(out, tuple) or not is_compiled():
            return None
        acc, channel = (fmt.check(array, port) for (port, fmt), array in zip(self.inputs.items(), arrays, strict=True))
        if channel.ndim != 1 or acc.ndim == 0 or acc.shape[-1] != channel.size or len(self.channels) < 2:
            return None
        if out is not None:
            self._place(out, acc.shape)
        from intsim.kernels.requantizer import by_column

        return by_column(self, acc.astype(self.acc.dtype, copy=False), channel, out)

    def _within_reach(self, shift: Any) -> Any:
        """`shift` limited to its port where the port reaches so far that nothing changes beyond."""
        shift = np.asarray(shift)
        if shift.dtype.kind not in "iu":
            return shift  # refused with a message by the port's check
        amounts = self.amounts
        lo = self.shift.lo if amounts[1] > 64 and not self.right else None
        hi = self.shift.hi if amounts[0] < -LIMIT and not self.right else None
        return shift if lo is hi is None else np.clip(shift, lo, hi)

    def _for_multiplier(self, arrays: tuple[Any, ...]) -> Requantizer:
        """This unit, or for a 32-bit accumulator the one with the 31-bit multiplier that then fits too."""
        if self.acc.bits <= 32 or len(arrays) != 3:
            return self
        multiplier = np.asarray(arrays[1])
        if multiplier.dtype.kind not in "iu" or multiplier.size == 0 or int(multiplier.max()) <= self.multiplier.hi:
            return self
        return dataclasses.replace(self, acc=S32, multiplier=U31)

    def real(self, *values: Any) -> Any:
        """``acc * multiplier * 2**-amount + zero_point`` within the clamp, float64."""
        acc, *rest = (np.asarray(v, dtype=np.float64) for v in values)
        if self.channels:
            table = np.array(self.constants, dtype=np.float64)
            factor, amount, addend = table[rest[0].astype(np.int64) if rest else 0].T
        else:
            factor, shift, addend = rest[0], rest[1], 0.0
            amount = shift if self.right else self.point - shift
        value = np.ldexp(np.ldexp(acc, self.pre_shift) * factor + addend, -np.asarray(amount).astype(np.int64))
        lo, hi = self.bounds
        if self.zero_first:
            return np.clip(value + self.zero_point, lo, hi)
        return np.clip(value, lo, hi) + self.zero_point

    def corners(self) -> tuple[np.ndarray, ...]:
        """Ends of every port, and products on both sides of every tie, of both clamps and of zero."""
        from intsim.requant.corners import corners

        return corners(self)

    def near_ties(self, count: int = 1 << 16, seed: int = 0) -> tuple[np.ndarray, ...] | None:
        """Inputs at and beside half a unit, about one in four an exact tie; None where all constants are built in."""
        from intsim.requant.corners import near_ties

        if self.channels:
            return None
        columns = near_ties(self, count, seed)
        return tuple(c.astype(fmt.dtype) for c, fmt in zip(columns, self.inputs.values(), strict=True))

    def hazards(self) -> tuple[Hazard, ...]:
        """Channels whose results saturate for part of the accumulator's range, or are always zero."""
        found = []
        lo, hi = self.bounds
        offset = self.zero_point if self.zero_first else 0
        largest = max(-self.acc.lo, self.acc.hi) << self.pre_shift
        for c, (factor, amount, addend) in enumerate(self.constants):
            reach = max(hi - offset, offset - lo)
            most = (largest * factor + abs(addend)) >> amount if amount >= 0 else (largest * factor) << min(-amount, 64)
            if most > reach:
                found.append(
                    Hazard(f"channel {c}: results reach {most}, the clamp is at {reach}", "expect saturation, or scale")
                )
            if largest * factor + abs(addend) < 1 << max(amount - 1, 0):
                found.append(Hazard(f"channel {c}: every result is 0 or -1", f"use a shift below {amount} bits"))
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].shape, dtype=self.y.dtype)
        run(requantize, *self._arguments(columns), y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        y = np.empty(columns[0].shape, dtype=self.y.dtype)
        nets = np.empty((len(NETS), columns[0].size), dtype=np.int64)
        run(requantize_traced, *self._arguments(columns), nets, y)
        return {**dict(zip(NETS, nets, strict=True)), "y": y}

    def _arguments(self, columns: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """The operator's arguments, but for its outputs."""
        acc = columns[0].astype(np.int64)
        if self.channels:
            table = np.array(self.constants, dtype=np.int64)
            index = columns[1].astype(np.int64) if len(columns) > 1 else np.zeros(acc.size, dtype=np.int64)
            tables, ready = (table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()), True
        else:
            index = np.arange(acc.size, dtype=np.int64)
            tables = columns[1].astype(np.int64), columns[2].astype(np.int64), np.zeros(acc.size, dtype=np.int64)
            ready = False
        first = ONE_ROUNDING if self.first is None else int(self.first)
        lo, hi = self.bounds
        return (
            acc, index, *tables,
            int(self.reduced and not ready), int(self.right or ready),
            self.pre_shift, self.binary_point, first, int(self.rounding),
            self.zero_point, int(self.zero_first), lo, hi,
        )  # fmt: skip
