"""The nonlinear engine: one table lane for every function, and the row operators around it.

NLI (arXiv 2602.02988) and DB-Attn each propose one unit for all nonlinearities of a transformer. **The paper's**
(NLI): the table lane, rewritable at run time, and softmax and RMSNorm built from it. **Ours:** all else, since the
papers do not give it: two banks, the modes, what is computed once per row and how, all widths.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from intsim.engine.bank import Bank, identity
from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.nonlinear.roots import integer_root
from intsim.rounding import TIES_TO_POS, divide_round, saturate, shift_round
from intsim.tables.nli import interpolate
from intsim.unit import Hazard, Unit

__all__ = ["Engine", "Mode"]


class Mode(enum.IntEnum):
    """What the engine does with a row; the codes of the mode register."""

    TABLE = 0
    SOFTMAX = 1
    LAYERNORM = 2
    RMSNORM = 3


@dataclass(frozen=True)
class Engine(Unit):
    """The engine with the contents of its registers.

    ``T`` is the table of the selected bank, ``E`` its `epsilon`, ``p`` its `places`; for a row ``x`` of n codes::

        pivot = max(x)                                       softmax
                (2 * sum(x) + n) // (2 * n)                  LayerNorm (the mean, ties upwards)
                0                                            else
        d     = x - pivot
        v     = T(sat(d))                                    table
                max(T(sat(d)), 0)                            softmax
                d                                            norms
        S     = max(sum(v), 1)                               softmax
                max(sum(d**2) + n * E, 1)                    norms
        a     = the largest even number with S * 2**a < 2**B
        D     = S * 2**a // 2**(B - G)
        f, s  = (2**(G-2+P) // D) // 2**(P-F+1),  max(B + F - 3 - a - p, 0)            softmax
                isqrt(n * 2**(G-2+P) // D),       max((B + P - 2 - a) / 2 - p, 0)      norms
        y     = sat(shift_round(v * f, s))                   softmax, norms
                v                                            table

    Ties are rounded upwards (``TIES_TO_POS``) everywhere; ``B``, ``G``, ``P`` and ``F`` are in :attr:`widths`. A norm
    has no scale per channel: it belongs into the weights that follow.

    An `Engine` is immutable. :meth:`load` and :meth:`select` give the engine as it is after its registers were
    written; the hardware made from an engine holds the same contents when it is configured.

    Parameters
    ----------
    bits : of a code, signed, input and output
    max_row : elements of the longest row
    intervals, bins : common geometry of the loadable tables: 2 to 15 intervals
    t_bits, mantissa_bits : common widths of the tables' positions and scales
    factor_bits : F, of what a row is multiplied by
    banks : contents of the two banks
    mode, bank : what is selected
    """

    bits: int
    max_row: int
    intervals: int
    bins: int
    t_bits: int
    mantissa_bits: int
    factor_bits: int
    banks: tuple[Bank, ...]
    mode: Mode = Mode.TABLE
    bank: int = 0

    def __post_init__(self) -> None:
        width = self.widths
        if not 4 <= self.bits <= 24 or self.mantissa_bits < self.bits:
            raise IntsimError(
                f"{self.bits}-bit codes with {self.mantissa_bits}-bit mantissas: codes have 4 to 24 bits and mantissas "
                "at least as many (one multiplier serves both squares and scales)"
            )
        if not 1 <= self.max_row < 1 << 16 or not 2 <= self.intervals <= 15 or self.words > 512:
            raise IntsimError(
                f"max_row {self.max_row}, {self.intervals} intervals, {self.words} words: the engine has rows of 1 to "
                "65535 elements, tables of 2 to 15 intervals and at most 512 words"
            )
        if not 1 <= self.bins < 1 << 10 or self.mantissa_bits > 32:
            raise IntsimError(
                f"{self.bins} bins, {self.mantissa_bits}-bit mantissas: the registers hold 1 to 1023 bins and "
                "mantissas of at most 32 bits"
            )
        if width["ratio"] < self.factor_bits or width["dividend"] > 62:
            raise IntsimError(
                f"max_row {self.max_row}, factor_bits {self.factor_bits} need a dividend of {width['dividend']} bits "
                f"and leave a ratio of {width['ratio']}: at most 62 and at least {self.factor_bits}; change factor_bits"
            )
        if max(width["sum"], self.bits + 1 + self.factor_bits + 1) > 62:
            raise IntsimError(f"sums need {width['sum']} bits, 62 are available; use narrower codes or shorter rows")
        if len(self.banks) != 2 or self.bank not in (0, 1):
            raise IntsimError(f"there are two banks, got {len(self.banks)}, {self.bank} selected; select 0 or 1")
        for bank in self.banks:
            self._check_bank(bank)

    def _check_bank(self, bank: Bank) -> None:
        table = bank.table
        has = table.intervals, table.bins, table.t_bits, table.rounding, table.x.bits, table.y.bits
        wants = self.intervals, self.bins, self.t_bits, TIES_TO_POS, self.bits, self.bits
        if has != wants or not (table.x.signed and table.y.signed):
            raise IntsimError(
                f"a table with intervals, bins, t_bits, rounding, bits in and out of {has} does not fit the engine's "
                f"{wants} (signed); make it with engine.design_bank"
            )
        if max(table.mantissas) >> self.mantissa_bits:
            raise IntsimError(f"a mantissa exceeds {self.mantissa_bits} bits; make the bank with engine.design_bank")
        most = ((1 << self.widths["sum"]) - 1) // self.max_row - (1 << 2 * (self.bits - 1))
        if bank.epsilon > most:
            raise IntsimError(
                f"epsilon {bank.epsilon} makes the mean squares of {self.max_row} {self.bits}-bit codes exceed the "
                f"sum's {self.widths['sum']} bits; use an epsilon of at most {most}"
            )

    @classmethod
    def design(
        cls,
        *,
        bits: int = 16,
        max_row: int = 512,
        intervals: int = 10,
        bins: int = 32,
        t_bits: int = 16,
        mantissa_bits: int = 17,
        factor_bits: int = 17,
    ) -> Engine:
        """An engine of these dimensions, its tables passing codes through."""
        banks = (identity(bits, intervals, bins, t_bits, mantissa_bits),) * 2
        return cls(bits, max_row, intervals, bins, t_bits, mantissa_bits, factor_bits, banks)

    def design_bank(self, fn: str, x: Any, y: Any, **options: Any) -> Bank:
        """A bank for this engine: :meth:`Bank.design` with its geometry and widths."""
        return Bank.design(
            fn, x, y, intervals=self.intervals, bins=self.bins, t_bits=self.t_bits,
            mantissa_bits=self.mantissa_bits, **options,
        )  # fmt: skip

    def load(self, index: int, bank: Bank) -> Engine:
        """The engine with bank `index` loaded anew."""
        return replace(self, banks=tuple(bank if i == index else old for i, old in enumerate(self.banks)))

    def select(self, mode: Mode, bank: int) -> Engine:
        """The engine with another mode and bank, as after a write of the control register."""
        return replace(self, mode=Mode(mode), bank=bank)

    @property
    def words(self) -> int:
        """Words of a table."""
        return (self.intervals - 2) * self.bins + 3

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates: ``sum`` is B, ``divisor`` G, ``ratio`` P, ``factor`` F of the equations."""
        length = self.max_row.bit_length()
        total = 2 * self.bits + length
        total += total % 2
        ratio = 2 * (self.factor_bits - -(-length // 2))
        divisor = min(total, 28)
        return {
            "length": length,
            "difference": self.bits + 1,
            "sum": total,
            "divisor": divisor,
            "ratio": ratio,
            "dividend": length + divisor - 2 + ratio,
            "factor": self.factor_bits,
        }

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": Int(self.bits)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(self.bits)}

    @property
    def name(self) -> str:
        return "engine"

    def real(self, *values: Any) -> Any:
        """The selected function on real rows: what :meth:`Bank.table`'s formats and `places` stand for."""
        x = np.asarray(values[0], dtype=np.float64)
        bank = self.banks[self.bank]
        step, step_out = 2.0**-bank.table.x.frac, 2.0**-bank.places
        if self.mode == Mode.TABLE:
            y = bank.table.real(x * step)
            return None if y is None else y * 2.0**bank.table.y.frac
        if self.mode == Mode.SOFTMAX:
            e = np.exp((x - x.max(-1, keepdims=True)) * step)
            return e / e.sum(-1, keepdims=True) / step_out
        d = x - x.mean(-1, keepdims=True) if self.mode == Mode.LAYERNORM else x
        return d / np.sqrt(np.maximum((d * d).mean(-1, keepdims=True) + bank.epsilon, 1e-30)) / step_out

    def corners(self) -> tuple[np.ndarray, ...]:
        """Rows of the table's own corners, then equal, one-hot and alternating rows."""
        codes = self.banks[self.bank].table.corners()[0].astype(np.int64)
        n = min(self.max_row, 16)
        codes = np.pad(codes, (0, -codes.size % n), mode="edge").reshape(-1, n)
        x = Int(self.bits)
        shaped = [np.full(n, v) for v in (x.lo, -1, 0, 1, x.hi)]
        shaped += [
            np.where(np.arange(n) == k, a, b) for k in (0, n - 1) for a, b in ((x.hi, x.lo), (x.lo, x.hi), (1, 0))
        ]
        shaped.append(np.where(np.arange(n) % 2 == 0, x.lo, x.hi))
        return (np.vstack([codes, *shaped]).astype(x.dtype),)

    def hazards(self) -> tuple[Hazard, ...]:
        """Output formats finer than the factor of the flattest row allows."""
        width, bank = self.widths, self.banks[self.bank]
        limit = width["factor"] - 1 if self.mode == Mode.SOFTMAX else width["ratio"] // 2
        if self.mode != Mode.TABLE and bank.places > limit:
            what = f"{bank.places} places: rows with a sum below {4 ** (bank.places - limit)} come out too small"
            return (Hazard(what, f"use at most {limit} places or an epsilon"),)
        return ()

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        nets = self._trace(*columns)
        return {"y": nets["y"]}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        x = columns[0]
        if x.shape[1] > self.max_row:
            raise IntsimError(f"rows of {x.shape[1]} elements, max_row is {self.max_row}; build a longer engine")
        bank, width = self.banks[self.bank], self.widths
        per_row = {name: np.zeros(x.shape[0], dtype=np.int64) for name in ("pivot", "total", "factor", "amount")}
        d, v = np.empty(x.shape, np.int64), np.empty(x.shape, np.int64)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        table = bank.table._parameters()
        numbers = np.array(
            [width["sum"], width["divisor"], width["ratio"], width["factor"], bank.places, bank.epsilon, self.bits],
            dtype=np.int64,
        )
        run(rows, x, int(self.mode), numbers, *table, *per_row.values(), d, v, y)
        spread = {name: np.repeat(values[:, None], x.shape[1], axis=1) for name, values in per_row.items()}
        return {"d": d, "v": v, **spread, "y": y}


@exact
def pivot_of(row, mode):
    """What is subtracted from a row: its maximum, its mean with ties upwards, or 0."""
    if mode == 1:
        top = row[0]
        for k in range(row.size):
            top = max(top, row[k])
        return top
    total = 0
    for k in range(row.size):
        total += row[k]
    return divide_round(total, row.size, TIES_TO_POS) * (mode == 2)


@exact
def factor_of(total, n, mode, numbers):
    """``f, s`` of the class docstring: what a row is multiplied by and how far the product is shifted."""
    sum_bits, divisor_bits, ratio, factor_bits, places = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    up = 0
    for _ in range(sum_bits // 2 - 1):
        up += 2 * ((total << up) < (1 << (sum_bits - 2)))
    divisor = (total << up) >> (sum_bits - divisor_bits)
    if mode == 1:
        quotient = (1 << (divisor_bits - 2 + ratio)) // divisor
        return quotient >> (ratio - factor_bits + 1), max(sum_bits + factor_bits - 3 - up - places, 0)
    root = integer_root((n << (divisor_bits - 2 + ratio)) // divisor)
    return root, max(((sum_bits + ratio - 2 - up) >> 1) - places, 0)


@exact
def rows(
    x, mode, numbers, cuts, mantissas, shifts, bases, table, t_bits, rounding,
    out_pivot, out_total, out_factor, out_amount, out_d, out_v, out,
):  # fmt: skip
    """Every row of `x` through the selected mode, into `out`; see :class:`Engine`."""
    epsilon = numbers[5]
    hi = (1 << (numbers[6] - 1)) - 1
    for r in range(x.shape[0]):
        n = x.shape[1]
        pivot = pivot_of(x[r], mode)
        out_pivot[r] = pivot
        for k in range(n):
            out_d[r, k] = x[r, k] - pivot
            out_v[r, k] = saturate(out_d[r, k], -hi - 1, hi)
        if mode <= 1:
            interpolate(out_v[r], cuts, mantissas, shifts, bases, table, t_bits, rounding, out_v[r])
        total = 0
        for k in range(n):
            if mode == 1:
                out_v[r, k] = max(out_v[r, k], 0)
                total += out_v[r, k]
            if mode >= 2:
                out_v[r, k] = out_d[r, k]
                total += out_d[r, k] * out_d[r, k]
        factor, amount = 1, 0
        if mode >= 1:
            out_total[r] = total
            factor, amount = factor_of(max(total + n * epsilon * (mode >= 2), 1), n, mode, numbers)
        out_factor[r] = factor
        out_amount[r] = amount
        for k in range(n):
            out[r, k] = saturate(shift_round(out_v[r, k] * factor, amount, TIES_TO_POS), -hi - 1, hi)
