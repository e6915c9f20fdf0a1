"""The text of a synthesised issue, written by a language model that sees what the failing tests show and never the fix.

What a model writes is checked like anything from outside: it may not quote a changed line, nor be empty, nor endless. Where it does not
pass, or the endpoint fails, the rules write.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from podgym.envs.build.mutation.evidence import Evidence, tells
from podgym.errors import PodgymError

if TYPE_CHECKING:
    import httpx

__all__ = ["ChatWriter", "EndpointOptions", "IssueWriter", "ScriptedWriter", "WriterError", "unfit"]

_LEAST: Final = 40
_MOST: Final = 6000
_ASK: Final = """You write issues for software projects as their users do.
Below is what the test suite of a project shows of a bug. Write the issue that somebody who ran into it would file: a title line that begins
with "# ", then what happens, what should happen instead, and a short way to reproduce it in the project's language.
Do not guess at the cause, do not name a source file or a line of code that you were not shown, do not propose a fix, and do not
mention that tests were run unless that is all there is to say. Answer with the issue alone."""


class WriterError(PodgymError, RuntimeError):
    """The model gave no text."""


class IssueWriter(Protocol):
    """Writes an issue from evidence."""

    async def write(self, evidence: Evidence) -> str:
        """The text. Raises `WriterError`."""
        ...


class EndpointOptions(BaseModel):
    """Of an OpenAI-compatible endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    """Up to and without `/chat/completions`."""
    model: str
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; an endpoint that wants none needs none."""
    timeout_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=3, ge=0)
    max_tokens: int = Field(default=1200, ge=64)
    temperature: float = Field(default=0.8, ge=0)


@dataclass(slots=True)
class ScriptedWriter:
    """Answers from a list, for tests and for playing a recorded run again."""

    answers: Sequence[str]
    asked: list[Evidence] = field(default_factory=list)

    async def write(self, evidence: Evidence) -> str:
        """The next answer. Raises `WriterError` where none is left."""
        self.asked.append(evidence)
        if len(self.asked) > len(self.answers):
            raise WriterError("No answer is left.")
        return self.answers[len(self.asked) - 1]


class ChatWriter:
    """Asks a chat endpoint. Use it as a context manager, or `close` it."""

    def __init__(self, options: EndpointOptions) -> None:
        import httpx

        key = os.environ.get(options.key_variable, "")
        self._options = options
        self._client: httpx.AsyncClient = httpx.AsyncClient(
            base_url=options.url.rstrip("/") + "/",
            timeout=options.timeout_s,
            headers={"authorization": f"Bearer {key}"} if key else {},
        )

    async def __aenter__(self) -> ChatWriter:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Idempotent."""
        await self._client.aclose()

    async def write(self, evidence: Evidence) -> str:
        """The model's text. Raises `WriterError`."""
        import httpx

        body = {
            "model": self._options.model,
            "max_tokens": self._options.max_tokens,
            "temperature": self._options.temperature,
            "messages": [{"role": "system", "content": _ASK}, {"role": "user", "content": _told(evidence)}],
        }
        said = ""
        for attempt in range(self._options.retries + 1):
            if attempt:
                await asyncio.sleep(min(30.0, 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.5))
            try:
                answer = await self._client.post("chat/completions", json=body)
            except httpx.HTTPError as error:
                said = f"{type(error).__name__}: {error}"
                continue
            if answer.status_code == 200:
                return _text_of(answer)
            said = f"status {answer.status_code}: {answer.text[:200]}"
            if answer.status_code not in (408, 409, 429) and answer.status_code < 500:
                break
        raise WriterError(f"The endpoint {self._options.url} gave no answer: {said}")


def unfit(text: str, secrets: Sequence[bytes], *, path: str = "", evidence: Evidence | None = None) -> str:
    """Why a text cannot be the issue; empty where it can. `path` is the changed file's, which evidence alone may name."""
    if not _LEAST <= len(text.strip()) <= _MOST:
        return f"it has {len(text.strip())} characters; {_LEAST} to {_MOST} are allowed"
    if tells(text, secrets):
        return "it quotes a line that the mutation changes"
    if path and path in text and not (evidence is not None and any(path in line for line in (*evidence.said, *evidence.failing))):
        return "it names the changed file"
    return ""


def _text_of(answer: httpx.Response) -> str:
    try:
        data: Any = answer.json()
        text = data["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise WriterError(f"The answer is no chat completion: {answer.text[:200]!r}.") from error
    if not isinstance(text, str):
        raise WriterError("The answer has no text.")
    return text.strip() + "\n"


def _told(evidence: Evidence) -> str:
    pieces = "\n\n".join(f"From {path}:\n{text}" for path, text in list(evidence.tests.items())[:3])
    return "\n\n".join(
        (
            f"Project: {evidence.project} ({evidence.language})",
            "Failing tests:\n" + "\n".join(evidence.failing[:10]),
            "What they say:\n" + ("\n".join(evidence.said) or "(nothing)"),
            f"The tests:\n{pieces[:8000]}" if pieces else "",
        )
    ).strip()
