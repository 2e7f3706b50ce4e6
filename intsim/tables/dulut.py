"""DULUT: two equal-step tables in series make a table with unequal steps.

Source: FQ-PETR (arXiv 2502.15488, AAAI 2026). **The paper's:** the ordinary linear table of an NPU (equally spaced
words, linear interpolation) is passed twice, ``y = T2(T1(x))``; the first table gives more of the second one's
words to where the function bends and merges flat parts; an iterative, error-driven split-and-merge finds the
allocation; (32, 32) words are said to match one table of 256 on INT8.

**Ours**, since words, conventions and the rule are not published: 32 words mean 32 segments (33 words); a *plan* cuts
the equal bins of the first table into groups, a group being one bin with ``n`` segments of the second table, or
several bins that share one; so every knot of the second table falls on a knot of the first or divides a bin
evenly, and no kink error arises; a dynamic programme finds the best plan (greedy splitting comes close to it). The
index between the tables needs 11 fraction bits or more: with 8, a merged straight tail is off by 8e-3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Fixed
from intsim.parameters import note
from intsim.rounding import TIES_TO_POS, Rounding
from intsim.tables.one_variable import OneVariable
from intsim.tables.uniform import Uniform
from intsim.unit import Unit

__all__ = ["DULUT"]


@dataclass(frozen=True)
class DULUT(OneVariable, Unit):
    """Two tables with equal steps in series, on fixed-point ports: ``y = values(mapper(x))``.

    Parameters
    ----------
    mapper : Uniform
        From the input to the index, monotone; its output format is the index format, unsigned.
    values : Uniform
        From the index to the output; one segment per whole step of the index.
    fn : name of the function (a note; not part of the unit's identity)
    origin : the plan (a note)

    Raises
    ------
    IntsimError
        Tables that do not fit together.
    """

    kind = "dulut"

    mapper: Uniform
    values: Uniform
    fn: str | None = note()
    origin: str | None = note()

    def __post_init__(self) -> None:
        index = self.mapper.y
        if self.values.x != index or index.signed:
            raise IntsimError(
                f"the first table gives {index}, the second takes {self.values.x}; use one unsigned format"
            )
        if self.values.first != 0 or self.values.step_bits != index.frac:
            raise IntsimError(
                f"the second table starts at 0 and steps by whole numbers of {index}, got first={self.values.first}, "
                f"step_bits={self.values.step_bits}"
            )
        if any(a > b for a, b in zip(self.mapper.table, self.mapper.table[1:], strict=False)):
            raise IntsimError(f"the words of the first table must ascend, got {self.mapper.table}")

    @classmethod
    def design(
        cls,
        fn: str | Callable[[np.ndarray], Any],
        x: Fixed,
        y: Fixed,
        *,
        n1: int = 32,
        n2: int = 32,
        index: Fixed | None = None,
        objective: str = "mean_squared",
        saturate: bool = False,
        domain: tuple[float, float] | None = None,
        rounding: Rounding = TIES_TO_POS,
    ) -> DULUT:
        """The best plan for a function, by dynamic programming over bins and segments.

        Parameters
        ----------
        fn : name of a known function, or any callable on real numbers or float64 arrays
        x, y : formats of input and output
        n1, n2 : segments of the first and of the second table, at most
        index : format between the tables, unsigned; default 11 fraction bits, as wide as `n2` steps need
        objective : ``"mean_squared"`` or ``"max_absolute"``
        saturate : let values outside `y` become its ends instead of refusing them
        domain : real interval that matters; inputs outside it are clamped. Default: all of `x`
        rounding : of both interpolations

        Raises
        ------
        IntsimError
            The function is not finite or does not fit `y` somewhere, or `index` cannot hold `n2` steps.
        """
        from intsim.tables.design.dulut import design

        return design(
            fn,
            x,
            y,
            n1=n1,
            n2=n2,
            index=index,
            objective=objective,
            saturate=saturate,
            domain=domain,
            rounding=rounding,
        )

    @property
    def x(self) -> Fixed:
        return self.mapper.x

    @property
    def y(self) -> Fixed:
        return self.values.y

    @property
    def domain(self) -> tuple[int, int] | None:
        """First and last code of `x` for which the tables were designed; None: all of them."""
        return self.mapper.domain

    def corners(self) -> tuple[np.ndarray, ...]:
        """Range ends, both sides of every knot, and an input for every single changed word that shows."""
        from intsim.tables.corners import dulut_corners

        return (dulut_corners(self),)

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        return self.values._evaluate(self.mapper._evaluate(*columns)["y"])

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        first = self.mapper._trace(*columns)
        index = first.pop("y")
        second = self.values._trace(index)
        y = second.pop("y")
        nets = {f"mapper_{net}": values for net, values in first.items()}
        return {**nets, "index": index, **{f"values_{net}": values for net, values in second.items()}, "y": y}
