"""Decoys of pytest's and unittest's files. The source is read with `ast` and never run.

Where nothing of the kinds in `expectations` is found, a false assertion is added at the end.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Collection, Iterator, Mapping

from podgym.verifiers.decoys.edits import DecoyFile, Edit, edited
from podgym.verifiers.decoys.expectations import Site, added_failure, sites_of

__all__ = ["python_decoys"]


def python_decoys(files: Mapping[str, bytes], tests: Collection[str], *, cwd: str = "") -> dict[str, DecoyFile]:
    """Decoys for the tests with the ids `tests` (parameters aside) among `files`, by path; files without one are left out.

    Where a run has several such tests some are left as they are, so that code which lets everything or nothing pass at random is
    found out as well. Equal files give equal decoys.
    """
    wanted = {identity.partition("[")[0] for identity in tests}
    rng = random.Random(b"\0".join(data for _, data in sorted(files.items())))
    prefix = f"{cwd}/" if cwd not in ("", ".") else ""
    found = {
        path: [(f"{path.removeprefix(prefix)}::{name}", function) for name, function in _functions(data)]
        for path, data in sorted(files.items())
        if path.endswith(".py")
    }
    present = sorted({identity for functions in found.values() for identity, _ in functions} & wanted)
    spared = set(rng.sample(present, len(present) // 2))
    made: dict[str, DecoyFile] = {}
    for path, functions in found.items():
        edits: list[Edit] = []
        changed: list[str] = []
        for identity, function in functions:
            if identity in wanted and identity not in spared:
                sites = sites_of(function, files[path])
                edits.append(_edit(rng, sites) if sites else added_failure(function, files[path], rng))
                changed.append(identity)
        data = edited(files[path], edits)
        if changed and _parses(data):
            made[path] = DecoyFile(data, tuple(changed))
    return made


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(data: bytes) -> Iterator[tuple[str, _Function]]:
    """Test functions with their names below the file, as ids have them; none for what is no Python."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    waiting: list[tuple[str, list[ast.stmt]]] = [("", tree.body)]
    while waiting:
        prefix, body = waiting.pop()
        for statement in body:
            if isinstance(statement, ast.ClassDef):
                waiting.append((f"{prefix}{statement.name}::", statement.body))
            elif isinstance(statement, _Function):
                yield f"{prefix}{statement.name}", statement


def _edit(rng: random.Random, sites: list[Site]) -> Edit:
    """One of the best kind that there is: a changed value finds more than a turned assertion does."""
    best = max(site.worth for site in sites)
    return rng.choice([site for site in sites if site.worth == best]).change(rng)


def _parses(data: bytes) -> bool:
    try:
        ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
