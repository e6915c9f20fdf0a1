"""What makes files that the repository does not hold, for a project whose test packages do not compile without: generators, and the
tools that they are made with. CI runs them between the checkout and the tests; where it does not, `go:generate` lines name them.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.languages.go.source import imports_of
from podgym.envs.build.tree import Tree

__all__ = ["generators", "unmade"]

_TEST: Final = re.compile(r"\bgo\s+test\b|\bgotestsum\b|\b(?:make|task|just|mage)\s+(?:\S+\s+)?(?:\w+[-:_])?(?:tests?|check|ci|cover\w*)\b")
_MAKES: Final = re.compile(
    r"go\s+generate(?:\s+[\w./-]+)*"
    r"|(?:make|task|just|mage)\s+(?:-\w+\s+)*(?:\w+[-:_])?(?:go[-:_]?)?"
    r"(?:gen|generate|generated|codegen|mocks?|assets|embed|bindata|protos?|protobuf|stubs|templ|swagger)(?:[-:_]\w+)?"
    r"|go\s+run\s+[\w./-]*gen[\w./-]*(?:\s+[\w./=-]+)*"
)
_TOOL: Final = re.compile(r"go\s+install\s+(?:-\S+\s+)*[\w./-]+@[\w.+-]+(?:\s+[\w./-]+@[\w.+-]+)*")
_IMPORT: Final = re.compile(r"[\w./~-]{1,200}")
_DIRECTIVE: Final = re.compile(r"^//go:generate[ \t]+(\S.{0,400})$", re.MULTILINE)
_MADE: Final = re.compile(r"(?:(?:^|\s)--?(?:o|out|output|outfile|outputFile|dest|destination)[= ]\s*|>\s*)([\w./-]{1,200}\.go)\b")
_STRINGER: Final = re.compile(r"\bstringer\b.*\s-type[= ](\w+)")
_NOT_OURS: Final = frozenset({"vendor", "testdata", "node_modules"})
_MAX_SOURCES: Final = 3000
_MAX_MADE: Final = 20
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


def unmade(tree: Tree, top: str) -> tuple[tuple[str, str], ...]:
    """Directory and line of what makes the files below `top` that `go:generate` lines name and the repository lacks."""
    places: dict[str, None] = {}
    programs: set[str] = set()
    tools: dict[str, str] = {}
    prefix = f"{top}/" if top else ""
    sources = [path for path in tree.below(top) if path.endswith(".go") and not _NOT_OURS & set(path.split("/"))]
    for path in sources[:_MAX_SOURCES]:
        text = tree.read(f"{prefix}{path}") or ""
        directory = posixpath.dirname(f"{prefix}{path}")
        if posixpath.basename(path) == "tools.go":
            tools |= {imported.rpartition("/")[2]: imported for imported in imports_of(text) if _IMPORT.fullmatch(imported)}
        for line in _DIRECTIVE.findall(text):
            if any(posixpath.normpath(posixpath.join(directory, made)) not in tree for made in _made_by(line)):
                places[directory] = None
                programs.add(line.split()[0])
    needed = [(top, f"go install {shlex.quote(tools[name])}") for name in sorted(programs & tools.keys())]
    return (*needed, *((place, "go generate .") for place in [*places][:_MAX_MADE])) if places else ()


def _made_by(line: str) -> list[str]:
    """Files that a `go:generate` line says it makes."""
    kinds = (match[1].lower() for match in _STRINGER.finditer(line))
    return _MADE.findall(line) or [f"{kind}_string.go" for kind in kinds]
