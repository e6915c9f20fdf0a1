"""Values that must be equal and conditions that must hold, and what says the opposite of each."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Final

from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.grammar import Grammar, call_of
from podgym.verifiers.decoys.part import Call, Part, unwrapped
from podgym.verifiers.decoys.tables import Names
from podgym.verifiers.decoys.values import another_value, is_value, leaves

__all__ = ["EQUAL", "FUNCTIONS", "MOST", "NOT", "OPERATORS", "WORDS", "Comparisons", "Site", "Worth"]


class Worth:
    """How many kinds of cheating a change tells."""

    VALUE: Final = 6
    """Another literal, where a result must equal one."""
    NAMED: Final = 5
    """The same, by a name that stands for it, or in a table."""
    WRAPPED: Final = 4
    """A computed value in something that it does not equal."""
    SPECIAL: Final = 3
    """The type of an exception."""
    SENSE: Final = 2
    """The opposite of an assertion."""
    ADDED: Final = 1
    """A statement that fails."""


@dataclass(frozen=True, slots=True)
class Site:
    """One expectation, changed."""

    worth: int
    edit: Edit
    repeated: bool = False
    """Whether what was changed stands in the test once more, where code that reads it could find what is right."""


MOST: Final = 60
FUNCTIONS: Final = frozenset(
    {"func_literal", "closure_expression", "lambda_expression", "arrow_function", "function_expression", "function"}
)
_PAIRS: Final = {"==": "!=", "===": "!==", "<": ">=", "<=": ">"}
OPERATORS: Final = {**_PAIRS, **{other: operator for operator, other in _PAIRS.items()}}
WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
EQUAL: Final = frozenset({"eq", "equal", "equals", "same", "streq", "strcaseeq", "identical", "near", "close", "almost", "delta"})
NOT: Final = frozenset({"not", "ne", "strne", "unequal", "differ", "different", "never", "no"})


class Comparisons:
    """What is found in one test."""

    def __init__(self, grammar: Grammar, names: Names, rng: random.Random) -> None:
        self._grammar, self._names, self._rng = grammar, names, rng
        self._text = names.body.text
        self._pending: list[Part] = []
        self.found: list[Site] = []

    @property
    def number(self) -> int:
        """Of all that was found, with the names that are still to be read."""
        return len(self.found) + len(self._pending)

    def change(self, worth: int, start: int, end: int, text: bytes) -> None:
        """Note a change of what is no literal."""
        self.found.append(Site(worth, Edit(start, end, text)))

    def finish(self) -> None:
        """Read what the names stand for, once it is known where each is read."""
        for side in self._pending:
            for value in self._names.meanings(side):
                self._literals(Worth.NAMED, value)

    def truth(self, part: Part, *, holds: bool) -> None:
        """A condition, known to hold or not to hold wherever the test passes."""
        self._compared(part, holds=holds)
        part = unwrapped(part)
        if (edit := _opposite(part)) is not None:
            self.found.append(Site(Worth.SENSE, edit))

    def _compared(self, part: Part, *, holds: bool) -> None:
        waiting = [(part, holds)]
        for _ in range(40):
            if not waiting:
                return
            part, holds = waiting.pop()
            part = unwrapped(part)
            operator = part.field("operator")
            sign = operator.text if operator is not None else b""
            left, right = part.field("left"), part.field("right")
            if part.kind == "unary_expression" and part.text.startswith(b"!"):
                waiting.append((part.parts[-1], not holds))
            elif left is not None and right is not None:
                if sign in ((b"==", b"===") if holds else (b"!=", b"!==")):
                    self.sides(left, right)
                elif sign == (b"&&" if holds else b"||"):
                    waiting += [(right, holds), (left, holds)]
            elif holds and (call := call_of(self._grammar, part)) is not None:
                self._comparer(call)

    def _comparer(self, call: Call) -> None:
        """A function that says whether two values are equal."""
        words = {word.lower() for word in WORDS.findall(call.word)}
        if call.word == "matches" and call.part.kind == "macro_invocation" and len(call.arguments) > 1:
            self.sides(call.arguments[0], call.arguments[1])
        elif words & EQUAL and not words & NOT:
            if len(call.arguments) == 1 and call.receiver is not None:
                self.sides(call.receiver, call.arguments[0])
            elif len(call.arguments) == 2:
                self.sides(*call.arguments)

    def sides(self, one: Part, other: Part) -> None:
        """Two values that must be equal."""
        written = [is_value(self._grammar, one), is_value(self._grammar, other)]
        if written[0] != written[1]:
            self._literals(Worth.VALUE, one if written[0] else other)
        elif not written[0]:
            self.side(one)
            self.side(other)

    def side(self, side: Part) -> None:
        """What a result is compared with."""
        if is_value(self._grammar, side):
            self._literals(Worth.VALUE, side)
        else:
            side = unwrapped(side)
            self._names.allowed.append((side.start, side.end))
            self._pending.append(side)

    def _literals(self, worth: int, value: Part) -> None:
        for leaf in leaves(self._grammar, value):
            if (edit := another_value(self._grammar, leaf, self._rng)) is not None and len(self.found) < MOST:
                whole = rb"(?<!\w)" + re.escape(leaf.text) + rb"(?!\w)"
                self.found.append(Site(worth, edit, repeated=len(re.findall(whole, self._text)) > 1))


def _opposite(part: Part) -> Edit | None:
    """What holds where a condition does not."""
    operator = part.field("operator")
    sign = operator.text.decode("utf-8", "replace") if operator is not None else ""
    if part.field("left") is not None and operator is not None and sign in OPERATORS:
        return Edit(operator.start, operator.end, OPERATORS[sign].encode())
    if part.kind == "unary_expression" and part.text.startswith(b"!"):
        return Edit(part.start, part.start + 1, b" ")
    if part.kind in ("let_condition", "let_chain", "string", "string_literal", *FUNCTIONS):
        return None
    return Edit(part.start, part.end, b"!(" + part.text + b")")
