"""What each kind of model is judged by: its twin, its data, its figures. ``model_type`` of config.json chooses."""

from __future__ import annotations

import abc
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.measure.network import images, retrieval, text
from intsim.models.bert import IntegerBert
from intsim.models.llama import IntegerLlama
from intsim.models.network import IntegerNetwork
from intsim.models.real import folder as folders
from intsim.models.real.bert import Bert
from intsim.models.real.llama import Llama
from intsim.models.real.vit import ViT
from intsim.models.vit import IntegerViT
from intsim.schemes import Scheme

__all__ = ["TASKS", "Classification", "Data", "Language", "Progress", "Retrieval", "Task", "open_task"]

Progress = Callable[[float, float], None]
"""Called with what is done and what there is in all."""


@dataclass(frozen=True)
class Data:
    """What a network is judged on.

    Attributes
    ----------
    count : items at most; None for what the kind of model takes by default
    seed : draws the items, and the bootstrap
    pairs, text, images : the user's own data instead of the data at hand, where the kind of model takes such
    """

    count: int | None = None
    seed: int = 0
    pairs: Path | None = None
    text: Path | None = None
    images: Path | None = None


class Task(abc.ABC):
    """A model with the data that calibrates and judges it.

    Attributes
    ----------
    takes : the field of :class:`Data` that holds data of one's own for this kind of model
    metric : the figure that comparisons show, a key of what :meth:`evaluate` finds
    higher_is_better : of that figure
    name : the model, as the user named it
    model : the float32 twin
    samples : calibration inputs, none of which is judged on
    probe : held-out inputs for errors by place and for vectors
    row : elements of a row of scores in the data; what a softmax is timed with
    """

    takes: ClassVar[str]
    metric: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    name: str
    model: Any
    samples: Sequence[np.ndarray]
    probe: Sequence[np.ndarray]
    row: int

    @abc.abstractmethod
    def __init__(self, name: str, folder: Path, data: Data): ...

    @abc.abstractmethod
    def design(self, scheme: Scheme, percentile: float = 100) -> IntegerNetwork:
        """The integer network under a scheme, calibrated on :attr:`samples`."""

    @abc.abstractmethod
    def evaluate(self, network: IntegerNetwork, progress: Progress | None = None) -> dict[str, Any]:
        """``float``, ``integer`` and ``difference`` (paired), each with ``{metric: {mean, low, high}}``; and more."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of weights and data: equal where :meth:`evaluate` must give the same figures."""


class Retrieval(Task):
    """A sentence encoder: 1,000 docstrings of the standard library, the rest of each to be found by its beginning."""

    takes = "pairs"
    metric = "mrr"
    row = 64

    def __init__(self, name: str, folder: Path, data: Data):
        self.name, self.model = name, Bert.load(folder)
        self.row = min(self.row, len(self.model.positions))
        self._folder, self._seed = folder, data.seed
        self._tokenizer = folders.tokenizer(folder)
        count = 1000 if data.count is None else data.count
        if count < 2:
            raise IntsimError(f"retrieval needs at least two pairs, got {count}")
        if data.pairs is None:
            self._pairs = retrieval.pairs(count, data.seed)
            own = retrieval.pairs(32, data.seed, held_out=False)
        else:  # calibration texts lie apart from those that are judged
            given = retrieval.read_pairs(data.pairs)
            order = np.random.default_rng(data.seed).permutation(len(given))
            aside = min(32, len(given) // 4)
            own = [given[i] for i in order[:aside]] or retrieval.pairs(32, data.seed, held_out=False)
            self._pairs = [given[i] for i in order[aside:][:count]]
        self._texts = [text for pair in self._pairs for text in pair]
        self.samples = self._batches([text for pair in own for text in pair])
        self.probe = self._batches(self._texts[:16])

    def _batches(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [tokens for _, tokens in retrieval.by_length(self._tokenizer, texts, self.row)]

    def design(self, scheme: Scheme, percentile: float = 100) -> IntegerNetwork:
        return IntegerBert.design(self.model, scheme, self.samples, percentile)

    def evaluate(self, network: IntegerNetwork, progress: Progress | None = None) -> dict[str, Any]:
        real = self._real
        got = retrieval.vectors_of(
            lambda tokens: network(tokens).decode(), self._tokenizer, self._texts, self.row, progress
        )
        return retrieval.evaluate(real, got, self._seed)

    @functools.cached_property
    def _real(self) -> np.ndarray:
        """The twin's vectors, found once for all schemes."""
        return retrieval.vectors_of(
            lambda tokens: self.model.real(tokens)["pooled"], self._tokenizer, self._texts, self.row
        )

    def fingerprint(self) -> str:
        return digest_of(
            self._folder, *map(str, self._texts), *(str(s.tolist()) for s in self.samples), str(self._seed)
        )


class Classification(Task):
    """An image classifier: the held-out digits, or images of one's own, of which some are set apart to calibrate."""

    takes = "images"
    metric = "top1"

    def __init__(self, name: str, folder: Path, data: Data):
        self.name, self.model = name, ViT.load(folder)
        self._folder, self._seed = folder, data.seed
        if data.images is None:
            own, judged = images.digits(held_out=False).choose(128, data.seed), images.digits(held_out=True)
            if judged.shape != self.model.cut.shape:
                raise IntsimError(f"{name} takes images of {self.model.cut.shape}; give some with --images DIR")
        else:
            given = images.read(data.images, self.model)
            own, judged = given.set_apart(min(128, max(len(given) // 4, 1)), data.seed)
        self._judged = judged if data.count is None else judged.choose(data.count, data.seed)
        if not len(self._judged):
            raise IntsimError("no image to judge on; give at least two, one of which calibrates")
        self._calibration = own
        self.samples = [pixels for _, pixels in own.batches(32)]
        self.probe = [self._judged.pixels(slice(16))]
        self.row = len(self.model.positions)

    def design(self, scheme: Scheme, percentile: float = 100) -> IntegerNetwork:
        return IntegerViT.design(self.model, scheme, self.samples, percentile)

    def evaluate(self, network: IntegerNetwork, progress: Progress | None = None) -> dict[str, Any]:
        got = images.logits_of(lambda pixels: network(pixels).decode(), self._judged, progress)
        return images.evaluate(self._real, got, self._judged.classes, self._seed)

    @functools.cached_property
    def _real(self) -> np.ndarray:
        """The twin's logits, found once for all schemes."""
        return images.logits_of(lambda pixels: self.model.real(pixels)["logits"], self._judged)

    def fingerprint(self) -> str:
        return digest_of(self._folder, self._judged.digest(), self._calibration.digest(), str(self._seed))


class Language(Task):
    """A language model: 128 windows of 128 tokens of the text beside its weights, or of a text of one's own, whose
    first eighth calibrates."""

    takes = "text"
    metric = "perplexity"
    higher_is_better = False

    def __init__(self, name: str, folder: Path, data: Data):
        self.name, self.model = name, Llama.load(folder)
        self._folder, self._seed = folder, data.seed
        tokenizer = folders.tokenizer(folder)
        self.row = min(128, self.model.positions)
        if data.text is None:
            own, judged = (
                text.windows(tokenizer, folders.text(folder, file), self.row)
                for file in ("calibration.txt", "held_out.txt")
            )
        else:
            given = text.windows(tokenizer, folders.text(data.text.parent, data.text.name), self.row, least=2)
            aside = max(len(given) // 8, 1)
            own, judged = given[:aside], given[aside:]
        self._judged = judged[: 128 if data.count is None else data.count]
        self.samples = [own[at : at + 8] for at in range(0, min(len(own), 32), 8)]
        self.probe = [self._judged[:4]]

    def design(self, scheme: Scheme, percentile: float = 100) -> IntegerNetwork:
        return IntegerLlama.design(self.model, scheme, self.samples, percentile)

    def evaluate(self, network: IntegerNetwork, progress: Progress | None = None) -> dict[str, Any]:
        got = text.losses_of(lambda tokens: network(tokens).decode(), self._judged, progress)
        return text.evaluate(self._real, got, self.row, self._seed)

    @functools.cached_property
    def _real(self) -> np.ndarray:
        """The twin's losses, found once for all schemes."""
        return text.losses_of(self.model, self._judged)

    def fingerprint(self) -> str:
        return digest_of(self._folder, str(self._judged.tolist()), *(str(s.tolist()) for s in self.samples))


def digest_of(folder: Path, *texts: str) -> str:
    """SHA-256 of a model's files and of texts."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors"):
            found.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    for item in texts:
        found.update(hashlib.sha256(item.encode()).digest())
    return found.hexdigest()


TASKS: Mapping[str, type[Task]] = MappingProxyType({"bert": Retrieval, "vit": Classification, "llama": Language})
"""Every kind of model, by ``model_type`` of its config.json."""


def open_task(model: str, data: Data = Data()) -> Task:
    """The model that `model` names, with data to judge it on.

    Parameters
    ----------
    model : a name such as ``minilm``, or a folder as Hugging Face lays it out

    Raises
    ------
    IntsimError
        No such folder, a kind of model that is not known, or data of one's own that this kind does not take.
    """
    place = folders.find(model)
    kind = str(folders.config(place).get("model_type"))
    if kind not in TASKS:
        raise UnknownName("model_type in config.json", kind, TASKS)
    task = TASKS[kind]
    for name in ("pairs", "text", "images"):
        if getattr(data, name) is not None and name != task.takes:
            raise IntsimError(f"a model of type {kind} is judged on --{task.takes}, not on --{name}")
    return task(str(model), place, data)
