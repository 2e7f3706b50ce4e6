"""A table as an operator on scaled integers: what an integer network puts where an activation stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from intsim.errors import IntsimError, UnknownName
from intsim.formats import Fixed, Format, Int
from intsim.parameters import note
from intsim.unit import Unit

__all__ = ["ScaledTable"]

KINDS = ("dulut", "nli", "uniform", "direct")


@dataclass(frozen=True)
class ScaledTable(Unit):
    """A table unit between integer ports whose codes stand for multiples of real scales.

    Parameters
    ----------
    table : Unit
        One fixed-point input and output.
    fn : name of the function (a note; not part of the unit's identity)
    scale, scale_out : (m, k), the real value ``m * 2**-k`` of one code of the input and of the output (notes)
    """

    table: Unit
    fn: str | None = note()
    scale: tuple[int, int] | None = note()
    scale_out: tuple[int, int] | None = note()

    def __post_init__(self) -> None:
        if len(self.table.inputs) != 1 or len(self.table.outputs) != 1 or self.table.is_row:
            raise IntsimError(f"a table has one input and one output, {self.table.name} does not")

    @classmethod
    def design(
        cls,
        scale: float,
        fn: str = "gelu",
        kind: str = "dulut",
        *,
        x: Fixed = Int(8),  # noqa: B008  (a frozen value)
        y: Fixed = Int(16),  # noqa: B008
        n1: int = 32,
        n2: int = 32,
    ) -> ScaledTable:
        """The table of a known function for input codes of real step `scale`; the output scale fills `y`.

        Parameters
        ----------
        kind : ``"dulut"`` (`n1`, `n2` segments), ``"nli"`` (10 intervals of 32), ``"uniform"`` (`n1` segments) or
            ``"direct"``
        """
        from intsim.operators import from_scale
        from intsim.tables import DULUT, NLI, Direct, Uniform
        from intsim.tables.functions import find

        function = find(fn)
        largest = np.abs(function(np.array([x.lo, x.hi]) * scale)).max()
        step = float(largest) / y.hi

        def scaled(codes: np.ndarray) -> np.ndarray:
            return function(codes * scale) / step

        inside = Int(x.bits, x.signed)
        if kind == "dulut":
            table: Unit = DULUT.design(scaled, inside, y, n1=n1, n2=n2, saturate=True)
        elif kind == "nli":
            table = NLI.design(scaled, inside, y, objective="mean_absolute", saturate=True)
        elif kind == "uniform":
            table = Uniform.design(scaled, inside, y, segments=n1, saturate=True)
        elif kind == "direct":
            table = Direct.design(scaled, inside, y, saturate=True)
        else:
            raise UnknownName("kind of table", kind, KINDS)
        return cls(table, fn, from_scale(scale), from_scale(step))

    @property
    def inputs(self) -> Mapping[str, Format]:
        return self.table.inputs

    @property
    def outputs(self) -> Mapping[str, Format]:
        return {"y": next(iter(self.table.outputs.values()))}

    @property
    def name(self) -> str:
        return f"scaled_{self.table.name.removesuffix('_scaled')}"

    def real(self, *values: Any) -> Any:
        from intsim.tables.functions import lookup

        function = lookup(self.fn)
        if function is None or self.scale is None or self.scale_out is None:
            return None
        step, step_out = (float(Fraction(m, 1) * Fraction(2) ** -k) for m, k in (self.scale, self.scale_out))
        return function(np.asarray(values[0], dtype=np.float64) * step) / step_out

    def corners(self) -> tuple[np.ndarray, ...]:
        return self.table.corners()

    def _evaluate(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        (y,) = self.table._evaluate(*columns).values()
        return {"y": y}

    def _trace(self, *columns: np.ndarray) -> dict[str, np.ndarray]:
        return self.table._trace(*columns)
