"""RMSNorm by the LayerNorm of a scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from intsim.formats.quantized import Quantized
from intsim.schemes.scheme import Layer
from intsim.unit import Unit

__all__ = ["MirroredNorm"]


@dataclass(frozen=True, eq=False)
class MirroredNorm:
    """LayerNorm of a row and its mirror image, of which the first half is kept.

    The mean of ``x, -x`` is 0 and its mean square that of x: LayerNorm becomes RMSNorm, whatever its square root and
    its roundings are. **Ours.** In hardware the same unit with its mean left out and its energy doubled. The least
    code, which has no mirror image, counts as its neighbour.

    Attributes
    ----------
    norm : of rows twice as long
    most : the largest code that the norm takes; a narrower x, such as that of an embedding, has a least code of its own
    """

    norm: Layer
    most: int

    @property
    def units(self) -> tuple[Unit, ...]:
        return self.norm.units

    def __call__(self, *tensors: Quantized) -> Quantized:
        (x,) = tensors
        row = np.maximum(x.data, max(-self.most, np.iinfo(x.data.dtype).min + 1))
        y = self.norm(Quantized(np.concatenate([row, -row], axis=-1), x.m, x.k))
        return Quantized(np.ascontiguousarray(y.data[..., : x.shape[-1]]), y.m, y.k)
