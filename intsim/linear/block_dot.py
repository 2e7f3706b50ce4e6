"""Products of block floating-point numbers: exact integers inside a block, aligned between blocks.

Inside a block every product is an integer times one power of two, so their sum is exact. How the sums of several
blocks are added is a choice that formats leave open (also the OCP microscaling specification does); here it is a
parameter: in fixed point wide enough for every exponent, where the order does not matter, or block by block from
the first to the last with one running exponent, as an accumulator of moderate width does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, is_compiled, run
from intsim.formats import Format, Int
from intsim.formats.blockfp import DBFP, Blocks
from intsim.parameters import Parameters
from intsim.rounding import TO_NEG, Rounding, shift_round
from intsim.unit import Unit

__all__ = ["BlockDot", "BlockMatmul", "PackedBlocks"]


_KERNEL_SIZE = 1 << 12  # multiplications up to which the plain operator is as quick


def _sum_bits(a: DBFP, b: DBFP) -> int:
    """Bits of the exact sum of one block's products, with sign."""
    # a signed port also carries -2**magnitude, which no encoder gives
    most = [((1 << fmt.magnitude) - (not fmt.signed)) << fmt.delta for fmt in (a, b)]
    return (min(a.group, b.group) * most[0] * most[1]).bit_length() + 1


@dataclass(frozen=True)
class BlockDot(Unit):
    """The dot product of two blocks: ``y = sum (a << a_tag * a.delta) * (b << b_tag * b.delta)``, exact.

    The real value is ``y * 2**(lsb(a) + lsb(b))`` with ``lsb = E - delta + 1 - magnitude`` of each operand's block; the
    exponents go around this unit. A port for tags exists where a format has a second exponent.

    Parameters
    ----------
    a, b : DBFP
        Formats of the operands, of one group size.
    """

    a: DBFP
    b: DBFP

    def __post_init__(self) -> None:
        if self.a.group != self.b.group:
            raise IntsimError(f"both operands need one group size, got {self.a.group} and {self.b.group}")
        if _sum_bits(self.a, self.b) > 63:
            raise IntsimError(
                f"the block sum needs {_sum_bits(self.a, self.b)} bits, 63 are available; use a smaller delta or group"
            )

    @property
    def max_row(self) -> int:
        """Elements of a block; fewer are allowed."""
        return self.a.group

    @property
    def inputs(self) -> Mapping[str, Format]:
        ports: dict[str, Format] = {}
        for name, fmt in (("a", self.a), ("b", self.b)):
            ports[name] = Int(fmt.bits, fmt.signed)
            if fmt.delta:
                ports[f"{name}_tag"] = Int(1, False)
        return ports

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(_sum_bits(self.a, self.b))}

    def real(self, *values: Any) -> Any:
        ports = dict(zip(self.inputs, (np.asarray(v, dtype=np.float64) for v in values), strict=True))
        a = ports["a"] * 2 ** (self.a.delta * ports.get("a_tag", np.float64(1)))
        b = ports["b"] * 2 ** (self.b.delta * ports.get("b_tag", np.float64(1)))
        return np.sum(a * b, axis=-1)

    def corners(self) -> tuple[np.ndarray, ...]:
        """Every combination of ends, zero and tags, alone, in all places and alternating."""
        ends = [
            sorted({fmt.lo, fmt.lo + 1, 0, 1, fmt.hi} & set(range(fmt.lo, fmt.hi + 1))) for fmt in self.inputs.values()
        ]
        grid = np.stack([axis.reshape(-1) for axis in np.meshgrid(*ends, indexing="ij")])
        n = self.max_row
        place = np.arange(n)
        rows = [np.repeat(column[:, None], n, axis=1) for column in grid.T]
        rows += [column[:, None] * (place == k) for column in grid.T for k in (0, n - 1)]
        rows += [grid[:, (place * 7 + k) % grid.shape[1]] for k in range(grid.shape[1])]
        stacked = np.stack(rows, axis=1)
        return tuple(port.astype(fmt.dtype) for port, fmt in zip(stacked, self.inputs.values(), strict=True))

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        ports = dict(zip(self.inputs, columns, strict=True))
        # a format with one exponent keeps its mantissas at it: tag 1 with delta 0 shifts by nothing
        ones = np.ones(columns[0].shape, dtype=np.uint8)
        y = np.empty(columns[0].shape[0], dtype=np.int64)
        run(
            dot_rows,
            ports["a"].astype(np.int64),
            ports.get("a_tag", ones),
            ports["b"].astype(np.int64),
            ports.get("b_tag", ones),
            self.a.delta,
            self.b.delta,
            y,
        )
        return {"y": y.astype(self.outputs["y"].dtype)}


@dataclass(frozen=True, eq=False)
class PackedBlocks:
    """The right operand of a :class:`BlockMatmul`, ordered once for many products: :meth:`BlockMatmul.pack` makes it.

    Attributes
    ----------
    product : the one it was ordered for
    blocks : the operand
    panels : the same in the order of the machine's instructions; None where only the plain operator multiplies it
    """

    product: BlockMatmul
    blocks: Blocks
    panels: Any


@dataclass(frozen=True)
class BlockMatmul(Parameters):
    """Matrix product of block floating-point arrays, blocks along the shared axis.

    Parameters
    ----------
    a, b : DBFP
        Formats of the operands, of one group size.
    max_k : the longest shared axis; it decides the accumulator's width
    exact : True: block sums are added in fixed point, ``2**lsb`` being the smallest unit that any exponents give.
        False: a running sum with one exponent, blocks first to last; whichever of sum and block has the smaller
        exponent is shifted right by the difference before they are added.
    rounding : of that shift

    Raises
    ------
    IntsimError
        The accumulator would exceed 63 bits.
    """

    a: DBFP
    b: DBFP
    max_k: int = 4096
    exact: bool = False
    rounding: Rounding = TO_NEG

    def __post_init__(self) -> None:
        BlockDot(self.a, self.b)  # checks group and block sum
        if self.acc_bits > 63:
            remedy = "use exact=False, a narrower exponent range, or fewer mantissa bits"
            raise IntsimError(
                f"the accumulator needs {self.acc_bits} bits for K={self.max_k}, 63 are available; {remedy}"
            )

    @property
    def acc_bits(self) -> int:
        """Width of the accumulator, with sign."""
        growth = (self.a.blocks(self.max_k) - 1).bit_length()
        span = (self.a.hi - self.a.lo) + (self.b.hi - self.b.lo) if self.exact else 1  # 1: a rounding may carry
        return _sum_bits(self.a, self.b) + span + growth

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(np.int32 if self.acc_bits <= 32 else np.int64)

    @property
    def lsb(self) -> int:
        """Exponent of a block sum's unit when both shared exponents are 0."""
        return sum(1 - fmt.magnitude - fmt.delta for fmt in (self.a, self.b))

    def pack(self, b: Blocks) -> PackedBlocks:
        """Weights ``(n, K)`` in the order of the machine's instructions, for many products."""
        self._check(b, self.b, "b")
        from intsim.kernels.blocks import pack_blocks

        return PackedBlocks(self, b, pack_blocks(self, _shifted(b), b.exponents))

    def __call__(
        self, a: Blocks, b: Blocks | PackedBlocks, out: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums and exponents of ``a @ b.T``: the real result is ``y * 2**exponent``.

        Parameters
        ----------
        a : (m, K); b : (n, K), or what :meth:`pack` made of it; both with blocks along their last axis
        out : where sums and exponents go, of their dtypes and shape, C-contiguous

        Returns
        -------
        y, exponent : (m, n), int32 for accumulators of up to 32 bits, else int64; and int16 (m, n). With `exact` every
        exponent is the same
        """
        panels = None
        if isinstance(b, PackedBlocks):
            if b.product != self:
                raise IntsimError(f"b was packed for {b.product}; pack it for {self}")
            panels, b = b.panels, b.blocks
        self._check(a, self.a, "a")
        self._check(b, self.b, "b")
        k = a.mantissas.shape[1]
        if b.mantissas.shape[1] != k or k > self.max_k:
            raise IntsimError(
                f"the shared axes have {k} and {b.mantissas.shape[1]} elements, at most {self.max_k}; make them equal"
            )
        shape = a.mantissas.shape[0], b.mantissas.shape[0]
        if out is not None:
            _check_out(out, shape, self._dtype)
        fast = self._by_kernel(a, b, panels, out)
        if fast is not None:
            return fast
        y, exponent = np.empty((2, *shape), dtype=np.int64)
        run(
            block_matmul,
            a.mantissas.astype(np.int64),
            a.tags,
            a.exponents.astype(np.int64) - (self.a.lo if self.exact else 0),
            b.mantissas.astype(np.int64),
            b.tags,
            b.exponents.astype(np.int64) - (self.b.lo if self.exact else 0),
            self.a.group,
            self.a.delta,
            self.b.delta,
            self.exact,
            int(self.rounding),
            y,
            exponent,
        )
        exponent = (exponent + self.lsb + (self.a.lo + self.b.lo if self.exact else 0)).astype(np.int16)
        if out is None:
            return y.astype(self._dtype, copy=False), exponent
        out[0][...], out[1][...] = y, exponent
        return out

    def _check(self, blocks: Blocks, fmt: DBFP, port: str) -> None:
        if blocks.format != fmt or blocks.mantissas.ndim != 2:
            raise IntsimError(f"{port}: expected a matrix in {fmt}, got {blocks.mantissas.shape} in {blocks.format}")

    def _by_kernel(
        self, a: Blocks, b: Blocks, panels: Any = None, out: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Sums and exponents where operators run compiled and a kernel covers these formats."""
        if not is_compiled() or a.mantissas.size * len(b.mantissas) < _KERNEL_SIZE:
            return None
        panels = panels or self.pack(b).panels
        if panels is None:
            return None
        from intsim.kernels.blocks import multiply_blocks

        return multiply_blocks(self, _shifted(a), a.exponents, panels, out)

    def decode(self, y: Any, exponent: Any) -> np.ndarray:
        """The real values of what the product returns, float64."""
        return np.ldexp(np.asarray(y).astype(np.float64), np.asarray(exponent))


def _shifted(blocks: Blocks) -> np.ndarray:
    """Mantissas at the smaller exponent of their tags."""
    delta = blocks.format.delta
    return blocks.mantissas.astype(np.int64) << (blocks.tags.astype(np.int64) * delta) if delta else blocks.mantissas


def _check_out(out: tuple[np.ndarray, np.ndarray], shape: tuple[int, int], sums: np.dtype) -> None:
    """Sums and exponents of a product must have a place for every element."""
    for place, dtype in zip(out, (sums, np.dtype(np.int16)), strict=True):
        if place.shape != shape or place.dtype != dtype or not (place.flags.c_contiguous and place.flags.writeable):
            raise IntsimError(
                f"out holds {sums} and int16 of {shape}, C-contiguous and writeable; got {place.dtype} {place.shape}"
            )


@exact
def block_dot(a, a_tag, i, b, b_tag, j, start, stop, a_delta, b_delta):
    """Exact sum of the products of row `i` of `a` and row `j` of `b` over one block."""
    total = 0
    for k in range(start, stop):
        left = a[i, k] << (a_tag[i, k] * a_delta)
        right = b[j, k] << (b_tag[j, k] * b_delta)
        total += left * right
    return total


@exact
def dot_rows(a, a_tag, b, b_tag, a_delta, b_delta, out):
    """Row by row, the exact sum over one block."""
    for i in range(a.shape[0]):
        out[i] = block_dot(a, a_tag, i, b, b_tag, i, 0, a.shape[1], a_delta, b_delta)


@exact
def block_matmul(
    a, a_tag, a_exponent, b, b_tag, b_exponent, group, a_delta, b_delta, fixed, rounding, out, out_exponent
):
    """``a @ b.T`` over blocks; `fixed`: exponents are counted from 0 and sums are shifted up to them."""
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = 0
            running = 0
            for block in range(a_exponent.shape[1]):
                start, stop = block * group, min((block + 1) * group, a.shape[1])
                part = block_dot(a, a_tag, i, b, b_tag, j, start, stop, a_delta, b_delta)
                exponent = a_exponent[i, block] + b_exponent[j, block]
                if fixed:
                    total += part << exponent
                elif block == 0:
                    total, running = part, exponent
                else:
                    common = max(running, exponent)
                    kept = shift_round(total, common - running, rounding)
                    total = kept + shift_round(part, common - exponent, rounding)
                    running = common
            out[i, j] = total
            out_exponent[i, j] = running
