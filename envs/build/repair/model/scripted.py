"""A model that says what was recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from podgym.envs.build.repair.model.contract import Message, ModelError, Reply, ToolCall

__all__ = ["ScriptedModel", "turn"]


def turn(name: str, text: str = "", /, *, tokens: int = 100, **arguments: Any) -> Reply:
    """A turn with one call."""
    return Reply(text, (ToolCall("call", name, json.dumps(arguments)),), prompt_tokens=tokens, completion_tokens=0)


class ScriptedModel:
    """Turn after turn; `seen` holds what it was asked each time."""

    def __init__(self, turns: Sequence[Reply]) -> None:
        self._turns = list(turns)
        self.seen: list[tuple[Mapping[str, Any], ...]] = []

    async def complete(self, messages: Sequence[Message], tools: Sequence[Message]) -> Reply:
        """The next recorded turn. Raises `ModelError` after the last one."""
        self.seen.append(tuple(messages))
        if not self._turns:
            raise ModelError("The recording has no more turns.")
        return self._turns.pop(0)
