"""A vision transformer in float32: the twin that calibrates an integer-only network and that it is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.models.patches import Patches
from intsim.models.real import folder as folders
from intsim.models.real.bert import Block, layer_norm, linear

__all__ = ["ViT"]

_LINEAR = {
    "q": "attention.attention.query",
    "k": "attention.attention.key",
    "v": "attention.attention.value",
    "proj": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
_NORM = {"norm1": "layernorm_before", "norm2": "layernorm_after"}
_DEFAULTS: dict[str, Any] = {  # what Hugging Face takes for keys that a config leaves out
    "hidden_act": "gelu",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "layer_norm_eps": 1e-12,
    "image_size": 224,
}


@dataclass(frozen=True, eq=False)
class ViT:
    """A vision transformer for classification: norms before attention and MLP, the class token read at the end.

    Parameters
    ----------
    heads : attention heads
    eps : of LayerNorm
    cut : shape of the images and of their patches
    gain, offset : per channel; ``pixel * gain + offset`` is what the network was trained on
    patches : matrix (channels x patch x patch, size) and bias of the patch embedding
    first : the class token (size,)
    positions : position table (1 + patches, size)
    blocks : the layers; ``norm1`` stands before the attention, ``norm2`` before the MLP
    norm : gamma and beta behind the blocks
    head : matrix (size, classes) and bias
    labels : name of each class
    """

    heads: int
    eps: float
    cut: Patches
    gain: np.ndarray
    offset: np.ndarray
    patches: tuple[np.ndarray, np.ndarray]
    first: np.ndarray
    positions: np.ndarray
    blocks: tuple[Block, ...]
    norm: tuple[np.ndarray, np.ndarray]
    head: tuple[np.ndarray, np.ndarray]
    labels: tuple[str, ...]

    @classmethod
    def load(cls, folder: str | Path) -> ViT:
        """The model in a folder of Hugging Face's form (``ViTForImageClassification``).

        ``preprocessor_config.json`` says how pixels are scaled; without it as Hugging Face does: ``pixel / 255`` with
        mean and deviation 1/2.

        Raises
        ------
        IntsimError
            Files that are missing or damaged, another kind of model, an activation other than GELU, no classifier.
        """
        path = folders.find(folder)
        config = _DEFAULTS | folders.config(path)
        if config.get("model_type") != "vit" or config.get("hidden_act") != "gelu":
            raise IntsimError(
                f"{path} holds {config.get('model_type')!r} with {config.get('hidden_act')!r}; give a ViT with gelu"
            )
        tensors = folders.weights(path)

        def get(name: str) -> np.ndarray:
            if name not in tensors:
                raise IntsimError(f"{path} has no tensor {name}; give the weights of a ViTForImageClassification")
            return tensors[name]

        def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
            """Matrix (inputs, outputs) and bias; query, key and value may have none."""
            weight = get(f"{name}.weight")
            bias = tensors.get(f"{name}.bias", np.zeros(len(weight), np.float32))
            return np.ascontiguousarray(weight.reshape(len(weight), -1).T), bias

        def scales(name: str) -> tuple[np.ndarray, np.ndarray]:
            return get(f"{name}.weight"), get(f"{name}.bias")

        def block(number: int) -> Block:
            at = f"vit.encoder.layer.{number}."
            return Block(
                {key: pair(at + name) for key, name in _LINEAR.items()},
                {key: scales(at + name) for key, name in _NORM.items()},
            )

        head = pair("classifier")
        classes = head[0].shape[1]
        names = config.get("id2label", {})
        edge = config["image_size"]
        _, channels, patch, _ = get("vit.embeddings.patch_embeddings.projection.weight").shape
        return cls(
            config["num_attention_heads"],
            config["layer_norm_eps"],
            Patches((channels, *((edge, edge) if isinstance(edge, int) else edge)), patch),
            *_pixels(path, channels),
            patches=pair("vit.embeddings.patch_embeddings.projection"),
            first=get("vit.embeddings.cls_token").reshape(-1),
            positions=get("vit.embeddings.position_embeddings")[0],
            blocks=tuple(block(number) for number in range(config["num_hidden_layers"])),
            norm=scales("vit.layernorm"),
            head=head,
            labels=tuple(str(names.get(str(number), number)) for number in range(classes)),
        )

    @property
    def pixel_patches(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and bias of the patch embedding on pixels as they are: gain and offset folded in, float64."""
        weight, bias = (v.astype(np.float64) for v in self.patches)
        gain, offset = (np.repeat(v.astype(np.float64), self.cut.size**2) for v in (self.gain, self.offset))
        return weight * gain[:, None], bias + offset @ weight

    def embed(self, pixels: Any) -> np.ndarray:
        """The embedded patches, float32 (batch, patches, size), of pixels (batch, channels, height, width)."""
        gain, offset = (np.repeat(v.astype(np.float32), self.cut.size**2) for v in (self.gain, self.offset))
        return linear(self.patches, self.cut(pixels).astype(np.float32) * gain + offset)

    def real(self, pixels: Any) -> dict[str, np.ndarray]:
        """Every tensor of the network by its place, ``logits`` (batch, classes) the last."""
        found = {"patches": self.embed(pixels)}
        first = np.broadcast_to(self.first, (len(found["patches"]), 1, len(self.first)))
        x = found["embedding"] = np.concatenate([first, found["patches"]], axis=1) + self.positions
        for number, block in enumerate(self.blocks):
            inside = self._real_block(block, x)
            found |= {f"{number}.{name}": tensor for name, tensor in inside.items()}
            x = inside["sum2"]
        found["norm"] = layer_norm(x[:, 0], *self.norm, self.eps)
        found["logits"] = linear(self.head, found["norm"])
        return found

    def _real_block(self, block: Block, x: np.ndarray) -> dict[str, np.ndarray]:
        t = {"norm1": layer_norm(x, *block.norm["norm1"], self.eps)}
        t |= block.attention(t["norm1"], self.heads)
        t["sum1"] = x + t["proj"]
        t["norm2"] = layer_norm(t["sum1"], *block.norm["norm2"], self.eps)
        t |= block.mlp(t["norm2"])
        t["sum2"] = t["sum1"] + t["down"]
        return t


def _pixels(folder: Path, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Gain and offset of each channel."""
    name = "preprocessor_config.json"
    found = folders.config(folder, name) if (folder / name).exists() else {}
    given = [np.asarray(found.get(f"image_{part}", 0.5), dtype=np.float64) for part in ("mean", "std")]
    if any(part.size not in (1, channels) for part in given):
        raise IntsimError(f"{folder / name} scales {max(p.size for p in given)} channels, images have {channels}")
    mean, std = (np.broadcast_to(part, channels) for part in given)
    if not found.get("do_normalize", True):
        mean, std = np.zeros(channels), np.ones(channels)
    rescale = found.get("rescale_factor", 1 / 255) if found.get("do_rescale", True) else 1.0
    return (rescale / std).astype(np.float32), (-mean / std).astype(np.float32)
