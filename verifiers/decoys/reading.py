"""Surveys of many sources, made in a process of its own.

Parsers are C, and there are texts that make them take all memory or crash. The process has bounds of both; a file that ends it is
left out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Final

import orjson

from podgym.verifiers.decoys.comparisons import Site
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.survey import FoundTest, Survey, survey

__all__ = ["main", "read_sources"]

_MEMORY_BYTES: Final = 1536 << 20
_TIME_S: Final = 240.0
_FILE_S: Final = 30.0
_COMMAND: Final = (sys.executable, "-m", "podgym.verifiers.decoys")


def read_sources(files: Mapping[str, bytes], salt: bytes = b"") -> dict[str, Survey]:
    """By path; what cannot be read is left out, and so is what is not read within some minutes."""
    ends = time.monotonic() + _TIME_S
    found: dict[str, Survey] = {}
    waiting = [list(files)] if files else []
    while waiting and (left_s := ends - time.monotonic()) > 0:
        paths = waiting.pop()
        answer = _ask({path: files[path] for path in paths}, salt, min(left_s, _TIME_S / 2 if len(paths) > 1 else _FILE_S))
        if answer is not None:
            found |= {path: _survey(one) for path, one in zip(paths, answer, strict=True) if one is not None}
        elif len(paths) > 1:
            # It is one of them: both halves, by themselves.
            waiting += [paths[len(paths) // 2 :], paths[: len(paths) // 2]]
    return {path: found[path] for path in files if path in found}


def _ask(files: Mapping[str, bytes], salt: bytes, timeout_s: float) -> list[list[object] | None] | None:
    """What the process says of each file; None where it ended or took too long."""
    request = {"salt": salt.hex(), "files": [[_text(path.encode("utf-8", "surrogateescape")), _text(data)] for path, data in files.items()]}
    try:
        done = subprocess.run(_COMMAND, input=orjson.dumps(request), capture_output=True, timeout=timeout_s, check=False)
        answer: list[list[object] | None] | None = orjson.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, orjson.JSONDecodeError):
        return None
    return answer


def main() -> None:
    """Answer one request: from standard input to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = orjson.loads(sys.stdin.buffer.read())
    salt = bytes.fromhex(request["salt"])
    answer = []
    for path, data in request["files"]:
        made = survey(path.encode("latin-1").decode("utf-8", "surrogateescape"), data.encode("latin-1"), salt)
        answer.append(_plain(made) if made is not None else None)
    sys.stdout.buffer.write(orjson.dumps(answer))


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _plain(made: Survey) -> list[object]:
    def sites(test: FoundTest) -> list[object]:
        return [[site.worth, site.edit.start, site.edit.end, _text(site.edit.text), site.repeated] for site in test.sites]

    return [made.errors, [[list(test.names), sites(test)] for test in made.tests]]


def _survey(plain: list[object]) -> Survey:
    errors, tests = plain
    assert isinstance(errors, int) and isinstance(tests, list)
    return Survey(
        tests=tuple(
            FoundTest(
                tuple(names),
                tuple(Site(worth, Edit(start, end, text.encode("latin-1")), repeated) for worth, start, end, text, repeated in sites),
            )
            for names, sites in tests
        ),
        errors=errors,
    )
