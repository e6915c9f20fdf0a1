"""Surveys of many sources, made in a process of its own.

Parsers are C, and there are texts that make them take all memory or crash. The process has bounds of both; a file that ends it is
left out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

import orjson

from podgym.verifiers.decoys.comparisons import Site
from podgym.verifiers.decoys.edits import Edit
from podgym.verifiers.decoys.survey import FoundTest, Survey, survey

__all__ = ["main", "read_sources"]

_MEMORY_BYTES: Final = 1536 << 20
_TIME_S: Final = 120.0
_COMMAND: Final = (sys.executable, "-m", "podgym.verifiers.decoys")


def read_sources(files: Mapping[str, bytes], salt: bytes = b"") -> dict[str, Survey]:
    """By path; what cannot be read is left out."""
    if not files:
        return {}
    request = {"salt": salt.hex(), "files": [[_text(path.encode("utf-8", "surrogateescape")), _text(data)] for path, data in files.items()]}
    try:
        done = subprocess.run(_COMMAND, input=orjson.dumps(request), capture_output=True, timeout=_TIME_S, check=False)
        answer = orjson.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, orjson.JSONDecodeError):
        answer = None
    if answer is None:
        # One of them; each by itself.
        return {path: made for path, data in files.items() for made in read_sources({path: data}, salt).values()} if len(files) > 1 else {}
    return {path: _survey(one) for path, one in zip(files, answer, strict=True) if one is not None}


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
