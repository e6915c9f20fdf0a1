"""Go: `testing` with its tables and subtests, testify, quicktest, gocheck, and helpers that take a `*testing.T` first."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, opposites
from podgym.verifiers.decoys.part import Call, Part

__all__ = ["GRAMMAR"]

_TEST: Final = re.compile(rb"Test\w*")
_CONTEXT: Final = re.compile(rb"\(\s*(\w+)\s+\*testing\.(?:T|F)\b")
_TESTIFY: Final = frozenset({"assert", "require", "s", "suite", "Assert", "Require", "a", "r", "is", "as", "must", "assertions", "New"})


def _tests(root: Part) -> list[Found]:
    found = []
    for part in root.parts:
        name, body = part.field("name"), part.field("body")
        if part.kind not in ("function_declaration", "method_declaration") or name is None or body is None:
            continue
        if _TEST.fullmatch(name.text) and name.text != b"TestMain":
            found.append(Found((name.text.decode("utf-8", "replace"),), body, head=part))
    return found


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    head = test.body.data[test.head.start : test.body.start] if test.head is not None else b""
    match = _CONTEXT.search(head)
    said = b'Errorf("got %d, want %d")' % numbers
    if match is not None and match[1] != b"_":
        statement = match[1] + b"." + said
    elif (receiver := re.match(rb"func \((\w+) ", head)) is not None:
        statement = receiver[1] + b".T()." + said
    else:
        return None
    return added_at_end(test.body, statement, leaves=frozenset({"return_statement"}))


def _wrapped(call: Call, index: int, text: bytes) -> bytes | None:
    """For assertions that take values of any type."""
    return b"[]interface{}{" + text + b"}" if call.word in ("Equal", "Exactly") and call.owner in _TESTIFY else None


GRAMMAR: Final = Grammar(
    name="go",
    module="tree_sitter_go",
    tests=_tests,
    added=_added,
    turned=opposites(
        {
            "Equal": "NotEqual", "Equalf": "NotEqualf", "EqualValues": "NotEqualValues", "True": "False", "Truef": "Falsef",
            "Nil": "NotNil", "Nilf": "NotNilf", "NoError": "Error", "NoErrorf": "Errorf", "Empty": "NotEmpty", "Zero": "NotZero",
            "Contains": "NotContains", "Same": "NotSame", "Panics": "NotPanics", "Regexp": "NotRegexp", "Greater": "LessOrEqual",
            "Less": "GreaterOrEqual", "FileExists": "NoFileExists", "ErrorIs": "NotErrorIs", "ElementsMatch": "NotElementsMatch",
            "Positive": "Negative", "Implements": "NotImplements",
        }
    ),
    can_turn=lambda call, other: call.receiver is not None and (call.owner in _TESTIFY or b"Assert" in call.receiver.text),
    equal=frozenset({"Exactly", "EqualValues", "DeepEqual",
         "JSONEq", "YAMLEq", "EqualError", "InDelta", "InEpsilon", "ElementsMatch", "Len"}),
    holds=frozenset({"True", "Assert", "Check"}),
    refuses=frozenset({"False"}),
    asserting=_TESTIFY | {"c", "qt", "check"},
    failing=re.compile(rb"(?:Error|Fatal|Fail)(?:f|ln|Now)?|panic|Exit|[a-z]*(?:fatal|fail)[a-zA-Z]*"),
    wrapped=_wrapped,
    callbacks=frozenset({"Run"}),
)  # fmt: skip
