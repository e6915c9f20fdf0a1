"""The text of a synthesised issue, written by a language model that sees what the failing tests show and never the fix.

What a model writes is checked like anything from outside: it may not quote a changed line, nor be empty, nor endless. Where it does not
pass, or the endpoint fails, the rules write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from podgym.envs.build.mutation.evidence import Evidence, tells
from podgym.envs.build.repair.model import ModelError, RepairModel
from podgym.errors import PodgymError

__all__ = ["ChatWriter", "IssueWriter", "ScriptedWriter", "WriterError", "unfit"]

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
    """Asks a chat model: the one that mends plans, say, which needs no tools here."""

    def __init__(self, model: RepairModel) -> None:
        self._model = model

    async def write(self, evidence: Evidence) -> str:
        """The model's text. Raises `WriterError`."""
        messages = [{"role": "system", "content": _ASK}, {"role": "user", "content": _told(evidence)}]
        try:
            reply = await self._model.complete(messages, ())
        except ModelError as error:
            raise WriterError(error.message, remedy=error.remedy) from error
        if not reply.text.strip():
            raise WriterError("The model's answer has no text.", remedy="Check the model's name.")
        return reply.text.strip() + "\n"


def unfit(text: str, secrets: Sequence[bytes], *, path: str = "", evidence: Evidence | None = None) -> str:
    """Why a text cannot be the issue; empty where it can. `path` is the changed file's, which evidence alone may name."""
    if not _LEAST <= len(text.strip()) <= _MOST:
        return f"it has {len(text.strip())} characters; {_LEAST} to {_MOST} are allowed"
    if tells(text, secrets):
        return "it quotes a line that the mutation changes"
    if path and path in text and not (evidence is not None and any(path in line for line in (*evidence.said, *evidence.failing))):
        return "it names the changed file"
    return ""


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
