"""Unknown integers: every operation equals Python's on every pair of values, and stays in its stated range."""

import itertools
import operator

import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.flow.terms import Paths, Symbols, Term, width_of
from intsim.errors import IntsimError

z3.set_param("verbose", 0)
OPERATIONS = [
    operator.add, operator.sub, operator.mul, operator.and_, operator.or_, operator.xor, operator.lt, operator.le,
    operator.gt, operator.ge, operator.eq, operator.ne, min, max,
]  # fmt: skip
SHIFTS = [operator.lshift, operator.rshift]
DIVISIONS = [operator.floordiv, operator.mod]


def known(value: int, slack: tuple[int, int]) -> Term:
    """A term of one value whose range is not that narrow."""
    lo, hi = value - slack[0], value + slack[1]
    return Term(z3.BitVecVal(value, width_of(lo, hi)), lo, hi)


def value_of(result) -> int:
    if not isinstance(result, Term):
        return int(result)
    value = z3.simplify(result.bits).as_signed_long()
    lo, hi = result.range
    assert lo <= value <= hi
    assert result.bits.size() >= width_of(value, value)
    return value


def only_way(run):
    """The result of the one possible way through `run`."""
    results = []
    for conditions, result in Paths().explore(run):
        solver = z3.Solver()
        solver.add(*conditions)
        if solver.check() == z3.sat:
            results.append(result)
    assert len(results) == 1
    return results[0]


INTEGERS = st.integers(-(1 << 40), 1 << 40)
SLACK = st.tuples(st.integers(0, 1 << 20), st.integers(0, 1 << 20))


@settings(max_examples=40, deadline=None)
@given(INTEGERS, INTEGERS, SLACK, SLACK)
def test_operations(a, b, slack_a, slack_b):
    for operation in OPERATIONS:
        x, y = known(a, slack_a), known(b, slack_b)
        assert value_of(only_way(lambda x=x, y=y, operation=operation: operation(x, y))) == int(operation(a, b))
        assert value_of(only_way(lambda x=x, operation=operation: operation(x, b))) == int(operation(a, b))
        assert value_of(only_way(lambda y=y, operation=operation: operation(a, y))) == int(operation(a, b))
    x = known(a, slack_a)
    assert (value_of(-x), value_of(~x), value_of(abs(x))) == (-a, ~a, abs(a))


@given(INTEGERS, st.integers(0, 70), SLACK, st.tuples(st.integers(0, 80), st.integers(0, 10)))
def test_shifts(a, count, slack_a, slack):
    for operation in SHIFTS:
        x, by = known(a, slack_a), known(count, slack)
        assert value_of(operation(x, by)) == operation(a, count)
        assert value_of(operation(x, count)) == operation(a, count)
        assert value_of(operation(a, by)) == operation(a, count)


@given(INTEGERS, st.integers(1, 1 << 30), SLACK, st.integers(0, 1 << 20))
def test_divisions(a, b, slack_a, above):
    for operation in DIVISIONS:
        x, y = known(a, slack_a), known(b, (b - 1, above))
        assert value_of(operation(x, y)) == operation(a, b)
        assert value_of(operation(x, b)) == operation(a, b)
    with pytest.raises(IntsimError, match="may not be positive"):
        known(a, slack_a) // known(b, (b, 0))


def test_every_small_pair_exhaustively():
    for a, b in itertools.product(range(-9, 10), repeat=2):
        x, y = known(a, (3, 2)), known(b, (1, 4))
        for operation in OPERATIONS[:12]:
            assert value_of(operation(x, y)) == int(operation(a, b))


def test_truths_are_numbers_and_numbers_are_truths():
    x = Term(z3.BitVec("x", 5), -16, 15)
    assert (x < 20) is True
    assert (x > 20) is False
    both = (x > 3) & (x < 9)
    assert both.range == (0, 1)
    assert (both + both).range == (0, 2)
    with pytest.raises(IntsimError, match="outside Paths"):
        bool(x < 3)


def test_every_way_is_followed_once():
    x = Term(z3.BitVec("x", 8), -128, 127)

    def clamp():
        return min(max(x, -5), 7)

    found = list(Paths().explore(clamp))
    assert len(found) == 3
    conditions = [z3.And(*c) if c else z3.BoolVal(True) for c, _ in found]
    solver = z3.Solver()
    solver.add(z3.Not(z3.Or(*conditions)))
    assert solver.check() == z3.unsat  # nothing is left out
    for one, other in itertools.combinations(conditions, 2):
        solver = z3.Solver()
        solver.add(one, other)
        assert solver.check() == z3.unsat
    for value in range(-128, 128):
        here = (x.bits, z3.BitVecVal(value, 8))
        taken = [k for k, c in enumerate(conditions) if z3.is_true(z3.simplify(z3.substitute(c, here)))]
        assert len(taken) == 1
        result = found[taken[0]][1]
        answer = result if isinstance(result, int) else z3.simplify(z3.substitute(result.bits, here)).as_signed_long()
        assert answer == min(max(value, -5), 7)


def test_a_way_narrows_ranges():
    x = Term(z3.BitVec("x", 8), -128, 127)
    ranges = [result for _, result in Paths().explore(lambda: x.range if x <= 0 else (-x).range)]
    assert ranges == [(-128, 0), (-127, -1)]


def test_too_many_ways_are_refused():
    x = Term(z3.BitVec("x", 64), -(1 << 63), (1 << 63) - 1)

    def count():
        n, rest = 0, x
        while n < 20:
            n += 1 if rest & 1 else 2
            rest = rest >> 1
        return n

    with pytest.raises(IntsimError, match="register a specification"):
        list(Paths(limit=100).explore(count))


def test_arrays_take_unknown_indices_and_keep_their_terms():
    table = Symbols.of([5, -3, 12, 7])
    for index in range(4):
        entry = table[Term(z3.BitVecVal(index, 3), 0, 3)]
        assert entry.range == (-3, 12)
        assert value_of(entry) == [5, -3, 12, 7][index]
    term = Term(z3.BitVec("x", 4), -8, 7)
    array = Symbols.of([0, 0])
    array[1] = term
    assert array.astype("int64")[1] is term
    with pytest.raises(IntsimError, match="a known one is needed"):
        range(term)
