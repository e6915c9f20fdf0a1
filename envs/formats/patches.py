"""Patches as text: what undoes one, and one between two states of a file."""

from __future__ import annotations

import difflib
import re
from typing import Final

__all__ = ["reversed_patch", "text_patch"]

_HUNK: Final = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$")
_MODES: Final = {
    b"new file mode": b"deleted file mode",
    b"deleted file mode": b"new file mode",
    b"old mode": b"new mode",
    b"new mode": b"old mode",
}


def reversed_patch(patch: bytes) -> bytes:
    """The text patch that undoes a text patch, for reading; `git apply --reverse` is how one is undone."""
    out: list[bytes] = []
    old = new = 0
    for line in patch.split(b"\n"):
        if old > 0 or new > 0:
            mark = line[:1]
            old -= mark in (b" ", b"-", b"")
            new -= mark in (b" ", b"+", b"")
            out.append({b"+": b"-", b"-": b"+"}.get(mark, mark) + line[1:])
        elif match := _HUNK.match(line):
            old, new = int(match[2] or 1), int(match[4] or 1)
            out.append(b"@@ -%s +%s @@%s" % (_range(match[3], match[4]), _range(match[1], match[2]), match[5]))
        else:
            out.append(_header(line))
    return b"\n".join(_swapped(out))


def text_patch(path: str, before: bytes | None, after: bytes | None) -> bytes:
    """A patch between two states of a file, None where it is not there."""
    name = path.encode("utf-8", "surrogatepass")
    head = b"diff --git a/%s b/%s\n" % (name, name)
    head += b"new file mode 100644\n" if before is None else b"deleted file mode 100644\n" if after is None else b""
    old, new = (b"/dev/null" if data is None else side + name for side, data in ((b"a/", before), (b"b/", after)))
    body = b""
    for line in difflib.diff_bytes(difflib.unified_diff, _lines(before), _lines(after), old, new):
        body += line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
    return head + body if body or before is None or after is None else b""


def _lines(data: bytes | None) -> list[bytes]:
    return [] if not data else [line + b"\n" for line in data.split(b"\n")[:-1]] + ([last] if (last := data.rpartition(b"\n")[2]) else [])


def _range(start: bytes, count: bytes | None) -> bytes:
    return start if count is None else start + b"," + count


def _header(line: bytes) -> bytes:
    if match := re.fullmatch(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)(.*)", line):
        return b"index %s..%s%s" % (match[2], match[1], match[3])
    for said, undone in _MODES.items():
        if line.startswith(said + b" "):
            return undone + line[len(said) :]
    return line


def _swapped(lines: list[bytes]) -> list[bytes]:
    """The two lines that name a file's states, each in the other's place."""
    for at in range(len(lines) - 1):
        before, after = lines[at], lines[at + 1]
        if before.startswith(b"--- ") and after.startswith(b"+++ "):
            lines[at] = b"--- " + _side(after[4:], b"b/", b"a/")
            lines[at + 1] = b"+++ " + _side(before[4:], b"a/", b"b/")
    return lines


def _side(name: bytes, was: bytes, now: bytes) -> bytes:
    return now + name[len(was) :] if name.startswith(was) else name
