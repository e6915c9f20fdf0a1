"""The dialect of a model's own chat template, with tool calls as JSON.

The template is rendered with placeholders where the task, the turns and the tools' outputs go, and never with these texts
themselves. So nothing that a repository or a policy wrote can pass for a special token of the template, and what surrounds an
observation is exactly the template's own: the render after the observation, from the end of the turn's placeholder on. The
sampled tokens stay as they are; they are only read.

That works with templates that append. Before each observation is taken, the earlier render must be a prefix of the later one, and
reasoning that a turn holds must still be there; `DialectError` names the turn where it is not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jinja2 import TemplateError

from podgym.policy import TokenIds
from podgym.rollout.dialects.contract import DialectError, Opening
from podgym.rollout.dialects.hermes import REASONING_END, REASONING_START, TOOL_SCHEMAS, begins_reasoning, parse_hermes, spell_hermes
from podgym.rollout.tools.calls import InvalidCall, ToolCall
from podgym.rollout.tools.result import ToolResult

__all__ = ["ChatTemplateDialect", "ChatTokenizer"]

_TASK, _TURN, _REASONING, _OUTPUT = "PodgymTask", "PodgymTurn", "PodgymReasoning", "PodgymOutput"
_READABLE = ("<tool_call>", "</tool_call>", REASONING_START, REASONING_END)
"""Added tokens of some tokenizers that a turn may hold."""
_Message = dict[str, str]


@runtime_checkable
class ChatTokenizer(Protocol):
    """What is needed of a tokenizer of transformers."""

    added_tokens_decoder: dict[int, Any]
    """Id to a token with `content` and `special`."""
    eos_token_id: int | None

    def apply_chat_template(self, conversation: list[_Message], **options: Any) -> str:
        """Render."""
        ...

    def encode(self, text: str, **options: Any) -> list[int]:
        """Text to ids."""
        ...

    def decode(self, token_ids: list[int], **options: Any) -> str:
        """Ids to text."""
        ...


class ChatTemplateDialect:
    """Implements `Dialect`."""

    def __init__(self, tokenizer: Any, *, system: str = "") -> None:
        """`system` opens every rollout. Where the template does not show tools, their schemas are put into the system message.

        Raises `DialectError` for a tokenizer without a template, and for a template that cannot carry tool results or has no token
        that ends a turn.
        """
        if not isinstance(tokenizer, ChatTokenizer) or not getattr(tokenizer, "chat_template", None):
            raise DialectError(
                f"The tokenizer, a {type(tokenizer).__name__}, has no chat template.",
                remedy='Use a checkpoint whose tokenizer has one, or rollout.dialect = "compact" with podgym\'s own tokenizers.',
            )
        self._tokenizer: ChatTokenizer = tokenizer
        self._system = system
        self._shows_tools = True
        self._shows_tools = "str_replace" in self.render([{"role": "user", "content": _TASK}], prompt=True)
        output = f'{_OUTPUT} "\n<'
        probe = self.render([*self.head(), {"role": "assistant", "content": _TURN}, {"role": "tool", "content": output}], prompt=True)
        if output not in probe or _TURN not in probe or _TASK not in probe:
            raise DialectError(
                "The chat template drops or rewrites the task, a turn or a tool's output.",
                remedy="Use one that shows messages as they are.",
            )
        after = probe[probe.index(_TURN) + len(_TURN) :]
        special = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = {after.find(token): token for token in special if token in after[: after.index(_OUTPUT)]}
        if not ends:
            raise DialectError("The chat template ends a turn with no special token.", remedy="Use one that does, such as ChatML.")
        self.end_text = ends[min(ends)]
        self.end = special[self.end_text]
        self._special_texts = tuple(special)
        self.special = frozenset(index for token, index in special.items() if token not in _READABLE)

    @property
    def stop(self) -> tuple[int, ...]:
        """The template's end of a turn, and the tokenizer's end of text where that is another token."""
        eos = self._tokenizer.eos_token_id
        return (self.end,) if eos is None or eos == self.end else (self.end, eos)

    def decode(self, tokens: Sequence[int]) -> str:
        """For people."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def spell(self, calls: Sequence[ToolCall]) -> str:
        """The text of a turn."""
        return spell_hermes(calls)

    def open(self, instruction: str) -> _ChatConversation:
        """Start a rollout."""
        return _ChatConversation(self, instruction)

    def head(self) -> list[_Message]:
        """The messages of an opening, the task's placeholder in them."""
        system = self._system
        if not self._shows_tools:
            listed = "\n".join(json.dumps(schema) for schema in TOOL_SCHEMAS)
            system = f"{system}\n\nTools:\n{listed}\nCall one with\n{spell_hermes([ToolCall('bash', {'command': 'ls'})])}".strip()
        return [*([{"role": "system", "content": system}] if system else []), {"role": "user", "content": _TASK}]

    def render(self, messages: list[_Message], *, prompt: bool) -> str:
        """The template's text; `prompt` adds the head of the next turn. Raises `DialectError` where the template refuses."""
        tools = TOOL_SCHEMAS if self._shows_tools else None
        try:
            return self._tokenizer.apply_chat_template(messages, tools=tools, add_generation_prompt=prompt, tokenize=False)
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            roles = ", ".join(message["role"] for message in messages)
            raise DialectError(
                f"The chat template refuses messages of the roles {roles}: {error}", remedy="Use one that knows the role tool."
            ) from error

    def encode(self, parts: Sequence[str]) -> list[int]:
        """Template text and foreign text by turns, beginning and ending with the template's.

        In the template's text special tokens become their ids; in foreign text what spells one stays text. Where no foreign text spells
        one, all is encoded at once, so that the tokens are those of the template's own render.
        """
        own = parts[::2]
        text = "".join(parts)
        if all(text.count(token) == sum(part.count(token) for part in own) for token in self._special_texts):
            return self._tokenizer.encode(text, add_special_tokens=False)
        tokens: list[int] = []
        for index, part in enumerate(parts):
            tokens += self._tokenizer.encode(part, add_special_tokens=False, split_special_tokens=bool(index % 2)) if part else []
        return tokens


class _ChatConversation:
    """Keeps the messages with placeholders, and their render."""

    def __init__(self, dialect: ChatTemplateDialect, instruction: str) -> None:
        self._dialect = dialect
        self._messages = dialect.head()
        self._render = dialect.render(self._messages, prompt=False)
        self._turn = 0
        self._stopped = True
        self._reasoned = False
        text = dialect.render(self._messages, prompt=True)
        if not text.startswith(self._render):
            raise DialectError(
                "The chat template rewrites the task where a turn follows it (turn 0).", remedy="Use a template that only appends."
            )
        self._thinks = text.rstrip().endswith(REASONING_START)
        before, _, after = text.partition(_TASK)
        tokens = dialect.encode([before, instruction, after])
        self._opening = Opening(f"{before}{instruction}{after}", np.asarray(tokens, dtype=np.int32))

    @property
    def opening(self) -> Opening:
        return self._opening

    def parse(self, tokens: Sequence[int], *, stopped: bool) -> tuple[ToolCall, ...] | InvalidCall:
        self._stopped = stopped
        body = list(tokens[:-1] if stopped else tokens)
        text = self._dialect.decode(body)
        self._reasoned = REASONING_END in text and (self._thinks or begins_reasoning(text))
        if not stopped:
            return InvalidCall(f"The turn was cut after {len(body)} tokens. Be shorter.")
        if not self._dialect.special.isdisjoint(body):
            return InvalidCall("The turn holds a special token before its end.")
        return parse_hermes(text, reasoning=self._thinks)

    def observation(self, results: Sequence[ToolResult]) -> TokenIds:
        dialect, turn = self._dialect, f"{_TURN}{self._turn}."
        reasoning = f"{_REASONING}{self._turn}." if self._reasoned else ""
        content = f"{REASONING_START}\n{reasoning}\n{REASONING_END}\n\n{turn}" if reasoning else turn
        outputs = [{"role": "tool", "content": f"{_OUTPUT}{self._turn}.{index}."} for index in range(len(results))]
        messages = [*self._messages, {"role": "assistant", "content": content}, *outputs]
        render, prompted = dialect.render(messages, prompt=False), dialect.render(messages, prompt=True)
        self._check(render, prompted, turn=turn, reasoning=reasoning)
        tail = prompted[prompted.index(turn) + len(turn) :]
        tail = tail[tail.index(dialect.end_text) + len(dialect.end_text) :]
        self._messages, self._render = messages, render
        self._turn += 1
        # The end of the turn is encoded with what follows it, so that the text after it has the tokens that it has in place.
        parts = [dialect.end_text]
        for message, result in zip(outputs, results, strict=True):
            before, _, tail = tail.partition(message["content"])
            parts[-1] += before
            parts += [result.output, ""]
        parts[-1] += tail
        tokens = dialect.encode(parts)
        return np.asarray(tokens[1 if self._stopped else 0 :], dtype=np.int32)

    def _check(self, render: str, prompted: str, *, turn: str, reasoning: str) -> None:
        """Raises `DialectError` where the template did not simply append."""
        problem = ""
        if not render.startswith(self._render) or not prompted.startswith(render):
            problem = "rewrites what came before"
        elif prompted.count(turn) != 1:
            problem = "drops or repeats the text"
        elif reasoning and prompted.count(reasoning) != 1:
            problem = "drops the reasoning"
        elif self._dialect.end_text not in prompted[prompted.index(turn) :]:
            problem = "does not end the text"
        if problem:
            raise DialectError(
                f"The chat template {problem} of turn {self._turn} once a tool's output follows it; the tokens that were sampled "
                "would no longer be those of the template.",
                remedy="Use a template that only appends, for example one that keeps the reasoning of earlier turns.",
            )
