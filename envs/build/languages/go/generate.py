"""What CI runs between the checkout and the tests to make files that the repository does not hold: generators, and the tools that they
are made with. Read off the jobs that run tests, for a project whose test packages do not compile without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.ci import CiFacts, CiStep

__all__ = ["generators"]

_TEST: Final = re.compile(r"\bgo\s+test\b|\bgotestsum\b|\b(?:make|task|just|mage)\s+(?:\S+\s+)?(?:\w+[-:_])?(?:tests?|check|ci|cover\w*)\b")
_MAKES: Final = re.compile(
    r"go\s+generate(?:\s+[\w./-]+)*"
    r"|(?:make|task|just|mage)\s+(?:-\w+\s+)*(?:\w+[-:_])?(?:go[-:_]?)?"
    r"(?:gen|generate|generated|codegen|mocks?|assets|embed|bindata|protos?|protobuf|stubs|templ|swagger)(?:[-:_]\w+)?"
    r"|go\s+run\s+[\w./-]*gen[\w./-]*(?:\s+[\w./=-]+)*"
)
_TOOL: Final = re.compile(r"go\s+install\s+(?:-\S+\s+)*[\w./-]+@[\w.+-]+(?:\s+[\w./-]+@[\w.+-]+)*")
_MAX_LINE: Final = 500
_MAX_LINES: Final = 12


def generators(ci: CiFacts) -> tuple[tuple[str, str], ...]:
    """Directory and line of each, in order; none where CI makes nothing."""
    jobs: dict[str, list[CiStep]] = {}
    for step in ci.steps:
        jobs.setdefault(step.job, []).append(step)
    for steps in jobs.values():
        found = _before_tests(steps)
        if any(_MAKES.fullmatch(line) for _, line in found):
            return tuple(found[:_MAX_LINES])
    return ()


def _before_tests(steps: Iterable[CiStep]) -> list[tuple[str, str]]:
    """Those of one job; none where it runs no test."""
    found: dict[tuple[str, str], None] = {}
    for step in steps:
        if len(step.line) > _MAX_LINE:
            continue
        for part in (part.strip() for part in step.line.split("&&")):
            if _MAKES.fullmatch(part) or _TOOL.fullmatch(part):
                found[step.directory, part] = None
            elif _TEST.search(part):
                return list(found)
    return []
