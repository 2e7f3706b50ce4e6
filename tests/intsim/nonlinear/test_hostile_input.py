"""What an operator is given by mistake, or at the edge of its formats: a right answer, or a message with a remedy."""

import math
import re

import numpy as np
import pytest
from operators import assert_exact

from intsim import Int, IntsimError, Unit, UnknownName
from intsim.errors import DtypeError
from intsim.linear import AveragePool, DynamicRequantize
from intsim.nonlinear import (
    DIClippedSoftmax,
    DIExp,
    DINorm,
    DISigmoid,
    DISwiGLU,
    HardSwish,
    IBertExp,
    IBertGELU,
    IBertLayerNorm,
    IBertSoftmax,
    IViTLayerNorm,
    L1Norm,
    ShiftExp,
    ShiftGELU,
    Shiftmax,
    SquaredReLU,
)
from intsim.nonlinear.roots import isqrt
from intsim.rounding import TIES_AWAY

KINDS = {
    "shift_exp": lambda x: ShiftExp(-20, 15, x=x),
    "shift_exp_tvm": lambda x: ShiftExp(-20, 15, "ivit_tvm", x=x),
    "ibert_exp": lambda x: IBertExp(-20, 100, 900, x=x),
    "di_exp": lambda x: DIExp(200, 12, x=x),
    "di_exp_literal": lambda x: DIExp(200, 12, "literal", x=x),
    "di_exp_headroom": lambda x: DIExp(200, 12, "headroom", x=x),
    "shiftmax": lambda x: Shiftmax(-20, x=x),
    "ibert_softmax": lambda x: IBertSoftmax.design(0.03, x=x),
    "di_softmax": lambda x: DIClippedSoftmax(200, 12, x=x),
    "shift_gelu": lambda x: ShiftGELU(-20, x=x),
    "ibert_gelu": lambda x: IBertGELU.design(1e-3, x=x),
    "hardswish": lambda x: HardSwish(30, 60, x=x),
    "squared_relu": lambda x: SquaredReLU(3, x=x),
    "di_sigmoid": lambda x: DISigmoid(200, 12, x=x),
    "di_sigmoid_rows": lambda x: DISigmoid(200, 12, "row_max", x=x),
    "ivit_norm": lambda x: IViTLayerNorm(x=x),
    "ibert_norm": lambda x: IBertLayerNorm((1, -2, 3), 1, x=x),
    "di_norm": lambda x: DINorm(x=x),
    "l1_norm": lambda x: L1Norm(x=x),
    "dynamic": lambda x: DynamicRequantize(x=Int(min(x.bits, 50), x.signed)),  # refused beyond 53 bits
    "pool": lambda x: AveragePool(3, "tosa", x=x),
}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def refused(unit, x):
    try:
        unit(x)
    except IntsimError as error:
        return re.search(r"bits|k of a row becomes", str(error)) is not None
    return False


@each_kind
@pytest.mark.parametrize("fmt", [Int(8), Int(32), Int(8, False), Int(64, False)], ids=str)
def test_ends_of_every_format(kind, fmt):
    """-128 has no int8 counterpart of the other sign, and two unsigned codes no signed difference."""
    unit = kind(fmt)
    ports = list(unit.inputs.values())
    small = [max(ports[0].lo, -300), max(ports[0].lo, -300) + 1, max(ports[0].lo, 0)]
    answered = 0
    for column in ([ports[0].lo] * 3, [ports[0].lo, 0, max(ports[0].lo, -1)], small, small[::-1]):
        x = np.array(column, dtype=ports[0].dtype)
        if refused(unit, x):  # squares of 32 bits leave int64, and so do distances of 64 bits
            assert fmt.bits >= 32
            continue
        assert_exact(unit, x)
        answered += 1
    assert answered >= 2


@each_kind
def test_corners_exist_for_every_format(kind):
    for fmt in (Int(1), Int(1, False), Int(2), Int(16, False), Int(64), Int(64, False)):
        unit = kind(fmt)
        for column, port in zip(unit.corners(), unit.inputs.values(), strict=True):
            port.check(column)


def test_corners_of_a_gate_of_one_bit():
    for fmt in (Int(1), Int(1, False)):
        unit = DISwiGLU(200, 12, x=fmt)
        assert_exact(unit, *unit.corners())


@each_kind
@pytest.mark.parametrize(
    "wrong",
    [[[1.0, 2, 3]], [[True, False, True]], np.zeros((0, 3), int), [], [[1, 2], [1]], None, "abc", [[2**70, 1, 2]]],
    ids=["floats", "booleans", "no_rows", "nothing", "ragged", "none", "text", "too_large"],
)
def test_what_is_no_array_of_integers_is_refused(kind, wrong):
    unit = kind(Int(32))
    with pytest.raises(IntsimError, match=r".{20}"):
        unit(*[wrong] * len(unit.inputs))


REFUSED = {
    "format_as_text": (lambda: ShiftExp(-20, 15, x="s8"), "x must be a number format"),
    "no_format": (lambda: Shiftmax(-20, x=None), "x must be a number format"),
    "rounding_unknown": (lambda: SquaredReLU(rounding=9), "unknown rounding mode '9'"),
    "rounding_text": (lambda: DIClippedSoftmax(241, 20, rounding="half"), "unknown rounding mode 'half'"),
    "switch": (lambda: DINorm(center="yes"), "center must be True or False"),
    "masked": (lambda: Shiftmax(-20, masked=2), "masked must be True or False"),
    "float_bias": (lambda: IViTLayerNorm([1.5, 2, 3]), "bias holds integers, found 1.5"),
    "nan_bias": (lambda: IBertLayerNorm([float("nan")]), "bias holds integers, found nan"),
    "text_bias": (lambda: IViTLayerNorm("abc"), "bias holds integers, found 'abc'"),
    "float_m": (lambda: DINorm(m=(1.5, 2), k=(0, 0)), "m holds integers, found 1.5"),
    "ragged_alpha": (lambda: DISwiGLU(200, 10, alpha=((1, 2, 3),)), "alpha needs a pair"),
    "lone_alpha": (lambda: DISwiGLU(200, 10, alpha=5), "alpha needs a pair"),
    "zero_alpha": (lambda: DISwiGLU.design(0.05, alpha=0), "alpha must be positive"),
    "scale_text": (lambda: Shiftmax.design("x"), "a scale is one positive number"),
    "scale_list": (lambda: ShiftGELU.design([0.1, 0.2]), "a scale is one positive number"),
    "coarse_ibert": (lambda: IBertSoftmax.design(2.0), "use a scale below 1.67"),
    "nan_gamma": (lambda: IViTLayerNorm.design([1, float("nan")], [1, 1]), "gamma and beta must be finite"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_parameters_of_the_wrong_kind_are_refused(make, message):
    with pytest.raises(IntsimError, match=message):
        make()


def test_parameters_given_as_numpy_or_by_name_are_the_same_unit():
    assert IViTLayerNorm(np.array([1, -2], np.int16)) == IViTLayerNorm((1, -2)) == IViTLayerNorm([1, -2])
    for mode in (int(TIES_AWAY), "TIES_AWAY"):
        unit = SquaredReLU(3, mode)
        assert unit == SquaredReLU(3, TIES_AWAY)
        assert unit.sha256 == SquaredReLU(3, TIES_AWAY).sha256
        assert Unit.from_json(unit.to_json()) == unit
    assert DINorm(center=np.bool_(True)).sha256 == DINorm(center=True).sha256


def test_isqrt_takes_every_integer_dtype():
    for kind in (np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64):
        values = np.array([0, 1, 15, 16, 99, 127], dtype=kind)
        assert isqrt(values).tolist() == [math.isqrt(int(v)) for v in values]
        assert isqrt(values[-1]) == 11
    assert isqrt([[4, 8], [9, 2**62]]).tolist() == [[2, 2], [3, 2**31]]
    assert isqrt(2**63 - 1) == math.isqrt(2**63 - 1)


@pytest.mark.parametrize("wrong", [-1, 2**63, 2**64, 2**100, 2.5, True, None, "a", [1, -1], []], ids=repr)
def test_isqrt_refuses_what_has_no_root_in_int64(wrong):
    with pytest.raises(IntsimError):
        isqrt(wrong)


def test_unknown_modes_offer_the_known_ones():
    with pytest.raises(UnknownName, match="TIES_AWAY"):
        SquaredReLU(rounding="TIES_AWY")
    with pytest.raises(DtypeError):
        IViTLayerNorm(None)
