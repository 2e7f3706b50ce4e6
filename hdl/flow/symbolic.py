"""What a unit computes, as formulas: its golden model, un-compiled, on unknown inputs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import z3

from hdl.flow.terms import Paths, Symbols, Term, constant, from_bits
from intsim.errors import IntsimError
from intsim.exact import interpreted
from intsim.unit import Unit

__all__ = ["Way", "specifies", "ways"]

Way = tuple[list[z3.BoolRef], dict[str, Term]]
Specification = Callable[..., Mapping[str, Any]]
S = TypeVar("S", bound=Specification)

_specifications: dict[type[Unit], Specification] = {}


def specifies(unit_class: type[Unit]) -> Callable[[S], S]:
    """Decorator: the function is the specification of `unit_class` that proofs use in place of its golden model.

    It is called with the unit and one :class:`~hdl.flow.terms.Term` per input port, by name, and returns the output
    ports by name. It may branch on terms. Needed only where the golden model cannot run on terms (loops whose
    length depends on data, calls of NumPy between its operators); it must then be compared with the golden model
    on every input at small width, in the tests.
    """

    def register(function: S) -> S:
        _specifications[unit_class] = function
        return function

    return register


def _registered(unit: Unit) -> Specification | None:
    """The specification of the unit's class; ours stand in ``hdl.x.specifications`` for ``intsim.x``."""
    for cls in type(unit).__mro__:
        package = cls.__module__.split(".")
        if package[0] == "intsim" and len(package) > 2:
            name = f"hdl.{package[1]}.specifications"
            if importlib.util.find_spec(name):
                importlib.import_module(name)
        if cls in _specifications:
            return _specifications[cls]
    return None


def ways(unit: Unit, inputs: Mapping[str, z3.BitVecRef], limit: int = 4000) -> Iterator[Way]:
    """Every way through the specification of `unit`: its conditions, and the outputs by port.

    Parameters
    ----------
    unit : an elementwise unit
    inputs : the bits of every input port; they must be codes of the port's format
    limit : most ways
    """
    terms = {
        port: from_bits(bits, fmt.signed, fmt.lo, fmt.hi)
        for (port, fmt), bits in zip(unit.inputs.items(), inputs.values(), strict=True)
    }
    chosen = _registered(unit)

    def run() -> dict[str, Term]:
        outputs = chosen(unit, **terms) if chosen else _golden(unit, terms)
        return {port: _as_term(outputs[port]) for port in unit.outputs}

    return Paths(limit).explore(run)


def _golden(unit: Unit, terms: Mapping[str, Term]) -> dict[str, Any]:
    """The golden model on one element of unknown inputs."""
    operators = _Operators()
    columns = [Symbols.of([None]) for _ in terms]
    for column, term in zip(columns, terms.values(), strict=True):
        column[0] = term
    with interpreted(operators):
        try:
            results = unit._evaluate(*columns)
        except (TypeError, ValueError, AttributeError) as error:
            raise IntsimError(
                f"the golden model of {unit.name} cannot run on unknown integers ({error}); "
                "register a specification with @hdl.flow.specifies"
            ) from error
    return {port: operators.result(values, unit) for port, values in results.items()}


class _Operators:
    """Runs operators un-compiled on symbols, and keeps what they write in place of the machine arrays given."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[np.ndarray, Symbols]] = {}

    def __call__(self, fn: Callable[..., Any], *args: Any) -> Any:
        given = [self._symbols(arg) for arg in args]
        result = fn(*given)
        for name, arg, symbols in zip(signature(fn).parameters, args, given, strict=False):
            if name.startswith("out") and isinstance(arg, np.ndarray):
                self._written[id(arg)] = (arg, symbols)  # the array is kept, so that its id stays its own
        return result

    def _symbols(self, arg: Any) -> Any:
        if isinstance(arg, np.ndarray):
            if id(arg) in self._written:
                return self._written[id(arg)][1]
            return arg if isinstance(arg, Symbols) else Symbols.of(arg.astype(object))
        return int(arg) if isinstance(arg, np.integer) else arg

    def result(self, values: Any, unit: Unit) -> Any:
        if isinstance(values, Symbols):
            return values.reshape(-1)[0]
        if id(values) not in self._written:
            raise IntsimError(
                f"the golden model of {unit.name} changes an operator's result outside operators; "
                "register a specification with @hdl.flow.specifies"
            )
        return self._written[id(values)][1].reshape(-1)[0]


def _as_term(value: Any) -> Term:
    return value if isinstance(value, Term) else constant(int(value))
