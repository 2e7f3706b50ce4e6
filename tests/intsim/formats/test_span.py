"""Integers of a narrower range than their width."""

import numpy as np
import pytest

from intsim import IntsimError
from intsim.formats.span import Span
from intsim.parameters import from_plain, to_plain


def test_range_and_text():
    span = Span(32, 0, 1 << 31, signed=False)
    assert (span.lo, span.hi, span.bits, span.dtype, str(span)) == (0, 1 << 31, 32, np.uint32, "u32[0..2147483648]")
    assert from_plain(to_plain(span)) == span
    np.testing.assert_array_equal(Span(3, -1, 2).codes(), [-1, 0, 1, 2])


def test_codes_outside_are_refused():
    with pytest.raises(IntsimError, match="1 is outside"):
        Span(8, -128, 0).check(np.array([0, 1], dtype=np.int8))
    np.testing.assert_array_equal(Span(8, -128, 0).check([-128, 0]), [-128, 0])


@pytest.mark.parametrize(("bits", "low", "high", "signed"), [(8, 0, 128, True), (8, -1, 5, False), (8, 3, 2, True)])
def test_impossible_ranges(bits, low, high, signed):
    with pytest.raises(IntsimError, match="is no part of"):
        Span(bits, low, high, signed)
