"""Unified diffs for people: bounded in time and size, and safe for any bytes. Nothing is ever applied from them."""

from __future__ import annotations

import difflib
from typing import Final

from podgym.verifiers.reports.parsed import visible

__all__ = ["file_diff"]

_MAX_LINES: Final = 4000
_CONTEXT: Final = 3


def file_diff(path: str, old: bytes | None, new: bytes | None, *, old_mode: int = 0o100644, new_mode: int = 0o100644) -> str:
    """The diff of one file; `None` where it is not there on that side. Bytes that are not UTF-8 become U+FFFD, in `path` visible text."""
    path = visible(path)
    lines = [f"diff --git a/{path} b/{path}"]
    if old is None:
        lines.append(f"new file mode {new_mode:o}")
    elif new is None:
        lines.append(f"deleted file mode {old_mode:o}")
    elif old_mode != new_mode:
        lines += [f"old mode {old_mode:o}", f"new mode {new_mode:o}"]
    if old != new:
        names = ("/dev/null" if old is None else f"a/{path}", "/dev/null" if new is None else f"b/{path}")
        if b"\0" in (old or b"")[:8000] or b"\0" in (new or b"")[:8000]:
            lines.append(f"Binary files {names[0]} and {names[1]} differ")
        else:
            hunks = _hunks(_lines(old or b""), _lines(new or b""))
            if hunks:
                lines += [f"--- {names[0]}", f"+++ {names[1]}", *hunks]
    return "\n".join(lines) + "\n"


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "replace")
    found = text.split("\n")
    if found[-1] == "":
        return found[:-1]
    found[-1] += "\n\\ No newline at end of file"
    return found


def _hunks(old: list[str], new: list[str]) -> list[str]:
    """Hunks of a unified diff; the equal head and tail are cut first, and what is long even so is one replacement."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    start, cut = max(0, head - _CONTEXT), max(0, tail - _CONTEXT)
    old, new = old[start : len(old) - cut], new[start : len(new) - cut]
    if len(old) + len(new) > _MAX_LINES:
        groups = [[("replace", 0, len(old), 0, len(new))]]
    else:
        groups = [list(group) for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT)]
    found: list[str] = []
    for group in groups:
        first, last = group[0], group[-1]
        found.append(f"@@ -{_span(first[1] + start, last[2] + start)} +{_span(first[3] + start, last[4] + start)} @@")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                found += [f" {line}" for line in old[old_from:old_to]]
                continue
            found += [f"-{line}" for line in old[old_from:old_to]]
            found += [f"+{line}" for line in new[new_from:new_to]]
    return found


def _span(start: int, stop: int) -> str:
    length = stop - start
    return f"{start + 1 if length else start},{length}" if length != 1 else f"{start + 1}"
