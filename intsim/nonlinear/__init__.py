"""Nonlinear functions on integers: exponential, softmax, activations, normalisation, roots."""

from intsim.nonlinear.activations import DISigmoid, DISwiGLU, HardSwish, IBertGELU, ShiftGELU, SquaredReLU
from intsim.nonlinear.db_attn import DBAttnSoftmax
from intsim.nonlinear.exp import DIExp, IBertExp, ShiftExp
from intsim.nonlinear.norm import DINorm, IBertLayerNorm, IViTLayerNorm, L1Norm
from intsim.nonlinear.qans import QANSSoftmax
from intsim.nonlinear.roots import ISqrt, NewtonSqrt, Reciprocal
from intsim.nonlinear.softmax import DIClippedSoftmax, IBertSoftmax, Shiftmax

__all__ = [
    "DBAttnSoftmax",
    "DIClippedSoftmax",
    "DIExp",
    "DINorm",
    "DISigmoid",
    "DISwiGLU",
    "HardSwish",
    "IBertExp",
    "IBertGELU",
    "IBertLayerNorm",
    "IBertSoftmax",
    "ISqrt",
    "IViTLayerNorm",
    "L1Norm",
    "NewtonSqrt",
    "QANSSoftmax",
    "Reciprocal",
    "ShiftExp",
    "ShiftGELU",
    "Shiftmax",
    "SquaredReLU",
]
