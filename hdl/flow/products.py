"""Products in proofs: named once, however wide and in whatever order they are written.

A solver is lost as soon as two multipliers of 30 bits must be shown to agree bit by bit. Hardware and specification
multiply the same operands, though. Each product is replaced by an unknown, the same one for the same operands; what
is then proven holds for whatever the products may be, so it holds for the real ones. A few facts about products are
given back: their range; equal operands give equal products; and a product taken apart into digits is the sum of the
digits' products (the distributive law).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import z3

from hdl.flow.terms import Rewriter, fit, width_of

__all__ = ["Products"]


@dataclass(frozen=True)
class _Operand:
    """A factor without its sign extension and its trailing zeros: `core` times ``2**zeros``."""

    core: z3.BitVecRef
    signed: bool
    zeros: int

    @property
    def range(self) -> tuple[int, int]:
        width = self.core.size()
        if z3.is_bv_value(self.core):
            value = self.core.as_signed_long() if self.signed else self.core.as_long()
            return value, value
        return (-(1 << (width - 1)), (1 << (width - 1)) - 1) if self.signed else (0, (1 << width) - 1)

    @property
    def is_plain(self) -> bool:
        """Whether it is a power of two, or minus one: a product with it is a shift."""
        return z3.is_bv_value(self.core) and abs(self.range[0]).bit_count() <= 1

    @property
    def bits(self) -> z3.BitVecRef:
        """In two's complement."""
        return self.core if self.signed else z3.ZeroExt(1, self.core)

    @property
    def slice(self) -> tuple[z3.BitVecRef, int, int]:
        """Which bits of which expression it is: the expression, highest and lowest bit."""
        if z3.is_app_of(self.core, z3.Z3_OP_EXTRACT):
            high, low = self.core.params()
            return self.core.arg(0), high, low
        return self.core, self.core.size() - 1, 0


@dataclass(frozen=True)
class _Product:
    left: _Operand
    right: _Operand
    unknown: z3.BitVecRef


class Products:
    """Replaces products by unknowns, and knows the facts about them.

    Parameters
    ----------
    ranges : expressions whose values are assumed to lie in a range narrower than their bits, with that range
    """

    def __init__(self, ranges: Iterable[tuple[z3.BitVecRef, tuple[int, int]]] = ()) -> None:
        self._known: dict[tuple, _Product] = {}
        self._ranges = [(z3.simplify(bits), limits) for bits, limits in ranges]
        self._rewrite = Rewriter(self._replaced)

    def hide(self, expression: z3.ExprRef) -> z3.ExprRef:
        """`expression`, not yet simplified, with an unknown in place of every product; simplified then."""
        return z3.simplify(self._rewrite(expression))

    def _replaced(self, node: z3.ExprRef, children: list[z3.ExprRef]) -> z3.ExprRef | None:
        return functools.reduce(self._product, children) if z3.is_app_of(node, z3.Z3_OP_BMUL) else None

    def _product(self, left: z3.BitVecRef, right: z3.BitVecRef) -> z3.BitVecRef:
        width = left.size()
        a, b = sorted((_operand(left), _operand(right)), key=lambda o: (o.core.get_id(), o.signed))
        if a.is_plain or b.is_plain:
            return left * right
        key = (a.core.get_id(), a.signed, b.core.get_id(), b.signed)
        if key not in self._known:
            corners = [x * y for x in a.range for y in b.range]
            name = f"product {len(self._known)}"
            self._known[key] = _Product(a, b, z3.BitVec(name, width_of(min(corners), max(corners))))
        zeros = a.zeros + b.zeros
        return fit(self._known[key].unknown, width) << zeros if zeros else fit(self._known[key].unknown, width)

    def facts(self) -> list[z3.BoolRef]:
        """What is known about the unknowns: true of the real products."""
        found = []
        for product in self._known.values():
            corners = [x * y for x in self._range(product.left) for y in self._range(product.right)]
            lo, hi = min(corners), max(corners)
            found += [product.unknown >= lo, product.unknown <= hi]
        for one, other in itertools.combinations(self._known.values(), 2):
            found += _equal_operands(one, other)
        for product in self._known.values():
            found += self._by_digits(product)
        return found

    def _range(self, operand: _Operand) -> tuple[int, int]:
        for bits, limits in self._ranges:
            if bits.eq(operand.core):
                return limits
        return operand.range

    def definitions(self) -> list[z3.BoolRef]:
        """The unknowns as what they stand for."""
        return [p.unknown == _multiplied(p) for p in self._known.values()]

    def applications(self) -> list[tuple[z3.BitVecRef, z3.BitVecRef]]:
        """The unknowns, each after those in its operands, as values of unknown functions of the operands."""
        found = []
        for p in self._known.values():
            operands = p.left.core, p.right.core
            name = f"product {p.left.signed:d} {p.right.signed:d}"
            function = z3.Function(name, *(core.sort() for core in operands), p.unknown.sort())
            found.append((p.unknown, function(*operands)))
        return found

    def guesses(self) -> list[list[z3.BoolRef]]:
        """Values for the narrower operand of every product: with one operand known, a solver can find the other."""
        narrower = [min((p.left, p.right), key=lambda o: o.core.size()).core for p in self._known.values()]
        cores = {core.get_id(): core for core in narrower if not z3.is_bv_value(core)}.values()
        plain = (
            lambda bits: 1 << (bits - 1),
            lambda bits: 1,
            lambda bits: (1 << bits) - 1,
            lambda bits: (1 << bits) // 3,
        )
        return [[core == value(core.size()) for core in cores] for value in plain]

    def _by_digits(self, whole: _Product) -> list[z3.BoolRef]:
        """The distributive law, where both operands of a product appear cut into the digits of other products."""
        for swapped in (False, True):
            a, b = (whole.right, whole.left) if swapped else (whole.left, whole.right)
            parts: dict[tuple[int, int], _Product] = {}
            for product in self._known.values():
                for x, y in ((product.left, product.right), (product.right, product.left)):
                    if product is not whole and _inside(x, a) and _inside(y, b):
                        parts[(x.slice[2] - a.slice[2], y.slice[2] - b.slice[2])] = product
            rows, columns = sorted({i for i, _ in parts}), sorted({j for _, j in parts})
            if not parts or len(parts) != len(rows) * len(columns):
                continue
            if _covers(a, rows, parts) and _covers(b, columns, parts):
                width = max(whole.unknown.size(), *(i + j + p.unknown.size() for (i, j), p in parts.items())) + 2
                total = z3.BitVecVal(0, width)
                for (i, j), product in parts.items():
                    total = total + (fit(product.unknown, width) << (i + j))
                return [fit(whole.unknown, width) == total]
        return []


def _inside(part: _Operand, whole: _Operand) -> bool:
    """Whether `part` is a run of bits of `whole`; one that keeps the sign reaches to its end."""
    base, high, low = part.slice
    other, top, bottom = whole.slice
    same_end = high == top and part.signed == whole.signed
    return base.eq(other) and bottom <= low and high <= top and (same_end or not part.signed) and not part.zeros


def _covers(whole: _Operand, places: list[int], parts: dict) -> bool:
    """Whether digits at `places` follow each other without a gap or an overlap, up to the end."""
    _, top, bottom = whole.slice
    for place, following in itertools.zip_longest(places, places[1:], fillvalue=top - bottom + 1):
        ends = {
            operand.slice[1] - bottom + 1
            for product in parts.values()
            for operand in (product.left, product.right)
            if operand.slice[0].eq(whole.slice[0]) and operand.slice[2] - bottom == place
        }
        if ends != {following}:
            return False
    return places[0] == 0


def _equal_operands(one: _Product, other: _Product) -> list[z3.BoolRef]:
    """If two products share an operand, equal other operands give equal products."""
    found = []
    for a, b in ((one.left, one.right), (one.right, one.left)):
        for c, d in ((other.left, other.right), (other.right, other.left)):
            if a.core.eq(c.core) and a.signed == c.signed:
                found.append(z3.Implies(_same(b.bits, d.bits), _same(one.unknown, other.unknown)))
    return found


def _same(x: z3.BitVecRef, y: z3.BitVecRef) -> z3.BoolRef:
    width = max(x.size(), y.size())
    return fit(x, width) == fit(y, width)


def _multiplied(product: _Product) -> z3.BitVecRef:
    a, b = product.left.bits, product.right.bits
    full = a.size() + b.size()
    return fit(fit(a, full) * fit(b, full), product.unknown.size())


def _operand(bits: z3.BitVecRef) -> _Operand:
    """A factor down to its core."""
    bits = z3.simplify(bits)
    if z3.is_bv_value(bits):
        value = bits.as_signed_long()
        return _Operand(z3.BitVecVal(value, width_of(value, value)), True, 0)
    if z3.is_app_of(bits, z3.Z3_OP_SIGN_EXT):
        inner = _operand(bits.arg(0))
        return inner if inner.signed or inner.core.size() < bits.arg(0).size() else _Operand(bits.arg(0), True, 0)
    if z3.is_app_of(bits, z3.Z3_OP_ZERO_EXT):
        inner = _operand(bits.arg(0))
        return inner if not inner.signed else _Operand(bits.arg(0), False, 0)
    if not z3.is_app_of(bits, z3.Z3_OP_CONCAT):
        return _Operand(bits, True, 0)
    pieces = _pieces(bits)
    zeros = 0
    while len(pieces) > 1 and z3.is_bv_value(pieces[-1]) and pieces[-1].as_long() == 0:
        zeros += pieces.pop().size()
    if len(pieces) > 1 and z3.is_bv_value(pieces[0]) and pieces[0].as_long() == 0:
        return _Operand(_joined(pieces[1:]), False, zeros)
    while len(pieces) > 1 and pieces[0].size() == 1 and pieces[0].eq(_sign(pieces[1])):
        pieces.pop(0)
    return _Operand(_joined(pieces), True, zeros)


def _pieces(bits: z3.BitVecRef) -> list[z3.BitVecRef]:
    if z3.is_app_of(bits, z3.Z3_OP_CONCAT):
        return [piece for child in bits.children() for piece in _pieces(child)]
    return [bits]


def _joined(pieces: list[z3.BitVecRef]) -> z3.BitVecRef:
    return z3.simplify(z3.Concat(*pieces)) if len(pieces) > 1 else pieces[0]


def _sign(bits: z3.BitVecRef) -> z3.BitVecRef:
    return z3.simplify(z3.Extract(bits.size() - 1, bits.size() - 1, bits))
