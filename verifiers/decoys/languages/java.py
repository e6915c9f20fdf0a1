"""Java: JUnit 3 to 5, TestNG, AssertJ, Truth, Hamcrest, and `if (...) throw`."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, opposites
from podgym.verifiers.decoys.part import Call, Part

__all__ = ["GRAMMAR"]

_ANNOTATED: Final = re.compile(rb"@(?:[\w.]+\.)?(?:\w*Test|Theory|Property|Example)\b")
_EXPECTED: Final = re.compile(rb"@(?:[\w.]+\.)?Test\s*\([^)]*?\bexpected(?:Exceptions)?\s*=\s*\{?\s*([\w.]+)\.class")
_RARE: Final = b"java.util.EmptyStackException"
_OWNERS: Final = frozenset({"Assertions", "Assert", "TestCase", "Truth", "MatcherAssert"})


def _tests(root: Part) -> list[Found]:
    found = []
    for part in root.walk(limit=200_000):
        name, body = part.field("name"), part.field("body")
        if part.kind != "method_declaration" or name is None or body is None:
            continue
        head = part.data[part.start : body.start]
        if _ANNOTATED.search(head) or (name.text.startswith(b"test") and b"void" in head):
            found.append(Found((name.text.decode("utf-8", "replace"),), body, head=part, to_fail=_EXPECTED.search(head) is not None))
    return found


def _expected(test: Found) -> list[Edit]:
    """`@Test(expected = X.class)`."""
    assert test.head is not None
    match = _EXPECTED.search(test.body.data[test.head.start : test.body.start])
    return [Edit(test.head.start + match.start(1), test.head.start + match.end(1), _RARE)] if match is not None else []


def _special(call: Call) -> Edit | None:
    """The exception that is expected, where nothing is made of it."""
    if call.word not in ("assertThrows", "assertThrowsExactly", "expectThrows") or not call.arguments:
        return None
    statement = call.part.node.parent
    kind = call.arguments[0]
    if kind.kind != "class_literal" or statement is None or statement.type != "expression_statement" or _RARE in kind.text:
        return None
    return Edit(kind.start, kind.end, _RARE + b".class")


def _can_turn(call: Call, other: str) -> bool:
    """An import of one name brings no other."""
    if call.receiver is not None:
        return True
    imports = call.part.data[:200_000]
    known = re.search(rb"import\s+static\s+[\w.]+\.(\*|" + other.encode() + rb")\s*;", imports)
    return known is not None


def _wrapped(call: Call, index: int, text: bytes) -> bytes | None:
    if call.word == "assertEquals" and len(call.arguments) > 2:
        return None  # there may be a tolerance
    fits = call.word in ("assertEquals", "isEqualTo")
    return b"java.util.Arrays.asList((Object) (" + text + b"))" if fits else None


def _refused(call: Call, matcher: bytes) -> bytes | None:
    return b"org.hamcrest.CoreMatchers.not(" + matcher + b")" if call.word == "assertThat" else None


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    statement = b'if (%d != %d) throw new AssertionError("%d");' % (*numbers, numbers[0])
    return added_at_end(test.body, statement, leaves=frozenset({"return_statement", "throw_statement"}))


GRAMMAR: Final = Grammar(
    name="java",
    module="tree_sitter_java",
    tests=_tests,
    added=_added,
    turned=opposites(
        {
            "assertTrue": "assertFalse", "assertEquals": "assertNotEquals", "assertNull": "assertNotNull", "assertSame": "assertNotSame",
            "isEqualTo": "isNotEqualTo", "isTrue": "isFalse", "isNull": "isNotNull", "isSameAs": "isNotSameAs", "isIn": "isNotIn",
            "isEmpty": "isNotEmpty", "contains": "doesNotContain", "isInstanceOf": "isNotInstanceOf", "matches": "doesNotMatch",
            "startsWith": "doesNotStartWith", "endsWith": "doesNotEndWith", "containsKey": "doesNotContainKey",
            "isPositive": "isNotPositive",
            "isGreaterThan": "isLessThanOrEqualTo", "isLessThan": "isGreaterThanOrEqualTo", "exists": "doesNotExist",
        }
    ),
    can_turn=_can_turn,
    asserting=_OWNERS,
    chains=frozenset({"assertThat", "assertWithMessage", "then", "expectThat"}),
    chained=frozenset(
        {
            "isEqualTo", "hasSize", "hasMessage", "containsExactly", "hasToString", "isEqualByComparingTo", "hasValue", "hasLength",
            "containsOnly", "isSameAs", "containsEntry", "isEqualToIgnoringCase", "hasMessageContaining", "containsExactlyInAnyOrder",
            "containsExactlyElementsIn",
        }
    ),
    failing=re.compile(rb"fail"),
    wrapped=_wrapped,
    callbacks=frozenset({"assertAll", "assertDoesNotThrow", "assertTimeout"}),
    refused=_refused,
    special=_special,
    expected=_expected,
)  # fmt: skip
