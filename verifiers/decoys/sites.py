"""Where a test says what it expects, in any language with a `Grammar`, and how each place can be made to expect something else.

A place counts only where it is reached whenever the test passes, and where a wrong expectation fails the test: in the body of the
test itself, in loops over what is written there, in callbacks that are always run; not in branches, blocks that catch, or other
functions. A literal counts where it is what a result must equal; anything else that must hold is turned to its opposite. So
whatever passes the true test must fail the changed one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Final

from podgym.verifiers.decoys.comparisons import EQUAL, FUNCTIONS, MOST, NOT, OPERATORS, WORDS, Comparisons, Site, Worth
from podgym.verifiers.decoys.grammar import Found, Grammar, call_of
from podgym.verifiers.decoys.part import Call, Part, unwrapped
from podgym.verifiers.decoys.tables import Names
from podgym.verifiers.decoys.values import is_value

__all__ = ["find_sites"]


_STOPS: Final = frozenset(
    {
        "func_literal", "closure_expression", "lambda_expression", "arrow_function", "function_expression", "function", "class_body",
        "generator_function", "function_declaration", "generator_function_declaration", "method_definition", "class_declaration", "class",
        "class_specifier", "struct_specifier", "function_definition", "function_item", "impl_item", "switch_statement", "while_statement",
        "expression_switch_statement", "type_switch_statement", "select_statement", "switch_expression", "match_expression", "do_statement",
        "while_expression", "loop_expression", "ternary_expression", "conditional_expression", "go_statement", "defer_statement",
        "preproc_if", "preproc_ifdef", "catch_clause", "jsx_element", "jsx_self_closing_element", "template_string", "mod_item",
    }
)  # fmt: skip
_LOOPS: Final = frozenset({"for_statement", "for_in_statement", "enhanced_for_statement", "for_range_loop", "for_expression"})
_VERBS: Final = frozenset({"assert", "asserts", "expect", "require", "check", "verify", "must", "ensure", "assertion"})
_SURE: Final = frozenset({"assert", "asserts", "assertion", "expect", "require", "equal", "equals", "eq"})
_PLAIN: Final = frozenset({"true", "truthy", "that", "boost", "test", "ck", "g", "msg", "message", "ok", "unit", "mu", "unless", "fail"})
_FALSE: Final = frozenset({"false", "falsy", "if"})
_CHECKERS: Final = frozenset({"Equals", "DeepEquals", "CmpEquals", "HasLen"})
_MATCHERS: Final = frozenset(
    {
        "is", "equalTo", "hasSize", "contains", "closeTo", "Equals", "Eq", "StrEq", "DoubleEq", "FloatEq", "ElementsAre", "WithinAbs",
        "Optional",
    }
)  # fmt: skip
_FAILED: Final = re.compile(rb"return\s*\(?(?:-?[1-9]\d*|EXIT_FAILURE)\)?\s*;")
_CONTEXTS: Final = re.compile(rb"t|tb|b|c|s\.T\(\)|suite\.T\(\)|GinkgoT\(\)")


def find_sites(grammar: Grammar, test: Found, names: Names, rng: random.Random) -> list[Site]:
    """Expectations of one test, in the order of its text, and last a statement that fails."""
    reader = _Reader(grammar, test, names, rng)
    found = [Site(Worth.SPECIAL, edit) for edit in grammar.expected(test)]
    if not test.to_fail:
        found += reader.read()
        one, other = rng.sample(range(10, 100), 2)
        if (added := grammar.added(test, (one, other))) is not None:
            found.append(Site(Worth.ADDED, added))
    return found


class _Reader:
    def __init__(self, grammar: Grammar, test: Found, names: Names, rng: random.Random) -> None:
        self._grammar, self._test, self._names = grammar, test, names
        self._found = Comparisons(grammar, names, rng)

    def read(self) -> list[Site]:
        """All that is reached, then what the names among the expectations stand for."""
        waiting = [self._test.body]
        steps = 50_000
        while waiting and steps > 0 and len(self._found.found) < MOST:
            steps -= 1
            waiting += reversed(self._within(waiting.pop()))
        self._found.finish()
        return self._found.found

    def _within(self, part: Part) -> list[Part]:
        """Read what a node itself says; what is in it and reached as well."""
        if part.kind in ("if_statement", "if_expression"):
            self._branch(part)
            return []
        if part.kind in _LOOPS:
            body = self._names.loop(part)
            return [body] if body is not None else []
        if part.kind in _STOPS and part.node != self._test.body.node:
            return []
        if part.kind.startswith("try_") and any(one.kind == "catch_clause" for one in part.parts):
            return []
        if part.kind == "return_statement" and self._test.exits:
            self._exit(part)
            return []
        if part.kind == "expression_statement" and self._chain(part):
            return []
        call = call_of(self._grammar, part)
        if call is None:
            return part.parts
        if self._chain(part) or self._assertion(call):
            return []
        return self._called(call)

    def _called(self, call: Call) -> list[Part]:
        """The bodies of callbacks that a call runs, else what it is called with."""
        functions = [one for one in call.arguments if one.kind in FUNCTIONS]
        if call.word in ("forEach", "for_each") and call.receiver is not None and functions:
            table = self._names.table(call.receiver)
            if table is None:
                return []
            parameters = functions[0].field("parameters", "parameter")
            if parameters is not None and (named := parameters.parts if parameters.kind != "identifier" else [parameters]):
                self._names.bind(named[0], table)
        elif call.word not in self._grammar.callbacks:
            return list(call.arguments)
        self._names.titles += [(one.start, one.end) for one in call.arguments if one.kind not in FUNCTIONS]
        return [body for one in functions if (body := one.field("body")) is not None]

    def _branch(self, part: Part) -> None:
        """`if` something does not hold, the test fails."""
        condition, then = part.field("condition"), part.field("consequence")
        if condition is None or then is None or part.field("alternative") is not None or not self._fails(then):
            return
        self._names.allowed.append((then.start, then.end))
        self._found.truth(condition, holds=False)

    def _fails(self, block: Part) -> bool:
        for one in block.walk(limit=60):
            if one.kind == "throw_statement":
                return True
            if one.kind == "return_statement" and self._test.exits and _FAILED.fullmatch(one.text):
                return True
            call = call_of(self._grammar, one)
            if call is not None and self._grammar.failing.fullmatch(call.name.text):
                return True
        return False

    def _exit(self, part: Part) -> None:
        """`return` of a program's exit code."""
        value = unwrapped(part.parts[0]) if part.parts else None
        if value is None:
            return
        if value.kind == "conditional_expression":
            condition, then = value.field("condition"), value.field("consequence")
            good = then is not None and then.text in (b"0", b"EXIT_SUCCESS")
            if condition is not None:
                self._found.truth(condition, holds=good)
        elif value.kind == "unary_expression" and value.text.startswith(b"!"):
            self._found.truth(value.parts[-1], holds=True)
        elif value.kind == "binary_expression" and (operator := value.field("operator")) is not None and operator.text in (b"!=", b"||"):
            self._found.truth(value, holds=False)

    def _assertion(self, call: Call) -> bool:
        """Read a call that asserts; False for one that does not."""
        grammar, arguments = self._grammar, list(call.arguments)
        if (edit := grammar.special(call)) is not None:
            self._found.change(Worth.SPECIAL, edit.start, edit.end, edit.text)
            return True
        context = len(arguments) > 1 and _CONTEXTS.fullmatch(arguments[0].text) is not None
        if context:
            arguments = arguments[1:]
        words = {word.lower() for word in WORDS.findall(call.word)}
        of_asserts = call.receiver is not None and (call.owner or _base_word(grammar, call.receiver)) in grammar.asserting
        asserts = bool(words & _VERBS) or of_asserts or context
        if words & _VERBS and not words & _SURE and not call.word.isupper() and not any(_decides(one) for one in arguments):
            return False  # any function may be called so
        if not arguments or not (asserts or (call.receiver is None and call.word in grammar.equal | grammar.holds | grammar.refuses)):
            return False
        found = self._found.number
        negative = bool(words & NOT)
        if not negative and (words & EQUAL or call.word in grammar.equal) and len(arguments) > 1:
            self._equal(call, arguments)
        elif (words & _VERBS and not words - _VERBS - _PLAIN) or (call.word in grammar.holds and not negative):
            if not self._matched(call, arguments) and not self._checked(arguments):
                self._found.truth(_condition(arguments), holds=True)
        elif (words & _VERBS and not words - _VERBS - _PLAIN - _FALSE) or call.word in grammar.refuses:
            self._found.truth(_condition(arguments), holds=False)
        other = grammar.turned.get(call.word)
        if other is not None and grammar.can_turn(call, other):
            self._found.change(Worth.SENSE, call.name.start, call.name.end, other.encode())
        return self._found.number > found

    def _equal(self, call: Call, arguments: list[Part]) -> None:
        if self._grammar.name == "java" and len(arguments) > 2 and _text(arguments[0]) and not _said(arguments[2]):
            arguments = arguments[1:]  # what JUnit 4 says of a failure comes first
        self._names.allowed += [(one.start, one.end) for one in arguments[2:]]
        self._found.sides(arguments[0], arguments[1])
        index = call.arguments.index(arguments[1])
        text = self._grammar.wrapped(call, index, arguments[1].text)
        if text is not None and not (is_value(self._grammar, arguments[0]) and is_value(self._grammar, arguments[1])):
            self._found.change(Worth.WRAPPED, arguments[1].start, arguments[1].end, text)

    def _checked(self, arguments: list[Part]) -> bool:
        """`Assert(got, Equals, want)`."""
        for index, one in enumerate(arguments[1:-1], 1):
            if one.text.rpartition(b".")[2].decode("utf-8", "replace") in _CHECKERS:
                self._found.sides(arguments[index - 1], arguments[index + 1])
                return True
        return False

    def _matched(self, call: Call, arguments: list[Part]) -> bool:
        """`assertThat(got, is(want))`."""
        matcher = call_of(self._grammar, arguments[-1]) if len(arguments) > 1 else None
        refused = self._grammar.refused(call, arguments[-1].text) if matcher is not None else None
        if matcher is None or refused is None:
            return False
        inner = matcher
        for _ in range(3):
            nested = call_of(self._grammar, inner.arguments[0]) if len(inner.arguments) == 1 else None
            if nested is not None and nested.word in _MATCHERS and inner.word in _MATCHERS:
                inner = nested
        if inner.word in _MATCHERS:
            for argument in inner.arguments:
                self._found.side(argument)
        self._found.change(Worth.SENSE, arguments[-1].start, arguments[-1].end, refused)
        return True

    def _chain(self, part: Part) -> bool:
        """`expect(got).toBe(want)` and its like; False for what is none."""
        part = unwrapped(part)
        links = list(_links(self._grammar, part))
        base = links[-1] if links else None
        if len(links) < 2 or base is None or not self._begins(base, part):
            return False
        words = [_link_name(self._grammar, link) for link in links[:-1]]
        negated = bool(self._grammar.negation) and any(name is not None and name.text == b"not" for name in words)
        for link, name in zip(links, words, strict=False):
            call = call_of(self._grammar, link)
            word = name.text.decode("utf-8", "replace") if name is not None else ""
            if call is not None and word in self._grammar.chained and not negated:
                for argument in call.arguments[:2] if self._grammar.name == "java" else call.arguments[:1]:
                    self._found.side(argument)
                if len(call.arguments) == 1 and not is_value(self._grammar, only := call.arguments[0]):
                    text = self._grammar.wrapped(call, 0, only.text)
                    if text is not None:
                        self._found.change(Worth.WRAPPED, only.start, only.end, text)
            other = self._grammar.turned.get(word) if call is not None and not self._grammar.negation else None
            if name is not None and other is not None:
                self._found.change(Worth.SENSE, name.start, name.end, other.encode())
        self._negate(words, negated=negated)
        return True

    def _begins(self, base: Part, whole: Part) -> bool:
        call = call_of(self._grammar, base)
        if call is not None and call.word in self._grammar.chains:
            return True
        return bool(self._grammar.negation) and re.search(rb"\.should\b", whole.text) is not None

    def _negate(self, words: list[Part | None], *, negated: bool) -> None:
        negation = self._grammar.negation
        if not negation or not words or words[0] is None or b"napshot" in words[0].text:
            return
        if negated:
            told = next(name for name in words if name is not None and name.text == b"not")
            self._found.change(Worth.SENSE, told.start - 1, told.end, b" " * (told.end - told.start + 1))
        elif words[0].data[words[0].start - 1 : words[0].start] == b".":
            self._found.change(Worth.SENSE, words[0].start - 1, words[0].start - 1, negation)


def _condition(arguments: list[Part]) -> Part:
    """The argument that is one; texts beside it name or explain it."""
    return next((one for one in arguments if not _text(one)), arguments[0])


def _decides(part: Part) -> bool:
    """Whether an expression is a truth by its form."""
    operator = unwrapped(part).field("operator")
    return operator is not None and operator.text in (b"!", b"&&", b"||", *(sign.encode() for sign in OPERATORS))


def _text(part: Part) -> bool:
    return "string" in unwrapped(part).kind


def _said(part: Part) -> bool:
    """A text, a supplier of one, or a tolerance, as JUnit 5 takes it in the third place."""
    part = unwrapped(part)
    return "string" in part.kind or "literal" in part.kind or part.kind in ("lambda_expression", "binary_expression")


def _base_word(grammar: Grammar, receiver: Part) -> str:
    call = call_of(grammar, receiver)
    return call.word if call is not None else ""


def _links(grammar: Grammar, part: Part) -> Iterator[Part]:
    """The calls and members of a chain, the last first, down to what it begins with."""
    for _ in range(60):
        yield part
        call = call_of(grammar, part)
        inner = call.receiver if call is not None else part.field("object") if part.kind in ("member_expression", "field_access") else None
        if inner is None:
            return
        part = unwrapped(inner)


def _link_name(grammar: Grammar, link: Part) -> Part | None:
    call = call_of(grammar, link)
    return call.name if call is not None else link.field("property", "field")
