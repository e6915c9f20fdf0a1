"""Names that the grammars give to what operators look for, and small questions about a piece of syntax."""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from podgym.envs.build.mutation.dialect import Dialect
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.part import Part

__all__ = [
    "BINARY",
    "BLOCKS",
    "CALLS",
    "CASES",
    "COMPARISONS",
    "CONDITIONAL",
    "IFS",
    "INTEGERS",
    "LEAVING",
    "LOOPS",
    "STRINGS",
    "TERNARIES",
    "arguments_of",
    "called",
    "condition_of",
    "operator_of",
    "parent_of",
    "removal",
    "statements_of",
]

BINARY: Final = frozenset({"binary_expression", "binary_operator", "boolean_operator", "comparison_operator"})
COMPARISONS: Final = frozenset({b"<", b"<=", b">", b">=", b"==", b"!=", b"===", b"!==", b"in", b"not in", b"is", b"is not"})
IFS: Final = frozenset({"if_statement", "if_expression"})
LOOPS: Final = frozenset({"while_statement", "while_expression"})
TERNARIES: Final = frozenset({"ternary_expression", "conditional_expression"})
CONDITIONAL: Final = IFS | LOOPS | TERNARIES | {"elif_clause"}
CALLS: Final = frozenset({"call", "call_expression", "method_invocation", "object_creation_expression", "new_expression"})
INTEGERS: Final = frozenset({"integer", "int_literal", "integer_literal", "decimal_integer_literal", "number", "number_literal"})
STRINGS: Final = frozenset({"string", "string_literal", "interpreted_string_literal", "raw_string_literal", "template_string"})
BLOCKS: Final = frozenset({"block", "statement_block", "compound_statement", "statement_list"})
CASES: Final = frozenset(
    {"expression_case", "switch_case", "switch_block_statement_group", "switch_rule", "case_statement", "case_clause", "match_arm"}
)
LEAVING: Final = frozenset(
    {
        "return_statement", "raise_statement", "throw_statement", "continue_statement", "break_statement", "return_expression",
        "continue_expression", "break_expression",
    }
)  # fmt: skip
_WRAPPERS: Final = frozenset({"parenthesized_expression", "condition_clause"})
_BOUND: Final = frozenset({"let_condition", "let_chain", "declaration", "init_statement", "named_expression", "assignment_expression"})


def parent_of(part: Part) -> Part | None:
    """What it is a piece of."""
    return Part(part.node.parent, part.data, part.shift) if part.node.parent is not None else None


def operator_of(part: Part) -> Part | None:
    """The sign of a binary expression; of a chain of comparisons the first."""
    return part.field("operator", "operators") if part.kind in BINARY else None


def condition_of(part: Part) -> Part | None:
    """The condition of a branch or a loop without parentheses; None where it binds a name, which the branch then needs."""
    if part.kind not in CONDITIONAL:
        return None
    found = part.field("condition")
    if found is None and part.kind == "conditional_expression" and len(part.parts) == 3:
        found = part.parts[1]
    if found is None:
        return None
    for _ in range(8):
        if found.kind not in _WRAPPERS:
            break
        if len(found.parts) != 1:
            return None
        found = found.parts[0]
    return None if any(one.kind in _BOUND for one in found.walk(limit=200)) else found


def arguments_of(part: Part) -> list[Part] | None:
    """Those of a call, in order; None for what is none or has no list of them."""
    if part.kind not in CALLS:
        return None
    found = part.field("arguments")
    return found.parts if found is not None and found.kind in ("argument_list", "arguments") else None


def called(part: Part) -> tuple[Part, Part | None] | None:
    """The name that a call ends with, and what stands before it."""
    if part.kind == "method_invocation":
        name = part.field("name")
        return (name, part.field("object")) if name is not None else None
    function = part.field("function") if part.kind in CALLS else None
    if function is None:
        return None
    name = function.field("attribute", "property", "field", "name")
    return (name, function.field("object", "operand", "value", "argument")) if name is not None else (function, None)


def statements_of(part: Part) -> list[Part]:
    """Of a block, or the one that stands in its place."""
    inner = part.parts if part.kind in BLOCKS else [part]
    while len(inner) == 1 and inner[0].kind in BLOCKS:
        inner = inner[0].parts
    return inner


def removal(part: Part, dialect: Dialect) -> Edit:
    """Takes a statement away with its line where it is alone there; leaves an empty one where one must stand."""
    data, start, end = part.data, part.start, part.end
    needed = _only(part.node, dialect)
    line, stop = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", end)
    rest = data[end : stop if stop >= 0 else len(data)].strip()
    if not needed and not data[line:start].strip() and (not rest or rest.startswith(dialect.comment)):
        return Edit(line, stop + 1 if stop >= 0 else len(data), b"")
    if needed or dialect.empty:
        text = dialect.empty or (b"{}" if re.search(rb"\}\s*$", part.text) else b";")
        return Edit(start, end, text)
    return Edit(start, end, b"")


def _only(node: Node, dialect: Dialect) -> bool:
    """Whether something has to stand in a statement's place."""
    parent = node.parent
    if parent is None:
        return False
    if dialect.empty:
        return sum(one.is_named and one.type != "comment" for one in parent.children) == 1
    return parent.type not in BLOCKS | CASES | {"source_file", "program", "translation_unit", "declaration_list", "default_case"}
