"""Judges what the agent is told: no commit outside of history, no link to the fix, no hidden test, no line of the solution."""

from __future__ import annotations

import re
from collections.abc import Callable

from podgym.envs.audit.rules import Tally
from podgym.envs.audit.subject import Subject
from podgym.envs.audit.testnames import said

__all__ = ["judge_prompt"]

_ID = re.compile(r"(?<![0-9A-Za-z/_-])[0-9a-f]{7,64}(?![0-9A-Za-z_-])", re.IGNORECASE)
_LINK = re.compile(
    r"https?://[^\s<>\"')\]]*?/(?:pull|pulls|merge_requests|pull-requests|commits?|compare|-/commit|patch)/[^\s<>\"')\]]+|"
    r"https?://[^\s<>\"')\]]+\.(?:patch|diff)\b",
    re.IGNORECASE,
)
_REMEDY = "Use the issue's text from before the fix, and take this out."


def judge_prompt(place: str, subject: Subject, tally: Tally, *, in_history: Callable[[str], bool] | None, known: frozenset[bytes]) -> None:
    """Hold `subject.instruction` against the rules. `in_history` tells whether a full id is of base's history, where that is known;
    `known` are lines that base has anyway."""
    for rule in ("prompt-commit", "prompt-link", "prompt-test", "prompt-solution"):
        tally.look(rule)
    _judge_ids(place, subject, tally, in_history)
    _judge_links(place, subject, tally)
    text = subject.instruction
    for name in sorted(subject.new_tests):
        if (found := said(name, text)) is not None:
            tally.add("prompt-test", f"{place}:{_line(text, found.start())}", f"It names the hidden test {name}.", _REMEDY)
    needles = subject.needles
    for number, raw in enumerate(text.encode("utf-8", "replace").split(b"\n"), 1):
        line_text = raw.strip().lstrip(b"+> ").strip()
        if line_text in known:
            continue
        if line_text in needles.gold or line_text in needles.tests:
            whose = "the solution" if line_text in needles.gold else "the hidden tests"
            shown = line_text[:80].decode("utf-8", "replace")
            tally.add("prompt-solution", f"{place}:{number}", f"A line that only {whose} adds: {shown!r}.", _REMEDY)


def _judge_ids(place: str, subject: Subject, tally: Tally, in_history: Callable[[str], bool] | None) -> None:
    text = subject.instruction
    for match in _ID.finditer(text):
        word = match[0].lower()
        line = f"{place}:{_line(text, match.start())}"
        if subject.fix.startswith(word) and subject.fix:
            tally.add("prompt-commit", line, f"It names {match[0]}, the commit of the fix.", _REMEDY)
        elif len(word) in (40, 64) and in_history is not None and not in_history(word) and re.search("[a-f]", word):
            tally.add("prompt-commit", line, f"It names {match[0]}, which is not part of base's history.", _REMEDY)


def _judge_links(place: str, subject: Subject, tally: Tally) -> None:
    text = subject.instruction
    # Of a project whose address is known, links to others tell nothing.
    public = re.fullmatch(r"https?://.+|git@.+|[\w.-]+/[\w.-]+", subject.repository) is not None
    for match in _LINK.finditer(text):
        if not public or f"/{subject.short_name}/" in match[0].lower():
            tally.add("prompt-link", f"{place}:{_line(text, match.start())}", f"It links to {match[0][:200]}.", _REMEDY)
    if subject.pull:
        for match in re.finditer(rf"(?i)(?:\bPR\s*#?|\bpull\s+request\s+#?|\bmerge\s+request\s+[!#]?|\bGH-){subject.pull}\b", text):
            tally.add("prompt-link", f"{place}:{_line(text, match.start())}", f"It names the pull request, {match[0]!r}.", _REMEDY)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
