r"""The compact dialect: few tokens a turn, for small models with podgym's own tokenizers.

The whole rollout reads, special tokens in angle brackets and the rest plain text:

    <task>INSTRUCTION<turn>bash cat calc.py<end><obs>OUTPUT<turn>str_replace calc.py\nOLD\n=>\nNEW<end><obs>ok<turn>finish<end>

The tokenizer encodes text that spells a special token as ordinary bytes, so nothing that a repository holds can end a turn.
A line `=>` parts old from new; a turn that holds two such lines is refused, for it could mean two edits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from podgym.policy import TokenIds, Tokenizer
from podgym.rollout.dialects.contract import DialectError, Opening
from podgym.rollout.tools.calls import InvalidCall, ToolCall, check_call
from podgym.rollout.tools.result import ToolResult

__all__ = ["CompactDialect", "CompactTokenizer", "parse_compact", "spell_compact"]

_VALID = "Valid: bash COMMAND, or str_replace PATH with old lines, a line => and new lines below it, or finish."


@runtime_checkable
class CompactTokenizer(Tokenizer, Protocol):
    """A tokenizer with the special tokens `<task>`, `<turn>`, `<end>` and `<obs>`."""

    @property
    def special(self) -> Mapping[str, int]:
        """Special token name to id; no text encodes to one of these ids."""
        ...


class CompactDialect:
    """Implements `Dialect`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises `DialectError` where the tokenizer lacks a special token."""
        names = ("<task>", "<turn>", "<end>", "<obs>")
        if not isinstance(tokenizer, CompactTokenizer) or (missing := [name for name in names if name not in tokenizer.special]):
            lacking = ", ".join(missing if isinstance(tokenizer, CompactTokenizer) else names)
            raise DialectError(
                f"The tokenizer has no special token {lacking}.",
                remedy='Use podgym\'s own tokenizers, or rollout.dialect = "chat" for one with a chat template.',
            )
        self.tokenizer = tokenizer
        self.ids = {name: tokenizer.special[name] for name in names}
        self.special = frozenset(tokenizer.special.values())

    @property
    def stop(self) -> tuple[int, ...]:
        """`<end>`."""
        return (self.ids["<end>"],)

    def decode(self, tokens: Sequence[int]) -> str:
        """For people."""
        return self.tokenizer.decode(list(tokens))

    def spell(self, calls: Sequence[ToolCall]) -> str:
        """The text of a turn. Raises `DialectError` for anything but one call that the dialect can say."""
        if len(calls) != 1:
            raise DialectError(f"A turn of the compact dialect holds one call, not {len(calls)}.", remedy="Make a turn of each.")
        return spell_compact(calls[0])

    def open(self, instruction: str) -> _CompactConversation:
        """Start a rollout."""
        return _CompactConversation(self, instruction)


class _CompactConversation:
    """Keeps nothing between turns but the opening."""

    def __init__(self, dialect: CompactDialect, instruction: str) -> None:
        self._dialect = dialect
        tokens = self._framed("<task>", instruction)
        self._opening = Opening(f"<task>{instruction}<turn>", tokens)

    @property
    def opening(self) -> Opening:
        return self._opening

    def parse(self, tokens: Sequence[int], *, stopped: bool) -> tuple[ToolCall, ...] | InvalidCall:
        if not stopped:
            return InvalidCall(f"The turn was cut after {len(tokens)} tokens. Be shorter.")
        body = list(tokens[:-1])
        if not self._dialect.special.isdisjoint(body):
            return InvalidCall(f"The turn holds a special token before its end. {_VALID}")
        call = parse_compact(self._dialect.tokenizer.decode(body))
        return call if isinstance(call, InvalidCall) else (call,)

    def observation(self, results: Sequence[ToolResult]) -> TokenIds:
        return self._framed("<obs>", "\n".join(result.output for result in results))

    def _framed(self, before: str, text: str) -> TokenIds:
        ids = self._dialect.ids
        return np.asarray([ids[before], *self._dialect.tokenizer.encode(text), ids["<turn>"]], dtype=np.int32)


def parse_compact(text: str) -> ToolCall | InvalidCall:
    """One call from the text of a turn without its end."""
    head, _, body = text.partition("\n")
    tool, _, rest = head.partition(" ")
    if tool == "finish" and not (rest + body).strip():
        return check_call("finish", {})
    if tool == "bash":
        return check_call("bash", {"command": text[len("bash ") :]})
    if tool != "str_replace":
        return InvalidCall(f"No tool {tool[:40]!r}. {_VALID}")
    lines = body.split("\n")
    if (separators := lines.count("=>")) != 1:
        return InvalidCall(f"str_replace has {separators} lines that read =>, and needs one between old and new. {_VALID}")
    middle = lines.index("=>")
    old, new = "\n".join(lines[:middle]), "\n".join(lines[middle + 1 :])
    return check_call("str_replace", {"path": rest, "old": old, "new": new})


def spell_compact(call: ToolCall) -> str:
    """The text that `parse_compact` reads as `call`. Raises `DialectError` for what the dialect cannot say."""
    arguments = call.arguments
    match call.tool:
        case "bash":
            text = f"bash {arguments['command']}"
        case "str_replace":
            old = f"{arguments['old']}\n" if arguments["old"] else ""
            new = f"\n{arguments['new']}" if arguments["new"] else ""
            text = f"str_replace {arguments['path']}\n{old}=>{new}"
        case _:
            text = call.tool
    if parse_compact(text) != call:
        raise DialectError(f"The compact dialect cannot say {text[:80]!r}.", remedy="Edit without a line that reads =>.")
    return text
