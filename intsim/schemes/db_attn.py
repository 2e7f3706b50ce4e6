"""DB-Attn (arXiv 2502.00026): softmax in dynamic block floating point with a two-level table.

**The paper's:** the softmax. **Ours:** everything around it (the paper concerns attention alone): dyadic
requantisation, a DULUT for the activation, I-BERT's LayerNorm, the residual add.
"""

from __future__ import annotations

from intsim.linear import ResidualAdd
from intsim.nonlinear import DBAttnSoftmax, IBertLayerNorm
from intsim.requant import CONVENTIONS
from intsim.schemes.scheme import Bits, Operator
from intsim.schemes.static import StaticScheme
from intsim.tables.scaled import ScaledTable

__all__ = ["db_attn"]

db_attn = StaticScheme(
    name="db_attn",
    paper="DB-Attn (arXiv 2502.00026)",
    requantize=CONVENTIONS["hawq"],
    softmax=Operator.of(DBAttnSoftmax, bits=7, group=32, pivot=100, lo=-8, hi=3, delta=2, out_bits=16),
    activation=Operator.of(ScaledTable, fn="gelu", kind="dulut", n1=32, n2=32),
    norm=Operator.of(IBertLayerNorm, shift=0),
    residual=Operator.of(ResidualAdd, saturating=True),
    bits=Bits(residual=22, scores=16, gelu=16),
    left_in_float=("embedding",),
)
"""DB-Attn's softmax: 7-bit mantissas with a tag, blocks of 32, exponents limited to a distance of 16."""
