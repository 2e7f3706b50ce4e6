"""What a scheme is: one paper's complete choice of operators and widths, and how a network is built from it.

A network asks its scheme for layers. Every scheme answers the same questions (``design_linear``,
``design_attention``, ``design_product``, ``design_activation``, ``design_norm``, ``design_residual``; for language
models ``design_embedding``, ``design_rms_norm``, ``design_rotary``, ``design_causal``, ``design_gated``) with a
:class:`Layer` that takes and returns :class:`~intsim.formats.quantized.Quantized` tensors, so that one network runs
under every scheme. Real scales are given at design time; a scheme that finds its scales at run time ignores them.
"""

from __future__ import annotations

import abc
import dataclasses
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from intsim.errors import IntsimError, UnknownName
from intsim.formats.quantized import Quantized
from intsim.parameters import Parameters, _lookup
from intsim.prepare.quantize import Range
from intsim.schemes.step import Step
from intsim.unit import Unit

__all__ = ["Bits", "Layer", "Operator", "Scheme"]


class Layer(Protocol):
    """A designed operator of a network.

    Attributes
    ----------
    units : the hardware it consists of, in the order of the data
    """

    @property
    def units(self) -> tuple[Unit, ...]: ...

    def __call__(self, *tensors: Any) -> Quantized: ...


@dataclass(frozen=True)
class Operator(Parameters):
    """A class of units with the options a paper chose; its constants follow from a scale, layer by layer.

    Parameters
    ----------
    unit : name of the class, such as ``Shiftmax``
    options : pairs of field name and value
    """

    unit: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        cls = _lookup(self.unit)
        known = {field.name for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
        if hasattr(cls, "design"):
            known |= set(inspect.signature(cls.design).parameters)
        for name, _ in self.options:
            if name not in known:
                raise UnknownName(f"option of {self.unit}", name, known)
        object.__setattr__(self, "options", tuple(sorted(self.options, key=lambda pair: pair[0])))

    @classmethod
    def of(cls, unit: type[Unit], **options: Any) -> Operator:
        """The operator of a unit class, its options by keyword."""
        return cls(unit.__name__, tuple(options.items()))

    def design(self, *scales: Any, **more: Any) -> Unit:
        """The unit for real scales (or gamma and beta): ``design`` of the class with the options chosen."""
        return _lookup(self.unit).design(*scales, **{**dict(self.options), **more})  # type: ignore[attr-defined]

    def make(self, **more: Any) -> Unit:
        """The unit itself, for classes whose constants follow from no scale."""
        return _lookup(self.unit)(**{**dict(self.options), **more})  # type: ignore[return-value]


@dataclass(frozen=True)
class Bits(Parameters):
    """Bit widths by position in the network.

    Parameters
    ----------
    weight, activation : of linear layers and matrix products
    bias : of the accumulator and its bias
    residual : of the residual stream
    scores : of the softmax's input
    gelu : of the activation's input
    embedding : of the embedding tables, if the residual stream is not narrower
    identity : of a norm's result that goes into a residual add, where norms stand behind the adds; linear layers read
        it at the width of activations
    """

    weight: int = 8
    activation: int = 8
    bias: int = 32
    residual: int = 16
    scores: int = 8
    gelu: int = 8
    embedding: int = 16
    identity: int = 16

    @property
    def embedded(self) -> int:
        """Of the embedding tables: no wider than the stream that they begin."""
        return min(self.embedding, self.residual)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            width = getattr(self, field.name)
            most = 64 if field.name == "bias" else 32
            if not isinstance(width, int) or isinstance(width, bool) or not 2 <= width <= most:
                raise IntsimError(
                    f"{field.name} must be a width in [2, {most}] bits, got {width!r}; choose one of them"
                )


@dataclass(frozen=True)
class Scheme(Parameters, abc.ABC):
    """One paper's complete choice. Fields that are None do not exist in the paper.

    Parameters
    ----------
    name, paper : for reports
    requantize : the requantisation (a :class:`~intsim.requant.Requantizer` without constants, or a dynamic one)
    softmax, activation, gated, norm, pool : operators, or finished units
    residual : the residual add, likewise
    bits : widths by position
    left_in_float : what the paper leaves in floating point
    steps : what is done to the network before it is quantised, in this order (see :mod:`intsim.prepare.steps`)
    range : how calibration finds the range of an activation: ``minmax``, ``percentile`` (of the share that the
        network's design is given) or ``mse`` (see :class:`~intsim.prepare.quantize.Range`)
    """

    name: str
    paper: str
    requantize: Parameters
    softmax: Operator | Unit | None = None
    activation: Operator | Unit | None = None
    gated: Operator | Unit | None = None
    norm: Operator | Unit | None = None
    residual: Operator | Parameters | None = None
    pool: Operator | Unit | None = None
    bits: Bits = Bits()
    left_in_float: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    range: str = "minmax"

    def __post_init__(self) -> None:
        for name in ("name", "paper"):
            if not isinstance(getattr(self, name), str):
                raise IntsimError(f"{name} of a scheme is text, got {getattr(self, name)!r}")
        for part in ("softmax", "activation", "gated", "norm", "pool", "residual"):
            value = getattr(self, part)
            fits = (Operator, Parameters if part == "residual" else Unit)
            if value is not None and not isinstance(value, fits):
                raise IntsimError(
                    f"{part} of a scheme is a unit such as MyUnit(...), or Operator.of(MyUnit, ...), got {value!r}"
                )
        for name, kind in (("requantize", Parameters), ("bits", Bits)):
            if not isinstance(getattr(self, name), kind):
                raise IntsimError(f"{name} of a scheme is a {kind.__name__}, got {getattr(self, name)!r}")
        ranges = [rule.value for rule in Range]
        if self.range not in ranges:
            raise UnknownName("range of activations", str(self.range), ranges)
        for step in self.steps:
            if not isinstance(step, Step):
                raise IntsimError(f"steps of a scheme are Step.of(name, ...), found {step!r}")

    @property
    @abc.abstractmethod
    def dynamic(self) -> bool:
        """Whether scales are found at run time."""

    def replace(self, **changes: Any) -> Scheme:
        """The scheme with other operators or widths.

        Examples
        --------
        >>> from intsim.schemes import ivit
        >>> ivit.replace(bits=Bits(activation=6)).bits.activation
        6
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownName("part of a scheme", name, known)
        return dataclasses.replace(self, **changes)

    def to_toml(self) -> str:
        """The scheme as TOML text; :meth:`from_toml` reads it back without loss."""
        from intsim.schemes.file import to_toml

        return to_toml(self)

    def to_json(self) -> str:
        """The same content as JSON text."""
        from intsim.schemes.file import to_json

        return to_json(self)

    @staticmethod
    def from_toml(text: str) -> Scheme:
        """The scheme that :meth:`to_toml` or a person wrote. See :mod:`intsim.schemes.file`."""
        from intsim.schemes.file import from_toml

        return from_toml(text)

    @staticmethod
    def from_json(text: str) -> Scheme:
        """The scheme that :meth:`to_json` or a person wrote."""
        from intsim.schemes.file import from_json

        return from_json(text)

    def save(self, path: str | Path) -> None:
        """Write the scheme to a ``.toml`` or ``.json`` file, whole or not at all."""
        from intsim.schemes.file import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Scheme:
        """The scheme in a ``.toml`` or ``.json`` file; nothing is imported or executed."""
        from intsim.schemes.file import load

        return load(path)

    @abc.abstractmethod
    def encode(self, values: Any, scale: Any = None, bits: int | None = None) -> Quantized:
        """Real inputs of the network as integers: of the given scale, or with scales of their own."""

    @abc.abstractmethod
    def design_linear(self, weight: Any, bias: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Layer:
        """``x W + b``.

        Parameters
        ----------
        weight : real (K, N)
        bias : real (N,), or None
        scale_in, scale_out : real scales of input and output
        bits : of the output; those of activations by default
        """

    @abc.abstractmethod
    def design_attention(self, scale_q: Any, scale_k: Any, scale_scores: Any, factor: float, max_row: int) -> Layer:
        """``softmax(factor q k^T)`` of ``layer(q, k)`` or ``layer(q, k, valid)``, with rows up to `max_row`."""

    @abc.abstractmethod
    def design_product(self, scale_a: Any, scale_b: Any, scale_out: Any) -> Layer:
        """``a b`` of two activations, such as probabilities and values."""

    @abc.abstractmethod
    def design_activation(self, scale_in: Any, scale_out: Any, max_row: int) -> Layer:
        """The GELU."""

    @abc.abstractmethod
    def design_norm(self, gamma: Any, beta: Any, scale_in: Any, scale_out: Any, bits: int | None = None) -> Layer:
        """LayerNorm over the last axis; `bits` of the output, those of activations by default."""

    @abc.abstractmethod
    def design_narrow(self, scale_in: Any, scale_out: Any) -> Layer:
        """A tensor of any width at the width of activations."""

    @abc.abstractmethod
    def design_residual(self, scale_branch: Any, scale_identity: Any, scale_out: Any) -> Layer:
        """``branch + identity`` of ``layer(branch, identity)``."""

    # What a language model needs besides --------------------------------------------------------------------------

    @property
    def has_gated(self) -> bool:
        """Whether :meth:`design_gated` finds an operator."""
        return self.gated is not None

    def design_embedding(self, table: Any, scale: Any) -> Callable[[Any], Quantized]:
        """The rows (..., channels) of a real table by integer tokens (...), with the residual stream's width."""
        raise self._lacks("design_embedding")

    def design_rms_norm(self, gamma: Any, scale_in: Any, scale_out: Any) -> Layer:
        """RMSNorm over the last axis."""
        raise self._lacks("design_rms_norm")

    def design_rotary(self, channels: int, positions: int, base: float, scale_in: Any, scale_out: Any) -> Layer:
        """Rotary positions of ``layer(x, positions)``, x (batch, heads, n, channels) of the residual stream's width;
        the result has that of activations."""
        raise self._lacks("design_rotary")

    def design_causal(
        self, scale_q: Any, scale_k: Any, scale_scores: Any, scale_v: Any, scale_out: Any, factor: float, max_row: int
    ) -> tuple[Layer, Layer]:
        """``p = layer(q, k, valid)`` and ``layer(p, v)``, in which a row depends on nothing but what it sees."""
        raise self._lacks("design_causal")

    def design_gated(self, scale_gate: Any, scale_up: Any, scale_out: Any, alpha: Any, max_row: int) -> Layer:
        """``gate sigmoid(gate / alpha) up`` of ``layer(gate, up)``, alpha per channel."""
        raise self._lacks("design_gated")

    def _lacks(self, question: str) -> IntsimError:
        return IntsimError(f"{self.name} does not answer {question}; use a StaticScheme or a DynamicScheme")

    def design_reach(self, bits: int) -> float:
        """The largest magnitude that codes of so many bits can stand for, whatever the scale."""
        return math.inf

    def fit_scale(self, part: str, scale: float) -> float:
        """The scale, at or above `scale`, at which the constants of a part (``softmax``, ``activation``) are exact."""
        return scale

    def _design_unit(self, part: str, *scales: Any, **options: Any) -> Unit:
        """The unit of one part for real scales: designed, or as it is where the scheme holds a finished unit."""
        chosen = getattr(self, part)
        if chosen is None:
            raise IntsimError(f"{self.name} has no {part}: {self.paper} leaves it out; use scheme.replace({part}=...)")
        return chosen.design(*scales, **options) if isinstance(chosen, Operator) else chosen
