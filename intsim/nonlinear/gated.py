"""I-LLM's sigmoid and SwiGLU on integers, in the published frame and in one that stays accurate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.exact import exact, run
from intsim.formats import Fixed, Format
from intsim.nonlinear.constants import DI_FORMS, check_di_exp, design_di_scale, di_exp_hazards, di_period, di_top
from intsim.nonlinear.exp import di_exp
from intsim.operators import Row, check_products, from_scale, require_int, require_ints, signed_port
from intsim.rows import row_corners
from intsim.tables.functions import sigmoid
from intsim.unit import Hazard, takes_kernel

__all__ = ["FRAMES", "DISigmoid", "DISwiGLU"]

FRAMES = ("row_max", "two_branch")
ROW_MAX, TWO_BRANCH = range(2)


@dataclass(frozen=True)
class DISigmoid(Row):
    """I-LLM's sigmoid by :class:`DIExp`, in two frames.

    ``two_branch``, element by element::

        E = DIExp(-|x|);  T = DIExp(0);  y = floor((T if x >= 0 else E) 2**(out_bits-1) / (T + E))

    ``row_max``, as published (Algorithm 3)::

        M = max(max x, 0);  a = DIExp(x - M);  b = DIExp(-M);  y = floor(a 2**(out_bits-1) / (a + b))

    The result has the scale ``2**-(out_bits-1)`` and reaches ``2**(out_bits-1)``.

    Source: I-LLM (arXiv 2405.17849), Algorithm 3, known from figure and transcriptions. **The paper's:** ``row_max``.
    **Ours:** M is at least 0 (else -M leaves the domain), 0 where a + b vanishes, the floor; ``two_branch``, the
    default, because a large row maximum makes both exponentials of the published frame vanish.

    Parameters
    ----------
    m, k : scale of the input
    frame : ``two_branch`` (element by element) or ``row_max`` (a row unit)
    form, headroom : of the exponential
    out_bits : 2 to 16
    """

    m: int
    k: int
    frame: str = "two_branch"
    form: str = "fixed16"
    out_bits: int = 8
    headroom: int = 15

    def __post_init__(self) -> None:
        _check_di(self)

    @classmethod
    def design(cls, scale: float, frame: str = "two_branch", bits: int = 8, **options: Any) -> DISigmoid:
        """The unit for inputs of real step `scale`."""
        return cls(*design_di_scale(scale, bits), frame, scale=from_scale(scale), **options)

    @property
    def is_row(self) -> bool:
        return self.frame == "row_max"

    @property
    def top(self) -> int:
        """``exp(0)`` in codes of the exponential."""
        return di_top(di_period(self.m, self.k), DI_FORMS.index(self.form), self.headroom)

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Fixed(self.out_bits, self.out_bits - 1, signed=False)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, unsigned."""
        return _di_widths(self)

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.m, 1 << self.k)

    def real(self, *values: Any) -> Any:
        return sigmoid(self._from_port(values[0]))

    def corners(self) -> tuple[np.ndarray, ...]:
        return (_di_corners(self),)

    def hazards(self) -> tuple[Hazard, ...]:
        return _di_hazards(self)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        rows = x.reshape(-1, x.shape[-1])
        _check_reach(rows, self.m)
        sigma = np.empty(rows.shape, dtype=self.outputs["y"].dtype)
        run(di_sigmoid_rows, rows, *_di_arguments(self, len(rows)), _ONE, _ZERO, sigma)
        return {"y": sigma.reshape(x.shape)}


@dataclass(frozen=True)
class DISwiGLU(Row):
    """I-LLM's DI-SwiGLU: ``y = gate sigmoid(gate / alpha) up`` in integers.

    ::

        g' = (gate ma) >> ka            # alpha smoothing, (ma, ka) the dyadic 1/alpha of the channel
        y  = gate DISigmoid(g') up      # scale sg su 2**-(out_bits-1)

    Source: I-LLM (arXiv 2405.17849), Algorithm 3; the two products and alpha are known from transcriptions only.
    **The paper's:** the frame ``row_max``, alpha per channel. **Ours:** ``two_branch`` (see :class:`DISigmoid`), alpha
    as a dyadic reciprocal with a floor. The result is requantised dynamically behind it
    (:class:`intsim.linear.DynamicRequantize`).

    Parameters
    ----------
    m, k : scale of the gate
    frame, form, out_bits, headroom : of the sigmoid
    alpha : ``(ma, ka)`` of each channel, or one for all; none without smoothing. Several make it a row unit, whose rows
        have as many elements
    x, up : formats of the two ports; `up` as `x` where None
    """

    m: int
    k: int
    frame: str = "two_branch"
    form: str = "fixed16"
    out_bits: int = 8
    headroom: int = 15
    alpha: tuple[tuple[int, int], ...] = ()
    _: KW_ONLY
    up: Format | None = None

    def __post_init__(self) -> None:
        _check_di(self)
        require_ints(self, "alpha")  # flat; pairs again below
        flat = self.alpha
        if len(flat) % 2:
            raise IntsimError(f"alpha needs a pair (ma, ka) per channel, got {len(flat)} integers; pass ((ma, ka),)")
        object.__setattr__(self, "alpha", tuple(zip(flat[::2], flat[1::2], strict=True)))
        for ma, ka in self.alpha:
            if not (1 <= ma < 1 << 16 and 0 <= ka <= 40):
                raise IntsimError(f"alpha {(ma, ka)}: 1 <= ma < 65536 and 0 <= ka <= 40 are needed; round it")

    @classmethod
    def design(
        cls, scale: float, frame: str = "two_branch", bits: int = 8, alpha: Any = (), **options: Any
    ) -> DISwiGLU:
        """The unit for gates of real step `scale` and real smoothing factors `alpha`."""
        factors = np.atleast_1d(np.asarray(alpha, dtype=np.float64))
        if not np.all(factors > 0):
            raise IntsimError(f"alpha must be positive in every channel, got {alpha!r}; use 1 for no smoothing")
        pairs = tuple(design_di_scale(1 / float(a), bits) for a in factors)
        return cls(*design_di_scale(scale, bits), frame, alpha=pairs, scale=from_scale(scale), **options)

    @property
    def is_row(self) -> bool:
        return self.frame == "row_max" or len(self.alpha) > 1

    @property
    def row_length(self) -> int | None:
        return len(self.alpha) if len(self.alpha) > 1 else None

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"gate": self.x, "up": self.up or self.x}

    @property
    def top(self) -> int:
        """``exp(0)`` in codes of the exponential."""
        return di_top(di_period(self.m, self.k), DI_FORMS.index(self.form), self.headroom)

    @property
    def outputs(self) -> Mapping[str, Format]:
        up = self.inputs["up"]
        ends = [g * u << (self.out_bits - 1) for g in (self.x.lo, self.x.hi) for u in (up.lo, up.hi)]
        return {"y": signed_port(min(*ends, 0), max(*ends, 0))}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, unsigned but for the signed ``product`` of gate and sigmoid."""
        return {**_di_widths(self), "product": self.x.bits + self.out_bits}

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.m, 1 << self.k)

    def real(self, *values: Any) -> Any:
        """``gate sigmoid(gate/alpha) up`` in codes of the output, for codes of `gate` and `up`."""
        gate = self._from_port(values[0])
        smooth = np.array([ma * 2.0**-ka for ma, ka in self.alpha]) if self.alpha else 1.0
        codes = gate / float(self.step) * np.asarray(values[1], dtype=np.float64)
        return codes * sigmoid(gate * smooth) * 2.0 ** (self.out_bits - 1)

    def corners(self) -> tuple[np.ndarray, ...]:
        gate = _di_corners(self)
        up = self.inputs["up"]
        wanted = (up.hi, up.lo, 1, -1 if up.lo < 0 else 2, up.hi // 3)
        values = np.array([min(v, up.hi) for v in wanted], dtype=up.dtype)
        if gate.ndim == 1:
            return np.repeat(gate, len(values)), np.tile(values, gate.size)
        return gate, values[np.add.outer(np.arange(len(gate)), np.arange(gate.shape[1])) % len(values)]

    def hazards(self) -> tuple[Hazard, ...]:
        found = list(_di_hazards(self))
        bits = self.x.bits + self.out_bits + self.inputs["up"].bits - 1
        if bits > 64:
            found.append(Hazard(f"gate * sigmoid * up needs {bits} bits of 64", "declare narrower x and up"))
        return tuple(found)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        gate, up = columns
        rows = gate.reshape(-1, gate.shape[-1])
        m, k = np.full(len(rows), self.m, dtype=np.int64), np.full(len(rows), self.k, dtype=np.int64)
        nets = self.rows(rows, up.reshape(rows.shape), m, k)
        return {net: values.reshape(gate.shape) for net, values in nets.items()}

    def rows(self, gate: np.ndarray, up: np.ndarray, m: np.ndarray, k: np.ndarray) -> dict[str, np.ndarray]:
        """The operator with one scale ``m / 2**k`` of the gate per row, as dynamic requantisation leaves it.

        Parameters
        ----------
        gate, up : (rows, n)
        m, k : (rows,) within the bounds of the fields of the same name
        """
        alpha = self._checked(gate, up, m)
        sigma, y = np.empty(gate.shape, dtype=np.int64), np.empty(gate.shape, dtype=self.outputs["y"].dtype)
        constants = (TWO_BRANCH if self.frame == "two_branch" else ROW_MAX, DI_FORMS.index(self.form), self.headroom)
        run(di_sigmoid_rows, gate, m, k, *constants, self.out_bits, *alpha, sigma)
        run(multiply_all, gate, sigma, up, y)
        return {"sigma": sigma, "y": y}

    def gated(
        self, gate: np.ndarray, up: np.ndarray, m: np.ndarray, k: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """What :meth:`rows` gives as y, without the sigmoid."""
        if takes_kernel(gate.size):
            from intsim.kernels.illm import gate_rows

            y = np.empty(gate.shape, dtype=self.outputs["y"].dtype) if out is None else out
            if gate_rows(self, gate, up, m, k, self._checked(gate, up, m), y):
                return y
        return self.rows(gate, up, m, k)["y"]

    def _checked(self, gate: np.ndarray, up: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mantissas and exponents of alpha, once nothing can leave int64."""
        if len(self.alpha) > 1 and gate.shape[1] != len(self.alpha):
            raise IntsimError(f"rows of {gate.shape[1]} do not fit {len(self.alpha)} channels of alpha")
        check_products("gate * sigmoid * up", 1 << (self.out_bits - 1), gate, up)
        ma, ka = (np.array(v, dtype=np.int64) for v in zip(*(self.alpha or ((1, 0),)), strict=True))
        check_products("gate * alpha", int(ma.max()), gate)
        _check_reach(gate, int(m.max()), self.alpha)
        return ma, ka


# What the two I-LLM units share --------------------------------------------------------------------------------

_ONE, _ZERO = np.ones(1, dtype=np.int64), np.zeros(1, dtype=np.int64)


def _check_di(unit: DISigmoid | DISwiGLU) -> None:
    unit._check_row()
    if unit.frame not in FRAMES:
        raise UnknownName("frame", unit.frame, FRAMES)
    require_int(unit, "out_bits", 2, 16, "8 is the paper's")
    check_di_exp(unit)
    bits = unit.top.bit_length() + unit.out_bits
    if bits > 62:
        raise IntsimError(f"the division needs {bits} bits of 62; normalise m or use fewer bits of headroom")


def _check_reach(x: np.ndarray, m: int, alpha: tuple[tuple[int, int], ...] = ()) -> None:
    """``2 |x| m 369`` must fit int64: the distance of two elements enters the exponential."""
    worst = max(int(x.max()), -int(x.min()))
    worst = max([((worst * ma) >> ka) + 1 for ma, ka in alpha], default=worst)
    if (2 * worst * m * 369) >> 62:
        raise IntsimError(f"x = {worst} times m = {m} leaves 62 bits; use narrower codes or an 8-bit mantissa")


def _di_arguments(unit: DISigmoid, rows: int) -> tuple[Any, ...]:
    m, k = np.full(rows, unit.m, dtype=np.int64), np.full(rows, unit.k, dtype=np.int64)
    frame = TWO_BRANCH if unit.frame == "two_branch" else ROW_MAX
    return m, k, frame, DI_FORMS.index(unit.form), unit.headroom, unit.out_bits


def _di_widths(unit: DISigmoid | DISwiGLU) -> dict[str, int]:
    top = unit.top.bit_length()
    return {"e": top, "sum": top + 1, "dividend": top + unit.out_bits - 1, "sigma": unit.out_bits}


def _di_hazards(unit: DISigmoid | DISwiGLU) -> tuple[Hazard, ...]:
    found = list(di_exp_hazards(unit.m, unit.k, unit.form, unit.headroom))
    if unit.frame == "row_max":
        limit = DI_OCTAVES * ((1 << unit.k) // (unit.m + (unit.m >> 1)) + 1)
        if unit.x.hi > limit:
            found.append(
                Hazard(f"a row maximum above {limit} makes both exponentials vanish", "use frame='two_branch'")
            )
    return tuple(found)


DI_OCTAVES = 17  # an exponential of 16 bits is 0 behind as many halvings


def _di_corners(unit: DISigmoid | DISwiGLU) -> np.ndarray:
    alpha = unit.alpha if isinstance(unit, DISwiGLU) else ()
    smooth = max((Fraction(1 << ka, ma) for ma, ka in alpha), default=Fraction(1))
    period = Fraction((1 << unit.k) * 16, 23 * unit.m) * smooth
    if unit.is_row:
        width = len(alpha) if len(alpha) > 1 else unit.max_row
        rows = row_corners(unit.x, width, period, 20, width=len(alpha) if len(alpha) > 1 else None)
        centred = rows.astype(object) - int(period * 8)
        low = np.clip(centred - rows.max(axis=1, keepdims=True).astype(object) + int(period * 9), unit.x.lo, unit.x.hi)
        return np.concatenate([rows, low.astype(rows.dtype)])
    points = {unit.x.lo, unit.x.lo + 1, unit.x.hi - 1, unit.x.hi, 0}
    for i in range(1, 8 * DI_OCTAVES):
        centre = period * i // 4
        points.update(s * (centre + d) for d in range(-2, 3) for s in (-1, 1))
    points.update(s * i * j for i in range(1, 130) for j in (1, 37) for s in (-1, 1))
    return np.array(sorted(p for p in points if unit.x.lo <= p <= unit.x.hi), dtype=unit.x.dtype)


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def di_sigmoid(x, top, m, k, t, frame, form, headroom, out_bits):
    """I-LLM's sigmoid of one element; `top` is the row maximum, at least 0."""
    if frame == TWO_BRANCH:
        far = di_exp(-abs(x), m, k, t, form, headroom)
        near = di_exp(0, m, k, t, form, headroom)
        own = near if x >= 0 else far
        total = near + far
    else:
        own = di_exp(x - top, m, k, t, form, headroom)
        total = own + di_exp(-top, m, k, t, form, headroom)
    return (own << (out_bits - 1)) // max(total, 1)


@exact
def di_sigmoid_rows(x, m, k, frame, form, headroom, out_bits, alpha_m, alpha_k, out):
    """I-LLM's sigmoid of every row, one scale per row, smoothed by one alpha or by one per channel."""
    step = 1 if alpha_m.size > 1 else 0
    for i in range(x.shape[0]):
        t = di_period(m[i], k[i])
        top = 0
        if frame == ROW_MAX:
            for j in range(x.shape[1]):
                top = max(top, (x[i, j] * alpha_m[step * j]) >> alpha_k[step * j])
        for j in range(x.shape[1]):
            smoothed = (x[i, j] * alpha_m[step * j]) >> alpha_k[step * j]
            out[i, j] = di_sigmoid(smoothed, top, m[i], k[i], t, frame, form, headroom, out_bits)


@exact
def multiply_all(a, b, c, out):
    """The product of three matrices, element by element."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            out[i, j] = a[i, j] * b[i, j] * c[i, j]
