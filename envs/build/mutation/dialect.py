"""What operators have to know of a language; what its grammar shares with the others lies beside its users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from podgym.verifiers.decoys.grammar import Grammar
from podgym.verifiers.decoys.languages import grammar_of

__all__ = ["Dialect", "dialect_of"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """Of one language."""

    grammar: Grammar
    negation: tuple[bytes, bytes] = (b"!(", b")")
    """What goes around an expression to turn its truth."""
    empty: bytes = b""
    """A statement that does nothing, where one has to stand."""
    comment: bytes = b"//"
    """What a comment until the end of a line begins with."""
    typed: bool = True
    """Whether a compiler refuses arguments of another type."""
    values: bool = False
    """Whether branches have values, so that one cannot be taken away everywhere."""
    awaits: bool = False
    """Whether a value that is not awaited is a value all the same."""
    strict: bool = False
    """Whether a variable that nothing reads is an error."""

    @property
    def name(self) -> str:
        """Of the grammar."""
        return self.grammar.name

    def negated(self, expression: bytes) -> bytes:
        """The opposite of a condition."""
        return self.negation[0] + expression + self.negation[1]


_PYTHON: Final = Grammar(name="python", module="tree_sitter_python")


def _dialect(grammar: Grammar) -> Dialect:
    match grammar.name:
        case "python":
            return Dialect(grammar, negation=(b"not (", b")"), empty=b"pass", comment=b"#", typed=False)
        case "javascript":
            return Dialect(grammar, typed=False, awaits=True)
        case "typescript" | "tsx":
            return Dialect(grammar, awaits=True)
        case "rust":
            return Dialect(grammar, values=True)
        case "go":
            return Dialect(grammar, strict=True)
        case _:
            return Dialect(grammar)


def dialect_of(path: str) -> Dialect | None:
    """Of a source file; None for what is none in the eight languages."""
    if path.endswith(".py"):
        return _dialect(_PYTHON)
    grammar = grammar_of(path)
    return _dialect(grammar) if grammar is not None else None
