"""Mutations of many sources, found in a process of its own.

Parsers are C, and there are texts that make them take all memory or crash. The process has bounds of both; a file that ends it is left
out.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from podgym.envs.build.mutation.dialect import dialect_of
from podgym.envs.build.mutation.edits import Mutation
from podgym.envs.build.mutation.finding import chosen

__all__ = ["main", "read_mutations"]

_MEMORY_BYTES: Final = 2 << 30
_PORTION_BYTES: Final = 512 << 10
_COMMAND: Final = (sys.executable, "-m", "podgym.envs.build.mutation")


def read_mutations(
    sources: Mapping[str, bytes],
    *,
    seed: int,
    limit: int,
    timeout_s: float = 600.0,
    portion_s: float = 60.0,
    file_s: float = 20.0,
) -> dict[str, list[Mutation]]:
    """At most `limit` mutations of each source, by path; what cannot be read is left out, as is what takes longer than `file_s` by
    itself, and what is not reached within `timeout_s`. Sources are read in portions first, which may take `portion_s` each."""
    ends = time.monotonic() + timeout_s
    found: dict[str, list[Mutation]] = {}
    waiting = _portions(sources)
    while waiting and (left_s := ends - time.monotonic()) > 0:
        paths = waiting.pop()
        answer = _ask({path: sources[path] for path in paths}, seed, limit, min(left_s, portion_s if len(paths) > 1 else file_s))
        if answer is not None:
            found |= {path: [_mutation(one) for one in mutations] for path, mutations in zip(paths, answer, strict=True)}
        elif len(paths) > 1:
            # It is one of them: both halves, by themselves.
            waiting += [paths[len(paths) // 2 :], paths[: len(paths) // 2]]
    return {path: found[path] for path in sources if found.get(path)}


def _portions(sources: Mapping[str, bytes]) -> list[list[str]]:
    """Paths that are read together, the last ones first."""
    portions: list[list[str]] = []
    size = _PORTION_BYTES
    for path, data in sources.items():
        if size >= _PORTION_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(path)
        size += len(data)
    return portions[::-1]


def _ask(sources: Mapping[str, bytes], seed: int, limit: int, timeout_s: float) -> list[list[list[Any]]] | None:
    """What the process says of each source; None where it ended or took too long."""
    request = {
        "seed": seed,
        "limit": limit,
        "sources": [[_text(path.encode("utf-8", "surrogateescape")), _text(data)] for path, data in sources.items()],
    }
    try:
        done = subprocess.run(_COMMAND, input=orjson.dumps(request), capture_output=True, timeout=timeout_s, check=False)
        answer: list[list[list[Any]]] | None = orjson.loads(done.stdout) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, orjson.JSONDecodeError):
        return None
    return answer if answer is not None and len(answer) == len(sources) else None


def main() -> None:
    """Answer one request: from standard input to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = orjson.loads(sys.stdin.buffer.read())
    answer = []
    for name, text in request["sources"]:
        path = name.encode("latin-1").decode("utf-8", "surrogateescape")
        dialect = dialect_of(path)
        found = chosen(text.encode("latin-1"), dialect, seed=request["seed"], limit=request["limit"]) if dialect is not None else []
        answer.append([[one.operator, one.start, _text(one.before), _text(one.after), one.line, one.place] for one in found])
    sys.stdout.buffer.write(orjson.dumps(answer))


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _mutation(plain: list[Any]) -> Mutation:
    operator, start, before, after, line, place = plain
    return Mutation(operator, start, before.encode("latin-1"), after.encode("latin-1"), line, place)
