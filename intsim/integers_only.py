"""A Numba pipeline that refuses floats: no operator can be compiled with one, not even in an intermediate.

The check stands behind type inference, where every variable and every expression has its machine type. It also
finds what no reading of the source finds, such as ``int64 + uint64``, which is a float64 in some versions of Numba.
Loaded by :mod:`intsim.exact` with the first compilation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numba.core import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import NopythonTypeInference

from intsim.errors import IntsimError

__all__ = ["FloatInOperator", "IntegerCompiler", "floats"]


class FloatInOperator(IntsimError):
    """An operator that would compute with floats."""


def floats(typemap: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a Numba type map that are, or contain, a float or complex number."""
    return {name: str(kind) for name, kind in typemap.items() if _has_float(kind)}


def _has_float(kind: Any) -> bool:
    if isinstance(kind, types.NumberClass):  # a cast such as np.float64(x)
        kind = kind.instance_type
    parts = getattr(kind, "types", None) or (getattr(kind, "dtype", None), getattr(kind, "type", None))
    return isinstance(kind, (types.Float, types.Complex)) or any(
        isinstance(part, types.Type) and part is not kind and _has_float(part) for part in parts
    )


@register_pass(mutates_CFG=False, analysis_only=True)
class IntegersOnly(AnalysisPass):
    """Raises :class:`FloatInOperator` where the inferred types hold a float."""

    _name = "integers_only"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        found = floats(state.typemap)
        if not found:
            return False
        where = state.func_id.func_qualname
        names = {n: kind for n, kind in found.items() if not n.startswith(("$", "arg."))} or found
        listed = ", ".join(f"{name} is {kind}" for name, kind in sorted(names.items())[:4])
        raise FloatInOperator(f"{where} computes with floats ({listed}); an @exact operator holds integers only")


class IntegerCompiler(CompilerBase):
    """Numba's own pipeline with :class:`IntegersOnly` behind type inference."""

    def define_pipelines(self) -> list[Any]:
        pipeline = DefaultPassBuilder.define_nopython_pipeline(self.state)
        pipeline.add_pass_after(IntegersOnly, NopythonTypeInference)
        pipeline.finalize()
        return [pipeline]
