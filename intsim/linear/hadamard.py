"""The Hadamard transform on integers, by butterflies: what a rotation costs that cannot be folded into weights.

``y = x H`` with ``H`` of +-1, for sizes ``2**k`` and ``K * 2**k``: the fixed matrix of size K on each block of K
channels, then k stages of sum and difference. Additions only; the real rotation divides by ``sqrt(size)``, a shift
for sizes ``4**k`` and else a factor for the next requantisation.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.formats.dyadic import illm
from intsim.operators import check_kinds, require_int
from intsim.prepare.hadamard import hadamard
from intsim.rounding import TIES_TO_EVEN, Rounding, saturate, shift_round
from intsim.unit import Hazard, Unit

__all__ = ["FORMS", "Hadamard"]

FORMS = ("growth", "shifted", "requantised")
_X = Int(8)


@dataclass(frozen=True)
class Hadamard(Unit):
    """``size`` codes at once, ports ``x0 .. x{size-1}`` to ``y0 .. y{size-1}``; :meth:`rows` takes arrays (..., size).

    ===============  ================================================================================
    form             result
    ===============  ================================================================================
    ``growth``       ``x H`` exactly, one bit more per stage
    ``shifted``      halved behind every second butterfly stage, rounded: for ``4**k`` the rotation
    ``requantised``  ``saturate(round(x H multiplier / 2**shift))`` in `out_bits` bits
    ===============  ================================================================================

    Source: the order of the stages is Sylvester's, ``H = H2 x ... x H2 x base``, as QuaRot's (arXiv 2404.00456)
    transforms of size ``K * 2**k``, with Paley's matrices as base; the three forms and their rounding are **ours**.

    Parameters
    ----------
    size : channels; ``2**k``, or a size that :func:`intsim.prepare.hadamard.hadamard` has a matrix for
    form : see above
    multiplier, shift, out_bits : for ``requantised``; 0 in the other forms
    rounding : of the halvings and of the requantisation
    """

    size: int
    form: str = "growth"
    multiplier: int = 0
    shift: int = 0
    out_bits: int = 0
    _: KW_ONLY
    x: Format = _X
    rounding: Rounding = TIES_TO_EVEN

    def __post_init__(self) -> None:
        check_kinds(self)
        require_int(self, "size", 2, 1024, "blocks of 16 to 128 are usual")
        if self.form not in FORMS:
            raise UnknownName("form of the Hadamard transform", self.form, FORMS)
        used = self.form == "requantised"
        for name, least, most in (("multiplier", 1, (1 << 16) - 1), ("shift", 0, 63), ("out_bits", 2, 32)):
            why = "Hadamard.design computes it" if used else "only the form 'requantised' takes it"
            require_int(self, name, least if used else 0, most if used else 0, why)
        rounds = self.halvings or (used and self.shift)
        if not rounds and self.rounding != TIES_TO_EVEN:
            raise IntsimError(
                f"nothing is rounded in this form, so rounding={self.rounding} means nothing; leave it out"
            )
        hadamard(self.size)  # refuses sizes that have no matrix
        if self.widths["product"] > 64:
            raise IntsimError(f"the product needs {self.widths['product']} bits, 64 fit; use a narrower x")

    @classmethod
    def design(cls, size: int, scale_in: float = 1.0, scale_out: float = 1.0, **options: Any) -> Hadamard:
        """The requantised form for ``y scale_out = x H scale_in / sqrt(size)``, the multiplier of 16 bits.

        Parameters
        ----------
        scale_in, scale_out : real value of one code before and behind
        options : other fields, such as ``out_bits=8``
        """
        m, k = (int(v) for v in illm(16)(scale_in / scale_out / size**0.5))
        while k > 63 and m > 1:
            m, k = m >> 1, k - 1
        return cls(size, "requantised", m, k, **{"out_bits": 8, **options})

    @property
    def base(self) -> np.ndarray:
        """The matrix that the butterflies start from, int8[K, K] of +-1; ``[[1]]`` where the size is a power of two."""
        matrix = hadamard(self.size)
        while len(matrix) % 2 == 0:
            half = len(matrix) // 2
            quarter = matrix[:half, :half]
            if not np.array_equal(matrix, np.block([[quarter, quarter], [quarter, -quarter]])):
                break
            matrix = quarter
        return matrix

    @property
    def stages(self) -> int:
        """Butterfly stages."""
        return (self.size // len(self.base)).bit_length() - 1

    @property
    def halvings(self) -> int:
        """Times that ``shifted`` halves."""
        return self.stages // 2 if self.form == "shifted" else 0

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, two's complement: behind the base matrix, the last stage, of the product."""
        base = self.x.bits + (not self.x.signed) + (len(self.base) - 1).bit_length()
        total = base + self.stages - self.halvings
        return {"base": base, "total": total, "product": total + self.multiplier.bit_length()}

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {f"x{i}": self.x for i in range(self.size)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        fmt = Int(self.out_bits if self.form == "requantised" else self.widths["total"])
        return {f"y{i}": fmt for i in range(self.size)}

    @property
    def factor(self) -> Fraction:
        """What the result is of ``x H``: ``scale_y = scale_x / (factor sqrt(size))`` for the rotation."""
        if self.form == "requantised":
            return Fraction(self.multiplier, 1 << self.shift)
        return Fraction(1, 1 << self.halvings)

    def real(self, *values: Any) -> Any:
        x = np.stack(np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in values)), axis=-1)
        y = x @ hadamard(self.size).astype(np.float64) * float(self.factor)
        return tuple(np.moveaxis(y, -1, 0))

    def rows(self, x: Any) -> np.ndarray:
        """The transform along the last axis: codes (..., size) in and out."""
        codes = np.asarray(x)
        if codes.ndim < 1 or codes.shape[-1] != self.size:
            raise IntsimError(f"x is (..., {self.size}), got {codes.shape}; reshape it into blocks of {self.size}")
        return np.stack(self(*np.moveaxis(codes, -1, 0)), axis=-1)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Ends along every row of the matrix (which meet in one sum), single ones, small values, and sums whose
        requantisation changes with the last bit of the multiplier."""
        lo, hi, n = self.x.lo, self.x.hi, self.size
        signs = hadamard(n)
        rows = [np.where(row > 0, a, b) for row in signs.T for a, b in ((hi, lo), (lo, hi))]
        rows += [np.where(np.arange(n) == i, v, 0) for i in range(n) for v in {1, hi, lo}]
        rng = random.Random(0)
        spans = [(max(-d, lo), min(d, hi)) for d in (1, 2, 3, 5, hi) for _ in range(24)]
        rows += [np.array([rng.randint(*span) for _ in range(n)]) for span in spans]
        rows += [np.array([(t + i) // n for i in range(n)]) for t in self._telling_sums()]
        return tuple(np.array(rows, dtype=self.x.dtype).T.copy())

    def _telling_sums(self) -> list[int]:
        """Sums of a block that another multiplier, or another rounding, takes to another code; at most 64."""
        if self.form != "requantised":
            return []
        n = self.size
        sums = np.arange(max(self.x.lo * n, -(1 << 16)), min(self.x.hi * n, 1 << 16) + 1)
        fmt = self.outputs["y0"]
        modes = {int(mode) for mode in Rounding}

        def codes(multiplier: int, mode: int) -> np.ndarray:
            return np.clip(shift_round(sums * multiplier, self.shift, mode), fmt.lo, fmt.hi)

        here = codes(self.multiplier, int(self.rounding))
        found: list[int] = []
        for multiplier, mode in [(self.multiplier + d, int(self.rounding)) for d in (-1, 1)] + [
            (self.multiplier, mode) for mode in modes
        ]:
            other = sums[codes(multiplier, mode) != here]
            found += other[:: max(len(other) // 8, 1)][:9].tolist()
        return found

    def hazards(self) -> tuple[Hazard, ...]:
        found = []
        if self.form == "requantised":
            reach = Fraction(max(self.x.hi, -self.x.lo) * self.size) * self.factor
            if reach > (1 << (self.out_bits - 1)) - 1:
                limit = (1 << (self.out_bits - 1)) - 1
                found.append(
                    Hazard(
                        f"a row along one row of H reaches {-(-reach // 1)} of {limit} and saturates",
                        "use more out_bits, or a smaller multiplier",
                    )
                )
        elif self.stages % 2 or len(self.base) > 1:
            found.append(
                Hazard(f"1/sqrt({self.size}) is no power of two", "put it into the scale of the next requantisation")
            )
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        rows = np.stack(columns, axis=1)
        work = np.zeros(rows.shape, dtype=np.int64)
        fmt = self.outputs["y0"]
        y = np.empty((self.size, len(rows)), dtype=fmt.dtype)
        base = np.ascontiguousarray(self.base.T)
        form, limits = FORMS.index(self.form), (fmt.lo, fmt.hi)
        run(butterflies, rows, base, form, self.multiplier, self.shift, int(self.rounding), *limits, work, y)
        return {f"y{i}": y[i] for i in range(self.size)}


@exact
def butterflies(x, base, form, multiplier, shift, mode, lo, hi, out_work, out):
    """The base matrix on each block, then sum and difference at distances K, 2 K, 4 K ... of every row."""
    small = base.shape[0]
    size = x.shape[1]
    for r in range(x.shape[0]):
        for block in range(0, size, small):
            for i in range(small):
                total = 0
                for j in range(small):
                    total += base[i, j] * int(x[r, block + j])
                out_work[r, block + i] = total
        distance = small
        stage = 1
        while distance < size:
            for block in range(0, size, 2 * distance):
                for i in range(block, block + distance):
                    a = out_work[r, i]
                    b = out_work[r, i + distance]
                    out_work[r, i] = a + b
                    out_work[r, i + distance] = a - b
            if form == 1 and stage % 2 == 0:
                for i in range(size):
                    out_work[r, i] = shift_round(out_work[r, i], 1, mode)
            distance *= 2
            stage += 1
        for i in range(size):
            value = out_work[r, i]
            out[i, r] = saturate(shift_round(value * multiplier, shift, mode), lo, hi) if form == 2 else value
