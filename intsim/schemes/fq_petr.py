"""FQ-PETR (arXiv 2502.15488): quantise after the maximum is subtracted, nonlinear functions by two linear tables.

**The paper's:** QANS with beta = 20, DULUT of 32 + 32 words for exp and for the activation, 8-bit weights and
activations, SmoothQuant-style per-tensor scales. **Ours:** what it does not say of the rest of an integer network:
dyadic requantisation, I-BERT's LayerNorm (exact square root), the residual add. With 32 + 32 words the exponential's
absolute error of 2e-4 shows on rows of a thousand keys, hence 64 in the second table of exp.
"""

from __future__ import annotations

from intsim import catalogue
from intsim.linear import ResidualAdd
from intsim.nonlinear import IBertLayerNorm, QANSSoftmax
from intsim.requant import CONVENTIONS
from intsim.schemes.scheme import Bits, Operator
from intsim.schemes.static import StaticScheme
from intsim.tables.scaled import ScaledTable

__all__ = ["fq_petr"]

fq_petr = StaticScheme(
    name="fq_petr",
    paper="FQ-PETR (arXiv 2502.15488)",
    requantize=CONVENTIONS["hawq"],
    softmax=Operator.of(QANSSoftmax, beta=20, exp=catalogue.get("dulut_exp20"), out_bits=16),
    activation=Operator.of(ScaledTable, fn="gelu", kind="dulut", n1=32, n2=32),
    norm=Operator.of(IBertLayerNorm, shift=0),
    residual=Operator.of(ResidualAdd, saturating=True),
    bits=Bits(residual=22, scores=16, gelu=16),
    left_in_float=("embedding",),
)
"""FQ-PETR's QANS and DULUT; the scores stay at 16 bits until the maximum is subtracted."""
