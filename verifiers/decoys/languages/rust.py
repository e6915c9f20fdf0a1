"""Rust: functions that an attribute makes tests, among them those of the modules inside a source."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, opposites
from podgym.verifiers.decoys.literals import another_text
from podgym.verifiers.decoys.part import Part

__all__ = ["GRAMMAR"]

_TEST: Final = re.compile(rb"#\[\s*(?:\w+::)*(?:test|rstest|test_case|wasm_bindgen_test|test_log|ktest|async_test|case)\b")
_PANIC: Final = re.compile(rb"#\[\s*(should_panic)\b[^\]\"]*(?:\"((?:[^\"\\]|\\.)*)\")?[^\]]*\]")


def _tests(root: Part) -> list[Found]:
    found = []
    for part in root.walk(limit=200_000):
        if part.kind != "function_item":
            continue
        name, body = part.field("name"), part.field("body")
        start = _attributes(part)
        head = part.data[start : part.start]
        if name is not None and body is not None and _TEST.search(head):
            found.append(Found((name.text.decode("utf-8", "replace"),), body, head=part, to_fail=_PANIC.search(head) is not None))
    return found


def _attributes(part: Part) -> int:
    """Where the attributes of an item begin."""
    start, node = part.start, part.node.prev_sibling
    for _ in range(50):
        if node is None or node.type not in ("attribute_item", "line_comment", "block_comment"):
            break
        start, node = node.start_byte + part.shift, node.prev_sibling
    return start


def _expected(test: Found) -> list[Edit]:
    """`#[should_panic]` goes, or expects to hear something else."""
    assert test.head is not None
    start = _attributes(test.head)
    match = _PANIC.search(test.head.data[start : test.head.start])
    if match is None:
        return []
    if match[2]:
        import random

        other = another_text(match[2], random.Random(match[2]))
        return [Edit(start + match.start(2), start + match.end(2), other)] if other is not None else []
    return [Edit(start + match.start(), start + match.end(), b"#[allow(unused)]")]


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    inner = test.body.parts
    statement = b"assert_eq!(%d, %d);" % numbers
    if inner and inner[-1].data[inner[-1].end - 1 : inner[-1].end] not in (b";", b"}"):
        return Edit(inner[-1].start, inner[-1].start, statement + b" ")
    return added_at_end(test.body, statement, leaves=frozenset({"return_expression"}))


GRAMMAR: Final = Grammar(
    name="rust",
    module="tree_sitter_rust",
    tests=_tests,
    added=_added,
    turned=opposites({"assert_eq": "assert_ne"}),
    failing=re.compile(rb"panic|unreachable|unimplemented|todo|exit|abort"),
    expected=_expected,
)
