"""Integers that are not known yet: Python's arithmetic on z3 terms, unbounded.

A :class:`Term` stands for any integer of a range. Operators work on it as on an ``int``: every result is as wide as
its range asks for, so nothing wraps. A branch on a term (``if``, ``min``, ``max``, ``and``) asks the :class:`Paths`
that are being explored which way to go; each way is followed in a run of its own. So the plain Python operator of a
golden model, run on terms, is its own specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import z3

from intsim.errors import IntsimError

__all__ = ["Paths", "Rewriter", "Symbols", "Term", "constant", "fit", "from_bits", "width_of"]


def width_of(lo: int, hi: int) -> int:
    """Bits of two's complement that hold every integer in ``[lo, hi]``."""
    return max(lo.bit_length() if lo >= 0 else (-lo - 1).bit_length(), hi.bit_length() if hi >= 0 else 0) + 1


def fit(bits: z3.BitVecRef, width: int) -> z3.BitVecRef:
    """`bits` as two's complement of exactly `width` bits: extended, or cut where the value is known to fit."""
    if bits.size() < width:
        return z3.SignExt(width - bits.size(), bits)
    return z3.Extract(width - 1, 0, bits) if bits.size() > width else bits


class Rewriter:
    """An expression rebuilt from its leaves up, as it stands: z3's own substitution also simplifies.

    Parameters
    ----------
    replace : given a node and its rewritten children, what stands in its place; None to keep the node
    """

    def __init__(self, replace: Callable[[z3.ExprRef, list[z3.ExprRef]], z3.ExprRef | None]):
        self._replace = replace
        self._done: dict[int, tuple[z3.ExprRef, z3.ExprRef]] = {}

    @classmethod
    def substituting(cls, values: Iterable[tuple[z3.ExprRef, z3.ExprRef]]) -> Rewriter:
        """Every variable replaced by its value."""
        known = {variable.get_id(): value for variable, value in values}
        return cls(lambda node, children: None if children else known.get(node.get_id()))

    def __call__(self, expression: z3.ExprRef) -> z3.ExprRef:
        stack = [expression]
        while stack:
            node = stack[-1]
            waiting = [child for child in node.children() if child.get_id() not in self._done]
            if waiting and node.get_id() not in self._done:
                stack.extend(waiting)
                continue
            stack.pop()
            if node.get_id() not in self._done:
                self._done[node.get_id()] = (
                    node,
                    self._rebuilt(node),
                )  # the node is kept, so that its id stays its own
        return self._done[expression.get_id()][1]

    def _rebuilt(self, node: z3.ExprRef) -> z3.ExprRef:
        children = [self._done[child.get_id()][1] for child in node.children()]
        replaced = self._replace(node, children)
        if replaced is not None:
            return replaced
        if all(new is old or new.eq(old) for new, old in zip(children, node.children(), strict=True)):
            return node
        return z3.Concat(*children) if z3.is_app_of(node, z3.Z3_OP_CONCAT) else node.decl()(*children)


class Paths:
    """Every way through a function that branches on terms.

    Parameters
    ----------
    limit : most ways that are followed

    Attributes
    ----------
    conditions : what holds on the present way
    """

    def __init__(self, limit: int = 4000):
        self.limit = limit
        self.conditions: list[z3.BoolRef] = []
        self._choices: list[bool] = []
        self._taken = 0
        self._ranges: dict[int, tuple[int, int]] = {}

    def explore(self, run: Callable[[], Any]) -> Iterator[tuple[list[z3.BoolRef], Any]]:
        """Conditions and result of every way through `run`; the conditions exclude each other and leave nothing out."""
        token = _paths.set(self)
        try:
            for _ in range(self.limit):
                self.conditions, self._taken, self._ranges = [], 0, {}
                result = run()
                yield list(self.conditions), result
                while self._choices and not self._choices[-1]:
                    self._choices.pop()
                if not self._choices:
                    return
                self._choices[-1] = False
            raise IntsimError(
                f"more than {self.limit} ways through the operator; register a specification for the unit"
            )
        finally:
            _paths.reset(token)

    def decide(self, term: Term) -> bool:
        """Which way to go where `term` is true or false; both are followed in the end."""
        truth = term.truth
        plain = z3.simplify(truth)
        if z3.is_true(plain) or z3.is_false(plain):
            return z3.is_true(plain)
        if self._taken == len(self._choices):
            self._choices.append(True)
        choice = self._choices[self._taken]
        self._taken += 1
        self.conditions.append(truth if choice else z3.Not(truth))
        if term.about is not None:
            other, relation, bound = term.about
            self._narrow(other, relation, bound, choice)
        return choice

    def _narrow(self, other: Term, relation: str, bound: int, holds: bool) -> None:
        """Remember what ``other <relation> bound`` says about the range of `other`."""
        lo, hi = other.range
        if not holds:
            relation = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}[relation]
        match relation:
            case "<":
                hi = min(hi, bound - 1)
            case "<=":
                hi = min(hi, bound)
            case ">":
                lo = max(lo, bound + 1)
            case ">=":
                lo = max(lo, bound)
            case "==":
                lo, hi = max(lo, bound), min(hi, bound)
        if lo <= hi:  # else this way is impossible: any range is right
            self._ranges[other.bits.get_id()] = (lo, hi)

    def range_of(self, bits: z3.BitVecRef) -> tuple[int, int] | None:
        return self._ranges.get(bits.get_id())


_paths: ContextVar[Paths | None] = ContextVar("paths", default=None)


def constant(value: int) -> Term:
    """A known integer as a term."""
    return Term(z3.BitVecVal(value, width_of(value, value)), value, value)


def from_bits(bits: z3.BitVecRef, signed: bool, lo: int, hi: int) -> Term:
    """The integer that `bits` carry, known to lie in ``[lo, hi]``."""
    return Term(bits if signed else z3.ZeroExt(1, bits), lo, hi)


class Term:
    """An unknown integer: `bits` in two's complement, whose value lies in ``[lo, hi]``.

    A comparison gives a term too: 0 or 1, with `truth` as the z3 formula.
    """

    __slots__ = ("_hi", "_lo", "_truth", "about", "bits")

    def __init__(self, bits: z3.BitVecRef, lo: int, hi: int, truth: z3.BoolRef | None = None, about: Any = None):
        self.bits = bits
        self._lo, self._hi, self._truth, self.about = lo, hi, truth, about

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value, with what the present way through the function tells."""
        paths = _paths.get()
        return (paths.range_of(self.bits) if paths else None) or (self._lo, self._hi)

    @property
    def truth(self) -> z3.BoolRef:
        return self._truth if self._truth is not None else self.bits != 0

    def __bool__(self) -> bool:
        lo, hi = self.range
        if lo > 0 or hi < 0 or lo == hi == 0:
            return not lo == hi == 0
        paths = _paths.get()
        if paths is None:
            raise IntsimError("a branch on a term outside Paths.explore")
        return paths.decide(self)

    def __index__(self) -> int:
        raise IntsimError("an unknown integer where a known one is needed (a loop bound?); register a specification")

    __int__ = __index__
    __hash__ = object.__hash__

    # Sums and products ----------------------------------------------------------------------------------------

    def _sum(self, other: Any, sign: int) -> Any:
        other = _term(other)
        if other is None:
            return NotImplemented
        (a, b), (c, d) = self.range, other.range
        lo, hi = (a + c, b + d) if sign > 0 else (a - d, b - c)
        width = width_of(lo, hi)
        x, y = fit(self.bits, width), fit(other.bits, width)
        return Term(x + y if sign > 0 else x - y, lo, hi)

    def __add__(self, other: Any) -> Any:
        return self._sum(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._sum(other, -1)

    def __rsub__(self, other: Any) -> Any:
        other = _term(other)
        return NotImplemented if other is None else other - self

    def __neg__(self) -> Any:
        return constant(0) - self

    def __invert__(self) -> Any:
        return constant(-1) - self

    def __abs__(self) -> Any:
        lo, hi = self.range
        if lo >= 0:
            return self
        most = max(-lo, hi)
        width = max(width_of(0, most), width_of(lo, hi))
        x = fit(self.bits, width)
        return Term(fit(z3.If(x < 0, -x, x), width_of(0, most)), 0 if hi >= 0 else -hi, most)

    def __mul__(self, other: Any) -> Any:
        other = _term(other)
        if other is None:
            return NotImplemented
        (a, b), (c, d) = self.range, other.range
        corners = (a * c, a * d, b * c, b * d)
        # both whole operands, so that the same product looks the same wherever it is written
        full = self.bits.size() + other.bits.size()
        whole = z3.SignExt(full - self.bits.size(), self.bits) * z3.SignExt(full - other.bits.size(), other.bits)
        return Term(fit(whole, width_of(min(corners), max(corners))), min(corners), max(corners))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return self._divided(other)[0]

    def __mod__(self, other: Any) -> Any:
        return self._divided(other)[1]

    def __rfloordiv__(self, other: Any) -> Any:
        return constant(int(other)) // self

    def __rmod__(self, other: Any) -> Any:
        return constant(int(other)) % self

    def _divided(self, other: Any) -> tuple[Term, Term]:
        """Quotient towards minus infinity and remainder; the divisor is positive."""
        other = _term(other)
        assert other is not None
        (a, b), (c, d) = self.range, other.range
        if c <= 0:
            raise IntsimError("division by a term that may not be positive; register a specification")
        quotients = (a // c, a // d, b // c, b // d)
        width = max(width_of(a, b), width_of(c, d), width_of(min(quotients), max(quotients))) + 1  # for x - rest
        x, y = fit(self.bits, width), fit(other.bits, width)
        rest = x % y  # z3's sign of the divisor: 0 <= rest < y
        return (
            Term(fit((x - rest) / y, width_of(min(quotients), max(quotients))), min(quotients), max(quotients)),
            Term(fit(rest, width_of(0, d - 1)), 0, d - 1),
        )

    # Bits -----------------------------------------------------------------------------------------------------

    def __lshift__(self, count: Any) -> Any:
        count = _term(count)
        if count is None:
            return NotImplemented
        (a, b), (c, d) = self.range, count.range
        c, d = max(c, 0), max(d, 0)
        ends = (a << c, a << d, b << c, b << d)
        width = max(width_of(min(ends), max(ends)), width_of(0, d))
        return Term(fit(self.bits, width) << fit(count.bits, width), min(ends), max(ends))

    def __rlshift__(self, value: Any) -> Any:
        return constant(int(value)) << self

    def __rshift__(self, count: Any) -> Any:
        count = _term(count)
        if count is None:
            return NotImplemented
        (a, b), (c, d) = self.range, count.range
        c, d = max(c, 0), max(d, 0)
        ends = (a >> c, a >> d, b >> c, b >> d)
        lo, hi = min(ends), max(ends)
        if c == d:  # a known count: a choice of wires
            cut = min(c, self.bits.size() - 1)
            return Term(fit(z3.Extract(self.bits.size() - 1, cut, self.bits), width_of(lo, hi)), lo, hi)
        width = max(self.bits.size(), width_of(0, d))
        return Term(fit(fit(self.bits, width) >> fit(count.bits, width), width_of(lo, hi)), lo, hi)

    def __rrshift__(self, value: Any) -> Any:
        return constant(int(value)) >> self

    def _bitwise(self, other: Any, name: str) -> Any:
        other = _term(other)
        if other is None:
            return NotImplemented
        (a, b), (c, d) = self.range, other.range
        if self._truth is not None and other._truth is not None:
            joined = {"and": z3.And, "or": z3.Or, "xor": z3.Xor}[name](self._truth, other._truth)
            return _boolean(joined)
        width = max(width_of(a, b), width_of(c, d))
        lo, hi = -(1 << (width - 1)), (1 << (width - 1)) - 1
        if a >= 0 and c >= 0:
            lo = 0
        if name == "and" and (a >= 0 or c >= 0):
            lo, hi = 0, min(b if a >= 0 else hi, d if c >= 0 else hi)
        x, y = fit(self.bits, width), fit(other.bits, width)
        joined = {"and": x & y, "or": x | y, "xor": x ^ y}[name]
        return Term(fit(joined, width_of(lo, hi)), lo, hi)

    def __and__(self, other: Any) -> Any:
        return self._bitwise(other, "and")

    def __or__(self, other: Any) -> Any:
        return self._bitwise(other, "or")

    def __xor__(self, other: Any) -> Any:
        return self._bitwise(other, "xor")

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    # Comparisons ----------------------------------------------------------------------------------------------

    def _compared(self, other: Any, relation: str) -> Any:
        other = _term(other)
        if other is None:
            return NotImplemented
        (a, b), (c, d) = self.range, other.range
        known = {
            "<": (b < c, a >= d), "<=": (b <= c, a > d), ">": (a > d, b <= c), ">=": (a >= d, b < c),
            "==": (a == b == c == d, b < c or a > d), "!=": (b < c or a > d, a == b == c == d),
        }[relation]  # fmt: skip
        if any(known):
            return known[0]
        width = max(width_of(a, b), width_of(c, d))
        x, y = fit(self.bits, width), fit(other.bits, width)
        formula = {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "==": x == y, "!=": x != y}[relation]
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}[relation]
        about = (self, relation, c) if c == d else (other, turned, a) if a == b else None
        return _boolean(formula, about)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, "<")

    def __le__(self, other: Any) -> Any:
        return self._compared(other, "<=")

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, ">")

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, ">=")

    def __eq__(self, other: Any) -> Any:
        return self._compared(other, "==")

    def __ne__(self, other: Any) -> Any:
        return self._compared(other, "!=")


def _boolean(formula: z3.BoolRef, about: Any = None) -> Term:
    return Term(z3.If(formula, z3.BitVecVal(1, 2), z3.BitVecVal(0, 2)), 0, 1, formula, about)


def _term(value: Any) -> Term | None:
    if isinstance(value, Term):
        return value
    return constant(int(value)) if isinstance(value, (int, np.integer)) else None


class Symbols(np.ndarray):
    """An array of terms and integers that stays one where code asks for a machine type, and takes a term as index."""

    @classmethod
    def of(cls, values: Any) -> Symbols:
        array = np.asarray(values)
        out = np.empty(array.shape, dtype=object).view(cls)
        out[...] = array
        return out

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Symbols:
        return self.copy()

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, Term):
            return super().__getitem__(index)
        lo, hi = index.range
        entries = [_term(super(Symbols, self).__getitem__(k)) for k in range(max(lo, 0), min(hi, self.size - 1) + 1)]
        known = [entry for entry in entries if entry is not None]
        least, most = min(e.range[0] for e in known), max(e.range[1] for e in known)
        width = width_of(least, most)
        choice = fit(known[-1].bits, width)
        for k in range(len(known) - 2, -1, -1):
            choice = z3.If(index.bits == max(lo, 0) + k, fit(known[k].bits, width), choice)
        return Term(choice, least, most)
