"""``@exact`` operators as C99: the same arithmetic, statement by statement, over ``int64_t``.

Operators are a small language: integers and arrays of them, loops over ranges, helpers of the same kind. That is
translated here and nothing else; anything beyond is refused by name. The text is valid C++ as well, because some
simulators compile it so.
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intsim.errors import IntsimError

__all__ = ["PRELUDE", "Translator", "constant"]

PRELUDE = """\
typedef struct { int64_t *data; int64_t n[3]; } array_t;

static inline array_t row_of(array_t a, int64_t i) {
    array_t r;
    r.data = a.data + i * a.n[1] * (a.n[2] ? a.n[2] : 1);
    r.n[0] = a.n[1];
    r.n[1] = a.n[2];
    r.n[2] = 0;
    return r;
}
/* Division and remainder of Python: the quotient is rounded to minus infinity. */
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
static inline int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }
/* Shifts by less than 64; of negative numbers too, which the C standard leaves open. */
static inline int64_t shl(int64_t a, int64_t n) { return (int64_t)((uint64_t)a << n); }
static inline int64_t shr(int64_t a, int64_t n) { return a < 0 ? ~(~a >> n) : a >> n; }
static inline int64_t least(int64_t a, int64_t b) { return b < a ? b : a; }
static inline int64_t most(int64_t a, int64_t b) { return b > a ? b : a; }
static inline int64_t magnitude(int64_t a) { return a < 0 ? -a : a; }
"""

_BINARY = {
    ast.Add: "({} + {})",
    ast.Sub: "({} - {})",
    ast.Mult: "({} * {})",
    ast.FloorDiv: "floor_div({}, {})",
    ast.Mod: "floor_mod({}, {})",
    ast.LShift: "shl({}, {})",
    ast.RShift: "shr({}, {})",
    ast.BitAnd: "({} & {})",
    ast.BitOr: "({} | {})",
    ast.BitXor: "({} ^ {})",
}
_COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_BUILTINS = {"min": "least", "max": "most"}
_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long main register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
and or not xor new delete class this true false bool template operator private public protected virtual using namespace
try catch throw free malloc calloc abort exit memcpy abs div labs floor ceil exp log sqrt round
array_t row_of view floor_div floor_mod shl shr least most magnitude
"""
_RESERVED = frozenset(re.findall(r"\w+", _KEYWORDS))  # of C, of C++, and our own


class Untranslatable(IntsimError):
    """A construct that operators do not have."""


@dataclass(frozen=True)
class Function:
    """A translated operator: its name in C, and how many values it returns."""

    name: str
    results: int


@dataclass
class _Scope:
    """Inside one function: what each name is (0: a number, else the dimensions of an array)."""

    fn: Callable[..., Any]
    kinds: dict[str, int]
    locals: dict[str, int] = field(default_factory=dict)
    results: int = 0
    loops: int = 0

    def kind(self, name: str) -> int | None:
        return self.kinds.get(name, self.locals.get(name))


class Translator:
    """Collects operators and their helpers as C functions.

    Parameters
    ----------
    taken : names that are in use

    Attributes
    ----------
    text : the functions so far, each after those it calls
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        self._taken = {*_RESERVED, *taken}
        self._done: dict[tuple[Callable[..., Any], tuple[int, ...]], Function] = {}
        self._tables: dict[str, str] = {}
        self._functions: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join([*self._tables.values(), *self._functions])

    def function(self, fn: Callable[..., Any], kinds: Sequence[int]) -> Function:
        """The C function for `fn` called with arrays of these dimensions (0: a number)."""
        key = (fn, tuple(kinds))
        if key not in self._done:
            self._done[key] = self._translate(fn, tuple(kinds))
        return self._done[key]

    def _translate(self, fn: Callable[..., Any], kinds: tuple[int, ...]) -> Function:
        definition = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
        assert isinstance(definition, ast.FunctionDef)
        names = [argument.arg for argument in definition.args.args]
        scope = _Scope(fn, dict(zip(names, kinds, strict=True)))
        scope.results = _results(definition)
        base = fn.__name__.lstrip("_")
        name = base if base not in self._taken else f"{base}_{len(self._taken)}"
        self._taken.add(name)
        if scope.results == 1 and any(_forwards(node) for node in ast.walk(definition)):
            scope.results = self._forwarded(definition, scope)
        body = self._block(definition.body, scope, 1)
        parameters = [f"{'array_t' if kind else 'int64_t'} {_name(n)}" for n, kind in scope.kinds.items() if n in names]
        outs = [f"int64_t *result{k}" for k in range(scope.results)] if scope.results > 1 else []
        kind = "int64_t" if scope.results == 1 else "void"
        lines = [f"static {kind} {name}({', '.join([*parameters, *outs]) or 'void'}) {{"]
        for local, dimensions in scope.locals.items():
            lines.append(f"    array_t {_name(local)};" if dimensions else f"    int64_t {_name(local)} = 0;")
            if local.startswith("_"):
                lines.append(f"    (void){_name(local)};")
        self._functions.append("\n".join([*lines, *body, "}", ""]))
        return Function(name, scope.results)

    def _forwarded(self, definition: ast.FunctionDef, scope: _Scope) -> int:
        """How many values a function returns that returns another's."""
        for node in ast.walk(definition):
            if _forwards(node):
                assert isinstance(node, ast.Return)
                assert isinstance(node.value, ast.Call)
                helper = self._helper(node.value, scope)
                if helper is not None and helper.results > 1:
                    return helper.results
        return 1

    # Statements ---------------------------------------------------------------------------------------------------

    def _block(self, statements: Sequence[ast.stmt], scope: _Scope, depth: int) -> list[str]:
        lines = []
        for statement in statements:
            lines += ["    " * depth + line for line in self._statement(statement, scope)]
        return lines

    def _nested(self, statements: Sequence[ast.stmt], scope: _Scope) -> list[str]:
        return self._block(statements, scope, 1)

    def _statement(self, node: ast.stmt, scope: _Scope) -> list[str]:
        match node:
            case ast.Expr(value=ast.Constant()):
                return []  # a docstring
            case ast.Expr(value=ast.Call() as call):
                return [self._call(call, scope) + ";"]
            case ast.Assign(targets=[target], value=value):
                return self._assign(target, value, scope)
            case ast.Assign(targets=targets, value=value):
                return [line for target in targets for line in self._assign(target, value, scope)]
            case ast.AugAssign(target=target, op=op, value=value):
                place = self._place(target, scope)
                return [f"{place} = {self._binary(op, place, self._value(value, scope), scope)};"]
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=args), orelse=[]):
                return self._loop(name, args, node.body, scope)
            case ast.For(target=ast.Name(id=name), iter=ast.Tuple(elts=elements), orelse=[]):
                return self._each(name, [self._value(element, scope) for element in elements], node.body, scope)
            case ast.While(test=test, body=body, orelse=[]):
                return [f"while ({self._test(test, scope)}) {{", *self._nested(body, scope), "}"]
            case ast.If(test=test, body=body, orelse=orelse):
                lines = [f"if ({self._test(test, scope)}) {{", *self._nested(body, scope), "}"]
                return lines + (["else {", *self._nested(orelse, scope), "}"] if orelse else [])
            case ast.Return(value=value):
                return self._return(value, scope)
            case ast.Pass():
                return []
            case ast.Break():
                return ["break;"]
            case ast.Continue():
                return ["continue;"]
        raise self._refuse(node, scope)

    def _assign(self, target: ast.expr, value: ast.expr, scope: _Scope) -> list[str]:
        if not isinstance(target, ast.Tuple):
            if isinstance(target, ast.Name) and self._dimensions(value, scope):
                scope.locals.setdefault(target.id, self._dimensions(value, scope))
                return [f"{_name(target.id)} = {self._array(value, scope)};"]
            text = self._value(value, scope)
            return [f"{self._place(target, scope)} = {text};"]
        if isinstance(value, ast.Tuple):
            # all right-hand sides are read before the first place is written
            temporary = [f"new{k}" for k in range(len(value.elts))]
            texts = [self._value(element, scope) for element in value.elts]
            places = [self._place(element, scope) for element in target.elts]
            lines = [f"int64_t {name} = {text};" for name, text in zip(temporary, texts, strict=True)]
            lines += [f"{place} = {name};" for place, name in zip(places, temporary, strict=True)]
            return ["{", *("    " + line for line in lines), "}"]
        if isinstance(value, ast.Call):
            return [self._call(value, scope, [f"&{self._place(element, scope)}" for element in target.elts]) + ";"]
        if isinstance(value, ast.Name) and self._dimensions(value, scope) == 1:
            array = self._array(value, scope)
            return [f"{self._place(element, scope)} = {array}.data[{k}];" for k, element in enumerate(target.elts)]
        if isinstance(value, ast.Attribute) and value.attr == "shape":
            array = self._array(value.value, scope)
            return [f"{self._place(element, scope)} = {array}.n[{k}];" for k, element in enumerate(target.elts)]
        raise self._refuse(value, scope)

    def _loop(self, name: str, args: Sequence[ast.expr], body: Sequence[ast.stmt], scope: _Scope) -> list[str]:
        bounds = [self._value(argument, scope) for argument in args]
        start, stop = (["0", *bounds] if len(bounds) == 1 else bounds)[:2]
        step = bounds[2] if len(bounds) == 3 else "1"
        sign = "<" if len(args) < 3 or not step.startswith("(-") else ">"
        if len(args) == 3 and not isinstance(ast.literal_eval(ast.unparse(args[2])), int):
            raise self._refuse(args[2], scope)
        number = scope.loops
        scope.loops += 1
        scope.locals.setdefault(name, 0)
        k = f"k{number}"
        head = f"for (int64_t {k} = {start}, end{number} = {stop}; {k} {sign} end{number}; {k} += {step}) {{"
        return [head, f"    {_name(name)} = k{number};", *self._nested(body, scope), "}"]

    def _each(self, name: str, values: Sequence[str], body: Sequence[ast.stmt], scope: _Scope) -> list[str]:
        """A loop over values written out."""
        k, items = f"k{scope.loops}", f"items{scope.loops}"
        scope.loops += 1
        scope.locals.setdefault(name, 0)
        head = [f"const int64_t {items}[] = {{{', '.join(values)}}};"]
        head += [f"for (int {k} = 0; {k} < {len(values)}; {k}++) {{", f"    {_name(name)} = {items}[{k}];"]
        return [*head, *self._nested(body, scope), "}"]

    def _return(self, value: ast.expr | None, scope: _Scope) -> list[str]:
        if value is None:
            return ["return;"]
        if isinstance(value, ast.Tuple):
            texts = [self._value(element, scope) for element in value.elts]
            return [*(f"*result{k} = {text};" for k, text in enumerate(texts)), "return;"]
        if scope.results > 1:
            assert isinstance(value, ast.Call)
            return [self._call(value, scope, [f"result{k}" for k in range(scope.results)]) + ";", "return;"]
        return [f"return {self._value(value, scope)};"]

    def _place(self, node: ast.expr, scope: _Scope) -> str:
        if isinstance(node, ast.Name):
            if scope.kind(node.id) is None:
                scope.locals[node.id] = 0
            return _name(node.id)
        if isinstance(node, ast.Subscript):
            return self._element(node, scope)
        raise self._refuse(node, scope)

    # Expressions --------------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr, scope: _Scope) -> str:
        match node:
            case ast.Constant(value=bool() | int() as number):
                return constant(int(number))
            case ast.Name(id=name):
                return _name(name) if scope.kind(name) is not None else self._global(node, scope)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._value(left, scope), self._value(right, scope), scope)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self._value(operand, scope)})"
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return f"(~{self._value(operand, scope)})"
            case ast.UnaryOp(op=ast.Not()) | ast.Compare():
                return self._test(node, scope)
            case ast.BoolOp(values=values) if all(isinstance(v, ast.Compare) for v in values):
                return self._test(node, scope)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"({self._test(test, scope)} ? {self._value(body, scope)} : {self._value(orelse, scope)})"
            case ast.Subscript(value=ast.Attribute(value=array, attr="shape"), slice=ast.Constant(value=int() as axis)):
                dimensions = self._dimensions(array, scope)
                return f"{self._array(array, scope)}.n[{axis % max(dimensions, 1)}]"
            case ast.Subscript():
                return self._element(node, scope)
            case ast.Attribute(value=ast.Name(id=name), attr="size") if scope.kind(name) is not None:
                dimensions = scope.kind(name) or 1
                return "(" + " * ".join(f"{_name(name)}.n[{k}]" for k in range(dimensions)) + ")"
            case ast.Attribute():
                return self._global(node, scope)
            case ast.Call():
                return self._call(node, scope)
        raise self._refuse(node, scope)

    def _test(self, node: ast.expr, scope: _Scope) -> str:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [self._value(side, scope) for side in (left, *comparators)]
                parts = []
                for k, op in enumerate(ops):
                    if type(op) not in _COMPARE:
                        raise self._refuse(node, scope)
                    parts.append(f"({sides[k]} {_COMPARE[type(op)]} {sides[k + 1]})")
                return parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"
            case ast.BoolOp(op=op, values=values):
                sign = " && " if isinstance(op, ast.And) else " || "
                return "(" + sign.join(self._test(value, scope) for value in values) + ")"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"(!{self._test(operand, scope)})"
        return f"({self._value(node, scope)} != 0)"

    def _binary(self, op: ast.operator, left: str, right: str, scope: _Scope) -> str:
        if type(op) not in _BINARY:
            raise Untranslatable(f"{scope.fn.__qualname__}: operators have no {type(op).__name__}")
        return _BINARY[type(op)].format(left, right)

    def _call(self, node: ast.Call, scope: _Scope, results: Sequence[str] = ()) -> str:
        if isinstance(node.func, ast.Name) and scope.fn.__globals__.get(node.func.id) is None:
            return self._builtin(node.func.id, [self._value(argument, scope) for argument in node.args], node, scope)
        helper = self._helper(node, scope)
        if helper is None:
            raise self._refuse(node, scope)
        arguments = [
            self._array(argument, scope) if self._dimensions(argument, scope) else self._value(argument, scope)
            for argument in node.args
        ]
        return f"{helper.name}({', '.join([*arguments, *results])})"

    def _builtin(self, name: str, arguments: list[str], node: ast.Call, scope: _Scope) -> str:
        if name in _BUILTINS and len(arguments) > 1:
            text = arguments[0]
            for argument in arguments[1:]:
                text = f"{_BUILTINS[name]}({text}, {argument})"
            return text
        if name == "abs":
            return f"magnitude({arguments[0]})"
        if name in ("int", "bool"):
            return arguments[0] if name == "int" else f"({arguments[0]} != 0)"
        raise self._refuse(node, scope)

    def _helper(self, node: ast.Call, scope: _Scope) -> Function | None:
        helper = self._lookup(node.func, scope)
        if not getattr(helper, "__exact__", False) or node.keywords:
            return None
        return self.function(helper, [self._dimensions(argument, scope) for argument in node.args])

    # Arrays -------------------------------------------------------------------------------------------------------

    def _dimensions(self, node: ast.expr, scope: _Scope) -> int:
        """How many dimensions an expression has; 0 for a number."""
        if isinstance(node, ast.Name):
            kind = scope.kind(node.id)
            if kind is not None:
                return kind
            return 1 if isinstance(self._lookup(node, scope), tuple | np.ndarray) else 0
        if isinstance(node, ast.Subscript) and not isinstance(node.value, ast.Attribute):
            used = len(node.slice.elts) if isinstance(node.slice, ast.Tuple) else 1
            return self._dimensions(node.value, scope) - used
        return 0

    def _array(self, node: ast.expr, scope: _Scope) -> str:
        if isinstance(node, ast.Name):
            return _name(node.id) if scope.kind(node.id) is not None else self._table(node, scope)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Tuple | ast.Slice):
            return f"row_of({self._array(node.value, scope)}, {self._value(node.slice, scope)})"
        raise self._refuse(node, scope)

    def _element(self, node: ast.Subscript, scope: _Scope) -> str:
        indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        array, dimensions = self._array(node.value, scope), self._dimensions(node.value, scope)
        if len(indices) != dimensions or any(isinstance(index, ast.Slice) for index in indices):
            raise self._refuse(node, scope)
        place = ""
        for axis, index in enumerate(indices):
            text = self._value(index, scope)
            if text.startswith("(-"):  # Python counts from the end
                text = f"({array}.n[{axis}] + {text})"
            place = text if not place else f"({place}) * {array}.n[{axis}] + {text}"
        return f"{array}.data[{place}]"

    # Names outside the function -----------------------------------------------------------------------------------

    def _lookup(self, node: ast.expr, scope: _Scope) -> Any:
        if isinstance(node, ast.Name):
            return scope.fn.__globals__.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self._lookup(node.value, scope), node.attr, None)
        return None

    def _global(self, node: ast.expr, scope: _Scope) -> str:
        value = self._lookup(node, scope)
        if isinstance(value, enum.IntEnum | int | np.integer):
            return constant(int(value))
        raise self._refuse(node, scope)

    def _table(self, node: ast.Name, scope: _Scope) -> str:
        """A tuple or array of the module, as a constant array."""
        values = self._lookup(node, scope)
        if not isinstance(values, tuple | np.ndarray):
            raise self._refuse(node, scope)
        name = f"table_{node.id.lower()}"
        if name not in self._tables:
            words = ", ".join(constant(int(value)) for value in values)
            self._tables[name] = (
                f"static int64_t {name}_words[] = {{{words}}};\n"
                f"static array_t {name} = {{{name}_words, {{{len(values)}, 0, 0}}}};"
            )
        return name

    def _refuse(self, node: ast.AST, scope: _Scope) -> Untranslatable:
        return Untranslatable(
            f"{scope.fn.__module__}.{scope.fn.__qualname__}: cannot be written in C: {ast.unparse(node)}; "
            "operators are integers, arrays of them, ranges and @exact helpers"
        )


def constant(value: int) -> str:
    """A number as a C constant of 64 bits."""
    if not -(2**63) <= value < 2**63:
        raise Untranslatable(f"{value} does not fit int64_t")
    if value == -(2**63):
        return "(-INT64_C(9223372036854775807) - 1)"
    if abs(value) < 2**31:
        return str(value) if value >= 0 else f"({value})"
    return f"INT64_C({value})" if value >= 0 else f"(-INT64_C({-value}))"


def _name(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _results(definition: ast.FunctionDef) -> int:
    """Values returned: 0, 1, or the length of a tuple."""
    counts = {
        len(node.value.elts) if isinstance(node.value, ast.Tuple) else 1
        for node in ast.walk(definition)
        if isinstance(node, ast.Return) and node.value is not None
    }
    return max(counts, default=0)


def _forwards(node: ast.AST) -> bool:
    return isinstance(node, ast.Return) and isinstance(node.value, ast.Call)
