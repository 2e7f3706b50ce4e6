"""From a function to a :class:`~intsim.tables.uniform.Uniform` unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from intsim.errors import IntsimError
from intsim.formats import Fixed
from intsim.rounding import Rounding
from intsim.tables.design.target import function_and_name, target_for
from intsim.tables.uniform import Uniform

__all__ = ["design"]


def design(
    fn: str | Callable[[np.ndarray], Any],
    x: Fixed,
    y: Fixed,
    *,
    segments: int,
    saturate: bool,
    domain: tuple[float, float] | None,
    rounding: Rounding,
) -> Uniform:
    """The unit; parameters as :meth:`intsim.tables.uniform.Uniform.design`."""
    if segments < 1:
        raise IntsimError(f"a table has at least 1 segment, got {segments}")
    function, name = function_and_name(fn)
    target = target_for(function, x, y, domain, saturate)
    span = target.last - target.first
    step_bits = 0
    while span > segments << step_bits:
        step_bits += 1
    count = -(-span >> step_bits)
    knots = target.first + (np.arange(count + 1, dtype=np.int64) << step_bits)
    target.sweep()
    words = target.words(np.minimum(knots, target.last))
    beyond = int(knots[-1]) - target.last
    if beyond:
        before, end = target.values(np.array([knots[-2], target.last]))
        reached = end + (end - before) * beyond / (target.last - int(knots[-2]))
        words[-1] = round(min(max(reached, y.lo), y.hi))
    origin = f"{count} steps of {2.0 ** (step_bits - x.frac):g} from {float(x.decode(target.first)):g}"
    return Uniform(
        x, y, target.first, step_bits, tuple(words.tolist()), rounding, fn=name, origin=origin, domain=target.domain
    )
