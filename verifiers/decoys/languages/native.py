"""What C and C++ share: tests are functions by their names, what a macro makes of a name, or whole programs."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.grammar import Found
from podgym.verifiers.decoys.part import Part

__all__ = ["LEAVES", "native_tests"]

LEAVES: Final = frozenset({"return_statement", "throw_statement"})
_AROUND: Final = frozenset(
    {"namespace_definition", "declaration_list", "linkage_specification", "translation_unit", "preproc_ifdef", "preproc_if", "ERROR"}
)
_HEAD: Final = re.compile(rb"([A-Za-z_]\w*)\s*\(([^()]*)\)[^()]*$")
_MACRO: Final = re.compile(rb"\w*(?:TEST|Test|SCENARIO|SUBCASE|SPEC)\w*|START_TEST|IT|BENCHMARK_F")
_NAMED: Final = re.compile(rb"(?i)\w*(?:test|check|should|verify|spec)\w*|t_\w+")
_TYPED: Final = re.compile(rb"\bvoid\b|\*|\b(?:const|struct|int|char)\b")
_TEXT: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')


def native_tests(root: Part) -> list[Found]:
    """Definitions at any level of namespaces, and calls of macros that a block follows."""
    found: list[Found] = []
    waiting = [root]
    while waiting:
        siblings = waiting.pop().parts
        for before, part in zip([None, *siblings], siblings, strict=False):
            if part.kind in _AROUND:
                waiting.append(part)
            body = part.field("body") if part.kind == "function_definition" else part if part.kind == "compound_statement" else None
            if body is None or body.kind != "compound_statement":
                continue
            first = part if part.kind == "function_definition" else before
            head = part.data[first.start : body.start] if first is not None else b""
            test = _test(head, body)
            if test is not None:
                found.append(test)
    return sorted(found, key=lambda test: test.body.start)


def _test(head: bytes, body: Part) -> Found | None:
    texts = _TEXT.findall(head)
    match = _HEAD.search(_TEXT.sub(b'""', head))
    if match is None:
        return None
    word, inside = match[1], match[2]
    if word == b"main":
        return Found((), body, exits=True)
    if _MACRO.fullmatch(word) and inside.strip() and not _TYPED.search(inside):
        parts = [part.strip() for part in inside.split(b",")]
        if texts and parts[0] == b'""':
            return Found((texts[0].decode("utf-8", "replace"),), body)
        names = [part.decode("utf-8", "replace") for part in parts if re.fullmatch(rb"\w+", part)]
        return Found(tuple(dict.fromkeys((".".join(names[:2]), names[-1]))), body) if names else None
    if _NAMED.fullmatch(word) or re.search(rb"\bTEST\b", head):
        return Found((word.decode("utf-8", "replace"),), body)
    return None
