"""What the agent is told: the issue's text, or the commit's message without what would point to the fix."""

from __future__ import annotations

import re

from podgym.envs.build.errors import BuildError

__all__ = ["instruction_from_issue", "instruction_from_message"]

_TRAILER = re.compile(
    r"^\s*(signed-off-by|co-authored-by|co-developed-by|reviewed-by|acked-by|tested-by|reported-by|helped-by|cc|change-id|"
    r"reviewed-on|pull-request|pr-url|refs?|see-also|closes|fixes|resolves|issue|fixes-issue|git-svn-id|cherry-picked-from|"
    r"differential revision)\s*:.*$",
    re.IGNORECASE,
)
_CHERRY_PICK = re.compile(r"^\s*\(?(cherry[- ]picked|backported) from .*$", re.IGNORECASE)
_MERGE_LINE = re.compile(r"^\s*merge (pull request|branch|remote-tracking branch|commit|tag)\b.*$", re.IGNORECASE)
_REFERENCE = re.compile(
    r"\(?(?:\b(?:fix(?:es|ed)?|clos(?:es?|ed)|resolv(?:es?|ed)|refs?|see|issue|pr|pull request|gh|bug)\b[:\s-]*)?"
    r"(?:\b[\w.-]+/[\w.-]+)?(?:#|\bgh-)\d+(?:\s*(?:,|and|&)\s*(?:#|gh-)\d+)*\)?",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"<?https?://[^\s<>)\]]*(?:/(?:pull|pulls|issues?|commits?|compare|merge_requests|browse|ticket|discussions|releases)/|[?&]id=)[^\s<>)\]]*>?"
)
_SHA = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b")
_PERSON = re.compile(r"<[^<>\s]+@[^<>\s]+>")


def instruction_from_issue(text: str) -> str:
    """An issue's text as it is, line ends made uniform. Raises `BuildError` where it is empty."""
    cleaned = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    return _checked(cleaned, "The issue's text is empty.")


def instruction_from_message(message: str) -> str:
    """The commit's message without ids, links to changes and issues, and trailers.

    Raises `BuildError` where nothing is left that says what to do.
    """
    lines = (_cleaned(line) for line in message.replace("\r\n", "\n").replace("\0", "").split("\n"))
    cleaned = re.sub(r"\n{3,}", "\n\n", "\n".join(line for line in lines if line is not None)).strip()
    return _checked(cleaned, "The commit's message says nothing but ids and trailers.")


def _cleaned(line: str) -> str | None:
    """The line without what points to the fix; None where nothing else was on it."""
    text = line
    for pattern in (_TRAILER, _CHERRY_PICK, _MERGE_LINE, _LINK, _REFERENCE, _SHA, _PERSON):
        text = pattern.sub("", text)
    if text == line:
        return line.rstrip()
    if not re.search(r"\w", text):
        return None
    text = re.sub(r"\(\s*\)|\[\s*\]", "", text)
    text = re.sub(r"^(\s*(?:[-*]\s+)?)[:,.;-]+\s*", r"\1", text)
    return re.sub(r"(?<=\S)[ \t]{2,}", " ", text).rstrip(" \t:,-(")


def _checked(text: str, problem: str) -> str:
    if not re.search(r"\w{2}", text):
        raise BuildError(problem, stage="split", reason="no_instruction", remedy="Give the issue with --issue TEXT or --issue-file FILE.")
    return text + "\n"
