"""What one bank of the engine holds: a table of the common geometry, and the numbers of its row operators."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from intsim.errors import IntsimError
from intsim.formats import Fixed, Int
from intsim.parameters import Parameters
from intsim.rounding import TIES_TO_POS
from intsim.tables import NLI
from intsim.tables.design.scales import scale

__all__ = ["Bank", "identity"]


@dataclass(frozen=True)
class Bank(Parameters):
    """One of the two banks.

    Parameters
    ----------
    table : the function, on signed ports. Its formats say what a code means; the hardware sees codes only
    places : fraction bits of the codes that softmax and the norms give
    epsilon : added to the mean square of a norm, in squared codes of the input; 0 to 65535
    """

    table: NLI
    places: int = 15
    epsilon: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon < 1 << 16:
            raise IntsimError(f"epsilon is {self.epsilon}, the register holds 0 to 65535; scale the input down")
        if not 0 <= self.places < 32:
            raise IntsimError(f"places is {self.places}, the register holds 0 to 31; choose one of these")

    @classmethod
    def design(
        cls,
        fn: str,
        x: Fixed,
        y: Fixed,
        *,
        intervals: int = 10,
        bins: int = 32,
        t_bits: int = 16,
        mantissa_bits: int = 17,
        places: int = 15,
        epsilon: int = 0,
        domain: tuple[float, float] | None = None,
        solver: str = "auto",
    ) -> Bank:
        """The best table of a function, with scales of the engine's widths.

        Parameters
        ----------
        fn : name of a known function, such as ``"gelu"``
        x, y : signed formats of the engine's width
        domain, solver : as for :meth:`intsim.tables.NLI.design`, whose cut points and words are kept
        """
        free = NLI.design(
            fn, x, y, intervals=intervals, bins=bins, objective="mean_absolute", saturate=True, domain=domain,
            solver=solver,
        )  # fmt: skip
        assert isinstance(free, NLI)
        return cls(rescaled(free, t_bits, mantissa_bits), places, epsilon)


def rescaled(table: NLI, t_bits: int, mantissa_bits: int) -> NLI:
    """The same cut points and words, with scales for `t_bits` and of at most `mantissa_bits` bits.

    Raises
    ------
    IntsimError
        An interval is so short that its scale does not fit.
    """
    pairs = []
    for I, (left, right) in enumerate(itertools.pairwise(table.cuts)):
        pair = scale(right - left, table.segments[I], t_bits, mantissa_bits)
        if pair[0].bit_length() > mantissa_bits:
            raise IntsimError(
                f"interval {I} spans {right - left} codes: its scale needs {pair[0].bit_length()} bits, the engine has "
                f"{mantissa_bits}; use more mantissa_bits or fewer intervals"
            )
        pairs.append(pair)
    return NLI(
        x=table.x,
        y=table.y,
        cuts=table.cuts,
        bins=table.bins,
        mantissas=tuple(mantissa for mantissa, _ in pairs),
        shifts=tuple(shift for _, shift in pairs),
        t_bits=t_bits,
        table=table.table,
        rounding=TIES_TO_POS,
        fn=table.fn,
        origin=table.origin,
        domain=table.domain,
    )


def identity(bits: int, intervals: int, bins: int, t_bits: int, mantissa_bits: int) -> Bank:
    """A bank whose table gives back its input (the highest code saturates): what an engine holds at first.

    Exact where an interval has as many codes as bins, or more, and `t_bits` tell the codes of a bin apart; else within
    two codes.
    """
    x = Int(bits)
    span = (x.hi - x.lo) // intervals
    span = span // bins * bins or span  # a whole number of codes per bin, if there are so many
    first = x.lo + (x.hi - x.lo - span * (intervals - 2)) // 2  # what is left goes to both ends
    cuts = [x.lo, *(first + span * i for i in range(intervals - 1)), x.hi]
    knots: list[int] = []
    for i, (left, right) in enumerate(itertools.pairwise(cuts)):
        n = 1 if i in (0, intervals - 1) else bins
        knots += [left + (right - left) * j // n for j in range(n)]
    knots.append(cuts[-1])
    spans = [b - a for a, b in itertools.pairwise(cuts)]
    segments = [1 if i in (0, intervals - 1) else bins for i in range(intervals)]
    scales = [scale(span, n, t_bits, mantissa_bits) for span, n in zip(spans, segments, strict=True)]
    table = NLI(
        x=x,
        y=x,
        cuts=tuple(cuts),
        bins=bins,
        mantissas=tuple(m for m, _ in scales),
        shifts=tuple(s for _, s in scales),
        t_bits=t_bits,
        table=tuple(knots),
        origin="evenly spaced",
    )
    return Bank(table)
