"""Weights rounded elsewhere: packed GPTQ-style integers with their scales, from safetensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.formats.base import smallest_dtype
from intsim.prepare.quantize import QuantizedWeights

__all__ = ["import_gptq", "unpack_words"]


def import_gptq(path: str | Path, layer: str, bits: int = 4, *, zero_offset: int = 1) -> QuantizedWeights:
    """One layer's integers as a GPTQ-style tool stored them.

    Parameters
    ----------
    path : a ``.safetensors`` file
    layer : prefix of the four tensors ``.qweight``, ``.qzeros``, ``.scales`` and, optional, ``.g_idx``
    bits : 2, 4 or 8
    zero_offset : added to the stored zero points; 1 in the original format, 0 in its second version

    Returns
    -------
    QuantizedWeights
        ``data[out, in]``, unsigned, with one scale and zero point per output channel and group. Nothing is rounded.

    Raises
    ------
    IntsimError
        File or tensor missing, shapes that do not fit, or an activation order that is not block-wise: reorder the
        inputs first.

    Notes
    -----
    The format packs ``32 / bits`` codes into an int32, lowest first: `qweight` along the inputs, `qzeros` along the
    outputs.
    """
    tensors = _read(path, layer)
    codes = unpack_words(tensors["qweight"], bits, axis=0).T
    zeros = unpack_words(tensors["qzeros"], bits, axis=1).T.astype(np.int64) + zero_offset
    scale = tensors["scales"].astype(np.float64).T
    outputs, inputs = codes.shape
    if scale.shape[0] != outputs or zeros.shape != scale.shape or inputs % scale.shape[1]:
        raise IntsimError(
            f"{layer}: {outputs} x {inputs} codes do not fit scales {scale.shape} and zeros {zeros.shape}; "
            f"check bits={bits}"
        )
    group = inputs // scale.shape[1]
    order = tensors.get("g_idx")
    if order is not None and not np.array_equal(order, np.arange(inputs) // group):
        raise IntsimError(f"{layer}: g_idx reorders the inputs; permute them into groups of {group} before importing")
    return QuantizedWeights(codes.astype(smallest_dtype(0, (1 << bits) - 1)), scale, zeros, bits, group)


def unpack_words(words: np.ndarray, bits: int, axis: int) -> np.ndarray:
    """Codes packed into 32-bit words along `axis`, lowest bits first."""
    if bits not in (2, 4, 8):
        raise IntsimError(f"packed codes have 2, 4 or 8 bits, got {bits}")
    unsigned = np.moveaxis(np.ascontiguousarray(words).view(np.uint32), axis, -1)
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    codes = (unsigned[..., None] >> shifts) & np.uint32((1 << bits) - 1)
    return np.moveaxis(codes.reshape(*unsigned.shape[:-1], -1), -1, axis)


def _read(path: str | Path, layer: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open  # an extra

    try:
        with safe_open(str(path), framework="numpy") as file:
            names = set(file.keys())
            tensors = {}
            for part in ("qweight", "qzeros", "scales", "g_idx"):
                name = f"{layer}.{part}"
                if name in names:
                    tensors[part] = file.get_tensor(name)
                elif part != "g_idx":
                    raise UnknownName("tensor", name, names)
            return tensors
    except (OSError, SafetensorError) as error:
        raise IntsimError(f"cannot read {path}: {error}; give a safetensors file") from None
