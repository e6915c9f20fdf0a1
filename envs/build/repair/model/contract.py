"""What mends a plan that no rule mends: a model that is asked in turns, by anybody's service or by a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from podgym.errors import PodgymError

__all__ = ["Message", "ModelError", "RepairModel", "Reply", "ToolCall"]

Message = Mapping[str, Any]
"""Of a chat, with `role`, `content` and what calls of tools need, as OpenAI's interface spells it."""


class ModelError(PodgymError, ConnectionError):
    """The model gave no answer, or one that is none."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for."""

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it, hence not known to be any."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One turn of the model."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Of both directions."""
        return self.prompt_tokens + self.completion_tokens


class RepairModel(Protocol):
    """A chat model that can call tools."""

    async def complete(self, messages: Sequence[Message], tools: Sequence[Message]) -> Reply:
        """The next turn. Raises `ModelError`."""
        ...
