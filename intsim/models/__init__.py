"""Integer-only networks on real weights, each beside its float32 twin.

``real`` holds the twins; :class:`IntegerBert` is the same network under any scheme.
"""

from intsim.models.bert import IntegerBert
from intsim.models.real.bert import Bert

__all__ = ["Bert", "IntegerBert"]
