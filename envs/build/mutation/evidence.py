"""What the failing tests show of a bug, without what gives its place away.

A runner's log quotes code, and with it the very line that is wrong; lines with it are left out, and tests are named in words. Paths
stay where the log has them, as whoever runs the tests sees them too.
"""

from __future__ import annotations

import itertools
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Evidence", "gather", "names_of", "spoken", "tells"]

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
_SAID: Final = re.compile(
    r"""
    ^\s*E\s{2,}\S                                              # pytest
    | \b(?:Assertion|Value|Type|Key|Index|Attribute|Runtime|Name|ZeroDivision|Unicode\w*|OS|IO|NotImplemented)\w*(?:Error|Exception)\b
    | ^\s*[\w.$]+(?:Error|Exception|Failure|Failed)\b.*
    | \bassert\w*\b.*\b(?:fail|==|!=)
    | \bpanicked\ at\b | ^\s*panic:
    | ^\s*(?:left|right|expected|actual|received|got|want|wanted|diff|value\ of|which\ is|to\ be\ equal\ to|with\ expansion)\b\s*.*[:=]
    | \bexpected\b.*\b(?:but|got|was|to|received|actual|found)\b | \bwant(?:ed)?\b.*\bgot\b | \bgot\b.*\bwant(?:ed)?\b
    | ^\s*\w+(?:_test)?\.(?:go|c|cc|cpp|cxx|rs|java|[mc]?[jt]sx?|py):\d+:.*\S
    | \bFailure$ | ^\s*(?:Expected|Received|Actual|Error\ Trace|Error)\b\s*: | ^\s+[-+]\s+\S
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NOISE: Final = re.compile(
    r"""
    ^\s*(?:at\s+\S+\s*\(|\.{3}\s|note:\ run\ with|stack\ backtrace|\d+:\s+0x|goroutine\ \d+|created\ by\ |\[\w+\]\ (?:INFO|DEBUG)
      |FAIL\s+\S+\s+[\d.]+s|exit\ status|error:\ test\ failed|make(?:\[\d+\])?:|ninja:|=+\s|-{5,}|_{5,}|\d+\ (?:passed|failed))
    | ^\s*(?:---|===)\ (?:PASS|RUN|CONT|PAUSE) | \(\d+\.\d+s\)\s*$
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MARKED: Final = re.compile(r"E\s{2,}|\S+:\d+: \w+$")
_WIDTH: Final = 240
_PER_TEST: Final = 8
_LINES: Final = 24
_TESTS: Final = 4
_AFTER: Final = 80
_SPELLED: Final = 500
_PIECE: Final = 40
_FILE: Final = re.compile(r"\.(?:md|rst|txt|py|[mc]?[jt]sx?|rs|go|java|c|cc|cpp|cxx|sh|t)$")
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{6,16}", re.IGNORECASE)
_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that an issue is written from."""

    project: str
    language: str
    failing: tuple[str, ...]
    """Test ids."""
    said: tuple[str, ...]
    """Lines of the log."""
    tests: Mapping[str, str]
    """Pieces of the failing tests' sources, by path."""


def gather(
    *, project: str, language: str, failing: Sequence[str], log: str, tests: Mapping[str, bytes], secrets: Sequence[bytes]
) -> Evidence:
    """`secrets` are the lines that the mutation changes, before and after; `tests` the sources of failing tests."""
    hidden, spell = _hidden(secrets), _speller(failing)
    lines = _lines(log)
    said: list[str] = []
    for identity in failing[:_TESTS]:
        for line in _about(lines, identity, hidden):
            if line not in said and len(said) < _LINES:
                said.append(line)
    said = [spell(line) for line in said or list(_assertions(lines, hidden))[:_PER_TEST]]
    pieces = {path: piece for path, data in tests.items() if (piece := _piece(data, failing))}
    return Evidence(project, language, tuple(failing), tuple(said), pieces)


def tells(text: str, secrets: Sequence[bytes]) -> bool:
    """Whether a text has one of the lines that the mutation changes."""
    hidden = _hidden(secrets)
    return any(one in " ".join(line.split()) for line in text.split("\n") for one in hidden)


def names_of(identity: str) -> tuple[str, ...]:
    """What a log may call a test, the most telling first: the last parts of its id, without parameters."""
    plain = re.sub(r"\[.*\]$|\(.*\)$|#\d+$", "", identity, flags=re.DOTALL).strip()
    parts = [part.strip() for part in re.split(r"::|/| > | \u203a |#|\s-\s", plain) if part.strip()]
    last = parts[-1] if parts else plain
    tail = last if " " in last or _FILE.search(last) else last.rpartition(".")[2]
    return tuple(dict.fromkeys(name for name in (last, tail) if len(name) > 2))


def _speller(failing: Sequence[str]) -> Callable[[str], str]:
    """Puts words in place of tests' names: an issue tells what is wrong, not which function looks."""
    words = {name: spoken(name) for identity in failing[:_SPELLED] for name in names_of(identity) if re.fullmatch(r"\w{4,}", name)}
    if not words:
        return lambda line: line
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, words), key=len, reverse=True))})(?!\w)")
    return lambda line: pattern.sub(lambda match: words[match[0]], line)


def spoken(identity: str) -> str:
    """A test's name as words."""
    titles = identity.rpartition("::")[2].split(" > ")
    if len(titles) > 1:
        return ": ".join(title.strip() for title in titles[-2:])
    name = (names_of(identity) or (identity,))[-1]
    if " " in name:
        return name
    words = [word.lower() for word in (name.split("_") if "_" in name.strip("_") else _WORDS.findall(name)) if word]
    while words and words[0] in ("test", "tests", "should", "it"):
        words = words[1:]
    return " ".join(words) or name


def _lines(log: str) -> list[str]:
    """Without colours; of `go test -json` what its events print."""
    return [_ANSI.sub("", _printed(line)).rstrip() for line in log.replace("\r\n", "\n").split("\n")]


def _printed(line: str) -> str:
    if not (line.startswith('{"') and '"Output"' in line):
        return line
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return str(event.get("Output", "")) if isinstance(event, dict) else ""


def _hidden(secrets: Sequence[bytes]) -> tuple[str, ...]:
    found = (" ".join(line.decode("utf-8", "replace").split()) for secret in secrets for line in secret.split(b"\n"))
    return tuple({line for line in found if len(line) >= 4 and re.search(r"\w\W*\w", line)})


def _about(lines: Sequence[str], identity: str, hidden: Sequence[str]) -> Iterator[str]:
    """What is said after a test is named, up to a number of lines."""
    for name in names_of(identity):
        pattern = re.compile(rf"(?<![\w]){re.escape(name)}(?![\w])")
        found: list[str] = []
        for at in [number for number, line in enumerate(lines) if pattern.search(line)][:20]:
            for line in _assertions(lines[at : at + _AFTER], hidden):
                if line not in found:
                    found.append(line)
                if len(found) == _PER_TEST:
                    break
            if len(found) >= 2:
                break
        if found:
            yield from found
            return


def _assertions(lines: Sequence[str], hidden: Sequence[str]) -> Iterator[str]:
    # Where pytest marks what is said, everything else is code, arguments and a summary.
    marked = any(line.startswith("E  ") for line in lines)
    for line in lines:
        if not _SAID.search(line) or _NOISE.search(line) or (marked and not _MARKED.match(line)):
            continue
        said = line.startswith("E ")
        text = _ADDRESS.sub("0x…", line.removeprefix("E ").replace("/testbed/", "")).strip()
        if any(one in " ".join(text.split()) for one in hidden) or (not said and text.startswith((">", "assert "))):
            continue
        yield text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _piece(data: bytes, failing: Sequence[str]) -> str:
    """What stands below the line that names the first failing test of a file, as far as it is indented."""
    lines = data.decode("utf-8", "replace").expandtabs(4).split("\n")
    for identity in failing:
        for name in names_of(identity):
            found = next((number for number, line in enumerate(lines) if name in line), None)
            if found is None:
                continue
            inner = itertools.takewhile(_deeper_than(_depth(lines[found])), lines[found + 1 : found + 1 + _PIECE])
            if body := textwrap.dedent("\n".join(inner)).strip("\n"):
                return body[:4000]
    return ""


def _deeper_than(depth: int) -> Callable[[str], bool]:
    return lambda line: not line or _depth(line) > depth


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
