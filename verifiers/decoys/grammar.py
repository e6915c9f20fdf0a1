"""What a language's tests look like: the tables that the finders read, and the parsers, loaded when a file of the language is met.

The vocabulary of syntax (which nodes are calls, literals, loops) is that of the tree-sitter grammars, of which no two here use one
word for different things, so it lies beside its users. A `Grammar` holds what is a matter of names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tree_sitter import Node

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Call, Part
from podgym.verifiers.syntax import parse_source

__all__ = ["Grammar", "Found", "added_at_end", "call_of", "opposites", "parse"]


@dataclass(frozen=True, slots=True)
class Found:
    """A test in a source."""

    names: tuple[str, ...]
    """As ids may end with them."""
    body: Part
    head: Part | None = None
    """What says that it is a test, where that may say more."""
    to_fail: bool = False
    """Whether the test passes by failing: then nothing in its body counts."""
    exits: bool = False
    """Whether the body is a program's, which returns its exit code."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Of one language."""

    name: str
    module: str
    """Of the tree-sitter grammar."""
    function: str = "language"
    tests: Callable[[Part], list[Found]] = lambda root: []
    """The tests of a file."""
    added: Callable[[Found, tuple[int, int]], Edit | None] = lambda test, numbers: None
    """A statement that fails, at the end of a test."""
    turned: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Names of assertions, and of those that fail where they pass."""
    can_turn: Callable[[Call, str], bool] = lambda call, other: True
    """Whether the other name is known where the call stands."""
    equal: frozenset[str] = frozenset()
    """More names of assertions that two values are equal, for methods of what asserts."""
    holds: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    """More names for what asserts that its argument is true, and false."""
    asserting: frozenset[str] = frozenset()
    """Names of objects and packages whose methods assert."""
    chains: frozenset[str] = frozenset()
    """Functions that a chain of expectations begins with."""
    chained: frozenset[str] = frozenset()
    """Ends of such chains whose argument is the value expected."""
    negation: bytes = b""
    """What turns a chain, before its end."""
    failing: re.Pattern[bytes] = re.compile(rb"(?!)")
    """A name of what fails a test when called."""
    wrapped: Callable[[Call, int, bytes], bytes | None] = lambda call, index, text: None
    """An expression that no value of the argument with the index `index` equals, for assertions that take anything."""
    callbacks: frozenset[str] = frozenset()
    """Calls that run the functions that they are given."""
    refused: Callable[[Call, bytes], bytes | None] = lambda call, matcher: None
    """A matcher that takes what another refuses."""
    special: Callable[[Call], Edit | None] = lambda call: None
    """Of an assertion of the language's own kind, such as that of an exception's type."""
    expected: Callable[[Found], list[Edit]] = lambda test: []
    """What the head of a test says that it expects."""


def opposites(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Both ways."""
    return MappingProxyType({**pairs, **{other: name for name, other in pairs.items()}})


def parse(grammar: Grammar, data: bytes) -> Node | None:
    """The root; None where it takes too long."""
    return parse_source(data, grammar.module, grammar.function)


def call_of(grammar: Grammar, part: Part) -> Call | None:
    """What a node calls; None for one that is no call."""
    if part.kind == "macro_invocation":
        return _macro(grammar, part)
    if part.kind in ("call_expression", "method_invocation", "object_creation_expression", "new_expression"):
        function = part.field("function", "name", "type", "constructor")
        arguments = part.field("arguments")
        if function is None or arguments is None:
            return None
        name, receiver = _named(function, part)
        return Call(part, name, receiver, tuple(arguments.parts))
    return None


def _named(function: Part, call: Part) -> tuple[Part, Part | None]:
    for _ in range(4):
        if function.kind in ("generic_function", "template_function", "instantiation_expression", "generic_type"):
            function = function.field("function", "name") or function.parts[0]
    name = function.field("field", "property", "name") or function
    return name, function.field("operand", "object", "value", "argument", "path", "scope") or call.field("object")


def _macro(grammar: Grammar, part: Part) -> Call | None:
    named = part.field("macro")
    tokens = part.parts[-1] if part.parts else None
    if named is None or tokens is None or tokens.kind != "token_tree":
        return None
    head = b"fn f() { f("
    root = parse(grammar, head + tokens.text[1:-1] + b") }")
    name, receiver = _named(named, part)
    if root is None or root.has_error:
        return Call(part, name, receiver, ())
    inner = Part(root, part.data, tokens.start + 1 - len(head))
    call = next(one for one in inner.walk() if one.kind == "call_expression")
    arguments = call.field("arguments")
    return Call(part, name, receiver, tuple(arguments.parts) if arguments is not None else ())


def added_at_end(block: Part, statement: bytes, *, leaves: frozenset[str] = frozenset()) -> Edit | None:
    """A statement before a block's closing brace, or before its last statement where that leaves the block."""
    tokens = block.tokens
    if not tokens or tokens[-1].text != b"}":
        return None
    inner = block.parts
    while len(inner) == 1 and inner[0].kind == "statement_list":
        inner = inner[0].parts
    if inner and inner[-1].kind in leaves:
        return Edit(inner[-1].start, inner[-1].start, statement + b" ")
    at = inner[-1].end if inner else tokens[0].end
    while at < tokens[-1].start and block.data[at : at + 1] in b";":
        at += 1
    indent = _indent(block.data, inner[-1].start) if inner else b" "
    if block.data[at - 1 : at] == b";":
        indent = indent.removeprefix(b";")
    return Edit(at, at, indent + statement)


def _indent(data: bytes, at: int) -> bytes:
    """A new line with the indentation of the place, or a semicolon where something stands before it."""
    line = data.rfind(b"\n", 0, at) + 1
    space = data[line:at]
    return b"\n" + space if line and not space.strip() else b"; "
