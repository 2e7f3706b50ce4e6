"""Integer convolution in two dimensions, with the accumulator's width stated and proven.

A window of the image times a filter is an inner product, so the arithmetic is that of
:func:`intsim.linear.matmul` and is written there alone: here the windows are gathered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import DtypeError, IntsimError
from intsim.formats import Format
from intsim.linear.matmul import accumulator_bits, matmul
from intsim.unit import Hazard

__all__ = ["Conv2d", "cut_patches"]


@dataclass(frozen=True, eq=False)
class Conv2d:
    """``y[o, i, j] = bias[o] + sum w[o, c, u, v] x[c, i s + u - p, j s + v - p]``, exactly; no kernel is turned round.

    Parameters
    ----------
    weight : integers (O, C / groups, kh, kw), as PyTorch stores them
    bias : integers (O,), at the scale of the products; None is zero
    stride, padding : one number, or (vertical, horizontal)
    groups : blocks of channels that do not see each other; C for a depthwise convolution
    pad_code : the code that stands for real zero outside the image: the input's zero point
    acc_bits : width of the accumulator, two's complement; refused where a sum could leave it

    Notes
    -----
    The patch embedding of a vision transformer is the case ``stride = kh = kw``, ``padding = 0``. The codes of `x`
    enter as they are: with a zero point, subtract it before, or put ``-zero_point * sum(w)`` into the bias.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    groups: int = 1
    pad_code: int = 0
    acc_bits: int = 32

    def __post_init__(self) -> None:
        weight = _integers(self.weight, "weight")
        if weight.ndim != 4:
            raise IntsimError(f"weight has the shape (O, C, kh, kw), got {weight.shape}; reshape it")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "stride", _pair(self.stride, "stride", 1))
        object.__setattr__(self, "padding", _pair(self.padding, "padding", 0))
        if self.groups < 1 or len(weight) % self.groups:
            raise IntsimError(f"{len(weight)} filters do not divide into {self.groups} groups; choose a divisor")
        if self.bias is not None:
            bias = _integers(self.bias, "bias").astype(np.int64)
            if bias.shape != (len(weight),):
                raise IntsimError(f"bias {bias.shape} does not fit {len(weight)} filters; give ({len(weight)},)")
            object.__setattr__(self, "bias", bias)

    @property
    def depth(self) -> int:
        """Products in one sum."""
        return int(np.prod(self.weight.shape[1:]))

    def widths(self, x: Format) -> Mapping[str, int]:
        """Bits of the accumulator that inputs of the format `x` need with these very weights, and with any."""
        rows = self.weight.reshape(len(self.weight), self.depth).T
        top = np.iinfo(self.weight.dtype)
        any_weight = np.full((self.depth, 1), top.min, dtype=self.weight.dtype)
        offset = np.zeros(1, dtype=np.int64) if self.bias is None else self.bias
        return {
            "accumulator": accumulator_bits(x, rows, self.depth, offset),
            "accumulator_any_weight": accumulator_bits(x, any_weight, self.depth, offset),
        }

    def hazards(self, x: Format) -> tuple[Hazard, ...]:
        """What can go wrong for inputs of the format `x`."""
        found = []
        need = self.widths(x)["accumulator"]
        if need > self.acc_bits:
            found.append(
                Hazard(f"the accumulator needs {need} bits, has {self.acc_bits}", f"use acc_bits={need} or narrower x")
            )
        if not x.lo <= self.pad_code <= x.hi:
            found.append(Hazard(f"pad_code {self.pad_code} is no code of {x}", "use the zero point of x"))
        return tuple(found)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the result.

        Raises
        ------
        IntsimError
            The filter is larger than the padded image.
        """
        pads: tuple[int, int] = self.padding  # type: ignore[assignment]
        sizes = []
        for size, kernel, step, pad in zip((height, width), self.weight.shape[2:], self.stride, pads, strict=True):  # type: ignore[arg-type]
            if size + 2 * pad < kernel:
                raise IntsimError(f"a filter of {kernel} does not fit {size} + 2 x {pad}; use more padding")
            sizes.append((size + 2 * pad - kernel) // step + 1)
        return sizes[0], sizes[1]

    def __call__(self, x: Any, *, x_format: Format | None = None) -> np.ndarray:
        """The convolution of images.

        Parameters
        ----------
        x : integers (..., C, H, W)
        x_format : format the accumulator is proven for; by default the values given

        Returns
        -------
        ndarray (..., O, H', W'), int32 where `acc_bits` is 32 or fewer, else int64

        Raises
        ------
        IntsimError
            Shapes that do not fit, or an accumulator too narrow: bound, value and remedy.
        """
        image = _integers(x, "x")
        channels = self.weight.shape[1] * self.groups
        if image.ndim < 3 or image.shape[-3] != channels:
            raise IntsimError(f"x is (..., {channels}, H, W) for these weights, got {image.shape}")
        high, wide = self.output_size(*image.shape[-2:])
        windows = self._windows(image.reshape(-1, *image.shape[-3:]))
        patches = windows.reshape(len(windows) * high * wide, self.groups, self.depth)
        filters = self.weight.reshape(self.groups, -1, self.depth)
        each = filters.shape[1]
        parts = [
            matmul(
                np.ascontiguousarray(patches[:, g]),
                np.ascontiguousarray(filters[g].T),
                None if self.bias is None else self.bias[g * each : (g + 1) * each],
                acc_bits=self.acc_bits,
                x_format=x_format,
            )
            for g in range(self.groups)
        ]
        y = np.concatenate(parts, axis=1).reshape(len(windows), high, wide, -1)
        return np.ascontiguousarray(np.moveaxis(y, -1, 1)).reshape(*image.shape[:-3], -1, high, wide)

    def _windows(self, images: np.ndarray) -> np.ndarray:
        """(N, H', W', C, kh, kw): what each result sees."""
        (down, across), (above, beside) = self.stride, self.padding  # type: ignore[misc]
        bound = np.iinfo(images.dtype)
        if not bound.min <= self.pad_code <= bound.max:
            raise IntsimError(f"pad_code {self.pad_code} is no {images.dtype}; use the zero point of x")
        padded = np.pad(images, ((0, 0), (0, 0), (above, above), (beside, beside)), constant_values=self.pad_code)
        views = np.lib.stride_tricks.sliding_window_view(padded, self.weight.shape[2:], axis=(2, 3))
        return np.moveaxis(views[:, :, ::down, ::across], 1, 3)


def cut_patches(images: np.ndarray, size: int) -> np.ndarray:
    """Images (..., C, H, W) as rows of square patches, (..., H/size W/size, C size size).

    A matrix product with these rows is :class:`Conv2d` of ``stride = size``, its filters as columns.

    Raises
    ------
    IntsimError
        Images that do not divide into patches.
    """
    *lead, channels, high, wide = images.shape
    if high % size or wide % size or not high * wide:
        raise IntsimError(f"images of {high} x {wide} do not divide into patches of {size}; resize or crop them")
    cut = images.reshape(*lead, channels, high // size, size, wide // size, size)
    n = len(lead)
    rows = cut.transpose(*range(n), n + 1, n + 3, n, n + 2, n + 4)
    return np.ascontiguousarray(rows).reshape(*lead, -1, channels * size * size)


def _integers(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise DtypeError(f"{name}: expected integers up to int64, got {array.dtype}; encode real values first")
    if not array.size:
        raise IntsimError(f"{name}: empty array of shape {array.shape}; give at least one value")
    return array


def _pair(value: Any, name: str, least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, (int, np.integer)) and v >= least for v in pair):
        raise IntsimError(f"{name} is one integer of at least {least}, or two, got {value!r}")
    return int(pair[0]), int(pair[1])
