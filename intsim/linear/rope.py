"""Rotary position embedding on integers: tables of cosine and sine with stated widths, and the rotation of a pair.

No paper of the field states an integer RoPE (I-LLM leaves it in floating point), so all of it is **ours**: tables of
``frac`` fraction bits, two products and one sum that are exact, and a single rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Fixed, Format, Int
from intsim.operators import check_kinds, require_int
from intsim.rounding import TIES_TO_EVEN, Rounding, saturate, shift_round
from intsim.unit import Hazard, Unit

__all__ = ["LAYOUTS", "PairRotation", "RoPE"]

LAYOUTS = ("halves", "neighbours")
_X, _Y = Int(8), Int(9)


@dataclass(frozen=True)
class PairRotation(Unit):
    """``(a c - b s, a s + b c) / 2**frac``, each rounded once and saturated.

    Parameters
    ----------
    frac : fraction bits of cosine and sine, which are in ``-2**frac .. 2**frac`` and ``frac + 2`` bits wide
    x : format of `a` and `b`
    y : format of the results. One bit more than `x` holds every rotation; with as many, what a rotation by 45
        degrees makes too large is saturated
    """

    frac: int = 14
    _: KW_ONLY
    x: Format = _X
    y: Format = _Y
    rounding: Rounding = TIES_TO_EVEN

    def __post_init__(self) -> None:
        check_kinds(self)
        require_int(self, "frac", 1, 30, "14 makes tables of 16 bits")
        for name in ("x", "y"):
            fmt = getattr(self, name)
            if not fmt.signed or fmt.bits > 32:
                raise IntsimError(f"{name} is signed and at most 32 bits wide, got {fmt}; use Int(16)")
        if self.widths["sum"] > 64:
            most = 61 - self.x.bits
            raise IntsimError(f"the sum needs {self.widths['sum']} bits, 64 fit; use frac <= {most} or a narrower x")

    @property
    def table(self) -> Fixed:
        """Format of cosine and sine."""
        return Fixed(self.frac + 2, self.frac)

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"a": self.x, "b": self.x, "c": self.table, "s": self.table}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"p": self.y, "q": self.y}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, two's complement, for any codes of the ports."""
        product = self.x.bits + self.frac + 2
        return {"product": product, "sum": product + 1}

    def real(self, *values: Any) -> Any:
        a, b, c, s = (np.asarray(v, dtype=np.float64) for v in values)
        return a * c - b * s, a * s + b * c

    def corners(self) -> tuple[np.ndarray, ...]:
        """Ends, turns of an eighth, and sums at ties."""
        one = 1 << self.frac
        diagonal = math.isqrt(one * one // 2)
        turns = [(one, 0), (0, one), (-one, 0), (0, -one), (diagonal, diagonal), (diagonal, -diagonal)]
        turns += [(self.table.hi, self.table.lo), (self.table.lo, self.table.lo), (one // 2, 1), (one // 2, -1), (1, 1)]
        ends = [self.x.lo, self.x.lo + 1, -3, -2, -1, 0, 1, 2, 3, self.x.hi - 1, self.x.hi]
        rows = [(a, b, c, s) for c, s in turns for a in ends for b in ends]
        columns = zip(*rows, strict=True)
        return tuple(np.array(v, dtype=f.dtype) for v, f in zip(columns, self.inputs.values(), strict=True))

    def hazards(self) -> tuple[Hazard, ...]:
        if self.y.bits > self.x.bits:
            return ()
        return (
            Hazard("a rotation is up to sqrt(2) as long on one axis: codes saturate", f"use y={self.x.bits + 1} bits"),
        )

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        p, q = (np.empty(columns[0].shape, dtype=self.y.dtype) for _ in range(2))
        run(rotate_pairs, *columns, self.frac, int(self.rounding), self.y.lo, self.y.hi, p, q)
        return {"p": p, "q": q}


@dataclass(frozen=True, eq=False)
class RoPE:
    """Queries or keys (..., tokens, channels) turned by their position; scale and zero stay what they were.

    Parameters
    ----------
    cos, sin : integers (positions, channels / 2)
    unit : the rotation of one pair
    layout : ``halves`` pairs channel d with d + channels/2 (Llama, GPT-NeoX), ``neighbours`` 2d with 2d + 1 (GPT-J)

    Notes
    -----
    Codes must have no zero point: a rotation does not keep it. Error of a result against the real rotation, in
    codes: half a code of rounding plus at most ``(|a| + |b|) * 2**-(frac + 1)`` from the tables.
    """

    cos: np.ndarray
    sin: np.ndarray
    unit: PairRotation
    layout: str = "halves"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UnknownName("layout of rotary pairs", self.layout, LAYOUTS)
        for name in ("cos", "sin"):
            codes = self.unit.table.check(np.asarray(getattr(self, name)), name)
            object.__setattr__(self, name, codes.astype(self.unit.table.dtype))
        if self.cos.shape != self.sin.shape or self.cos.ndim != 2:
            raise IntsimError(f"cos {self.cos.shape} and sin {self.sin.shape} are both (positions, channels / 2)")

    @classmethod
    def design(
        cls, channels: int, positions: int, base: float = 10000.0, frac: int = 14, layout: str = "halves", **unit: Any
    ) -> RoPE:
        """The tables of angles ``position * base**(-2 d / channels)``, TIES_TO_EVEN.

        Parameters
        ----------
        channels : of one head, even
        unit : fields of :class:`PairRotation`, such as ``x=Int(16), y=Int(16)``
        """
        if channels < 2 or channels % 2 or positions < 1:
            raise IntsimError(f"channels are even and positions at least 1, got {channels} and {positions}")
        angle = np.outer(np.arange(positions), float(base) ** (-np.arange(0, channels, 2) / channels))
        cos, sin = (np.rint(np.ldexp(f(angle), frac)).astype(np.int64) for f in (np.cos, np.sin))
        return cls(cos, sin, PairRotation(frac, **unit), layout)

    @property
    def table_bits(self) -> int:
        """Bits of both tables together."""
        return 2 * self.cos.size * self.unit.table.bits

    def __call__(self, x: Any, positions: Any = None) -> np.ndarray:
        """Codes (..., tokens, channels), turned.

        Parameters
        ----------
        positions : integers (tokens,); 0, 1, 2 ... by default

        Raises
        ------
        DtypeError, IntsimError
            Another number of channels, or positions beyond the tables.
        """
        codes = np.asarray(x)
        half = self.cos.shape[1]
        if codes.ndim < 2 or codes.shape[-1] != 2 * half:
            raise IntsimError(f"x is (..., tokens, {2 * half}), got {codes.shape}")
        place = np.arange(codes.shape[-2]) if positions is None else np.asarray(positions)
        if place.dtype.kind not in "iu":
            raise DtypeError(f"positions: expected integers, got {place.dtype}")
        if place.shape != (codes.shape[-2],):
            raise IntsimError(f"positions {place.shape} do not fit {codes.shape[-2]} tokens; give one per token")
        if place.size and not 0 <= int(place.min()) <= int(place.max()) < len(self.cos):
            raise IntsimError(f"position {int(place.max())} is not in [0, {len(self.cos) - 1}]; design more positions")
        first, second = (
            (slice(0, half), slice(half, None)) if self.layout == "halves" else (slice(0, None, 2), slice(1, None, 2))
        )
        y = np.empty(codes.shape, dtype=self.unit.y.dtype)
        y[..., first], y[..., second] = self.unit(
            codes[..., first], codes[..., second], self.cos[place], self.sin[place]
        )
        return y


@exact
def rotate_pairs(a, b, c, s, frac, mode, lo, hi, out_p, out_q):
    """Both coordinates of every pair."""
    for i in range(a.size):
        x, y, u, v = int(a[i]), int(b[i]), int(c[i]), int(s[i])
        out_p[i] = saturate(shift_round(x * u - y * v, frac, mode), lo, hi)
        out_q[i] = saturate(shift_round(x * v + y * u, frac, mode), lo, hi)
