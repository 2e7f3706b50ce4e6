"""The papers' choices, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from intsim.linear import AveragePool, DIMatMul, DIResidualAdd, ResidualAdd
from intsim.nonlinear import (
    DIClippedSoftmax,
    DINorm,
    DISwiGLU,
    IBertGELU,
    IBertLayerNorm,
    IBertSoftmax,
    IViTLayerNorm,
    ShiftGELU,
    Shiftmax,
)
from intsim.requant import CONVENTIONS
from intsim.schemes.db_attn import db_attn
from intsim.schemes.dynamic import DynamicScheme
from intsim.schemes.fq_petr import fq_petr
from intsim.schemes.nli import nli
from intsim.schemes.scheme import Bits, Operator, Scheme
from intsim.schemes.static import StaticScheme

__all__ = ["SCHEMES", "db_attn", "fq_petr", "hawq", "ibert", "illm", "ivit", "nli"]

hawq = StaticScheme(
    name="hawq",
    paper="HAWQ-V3 (arXiv 2011.10680)",
    requantize=CONVENTIONS["hawq"],
    residual=Operator.of(ResidualAdd, saturating=False),
    pool=Operator.of(AveragePool, convention="hawq"),
    left_in_float=("softmax", "activation", "norm"),  # a scheme of convolutional networks with ReLU
)
"""HAWQ-V3: dyadic requantisation (TIES_TO_EVEN), a residual sum that does not saturate, its average pool."""

ibert = StaticScheme(
    name="ibert",
    paper="I-BERT (arXiv 2101.01321)",
    requantize=CONVENTIONS["ibert"],
    softmax=Operator.of(IBertSoftmax, out_bits=8),
    activation=Operator.of(IBertGELU, shift=14),
    norm=Operator.of(IBertLayerNorm, shift=0),
    residual=Operator.of(ResidualAdd, saturating=True),
    bits=Bits(residual=22, scores=16, gelu=16, identity=8),
    weight_limits=(-127, 126),
    left_in_float=("embedding",),
)
"""I-BERT: polynomials for exp and erf, exact square root, 22-bit LayerNorm inputs.

The project feeds 32-bit accumulators, one scale per channel, to softmax and GELU; here they are brought to one scale
of 16 bits first (ours)."""

ivit = StaticScheme(
    name="ivit",
    paper="I-ViT (arXiv 2207.01405)",
    requantize=CONVENTIONS["ivit"],
    softmax=Operator.of(Shiftmax, n=15, out_bits=16),
    activation=Operator.of(ShiftGELU, n=23, out_bits=8, limited=True),
    norm=Operator.of(IViTLayerNorm),
    residual=Operator.of(ResidualAdd, saturating=True),
)
"""I-ViT: shifts for exp, ten Newton steps for the root, 16-bit probabilities and residual stream.

**Ours:** the maximum inside ShiftGELU is limited (``limited=False`` is the paper's): the same integers on rows whose
maximum stays below 6.1, and no halves of negative elements on the others."""

illm = DynamicScheme(
    name="illm",
    paper="I-LLM (arXiv 2405.17849), reading R1",
    requantize=DIMatMul(),
    softmax=Operator.of(DIClippedSoftmax, clip=15, out_bits=16, exp="fixed16"),
    gated=Operator.of(DISwiGLU, frame="two_branch", form="fixed16", out_bits=16),
    activation=Operator.of(DISwiGLU, frame="two_branch", form="fixed16", out_bits=16),
    norm=Operator.of(DINorm, center=True, F=8, G=10),
    residual=DIResidualAdd(16),
    bits=Bits(identity=8),
    left_in_float=("embedding", "rotary embedding", "final norm", "head"),
)
"""I-LLM: every scale found at run time, token by token; 16-bit residual stream and probabilities."""

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {scheme.name: scheme for scheme in (hawq, ibert, ivit, illm, fq_petr, db_attn, nli)}
)
"""Every scheme by its name."""
