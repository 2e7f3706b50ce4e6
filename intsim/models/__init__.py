"""Integer-only networks on real weights, each beside its float32 twin.

``real`` holds the twins; :class:`IntegerBert`, :class:`IntegerViT` and :class:`IntegerLlama` are the same networks
under any scheme.
"""

from intsim.models.bert import IntegerBert
from intsim.models.llama import IntegerLlama
from intsim.models.real.bert import Bert
from intsim.models.real.llama import Llama
from intsim.models.real.vit import ViT
from intsim.models.vit import IntegerViT

__all__ = ["Bert", "IntegerBert", "IntegerLlama", "IntegerViT", "Llama", "ViT"]
