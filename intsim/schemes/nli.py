"""NLI (arXiv 2602.02988): every nonlinear function by one table unit with non-uniform cut points.

**The paper's:** the exponential and the activation as tables of 10 intervals. Its unit works on FP16 beside
floating-point matrix products. **Ours:** the same tables on fixed point inside an integer network, with dyadic
requantisation, a normalised reciprocal by a divider, I-BERT's LayerNorm (exact square root) and the residual add.
"""

from __future__ import annotations

from intsim import catalogue
from intsim.linear import ResidualAdd
from intsim.nonlinear import IBertLayerNorm, QANSSoftmax
from intsim.requant import CONVENTIONS
from intsim.schemes.scheme import Bits, Operator
from intsim.schemes.static import StaticScheme
from intsim.tables.scaled import ScaledTable

__all__ = ["nli"]

nli = StaticScheme(
    name="nli",
    paper="NLI (arXiv 2602.02988)",
    requantize=CONVENTIONS["hawq"],
    softmax=Operator.of(QANSSoftmax, beta=16, exp=catalogue.get("nli_exp"), out_bits=16),
    activation=Operator.of(ScaledTable, fn="gelu", kind="nli"),
    norm=Operator.of(IBertLayerNorm, shift=0),
    residual=Operator.of(ResidualAdd, saturating=True),
    bits=Bits(residual=22, scores=16, gelu=10),
    left_in_float=("embedding",),
)
"""NLI's tables on 16-bit fixed point; the distance to the maximum has steps of 2**-11 up to 16,
the activation's input 10 bits."""
