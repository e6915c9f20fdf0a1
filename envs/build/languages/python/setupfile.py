"""The arguments of `setup()` in a setup.py, read without running it: literals, and names bound to literals."""

from __future__ import annotations

import ast
import re
import warnings
from itertools import chain, islice
from typing import Any, Final

__all__ = ["parse", "session_commands", "setup_arguments"]


_MAX_DEPTH: Final = 60
_MAX_ENTRIES: Final = 2000
_MAX_TEXT: Final = 1 << 18


def setup_arguments(source: str) -> dict[str, Any]:
    """Keyword arguments of the call of `setup` that can be told statically; empty where the file cannot be parsed.

    A list that is partly computed keeps the entries that are literals.
    """
    tree = parse(source)
    if tree is None:
        return {}
    names = _constants(tree)
    arguments: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "setup":
            for keyword in node.keywords:
                value = _value(keyword.value, names)
                if keyword.arg is None and isinstance(value, dict):
                    arguments |= value
                elif keyword.arg is not None and value is not None:
                    arguments[keyword.arg] = value
    return arguments


def session_commands(source: str) -> list[list[str]]:
    """What the test sessions of a noxfile install: the words of pip's and others' commands. A word that cannot be told is `$`."""
    tree = parse(source)
    found: list[list[str]] = []
    names = _constants(tree) if tree else {}
    for function in ast.walk(tree) if tree else ():
        if not (isinstance(function, ast.FunctionDef) and re.search(r"test|^unit|^cov", function.name)):
            continue
        for node in ast.walk(function):
            if not isinstance(node, ast.Call) or (called := _called(node)) not in ("install", "run", "run_install", "run_always"):
                continue
            words = [word for argument in node.args for word in _words(argument, names)]
            found.append(["pip", "install", *words] if called == "install" else words)
    return found


def _words(node: ast.expr, names: dict[str, Any]) -> list[str]:
    value = _value(node.value if isinstance(node, ast.Starred) else node, names)
    if isinstance(value, list):
        return [one if isinstance(one, str) else "$" for one in value]
    return [value] if isinstance(value, str) else ["$"]


def _constants(tree: ast.Module) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _value(node.value, names)
            if value is not None:
                names[node.targets[0].id] = value
    return names


def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None for what this interpreter cannot parse (Python 2, say)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _value(node: ast.expr, names: dict[str, Any], depth: int = _MAX_DEPTH) -> Any:
    """The node's value where it can be told, else None; containers keep the parts that can be told."""
    if depth <= 0:
        return None

    def inner(one: ast.expr) -> Any:
        return _value(one, names, depth - 1)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names.get(node.id)
        case ast.List() | ast.Tuple() | ast.Set():
            return [value for value in map(inner, node.elts) if value is not None]
        case ast.Dict():
            pairs = ((inner(key) if key else None, inner(value)) for key, value in zip(node.keys, node.values, strict=True))
            return {key: value for key, value in pairs if isinstance(key, str) and value is not None}
        case ast.Subscript():
            container, key = inner(node.value), inner(node.slice)
            return container.get(key) if isinstance(container, dict) and isinstance(key, str) else None
        case ast.BinOp(op=ast.Add()):
            return _sum([inner(term) for term in _terms(node)])
        case ast.Call() if _called(node) == "dict":
            return {keyword.arg: inner(keyword.value) for keyword in node.keywords if keyword.arg}
        case _:
            return None


def _terms(node: ast.expr) -> list[ast.expr]:
    """Of `a + b + c`, which is nested as deep as it is long."""
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def _sum(values: list[Any]) -> Any:
    """Of lists what can be told; of text all or nothing. Each may hold others twice, so what comes of it has a limit."""
    if any(isinstance(value, list) for value in values):
        return list(islice(chain.from_iterable(value for value in values if isinstance(value, list)), _MAX_ENTRIES))
    if all(isinstance(value, str) for value in values) and sum(map(len, values)) <= _MAX_TEXT:
        return "".join(values)
    return None
