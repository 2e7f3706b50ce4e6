"""Images with their classes, and what an integer-only classifier keeps of its float32 twin on them.

>>> data, calibration = digits(held_out=True).choose(100), digits(held_out=False).choose(64)
>>> data.pixels().shape, calibration.pixels().dtype
((100, 1, 8, 8), dtype('uint8'))

With ``network = IntegerViT.design(model, scheme, [calibration.pixels()])`` the figures are ::

    real = logits_of(lambda pixels: model.real(pixels)["logits"], data)
    got = logits_of(lambda pixels: network(pixels).decode(), data)
    evaluate(real, got, data.classes)

:func:`read` gives the same for a folder of one's own images.

The digits are scikit-learn's ``load_digits``, in its order: 1797 images of 8 x 8 pixels in 17 shades, a part of
"Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, CC BY 4.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.measure.network.statistics import difference, with_interval
from intsim.models.real.vit import ViT

__all__ = ["HELD_OUT", "Images", "digits", "evaluate", "logits_of", "read"]

HELD_OUT = 360
"""Of the digits, the last so many are never trained or calibrated on."""

_ENDINGS = (".png", ".jpg", ".jpeg", ".npy")


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one shape and the class of each; files are read when they are asked for.

    Parameters
    ----------
    items : pixels (channels, height, width), or files of them
    classes : number of each image's class
    shape : (channels, height, width)
    """

    items: Sequence[np.ndarray | Path]
    classes: np.ndarray
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.items)

    def set_apart(self, count: int, seed: int = 0) -> tuple[Images, Images]:
        """`count` of the images, drawn, and the others: for calibration, and to judge on."""
        drawn = np.zeros(len(self), dtype=bool)
        drawn[np.random.default_rng(seed).permutation(len(self))[:count]] = True
        return self._only(drawn), self._only(~drawn)

    def choose(self, limit: int, seed: int = 0) -> Images:
        """At most `limit` of the images, drawn."""
        return self.set_apart(limit, seed)[0]

    def _only(self, chosen: np.ndarray) -> Images:
        return Images([self.items[i] for i in np.flatnonzero(chosen).tolist()], self.classes[chosen], self.shape)

    def digest(self) -> str:
        """SHA-256 of pixels and classes."""
        found = hashlib.sha256(self.classes.tobytes())
        for _, pixels in self.batches():
            found.update(str(pixels.dtype).encode() + pixels.tobytes())
        return found.hexdigest()

    def pixels(self, part: slice = slice(None)) -> np.ndarray:
        """Integers (n, channels, height, width)."""
        return np.stack([_decode(item, self.shape) for item in self.items[part]])

    def batches(self, size: int = 64) -> Iterator[tuple[slice, np.ndarray]]:
        """Pixels, `size` images at a time."""
        for at in range(0, len(self), size):
            part = slice(at, min(at + size, len(self)))
            yield part, self.pixels(part)


def digits(held_out: bool = True) -> Images:
    """The handwritten digits as 8-bit grey images: a shade s of 0 .. 16 is the pixel ``min(16 s, 255)``.

    Parameters
    ----------
    held_out : the last 360; else the 1437 before them, for training and calibration
    """
    with np.load(resources.files("intsim.measure.network").joinpath("digits.npz").open("rb")) as stored:
        shades, classes = stored["images"], stored["labels"]
    part = slice(-HELD_OUT, None) if held_out else slice(-HELD_OUT)
    pixels = np.minimum(16 * shades[part].astype(np.int64), 255).astype(np.uint8)[:, None]
    return Images(list(pixels), classes[part].astype(np.int64), (1, *shades.shape[1:]))


def read(folder: str | Path, model: ViT) -> Images:
    """The images below a folder, of each class in the sub-folder that bears its name or number.

    PNG and JPEG files are brought to the model's size (bilinear) and channels; ``.npy`` files hold integers of the
    model's shape (channels, height, width).

    Raises
    ------
    IntsimError
        No images, a sub-folder that names no class, or a file of another shape.
    """
    root, numbers = Path(folder), {name: number for number, name in enumerate(model.labels)}
    items, classes = [], []
    for inside in sorted(path for path in root.glob("*") if path.is_dir()):
        number = numbers.get(inside.name, int(inside.name) if inside.name.isdecimal() else -1)
        if not 0 <= number < len(model.labels):
            raise IntsimError(f"{inside} names no class of the model; use its labels, such as {model.labels[0]!r}")
        found = sorted(path for path in inside.iterdir() if path.suffix.lower() in _ENDINGS)
        items += found
        classes += [number] * len(found)
    if not items:
        raise IntsimError(f"no images in {root}; put .png, .jpg or .npy files into one sub-folder per class")
    return Images(items, np.array(classes), model.cut.shape)


def _decode(item: np.ndarray | Path, shape: tuple[int, int, int]) -> np.ndarray:
    if isinstance(item, np.ndarray):
        return item
    channels, high, wide = shape
    try:
        if item.suffix.lower() == ".npy":
            pixels = np.load(item, allow_pickle=False)
        else:
            from PIL import Image

            with Image.open(item) as image:
                grey_or_colour = image.convert("L" if channels == 1 else "RGB")
                pixels = np.asarray(grey_or_colour.resize((wide, high), Image.Resampling.BILINEAR))
            pixels = np.moveaxis(pixels.reshape(high, wide, -1), -1, 0)
    except (OSError, ValueError) as error:
        raise IntsimError(f"cannot read {item}: {error}; give a .png, .jpg or .npy file") from None
    if pixels.shape != shape or pixels.dtype.kind not in "iu":
        raise IntsimError(f"{item} holds {pixels.dtype} {pixels.shape}; the model takes integers {shape}")
    return pixels


def logits_of(
    run: Callable[[np.ndarray], np.ndarray], data: Images, progress: Callable[[float, float], None] | None = None
) -> np.ndarray:
    """The logits (images, classes) that `run` finds for batches of pixels."""
    found = []
    for part, pixels in data.batches():
        found.append(run(pixels))
        if progress is not None:
            progress(part.stop, len(data))
    return np.concatenate(found)


def evaluate(real: np.ndarray, got: np.ndarray, classes: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Top-1 of two classifiers on the same images.

    Parameters
    ----------
    real, got : logits (images, classes) by float and by integers
    classes : number of each image's class
    seed : of the bootstrap

    Returns
    -------
    dict
        ``float``, ``integer`` and ``difference`` (paired) with ``top1`` each, and ``same``, the share of images with
        the same answer: means with their 95 % intervals. Where another class has the same logit the answer is wrong.
    """
    right, kept = (_is_right(logits, classes) for logits in (real, got))
    return {
        "images": len(classes),
        "float": {"top1": with_interval(right, seed)},
        "integer": {"top1": with_interval(kept, seed)},
        "difference": {"top1": difference(kept, right, seed)},
        "same": with_interval(real.argmax(axis=1) == got.argmax(axis=1), seed),
    }


def _is_right(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    own = logits[np.arange(len(logits)), classes]
    return (logits >= own[:, None]).sum(axis=1) == 1
