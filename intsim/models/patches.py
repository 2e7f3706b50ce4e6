"""Images cut into patches, as a vision transformer and its integer network take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.linear.conv import cut_patches

__all__ = ["Patches"]


@dataclass(frozen=True)
class Patches:
    """The shape of a model's images and of their patches.

    Parameters
    ----------
    shape : (channels, height, width) of an image
    size : edge of a patch
    """

    shape: tuple[int, int, int]
    size: int

    def __call__(self, pixels: Any) -> np.ndarray:
        """Images (batch, channels, height, width) as rows of patches, (batch, patches, channels x size x size).

        Raises
        ------
        DtypeError, IntsimError
            Pixels that are no integers, or images of another shape.
        """
        images = np.asarray(pixels)
        if images.dtype.kind not in "iu":
            raise DtypeError(f"pixels: expected integers, got {images.dtype}; give them as they are stored")
        if images.ndim != 4 or images.shape[1:] != self.shape:
            shape = ", ".join(map(str, self.shape))
            raise IntsimError(f"images are (batch, {shape}), got {images.shape}; reshape or resize them")
        return cut_patches(images, self.size)
