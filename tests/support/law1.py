"""Law 1, read from the source: where floats could enter an operator.

:func:`findings` reports float literals, ``/``, float types and functions that return floats, outside the functions
that run before the hardware does. A function is exempt by its name (``design...``, ``from_...``, ``real``,
``measure``, ``encode``, ``decode``, and everything inside them), by standing in ``intsim.kernels`` with its bound
asserted, or by the caller's explicit list.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["Finding", "findings"]

EXEMPT = re.compile(r"_?(design|from)(_.*)?|real|measure|encode|decode")

FLOAT_TYPES = {
    "float16", "float32", "float64", "float128", "longdouble", "half", "single", "double", "floating", "inexact",
    "complex64", "complex128", "complexfloating",
}  # fmt: skip
FLOAT_DTYPES = re.compile(r"[<>=|]?(f|d|e|g|c)(2|4|8|16)?|(float|complex)\d*|double|single|half")
# NumPy functions that return floats for integers (or are about floats), also as array methods where they exist.
NUMPY_FLOATS = {
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "around", "average", "cbrt", "ceil",
    "copysign", "corrcoef", "cos", "cosh", "cov", "deg2rad", "divide", "e", "exp", "exp2", "expm1", "fabs", "fft",
    "fix", "float_power", "floor", "fmod", "frexp", "geomspace", "hypot", "inf", "interp", "isclose", "allclose",
    "ldexp", "linalg", "linspace", "log", "log10", "log1p", "log2", "logaddexp", "logspace", "mean", "median",
    "modf", "nan", "nan_to_num", "nanmean", "nanstd", "nanvar", "nextafter", "percentile", "pi", "polyfit", "polyval",
    "quantile", "rad2deg", "random", "reciprocal", "rint", "round", "sin", "sinc", "sinh", "spacing", "sqrt", "std",
    "tan", "tanh", "true_divide", "trunc", "var",
}  # fmt: skip
FLOAT_METHODS = {"mean", "std", "var", "round"}
# Constructors whose default type is float64.
NEED_DTYPE = {"zeros": 2, "ones": 2, "empty": 2, "identity": 2, "eye": 4}
INTEGER_MATH = {"comb", "factorial", "gcd", "isqrt", "lcm", "perm", "prod"}


@dataclass(frozen=True)
class Finding:
    """One place where a float could enter: ``module:line function: what``."""

    module: str
    line: int
    function: str
    what: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.function or '(module level)'}: {self.what}"


def findings(source: str, module: str, exempt: Collection[str] = ()) -> list[Finding]:
    """Every float outside design time in `source`.

    Parameters
    ----------
    source : Python text
    module : its dotted name
    exempt : ``function`` or ``Class.method`` names that run at design time although their names do not say so
    """
    visitor = _Visitor(module, frozenset(exempt))
    visitor.visit(ast.parse(source))
    return visitor.found


class _Visitor(ast.NodeVisitor):
    def __init__(self, module: str, exempt: frozenset[str]):
        self.module = module
        self.exempt = exempt
        self.stack: list[str] = []
        self.found: list[Finding] = []

    def report(self, node: ast.AST, what: str) -> None:
        self.found.append(Finding(self.module, node.lineno, ".".join(self.stack), what))

    # Scopes -----------------------------------------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.stack.append(node.name)
        if ".".join(self.stack) not in self.exempt:
            self.generic_visit(node)
        self.stack.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.stack.append(node.name)
        in_kernel = self.module.startswith("intsim.kernels.") and any(_asserts(n) for n in ast.walk(node))
        if not (EXEMPT.fullmatch(node.name) or ".".join(self.stack) in self.exempt or in_kernel):
            for child in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults, *node.body):
                if child is not None:
                    self.visit(child)  # annotations are not computed with
        self.stack.pop()

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    # What is looked for -----------------------------------------------------------------------------------------

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, (float, complex)):
            self.report(node, f"literal {node.value!r}")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Div):
            self.report(node, "division /")
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.UnaryOp) and isinstance(node.right.op, ast.USub):
            self.report(node, "negative power")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Div):
            self.report(node, "division /=")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in ("float", "complex"):
            self.report(node, f"type {node.id}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = node.value.id if isinstance(node.value, ast.Name) else None
        if node.attr in FLOAT_TYPES - {"half", "single", "double"} or (owner == "np" and node.attr in FLOAT_TYPES):
            self.report(node, f"type {node.attr}")
        elif owner in ("np", "numpy") and node.attr in NUMPY_FLOATS:
            self.report(node, f"np.{node.attr}")
        elif owner == "math" and node.attr not in INTEGER_MATH:
            self.report(node, f"math.{node.attr}")
        self.visit(node.value)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if (node.module == "math" and alias.name not in INTEGER_MATH) or (
                node.module == "numpy" and alias.name in NUMPY_FLOATS | FLOAT_TYPES
            ):
                self.report(node, f"{node.module}.{alias.name}")

    def visit_Call(self, node: ast.Call) -> None:
        callee = node.func
        if isinstance(callee, ast.Name) and callee.id == "isinstance":
            self.visit(node.args[0])  # asking whether something is a float computes nothing
            return
        if isinstance(callee, ast.Name) and callee.id == "round":
            self.report(node, "round()")
        if isinstance(callee, ast.Attribute):
            owner = callee.value.id if isinstance(callee.value, ast.Name) else None
            if owner not in ("np", "numpy", "math") and callee.attr in FLOAT_METHODS:
                self.report(node, f".{callee.attr}()")
            if owner in ("np", "numpy") and callee.attr in NEED_DTYPE and not _has_dtype(node, NEED_DTYPE[callee.attr]):
                self.report(node, f"np.{callee.attr} without dtype")
        for text in _dtype_strings(node):
            if FLOAT_DTYPES.fullmatch(text):
                self.report(node, f"dtype {text!r}")
        self.generic_visit(node)


def _has_dtype(call: ast.Call, position: int) -> bool:
    return len(call.args) >= position or any(k.arg == "dtype" for k in call.keywords)


def _dtype_strings(call: ast.Call) -> Iterator[str]:
    """Strings in places where NumPy takes a type: ``dtype=``, ``.astype``, ``.view``, ``np.dtype``, ``np.array``."""
    places = [k.value for k in call.keywords if k.arg == "dtype"]
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in ("astype", "view", "dtype"):
            places += call.args[:1]
        elif call.func.attr in ("array", "asarray", *NEED_DTYPE):
            places += call.args[1:2]
    for place in places:
        if isinstance(place, ast.Constant) and isinstance(place.value, str):
            yield place.value


def _asserts(node: ast.AST) -> bool:
    """An assertion, or what stands for one in compiled code."""
    return isinstance(node, ast.Assert) or (
        isinstance(node, ast.Raise) and getattr(node.exc, "id", "") == "AssertionError"
    )
