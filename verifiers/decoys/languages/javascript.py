"""JavaScript: node:assert and node:test, Jest, Vitest, Jasmine, Mocha with chai, tap, tape, AVA, uvu; programs that throw."""

from __future__ import annotations

import re
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Found, Grammar, added_at_end, call_of, opposites
from podgym.verifiers.decoys.part import Call, Part, unwrapped

__all__ = ["GRAMMAR", "javascript"]

_TESTS: Final = frozenset({"it", "test", "specify", "fit", "each", "only", "failing", "concurrent", "serial", "skip", "cb"})
_BASES: Final = re.compile(rb"(?:it|test|specify|fit|t|tap|Deno|describe|suite|mocha|vitest)\b")
_FUNCTIONS: Final = ("arrow_function", "function_expression", "function")
_ASSERTING: Final = frozenset({"assert", "t", "test", "tap", "should", "strict", "a", "is", "ok", "chai"})


def _tests(root: Part) -> list[Found]:
    grammar = GRAMMAR
    found: list[Found] = []
    for part in root.walk(limit=200_000):
        call = call_of(grammar, part) if part.kind == "call_expression" else None
        if call is None or len(call.arguments) < 2:
            continue
        function = part.field("function")
        if function is None or not _BASES.match(function.text) or not _is_test(grammar, call):
            continue
        title = call.arguments[0]
        body = next((one.field("body") for one in call.arguments[1:] if one.kind in _FUNCTIONS), None)
        if body is not None and title.kind in ("string", "template_string", "binary_expression", "identifier"):
            content = b"".join(one.text for one in title.parts if one.kind in ("string_fragment", "escape_sequence"))
            whole = title.kind == "string" or (title.kind == "template_string" and b"${" not in title.text)
            found.append(Found((content.decode("utf-8", "replace"),) if whole and content else (), body, head=part))
    if found:
        return found
    return [Found((), root, exits=False)]


def _is_test(grammar: Grammar, call: Call) -> bool:
    if call.word in _TESTS:
        return True
    function = call.part.field("function")
    inner = call_of(grammar, function) if function is not None else None
    return inner is not None and inner.word in ("each", "for", "skipIf", "runIf")


def _added(test: Found, numbers: tuple[int, int]) -> Edit | None:
    thrown = b"throw new Error('%d != %d');" % numbers
    body = test.body
    if body.kind == "statement_block":
        return added_at_end(body, thrown, leaves=frozenset({"return_statement", "throw_statement"}))
    if body.kind == "program":
        return Edit(body.end, body.end, b"\n" + thrown + b"\n")
    inner = unwrapped(body)
    return Edit(body.start, body.end, b"(" + inner.text + b", (() => { " + thrown + b" })())")


def _wrapped(call: Call, index: int, text: bytes) -> bytes | None:
    if call.word in ("match", "throws", "toThrow", "toMatch", "toBeInstanceOf") or text.startswith((b"...", b"({ value: ")):
        return None
    return b"({ value: (" + text + b") })"


def javascript(*, name: str, module: str, function: str) -> Grammar:
    """The table of a dialect."""
    return Grammar(
        name=name,
        module=module,
        function=function,
        tests=_tests,
        added=_added,
        turned=opposites(
            {
                "strictEqual": "notStrictEqual", "equal": "notEqual", "deepEqual": "notDeepEqual", "deepStrictEqual": "notDeepStrictEqual",
                "throws": "doesNotThrow", "rejects": "doesNotReject", "match": "doesNotMatch", "ok": "notOk", "isTrue": "isFalse",
                "isNull": "isNotNull", "include": "notInclude", "true": "false", "truthy": "falsy", "same": "notSame",
                "isUndefined": "isDefined", "strictSame": "strictNotSame", "instanceOf": "notInstanceOf", "property": "notProperty",
            }
        ),
        can_turn=_can_turn,
        equal=frozenset(
            {
                "strictEqual", "deepStrictEqual", "equal", "equals", "deepEqual", "is", "same", "strictSame", "eql", "looseEqual",
                "propEqual", "deepEquals", "lengthOf", "isEqual", "notStrictly", "hasStrict", "assertEquals", "closeTo",
            }
        ),
        holds=frozenset({"ok", "isTrue", "true", "truthy", "isOk", "assert"}),
        refuses=frozenset({"notOk", "isFalse", "false", "falsy", "isNotOk"}),
        asserting=_ASSERTING,
        chains=frozenset({"expect", "expectTypeOf", "soft", "poll"}),
        chained=frozenset(
            {
                "toBe", "toEqual", "toStrictEqual", "toHaveLength", "toBeCloseTo", "toMatchObject", "equal", "equals", "eql", "eq", "eqls",
                "lengthOf", "length", "toThrow", "toThrowError", "toMatchInlineSnapshot", "toThrowErrorMatchingInlineSnapshot", "closeTo",
                "toHaveTextContent", "members", "string",
            }
        ),
        negation=b".not",
        failing=re.compile(rb"fail|exit|abort"),
        wrapped=_wrapped,
        callbacks=frozenset({"doesNotThrow", "step"}),
    )  # fmt: skip


def _can_turn(call: Call, other: str) -> bool:
    """Only as a method of what has both: `assert`, not the `t` of a runner that may have one of them."""
    if call.owner == "t":
        return (call.word, other) in {("true", "false"), ("false", "true"), ("ok", "notOk"), ("equal", "notEqual")}
    pair = {call.word, other}
    return call.receiver is not None and (call.owner != "assert" or not pair & {"ok", "true", "truthy", "same", "strictSame"})


GRAMMAR: Final = javascript(name="javascript", module="tree_sitter_javascript", function="language")
