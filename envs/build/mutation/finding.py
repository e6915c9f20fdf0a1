"""All that can be changed in one source, and of that a choice whose every member still parses.

What no test should turn on is passed over: comments, types, imports, attributes, assertions, calls of a log, texts that document, and
tests inside a source.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tree_sitter import Node

from podgym.envs.build.mutation.dialect import Dialect
from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.operators import OPERATORS
from podgym.envs.build.mutation.syntax import CALLS
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import parse
from podgym.verifiers.decoys.part import Part

__all__ = ["candidates", "chosen"]

_NODES: Final = 300_000
_LONGEST: Final = 4000
"""Bytes that one mutation may take away."""
_SKIPPED: Final = frozenset(
    {
        "comment", "line_comment", "block_comment", "ERROR", "import_statement", "import_from_statement", "import_declaration",
        "import_spec", "use_declaration", "package_clause", "package_declaration", "preproc_include", "preproc_def",
        "preproc_function_def", "preproc_call", "preproc_if", "type", "type_annotation", "type_arguments", "type_parameters",
        "type_alias_declaration", "interface_declaration", "ambient_declaration", "literal_type", "array_type", "template_argument_list",
        "template_parameter_list", "attribute_item", "inner_attribute_item", "attribute_declaration", "annotation", "marker_annotation",
        "decorator", "macro_definition", "macro_invocation", "assert_statement", "static_assert_declaration", "global_statement",
        "annotation_type_declaration", "module_declaration", "type_declaration", "type_item", "enum_item", "struct_item",
        "field_declaration_list", "enumerator_list",
    }
)  # fmt: skip
_DEFINITIONS: Final = frozenset(
    {
        "function_definition", "function_declaration", "method_declaration", "method_definition", "function_item", "class_definition",
        "class_declaration", "class_specifier", "struct_specifier", "impl_item", "constructor_declaration",
        "generator_function_declaration",
        "public_field_definition", "enum_declaration", "record_declaration", "const_item", "lambda",
    }
)  # fmt: skip
_LOGGING: Final = re.compile(
    rb"(?:(?:self|this|cls)\s*(?:\.|->)\s*)?_*(?:log|logger|logging|LOG|LOGGER|console|slog|zap|glog|klog|warnings|tracing)\b"
)
_TEST: Final = re.compile(rb"\b(?:test|tests|bench)\b")
_MAIN: Final = re.compile(rb"__name__|TYPE_CHECKING|import\.meta\.vitest")


def candidates(data: bytes, dialect: Dialect) -> list[Mutation]:
    """Every change that an operator finds, in the order of the source. They need not parse."""
    root = parse(dialect.grammar, data)
    if root is None:
        return []
    found: list[Mutation] = []
    seen: set[tuple[int, int, bytes]] = set()
    for part, place in _pieces(Part(root, data)):
        for name, operator in OPERATORS.items():
            for edit in operator(part, dialect):
                before = data[edit.start : edit.end]
                key = (edit.start, edit.end, edit.text)
                if before == edit.text or key in seen or len(before) > _LONGEST:
                    continue
                seen.add(key)
                found.append(_mutation(name, data, edit, place))
    return sorted(found, key=lambda one: (one.start, one.operator, one.after))


def chosen(data: bytes, dialect: Dialect, *, seed: int, limit: int) -> list[Mutation]:
    """At most `limit` of the candidates, spread over operators and then over places, in the order in which to try them.

    None brings an error into the syntax. The same for equal arguments.
    """
    root = parse(dialect.grammar, data)
    if root is None:
        return []
    errors = _errors(root)
    kept: list[Mutation] = []
    for one in _spread(candidates(data, dialect), seed):
        if len(kept) == limit:
            break
        if one.before.split() == one.after.split():
            continue
        changed = parse(dialect.grammar, one.apply(data))
        if changed is not None and _errors(changed) <= errors:
            kept.append(one)
    return kept


def _pieces(root: Part) -> Iterator[tuple[Part, str]]:
    waiting = [(root, "")]
    for _ in range(_NODES):
        if not waiting:
            return
        part, place = waiting.pop()
        if part.kind in _SKIPPED or not part.node.is_named or _aside(part):
            continue
        if part.kind in _DEFINITIONS or (part.kind == "variable_declarator" and _is_function(part.field("value"))):
            place = _named(part) or place
        yield part, place
        waiting += [(Part(node, part.data, part.shift), place) for node in reversed(part.node.named_children)]


def _aside(part: Part) -> bool:
    """A log's line, documentation, or a test."""
    kind, node = part.kind, part.node
    if kind in CALLS:
        return _LOGGING.match(part.data, part.start, part.end) is not None
    if kind == "expression_statement":
        return len(part.parts) == 1 and part.parts[0].kind in ("string", "concatenated_string", "string_literal")
    if kind == "if_statement":
        condition = part.field("condition")
        return condition is not None and _MAIN.search(condition.text) is not None
    if kind in ("mod_item", "function_item"):
        before = node.prev_sibling
        for _ in range(20):
            if before is None or before.type not in ("attribute_item", "line_comment", "block_comment"):
                return False
            if before.type == "attribute_item" and _TEST.search(before.text or b""):
                return True
            before = before.prev_sibling
    return False


def _is_function(part: Part | None) -> bool:
    return part is not None and part.kind in ("arrow_function", "function_expression", "function", "class")


def _named(part: Part) -> str:
    name = part.field("name", "declarator", "type")
    for _ in range(6):
        inner = name.field("declarator", "name") if name is not None else None
        if inner is None:
            break
        name = inner
    if name is None or len(name.text) > 200:
        return ""
    return f"{name.text.decode('utf-8', 'replace')}:{part.node.start_point[0] + 1}"


def _mutation(operator: str, data: bytes, edit: Edit, place: str) -> Mutation:
    first = edit.start + (len(data[edit.start : edit.end]) - len(data[edit.start : edit.end].lstrip()))
    return Mutation(operator, edit.start, data[edit.start : edit.end], edit.text, data.count(b"\n", 0, first) + 1, place)


def _spread(found: list[Mutation], seed: int) -> Iterator[Mutation]:
    """Operators in turn, and of each a random one."""
    rng = random.Random(seed)
    by_operator: dict[str, list[Mutation]] = defaultdict(list)
    for one in found:
        by_operator[one.operator].append(one)
    for several in by_operator.values():
        rng.shuffle(several)
    names = sorted(by_operator)
    rng.shuffle(names)
    while names:
        for name in list(names):
            yield by_operator[name].pop()
            if not by_operator[name]:
                names.remove(name)


def _errors(root: Node) -> int:
    if not root.has_error:
        return 0
    return sum(node.is_error or node.is_missing for node in _walk(root))


def _walk(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)
