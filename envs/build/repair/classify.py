"""A log's end to what may have caused the failure, the most probable first.

Every line is held against every pattern. A cause is the surer the more specific its pattern, and of equal ones those count more
that a whole family of tools agrees with: a message about a JDK in the log of a Go module is another program's.
"""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.repair.causes import Cause, Kind
from podgym.envs.build.repair.failure import BuildFailure, log_lines
from podgym.envs.build.repair.patterns import PATTERNS

__all__ = ["classify", "lacks_image"]

_MAX_CAUSES: Final = 24
_EVIDENCE: Final = 300
_TOOL_OF: Final[dict[str, str]] = {
    "python": "python", "java": "java", "go": "go", "rust": "rust", "javascript": "node", "typescript": "node", "c": "native",
    "cpp": "native",
}  # fmt: skip
_OF_BUILDS: Final[frozenset[Kind]] = frozenset(("unknown_package", "package_conflict", "image_missing", "missing_build_system"))
_OF_TESTS: Final[frozenset[Kind]] = frozenset(
    ("refuses_root", "locale", "timezone", "ipv6", "shm", "display", "dbus", "database", "colour")
)


def classify(failure: BuildFailure, plan: BuildPlan) -> tuple[Cause, ...]:
    """Causes that the log speaks of, or none."""
    found: dict[tuple[Kind, str], tuple[int, int, Cause]] = {}

    def add(cause: Cause, weight: int, place: int) -> None:
        key = (cause.kind, cause.subject)
        if key not in found or found[key][0] < weight:
            found[key] = (weight, place, cause)

    if failure.out_of_memory:
        add(Cause("out_of_memory", "", "The memory limit was reached."), 97, 0)
    if failure.timed_out:
        add(Cause("timeout", "", "The time limit was reached."), 98, 0)
    for place, line in enumerate(_logical(log_lines(failure.log))):
        for pattern in PATTERNS:
            subject = pattern.read(line)
            if subject is None:
                continue
            cause = Cause(pattern.kind, _clean(subject), line.strip()[:_EVIDENCE])
            if (weight := _weight(cause, pattern.weight, failure, plan)) > 0:
                add(cause, weight, place)
    ordered = sorted(found.values(), key=lambda one: (-one[0], one[1]))
    return tuple(cause for _, _, cause in ordered[:_MAX_CAUSES])


def lacks_image(failure: BuildFailure, plan: BuildPlan) -> bool:
    """Whether the plan's base image itself cannot be had."""
    return any(cause.kind == "image_missing" and cause.subject != "packages" for cause in classify(failure, plan))


def _logical(lines: list[str]) -> list[str]:
    """The lines, and each indented paragraph (CMake wraps its messages) once more as one line."""
    found: list[str] = []
    paragraph: list[str] = []
    for line in [*lines, ""]:
        found.append(line)
        if line.startswith("  ") and line.strip():
            paragraph.append(line.strip())
            continue
        if len(paragraph) > 1:
            found.append(" ".join(paragraph)[:2000])
        if line.strip() or len(paragraph) > 40:
            paragraph = []
    return found


def _clean(subject: str) -> str:
    return (
        re.sub(r"\s+", " ", subject).strip(" .,:;'\"`()")[:200]
        if not subject.startswith(("[", "(")) and "[" not in subject
        else subject[:200]
    )


def _weight(cause: Cause, weight: int, failure: BuildFailure, plan: BuildPlan) -> int:
    tool = cause.subject.split(" ")[0]
    own = _TOOL_OF.get(plan.language, "")
    if cause.kind in ("wrong_toolchain", "missing_module"):
        named = {"class": "java", "source": "java", "gyp": "node"}.get(tool, tool)
        if named in ("python", "java", "go", "rust", "node", "native") and named != own:
            # node-gyp runs Python, a crate's build script a C compiler: another program's complaint is seldom the plan's fault.
            return weight - 60
    if cause.kind in _OF_BUILDS and failure.stage == "tests":
        return 0
    if cause.kind == "image_missing" and failure.step is not None and cause.subject != "packages":
        # A step may miss an image of its own.
        return 0
    if cause.kind in _OF_TESTS and failure.stage == "image":
        return weight - 15
    if cause.kind == "flaky_download" and failure.stage == "tests":
        # Tests have no network: what they miss of it is not flaky.
        return weight - 45
    if cause.kind == "network" and failure.stage == "tests":
        return weight - 30
    return weight
