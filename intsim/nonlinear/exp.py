"""The exponential on integers: I-ViT's, I-BERT's and I-LLM's.

All three write ``exp(x)`` as a power of two times a function of the remainder; they differ in where log2(e) goes and
in how the remainder is treated. They are meant for ``x <= 0``; :func:`intsim.operators.non_positive` is the
port format that says so. The functions at the end of the file are the arithmetic; softmax and the activations
use the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.exact import exact, run
from intsim.formats import Format, Int
from intsim.nonlinear.constants import (
    DI_FORMS,
    FIXED16,
    HEADROOM,
    IVIT_PROFILES,
    LITERAL,
    check_di_exp,
    check_di_reach,
    check_ibert_exp,
    check_profile,
    check_shift_exp,
    design_di_scale,
    design_ibert,
    design_x0,
    di_exp_hazards,
    di_period,
    di_top,
    ibert_top,
    shift_limit,
)
from intsim.operators import Elementwise, check_kinds, from_scale, non_positive, signed_port
from intsim.unit import Hazard

__all__ = ["DI_FORMS", "IVIT_PROFILES", "DIExp", "IBertExp", "ShiftExp"]


@dataclass(frozen=True)
class ShiftExp(Elementwise):
    """I-ViT's ShiftExp: ``exp(x s)`` as ``y s 2**-n``, with shifts and one division by a constant.

    ::

        v = max(x + (x >> 1) - (x >> 4), n x0)     # x log2(e), log2(e) ~ 1.4375
        q = floor(v / x0);  r = v - q x0           # x0 < r <= 0
        y = (r - 2 x0) << (n - q - 1)              # >> 1 where q = n;  2**(r/x0) ~ 1 - r/(2 x0)

    Source: I-ViT (arXiv 2207.01405), section 3.3 and the authors' PyTorch code. **The paper's:** all of it.
    **Ours:** a positive `x` is taken while the result stays below 2**62 (ShiftGELU calls it so).

    Parameters
    ----------
    x0 : ``floor(-1/s)``, at most -1
    n : headroom, 15 in the softmax and 23 in the GELU; x is limited to ``n x0``
    profile : ``ivit``, or ``ivit_tvm``, the authors' TVM layer: ``y = ((r >> 1) - x0) << (n - q)``, which drops the
        lowest bit of r, with ``x0 = trunc(-1/s - 1)``
    x : input format; :func:`non_positive` makes every code valid and the output port narrow

    Raises
    ------
    IntsimError
        Parameters whose results leave int64; at a call, a positive code whose result does.
    """

    x0: int
    n: int
    profile: str = "ivit"

    def __post_init__(self) -> None:
        check_kinds(self)
        check_shift_exp(self)

    @classmethod
    def design(cls, scale: float, n: int = 15, profile: str = "ivit", **options: Any) -> ShiftExp:
        """The unit for codes of real step `scale`."""
        check_profile(profile)
        return cls(design_x0(scale, profile), n, profile, scale=from_scale(scale), **options)

    @property
    def outputs(self) -> Mapping[str, Format]:
        if self.x.hi <= 0:
            return {"y": Int((-self.x0 << self.n).bit_length(), signed=False)}
        _, _, y = shift_exp(self.x.hi, self.x0, self.n, 62, self.profile == "ivit_tvm")
        return {"y": signed_port(0, y)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates: ``q`` unsigned for x <= 0, ``r`` signed, ``mantissa`` unsigned."""
        return {"q": self.n.bit_length(), "r": (-self.x0).bit_length() + 1, "mantissa": (-2 * self.x0).bit_length()}

    @property
    def limit(self) -> int:
        """The largest shift to the left that keeps 62 bits."""
        return shift_limit(self.x0)

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(1, -self.x0)

    def real(self, *values: Any) -> Any:
        """``exp`` in codes of the output, ``s 2**-n`` each."""
        return np.exp(self._from_port(values[0])) * math.ldexp(1, self.n) / float(self.step)

    def corners(self) -> tuple[np.ndarray, ...]:
        return (_exp_corners(self.x, Fraction(-self.x0 * 16, 23), self.n),)

    def hazards(self) -> tuple[Hazard, ...]:
        return _positive_hazard(self.x)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        tvm = self.profile == "ivit_tvm"
        _check_positive(x, lambda top: self.n - shift_exp(top, self.x0, self.n, 0, tvm)[0], self.limit)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(shift_exp_all, x, self.x0, self.n, self.limit, tvm, y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        q, r = np.empty((2, x.size), dtype=np.int64)
        run(shift_exp_nets, x, self.x0, self.n, self.limit, self.profile == "ivit_tvm", q, r)
        return {"q": q, "r": r, **self._evaluate(x)}


@dataclass(frozen=True)
class IBertExp(Elementwise):
    """I-BERT's i-exp: a second-order polynomial on ``(-ln 2, 0]`` and a shift.

    ::

        v = max(x, n x0);  q = floor(v / x0);  r = v - q x0
        y = max((r + b) r + c, 0) << (n - q)       # scale 0.35815147 s**2 / 2**n

    Source: I-BERT (arXiv 2101.01321), section 3.5 and the authors' code. **The paper's:** all of it.

    Parameters
    ----------
    x0 : ``floor(-0.6931/s)``
    b, c : ``floor((0.96963238/0.35815147)/s)``, ``floor((1/0.35815147)/s**2)``
    n : headroom

    Raises
    ------
    IntsimError
        Constants whose results leave int64: scales below about 2e-5 at n = 30.
    """

    x0: int
    b: int
    c: int
    n: int = 30

    def __post_init__(self) -> None:
        check_kinds(self)
        check_ibert_exp(self, self.n)

    @classmethod
    def design(cls, scale: float, n: int = 30, **options: Any) -> IBertExp:
        """The unit for codes of real step `scale`."""
        return cls(*design_ibert(scale), n, scale=from_scale(scale), **options)

    @property
    def outputs(self) -> Mapping[str, Format]:
        if self.x.hi <= 0:
            return {"y": Int(max(ibert_top(self.x0, self.b, self.c).bit_length() + self.n, 1), signed=False)}
        return {"y": Int(64)}

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates: ``q`` unsigned, ``r`` signed, ``polynomial`` unsigned."""
        top = ibert_top(self.x0, self.b, self.c)
        return {"q": self.n.bit_length(), "r": (-self.x0).bit_length() + 1, "polynomial": top.bit_length()}

    @property
    def limit(self) -> int:
        """The largest shift to the left that keeps 62 bits."""
        return 62 - max(ibert_top(self.x0, self.b, self.c).bit_length(), 1)

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(6931, -10000 * self.x0)

    def real(self, *values: Any) -> Any:
        """``exp`` in codes of the output."""
        return np.exp(self._from_port(values[0])) * math.ldexp(1, self.n) / (0.35815147 * float(self.step) ** 2)

    def corners(self) -> tuple[np.ndarray, ...]:
        return (_exp_corners(self.x, Fraction(-self.x0), self.n),)

    def hazards(self) -> tuple[Hazard, ...]:
        return _positive_hazard(self.x)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        _check_positive(x, lambda top: self.n - max(top, self.n * self.x0) // self.x0, self.limit)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(ibert_exp_all, x, self.x0, self.b, self.c, self.n, y)
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        q, r, polynomial = np.empty((3, x.size), dtype=np.int64)
        run(ibert_exp_nets, x, self.x0, self.b, self.c, self.n, q, r, polynomial)
        return {"q": q, "r": r, "polynomial": polynomial, **self._evaluate(x)}


@dataclass(frozen=True)
class DIExp(Elementwise):
    """I-LLM's DI-Exp on codes of scale ``m / 2**k``, in three forms.

    ``literal``, Algorithm 1 as drawn (result ``exp * |t|``)::

        mf = m + (m >> 1) - (m >> 4);  |t| = max(round(2**k / mf), 1)
        q = floor(x / t);  r = x - q t;  y = ((r >> 1) + |t|) >> q

    ``headroom``: I-ViT's left shift by `headroom` bits kept: x limited to ``headroom t``,
    ``y = (((r >> 1) + |t|) << headroom) >> q``.

    ``fixed16``: log2(e) as 369/256, no division, result ``exp * 2**16``::

        N = k + 8;  z = -x m 369;  p = z >> N;  r = z - (p << N)
        y = (2**N - (r >> 1)) >> (N + p - 16)      # << where negative

    Source: I-LLM (arXiv 2405.17849), Algorithm 1, known to us from its figure and from transcriptions; the authors
    published no integer code. **The paper's:** ``literal``, up to the rounding of t. **Ours:** t rounded with ties
    upwards and kept above 0; ``headroom`` is I-ViT's; ``fixed16`` is used by third-party implementations.

    The default is ``fixed16``, because an 8-bit clipped input leaves ``literal`` only |t| = 12 levels (3.6 bits).
    L1 distance of softmax rows to the real softmax (64 Gaussian rows, standard deviation 3, one logit raised by 9,
    16-bit results; measured by ``intsim.measure.operators``, more of it in ``docs/contract/operators.md``):

    ====================  ======  ======  ======
    form, scores           T=64   T=512   T=2048
    ====================  ======  ======  ======
    literal, 8 bits        0.180   0.481   0.629
    literal, 16 bits       0.015   0.030   0.052
    headroom 15, 8 bits    0.019   0.037   0.052
    fixed16, 8 bits        0.015   0.026   0.034
    ====================  ======  ======  ======

    Parameters
    ----------
    m, k : scale of the input, ``1 <= m < 2**16``, ``0 <= k <= 40``; the paper normalises m to [128, 255]
    form : ``literal``, ``headroom`` or ``fixed16``
    headroom : bits of the form ``headroom``

    Raises
    ------
    IntsimError
        A scale outside the bounds; at a call, a positive code (outside the function's domain).
    """

    m: int
    k: int
    form: str = "fixed16"
    headroom: int = 15

    def __post_init__(self) -> None:
        check_kinds(self)
        check_di_exp(self)

    @classmethod
    def design(cls, scale: float, form: str = "fixed16", bits: int = 8, **options: Any) -> DIExp:
        """The unit for codes of real step `scale`, its mantissa rounded to `bits` bits."""
        m, k = design_di_scale(scale, bits)
        return cls(m, k, form, scale=from_scale(scale), **options)

    @property
    def inputs(self) -> Mapping[str, Format]:
        return {"x": non_positive(self.x.bits)}

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": Int(self.top.bit_length(), signed=False)}

    @property
    def t(self) -> int:
        """The codes per halving, ``|t|`` (not used by ``fixed16``)."""
        return di_period(self.m, self.k)

    @property
    def widths(self) -> dict[str, int]:
        """Bits of the intermediates, all unsigned."""
        reach = -self.inputs["x"].lo
        if self.form == "fixed16":
            return {"scaled": (reach * self.m * 369).bit_length(), "mantissa": self.k + 9}
        return {"quotient": (reach // self.t).bit_length(), "mantissa": self.top.bit_length()}

    @property
    def top(self) -> int:
        """``exp(0)`` in codes of the output."""
        return di_top(self.t, DI_FORMS.index(self.form), self.headroom)

    @property
    def implied_scale(self) -> Fraction:
        return Fraction(self.m, 1 << self.k)

    def real(self, *values: Any) -> Any:
        """``exp`` in codes of the output, ``1/top`` each."""
        return np.exp(self._from_port(values[0])) * float(self.top)

    def corners(self) -> tuple[np.ndarray, ...]:
        period = Fraction((1 << self.k) * 256, 369 * self.m) if self.form == "fixed16" else Fraction(self.t)
        return (_exp_corners(self.inputs["x"], period, self.top.bit_length() + 1),)

    def hazards(self) -> tuple[Hazard, ...]:
        return di_exp_hazards(self.m, self.k, self.form, self.headroom)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (x,) = columns
        if int(x.max()) > 0:
            raise IntsimError(f"x: {int(x.max())} is positive, outside the domain x <= 0; subtract the row maximum")
        check_di_reach(-int(x.min()), self.m)
        y = np.empty(x.shape, dtype=self.outputs["y"].dtype)
        run(di_exp_all, x, self.m, self.k, self.t, DI_FORMS.index(self.form), self.headroom, y)
        return {"y": y}


# Hazards, checks and corners ------------------------------------------------------------------------------------


def _positive_hazard(x: Format) -> tuple[Hazard, ...]:
    if x.hi <= 0:
        return ()
    return (Hazard(f"positive codes of {x} may leave 62 bits", f"declare x=non_positive({x.bits})"),)


def _check_positive(x: np.ndarray, shift_of: Any, limit: int) -> None:
    """Positive codes double the result every |x0|: the largest decides whether the row fits."""
    top = int(x.max())
    if top > 0 and shift_of(top) > limit:
        raise IntsimError(f"x: exp({top}) needs a shift of {shift_of(top)}, {limit} fit int64; subtract the maximum")


def _exp_corners(x: Format, period: Fraction, halvings: int) -> np.ndarray:
    """The ends, zero, and around every multiple and half multiple of the period that still matters."""
    points = {x.lo, x.lo + 1, 0, -1, -2} | {min(x.hi, v) for v in (1, 2, 3)}
    for i in range(1, 4 * (halvings + 2)):
        centre = -(period * i // 4)
        points.update(range(centre - 3, centre + 4))
    for i in range(1, 128):  # small steps: where the remainder is dropped or kept
        points.update((-i, -(i * 37)))
    return np.array(sorted(p for p in points if x.lo <= p <= min(x.hi, 3)), dtype=x.dtype)


# The arithmetic ------------------------------------------------------------------------------------------------


@exact
def shift_exp(x, x0, n, limit, tvm):
    """Quotient, remainder and value of I-ViT's exponential; shifts to the left stop at `limit`."""
    scaled = max(x + (x >> 1) - (x >> 4), n * x0)
    q = scaled // x0
    r = scaled - q * x0
    if tvm:
        return q, r, ((r >> 1) - x0) << min(n - q, limit)
    mantissa = r - 2 * x0  # 2 (r/2 - x0): the half is not floored first
    shift = n - q - 1
    if shift < 0:
        return q, r, mantissa >> 1
    return q, r, mantissa << min(shift, limit)


@exact
def shift_exp_all(x, x0, n, limit, tvm, out):
    """:func:`shift_exp` of every element."""
    for i in range(x.size):
        _, _, y = shift_exp(x[i] * 1, x0, n, limit, tvm)  # a machine integer of 64 bits, also from unsigned codes
        out[i] = y


@exact
def shift_exp_nets(x, x0, n, limit, tvm, out_q, out_r):
    """Quotients and remainders of :func:`shift_exp`."""
    for i in range(x.size):
        q, r, _ = shift_exp(x[i] * 1, x0, n, limit, tvm)
        out_q[i] = q
        out_r[i] = r


@exact
def ibert_exp(x, x0, b, c, n):
    """Quotient, remainder and polynomial of I-BERT's exponential; its value is ``polynomial << (n - q)``."""
    limited = max(x, n * x0)
    q = limited // x0
    r = limited - q * x0
    return q, r, max((r + b) * r + c, 0)


@exact
def ibert_exp_all(x, x0, b, c, n, out):
    """I-BERT's exponential of every element."""
    for i in range(x.size):
        q, _, polynomial = ibert_exp(x[i], x0, b, c, n)
        out[i] = polynomial << (n - q)


@exact
def ibert_exp_nets(x, x0, b, c, n, out_q, out_r, out_polynomial):
    """The intermediates of :func:`ibert_exp`."""
    for i in range(x.size):
        q, r, polynomial = ibert_exp(x[i], x0, b, c, n)
        out_q[i] = q
        out_r[i] = r
        out_polynomial[i] = polynomial


@exact
def di_exp(x, m, k, t, form, headroom):
    """I-LLM's exponential of ``x <= 0`` in one of its three forms; `t` is :func:`di_period` of the scale."""
    if form == FIXED16:
        n = k + 8
        z = x * -m * 369  # 369/256 ~ log2(e); -x would wrap at the least value of a narrow array
        p = z >> n
        y = (1 << n) - ((z - (p << n)) >> 1)
        shift = n + p - 16
        return y << -shift if shift < 0 else y >> min(shift, 63)
    limited = x if form == LITERAL else max(x, -headroom * t)
    q = -limited // t
    u = ((limited + q * t) >> 1) + t
    if form == HEADROOM:
        u = u << headroom
    return u >> min(q, 63)


@exact
def di_exp_all(x, m, k, t, form, headroom, out):
    """:func:`di_exp` of every element."""
    for i in range(x.size):
        out[i] = di_exp(x[i], m, k, t, form, headroom)
