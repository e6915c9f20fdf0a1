"""Where a Python test says what it expects, and how each place can be made to expect something else.

A place counts only if it is reached whenever the test passes and a wrong expectation there fails the test: in the body of the test
itself, in loops over what is written there, and in blocks of `with`; not in branches, `try`, nested functions, or blocks that catch.
"""

from __future__ import annotations

import ast
import builtins
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.literals import another_python_literal

__all__ = ["Site", "added_failure", "sites_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """One expectation. A higher `worth` tells more kinds of cheating."""

    worth: int
    change: Callable[[random.Random], Edit]


_VALUE, _WRAPPED, _EXCEPTION, _SENSE = 4, 3, 2, 1
_CATCHING = re.compile(r"raises|warns|suppress", re.IGNORECASE)
_OPPOSITES: Final = {
    "assertTrue": "assertFalse",
    "assertIn": "assertNotIn",
    "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone",
    "assertIsInstance": "assertNotIsInstance",
    "assertRegex": "assertNotRegex",
    "assertEqual": "assertNotEqual",
    "assertAlmostEqual": "assertNotAlmostEqual",
    "assertGreater": "assertLessEqual",
    "assertLess": "assertGreaterEqual",
}
_TURNED: Final = {**_OPPOSITES, **{other: name for name, other in _OPPOSITES.items()}}
_COMPARING: Final = frozenset(
    f"assert{kind}" for kind in ("Equal", "Equals", "ListEqual", "TupleEqual", "DictEqual", "SetEqual", "SequenceEqual", "MultiLineEqual",
                                 "AlmostEqual", "AlmostEquals", "CountEqual")
)  # fmt: skip
_OPERATORS: Final[dict[type[ast.cmpop], tuple[bytes, bytes]]] = {
    ast.Eq: (rb"==", b"!="),
    ast.NotEq: (rb"!=", b"=="),
    ast.Is: (rb"\bis\b", b"is not"),
    ast.IsNot: (rb"\bis\s+not\b", b"is"),
    ast.In: (rb"\bin\b", b"not in"),
    ast.NotIn: (rb"\bnot\s+in\b", b"in"),
    ast.Lt: (rb"<", b">="),
    ast.LtE: (rb"<=", b">"),
    ast.Gt: (rb">", b"<="),
    ast.GtE: (rb">=", b"<"),
}
_ORDINARY: Final = (ZeroDivisionError, FileNotFoundError, PermissionError, NotImplementedError, UnicodeDecodeError, IndexError, KeyError)
"""What a test may well expect, so that a changed one shows nothing odd; projects seldom derive their own from the first ones."""
_DERIVED_FROM: Final = (IndexError, KeyError)


class _Text:
    """Offsets of nodes in a source."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._lines = [0]
        for line in data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        return self._lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def of(self, node: ast.expr | ast.stmt) -> bytes:
        return self.data[self.start(node) : self.end(node)]


def sites_of(function: ast.FunctionDef | ast.AsyncFunctionDef, data: bytes) -> list[Site]:
    """Expectations of one test, in the order of its text."""
    return list(_Reader(function, _Text(data)).sites())


def added_failure(function: ast.FunctionDef | ast.AsyncFunctionDef, data: bytes, rng: random.Random) -> Edit:
    """An assertion that is false, after the test's last statement."""
    text = _Text(data)
    last = function.body[-1]
    one, other = rng.sample(range(10, 100), 2)
    indent = data[text.start(last) - last.col_offset : text.start(last)]
    separator = b"\n" + indent if not indent.strip() else b"; "
    return Edit(text.end(last), text.end(last), separator + b"assert %d == %d" % (one, other))


class _Reader:
    """The expectations of one function."""

    def __init__(self, function: ast.FunctionDef | ast.AsyncFunctionDef, text: _Text) -> None:
        self._function, self._text = function, text

    def sites(self) -> Iterator[Site]:
        for statement in self._reached(self._function.body):
            if isinstance(statement, ast.Assert):
                yield from self._asserted(statement.test)
            elif isinstance(statement, ast.Expr):
                call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                    yield from self._called(call, call.func)
            elif isinstance(statement, (ast.With, ast.AsyncWith)):
                for item in statement.items:
                    if isinstance(item.context_expr, ast.Call) and _name(item.context_expr.func).lower().endswith(
                        ("raises", "raisesregex")
                    ):
                        yield from self._raising(item.context_expr)

    def _reached(self, body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
        """Statements that every passing run comes to and whose failure fails the test."""
        for statement in body:
            yield statement
            if isinstance(statement, (ast.With, ast.AsyncWith)):
                if not any(_CATCHING.search(ast.unparse(item.context_expr)) for item in statement.items):
                    yield from self._reached(statement.body)
            elif isinstance(statement, ast.For) and isinstance(statement.iter, (ast.List, ast.Tuple)) and statement.iter.elts:
                yield from self._reached(statement.body)
            elif isinstance(statement, (ast.Return, ast.Raise)):
                return

    def _asserted(self, test: ast.expr) -> Iterator[Site]:
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            right = test.comparators[0]
            if isinstance(test.ops[0], ast.Eq):
                yield from self._values(test.left, right)
            between = slice(self._text.end(test.left), self._text.start(right))
            pattern, turned = _OPERATORS[type(test.ops[0])]
            operators = list(re.finditer(pattern, self._text.data[between]))
            if len(operators) == 1 and b"#" not in self._text.data[between]:
                start, end = (between.start + at for at in operators[0].span())
                yield Site(_SENSE, lambda _: Edit(start, end, turned))
                return
        start, end = self._text.start(test), self._text.end(test)
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self._text.of(test.operand)
            yield Site(_SENSE, lambda _: Edit(start, end, b"(" + inner + b")"))
        elif isinstance(test, (ast.Call, ast.Attribute, ast.Name, ast.BoolOp, ast.Compare, ast.Subscript)):
            inner = self._text.of(test)
            yield Site(_SENSE, lambda _: Edit(start, end, b"not (" + inner + b")"))

    def _called(self, call: ast.Call, function: ast.Attribute) -> Iterator[Site]:
        name = function.attr
        if name in _COMPARING and len(call.args) > 1 and not any(isinstance(side, ast.Starred) for side in call.args[:2]):
            yield from self._values(call.args[0], call.args[1])
        if name.endswith(("assertRaises", "assertRaisesRegex")) or name == "raises":
            if len(call.args) > 1:
                yield from self._raising(call)
        elif name in _TURNED and call.args:
            end = self._text.end(function)
            yield Site(_SENSE, lambda _: Edit(end - len(name), end, _TURNED[name].encode()))

    def _raising(self, call: ast.Call) -> Iterator[Site]:
        if not call.args or isinstance(call.args[0], ast.Starred):
            return
        expected = call.args[0]
        known = self._text.of(expected)

        def change(rng: random.Random) -> Edit:
            return Edit(self._text.start(expected), self._text.end(expected), rng.choice(_other_exceptions(known)))

        yield Site(_EXCEPTION, change)

    def _values(self, *sides: ast.expr) -> Iterator[Site]:
        """The side that is written out, or a name that stands for something written out."""
        for side, other in (sides, sides[::-1]):
            if _literal(side) and not _literal(other):
                yield from self._literal_sites(side)
            elif isinstance(side, ast.Call) and _name(side.func) == "approx" and side.args and _literal(side.args[0]):
                yield from self._literal_sites(side.args[0])
            elif isinstance(side, ast.Name) and self._only_expected(side.id):
                for value in self._meanings(side.id):
                    yield from self._literal_sites(value)
        for side in sides:
            if not _literal(side):
                yield self._wrapped(side)

    def _wrapped(self, side: ast.expr) -> Site:
        """A computed side as the only item of a list: what equals it does not equal that."""
        start, end = self._text.start(side), self._text.end(side)
        inner = self._text.of(side)
        return Site(_WRAPPED, lambda _: Edit(start, end, b"[" + inner + b"]"))

    def _literal_sites(self, node: ast.expr) -> Iterator[Site]:
        leaves = [leaf for leaf in _leaves(node) if another_python_literal(self._text.of(leaf), random.Random(0)) is not None]
        for leaf in leaves:
            start, end, text = self._text.start(leaf), self._text.end(leaf), self._text.of(leaf)

            def change(rng: random.Random, *, start: int = start, end: int = end, text: bytes = text) -> Edit:
                return Edit(start, end, another_python_literal(text, rng) or text)

            yield Site(_VALUE, change)

    def _only_expected(self, name: str) -> bool:
        """Whether a name is read nowhere but as a side of a comparison."""
        reads = sum(isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) for node in ast.walk(self._function))
        compared = 0
        for node in ast.walk(self._function):
            sides: list[ast.expr] = []
            if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
                sides = [node.left, node.comparators[0]]
            elif isinstance(node, ast.Call) and _name(node.func) in _COMPARING:
                sides = node.args[:2]
            compared += sum(isinstance(side, ast.Name) and side.id == name for side in sides)
        return reads == compared

    def _meanings(self, name: str) -> Iterator[ast.expr]:
        """Literals that a name has in this test: assigned, a column of a loop's table, or of the test's parameters."""
        for statement in self._reached(self._function.body):
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and _is(statement.targets[0], name):
                yield statement.value
            elif isinstance(statement, ast.For) and isinstance(statement.iter, (ast.List, ast.Tuple)):
                names = statement.target.elts if isinstance(statement.target, ast.Tuple) else [statement.target]
                yield from _column(names, statement.iter.elts, name)
        for decorator in self._function.decorator_list:
            if isinstance(decorator, ast.Call) and _name(decorator.func) == "parametrize" and len(decorator.args) > 1:
                rows = decorator.args[1]
                if isinstance(rows, (ast.List, ast.Tuple)):
                    yield from _column(_parameters(decorator.args[0]), rows.elts, name)


def _other_exceptions(expected: bytes) -> list[bytes]:
    """Names of exceptions that are neither among those of `expected` nor kin of one, as far as builtins say."""
    names = re.findall(r"\w+", expected.decode(errors="replace"))
    kinds = [kind for name in names if isinstance(kind := getattr(builtins, name, None), type) and issubclass(kind, BaseException)]
    own = len(kinds) < len(names)
    return [
        kind.__name__.encode()
        for kind in _ORDINARY
        if not (own and kind in _DERIVED_FROM) and not any(issubclass(kind, known) or issubclass(known, kind) for known in kinds)
    ] or [b"StopAsyncIteration"]


def _parameters(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [ast.Name(part.strip()) for part in node.value.split(",") if part.strip()]
    if isinstance(node, (ast.List, ast.Tuple)):
        return [ast.Name(str(one.value)) if isinstance(one, ast.Constant) else one for one in node.elts]
    return []


def _column(names: list[ast.expr], rows: list[ast.expr], name: str) -> Iterator[ast.expr]:
    at = next((index for index, one in enumerate(names) if _is(one, name)), None)
    if at is None:
        return
    for row in rows:
        cells = [row]
        if isinstance(row, ast.Call) and _name(row.func) == "param":
            cells = row.args
        elif len(names) > 1:
            cells = row.elts if isinstance(row, (ast.Tuple, ast.List)) else []
        if at < len(cells) and _literal(cells[at]):
            yield cells[at]


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _literal(node: ast.expr) -> bool:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(_literal(part) for part in node.elts)
    if isinstance(node, ast.Dict):
        return all(key is not None and _literal(key) for key in node.keys) and all(_literal(value) for value in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Constant) and node.value is not Ellipsis


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and node.elts:
        for part in node.elts:
            yield from _leaves(part)
    elif isinstance(node, ast.Dict) and node.values:
        for value in node.values:
            yield from _leaves(value)
    elif isinstance(node, ast.UnaryOp):
        yield from _leaves(node.operand)
    else:
        yield node
