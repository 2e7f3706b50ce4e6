"""The operators that the hardware tests run: one small but telling instance of every unit and form."""

from __future__ import annotations

import numpy as np

from intsim import catalogue
from intsim.formats import Fixed, Int
from intsim.linear.dynamic import DynamicRequantize
from intsim.nonlinear import DBAttnSoftmax, QANSSoftmax
from intsim.nonlinear.activations import HardSwish, IBertGELU, ShiftGELU, SquaredReLU
from intsim.nonlinear.exp import DIExp, IBertExp, ShiftExp
from intsim.nonlinear.gated import DISigmoid, DISwiGLU
from intsim.nonlinear.layernorm import IBertLayerNorm, IViTLayerNorm
from intsim.nonlinear.norm import DINorm, L1Norm
from intsim.nonlinear.softmax import DIClippedSoftmax, IBertSoftmax, Shiftmax
from intsim.operators import non_positive
from intsim.rounding import TIES_AWAY, TIES_TO_EVEN, TIES_TO_POS
from intsim.tables import NormalReciprocal, Uniform

__all__ = ["ELEMENTWISE", "ROWS"]

BIAS = (3, -70_000_000, 5_000_000, -1, 268_435_455, 12, -268_435_456)
ALPHA = ((200, 7), (128, 7), (255, 8), (131, 6), (180, 7), (222, 5), (129, 9))


def falling(distance: np.ndarray) -> np.ndarray:
    """The exponential of an unsigned distance."""
    return np.exp(-distance)


ELEMENTWISE = {
    "shift_exp": ShiftExp(-20, 15, x=non_positive(16)),
    "shift_exp_tvm": ShiftExp(-21, 16, "ivit_tvm", x=non_positive(16)),
    "shift_exp_coarse": ShiftExp(-1, 15, x=non_positive(8)),
    "shift_exp_signed": ShiftExp(-20, 15, x=Int(8)),
    "ibert_exp": IBertExp.design(0.01, x=non_positive(16)),
    "ibert_exp_wide": IBertExp.design(0.0004, x=non_positive(16)),
    "di_exp": DIExp(241, 12, x=Int(16)),
    "di_exp_coarse": DIExp(255, 0, x=Int(8)),
    "di_exp_literal": DIExp(241, 12, "literal", x=Int(16)),
    "di_exp_headroom": DIExp(241, 12, "headroom", x=Int(16)),
    "ibert_gelu": IBertGELU.design(1e-4, x=Int(16)),
    "ibert_gelu_coarse": IBertGELU.design(2**-7, x=Int(12)),
    "hardswish": HardSwish.design(0.001, x=Int(16)),
    "squared_relu": SquaredReLU(5, TIES_TO_EVEN, x=Int(16)),
    "di_sigmoid": DISigmoid(241, 12, x=Int(16)),
    "di_sigmoid_literal": DISigmoid(200, 10, form="literal", out_bits=16, x=Int(12)),
    "di_swiglu": DISwiGLU(241, 9, x=Int(8), up=Int(8)),
    "di_swiglu_smooth": DISwiGLU(241, 9, alpha=((200, 7),), x=Int(8), up=Int(8)),
}

ROWS = {
    "shiftmax": Shiftmax(-20, max_row=64, x=Int(8)),
    "shiftmax_masked": Shiftmax(-300, max_row=64, x=Int(16), masked=True),
    "shiftmax_tvm": Shiftmax.ivit_tvm(-21, max_row=64, x=Int(8)),
    "shiftmax_saturating": Shiftmax(-30_000, 20, max_row=64, x=Int(20)),
    "ibert_softmax": IBertSoftmax.design(0.02, max_row=64, x=Int(8)),
    "ibert_softmax_masked": IBertSoftmax.design(0.0005, max_row=64, x=Int(20), masked=True),
    "shift_gelu": ShiftGELU(-20, max_row=64, x=Int(8)),
    "shift_gelu_limited": ShiftGELU(-3, limit=31, max_row=64, x=Int(8)),
    "shift_gelu_saturating": ShiftGELU(-300, max_row=64, x=Int(12)),
    "di_sigmoid_rows": DISigmoid(241, 9, "row_max", max_row=64, x=Int(9)),
    "di_swiglu_rows": DISwiGLU(241, 9, "row_max", form="headroom", max_row=64, x=Int(9)),
    "di_swiglu_channels": DISwiGLU(241, 9, "row_max", alpha=ALPHA, max_row=7, x=Int(9)),
    "di_swiglu_two_branch_channels": DISwiGLU(241, 9, alpha=ALPHA, max_row=7, x=Int(9)),
    "ivit_layernorm": IViTLayerNorm(max_row=64, x=Int(12)),
    "ivit_layernorm_bias": IViTLayerNorm(BIAS, max_row=7, x=Int(16)),
    "ivit_layernorm_tvm": IViTLayerNorm(BIAS, "ivit_tvm", max_row=7, x=Int(12)),
    "ibert_layernorm": IBertLayerNorm(max_row=64, x=Int(16)),
    "ibert_layernorm_shift": IBertLayerNorm(BIAS, 3, max_row=7, x=Int(22)),
    "rms_norm": DINorm(max_row=64, x=Int(8)),
    "di_layernorm_channels": DINorm((200, 131, 255, 128, 180), (8, 9, 7, 8, 8), center=True, max_row=5, x=Int(8)),
    "l1_norm": L1Norm(max_row=64, x=Int(8)),
    "l1_norm_uncentred": L1Norm(center=False, rounding=TIES_TO_EVEN, max_row=64, x=Int(8, signed=False)),
    "di_softmax": DIClippedSoftmax(241, 12, max_row=64, x=Int(16)),
    "di_softmax_headroom": DIClippedSoftmax(241, 12, 15, 8, "headroom", rounding=TIES_AWAY, max_row=64, x=Int(16)),
    "di_softmax_literal": DIClippedSoftmax(60_000, 30, exp="literal", masked=False, max_row=64, x=Int(32)),
    "requantize": DynamicRequantize(37, 30, max_row=64, x=Int(32)),
    "qans": QANSSoftmax.design(
        2.0**-6, reciprocal=NormalReciprocal.design(Int(22, False)), max_row=64, x=Int(12), masked=True
    ),
    "qans_divider": QANSSoftmax.design(0.037, 12, 6, rounding=TIES_TO_EVEN, max_row=64, x=Int(10)),
    "qans_dulut": QANSSoftmax.design(2.0**-6, exp=catalogue.get("dulut_exp20"), max_row=64, x=Int(12), masked=True),
    "qans_nli": QANSSoftmax.design(2.0**-11, 16, exp=catalogue.get("nli_exp"), max_row=64, x=Int(16)),
    "qans_uniform": QANSSoftmax.design(
        2.0**-5,
        4,  # what is beyond still counts
        exp=Uniform.design(falling, Fixed(8, 6, False), Fixed(13, 12, False), segments=32),
        reciprocal=NormalReciprocal.design(Int(19, False), 10, index_bits=4, t_bits=6),
        out_bits=9,
        max_row=64,
        x=Int(11),
        masked=True,
    ),
    "db_attn": DBAttnSoftmax.design(2.0**-6, group=6, max_row=64, x=Int(12), masked=True),
    "db_attn_factored": DBAttnSoftmax.design(0.037, group=12, low_bits=3, delta=0, lo=-4, hi=5, max_row=64, x=Int(10)),
    "db_attn_divider": DBAttnSoftmax.design(
        2.0**-6, group=6, reciprocal=NormalReciprocal(Int(22, False), 11), max_row=64, x=Int(12), masked=True
    ),
    "requantize_without_zero": DynamicRequantize(
        3001, 40, 6, include_zero=False, rounding=TIES_TO_POS, max_row=64, x=Int(16)
    ),
}
