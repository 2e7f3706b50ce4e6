"""Errors say what is wrong and offer the nearest name."""

import pytest

from intsim.errors import DtypeError, IntsimError, UnknownName, nearest


def test_each_error_is_also_what_python_would_raise():
    assert issubclass(IntsimError, ValueError)
    assert issubclass(DtypeError, TypeError)
    assert issubclass(UnknownName, LookupError)
    assert issubclass(DtypeError, IntsimError)
    assert issubclass(UnknownName, IntsimError)


def test_the_nearest_name_is_offered():
    assert nearest("silo", ["gelu", "silu", "tanh"]) == "silu"
    assert nearest("qqqq", ["gelu", "silu", "tanh"]) is None
    assert str(UnknownName("function", "silo", ["silu", "gelu"])) == "unknown function 'silo'; did you mean 'silu'?"


def test_without_a_near_one_all_names_are_listed_in_order():
    assert str(UnknownName("function", "qqqq", ["silu", "gelu"])) == "unknown function 'qqqq'; known: gelu, silu"


def test_a_lookup_error_can_be_caught_as_such():
    with pytest.raises(LookupError, match="unknown port"):
        raise UnknownName("port", "z", {"x": 1, "y": 2})
