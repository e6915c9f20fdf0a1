"""A model behind an OpenAI-compatible chat endpoint.

Answers that may come later (429, 5xx, no connection) are asked for again a few times, within the time that one call has. The key
comes from the environment and is part of no message, plan or error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from podgym.envs.build.repair.model.contract import Message, ModelError, Reply, ToolCall

if TYPE_CHECKING:
    import httpx

__all__ = ["ChatEndpoint", "EndpointConfig"]

_LATER: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504))
_MAX_ANSWER: Final = 8 << 20


class EndpointConfig(BaseModel):
    """Where a model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://\S+$")
    """Up to and without `/chat/completions`, such as `http://127.0.0.1:8000/v1`."""
    model: str = Field(min_length=1)
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable with the key; one that is not set means none."""
    timeout_s: float = Field(default=180.0, gt=0)
    """Of one call, retries included."""
    attempts: int = Field(default=4, ge=1)
    wait_s: float = Field(default=2.0, ge=0)
    """Before the second attempt; twice as long before each further one."""
    max_completion_tokens: int = Field(default=4096, ge=1)
    temperature: float | None = None
    """The service's own where None."""


class ChatEndpoint:
    """See the module. `transport` replaces the network in tests."""

    def __init__(self, config: EndpointConfig, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._config = config
        self._transport = transport

    async def complete(self, messages: Sequence[Message], tools: Sequence[Message]) -> Reply:
        """The next turn. Raises `ModelError`."""
        body: dict[str, Any] = {
            "model": self._config.model,
            "messages": list(messages),
            "max_tokens": self._config.max_completion_tokens,
        }
        if tools:
            # An empty list is refused by many services.
            body["tools"] = list(tools)
        if self._config.temperature is not None:
            body["temperature"] = self._config.temperature
        try:
            async with asyncio.timeout(self._config.timeout_s):
                return _reply(await self._ask(body))
        except TimeoutError as error:
            raise ModelError(f"The model at {self._config.url} did not answer within {self._config.timeout_s:g} s.") from error

    async def _ask(self, body: Mapping[str, Any]) -> object:
        import httpx

        key = os.environ.get(self._config.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        why = ""
        async with httpx.AsyncClient(transport=self._transport, timeout=self._config.timeout_s, headers=headers) as client:
            for attempt in range(self._config.attempts):
                if attempt:
                    await asyncio.sleep(self._config.wait_s * 2 ** (attempt - 1))
                try:
                    async with client.stream("POST", f"{self._config.url.rstrip('/')}/chat/completions", json=body) as answer:
                        text = await _bounded(answer)
                except httpx.TransportError as error:
                    why = f"{type(error).__name__}: {error}"
                    continue
                if answer.status_code == 200:
                    return _json(text)
                why = f"HTTP {answer.status_code}: {text[:300].decode('utf-8', 'replace')}"
                if answer.status_code not in _LATER:
                    break
        raise ModelError(
            f"The model at {self._config.url} gave no answer: {why}", remedy="Check the endpoint, the model's name and the key."
        )


async def _bounded(answer: httpx.Response) -> bytes:
    text = b""
    async for part in answer.aiter_bytes():
        text += part
        if len(text) > _MAX_ANSWER:
            raise ModelError(f"The model's answer is larger than {_MAX_ANSWER} bytes.")
    return text


def _json(text: bytes) -> object:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError("The model's answer is not JSON.") from error


def _reply(answer: object) -> Reply:
    """Of a completion; what is not as it should be is left out, a completion without a message is none."""
    body = answer if isinstance(answer, dict) else {}
    choices = body.get("choices")
    message = choices[0].get("message") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    if not isinstance(message, dict):
        raise ModelError("The model's answer holds no message.")
    calls = []
    for number, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            identity = call.get("id") if isinstance(call.get("id"), str) else f"call_{number}"
            calls.append(ToolCall(identity, function["name"], str(function.get("arguments") or "{}")))
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    assert isinstance(usage, dict)
    text = message.get("content") if isinstance(message.get("content"), str) else ""
    return Reply(str(text), tuple(calls), _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
