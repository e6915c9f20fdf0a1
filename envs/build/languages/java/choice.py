"""Which build system a fix is built with where a repository has several: the one that its CI runs, else Maven; but a project with files
of Gradle's and without a POM is none of Maven's, wherever there is a POM above it.

One that cannot be had, or whose files ask for what is not to be had, leaves the project to the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.java.gradle import plan_gradle
from podgym.envs.build.languages.java.maven import plan_maven
from podgym.envs.build.plan import BuildPlan

__all__ = ["plan_java"]

_GRADLE: Final = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
_OTHERS: Final = {
    "build.xml": "Ant",
    "build.sbt": "sbt",
    "WORKSPACE": "Bazel",
    "MODULE.bazel": "Bazel",
    "BUILD.bazel": "Bazel",
    "build.sc": "Mill",
    "project.clj": "Leiningen",
}


_PROGRAMS: Final = {"maven": r"mvnw?", "gradle": r"gradlew?"}
_PLANS: Final[dict[str, Callable[[PlanRequest], BuildPlan]]] = {"maven": plan_maven, "gradle": plan_gradle}


def plan_java(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    changed = [path for path in (*request.changed_tests, *request.changed_source) if "/" in path or path.endswith(".java")]
    covered = {"maven": _covered(request, changed, "pom.xml", without=_GRADLE), "gradle": _covered(request, changed, *_GRADLE)}
    if not any(covered.values()):
        other = next((name for file, name in _OTHERS.items() if request.fixed.named(file)), "")
        raise BuildError(
            f"The changed files are built by {other}, which is not known here."
            if other
            else "No pom.xml and no build.gradle is above the changed files.",
            stage="plan",
            reason="unsupported_build" if other else "no_build_file",
            remedy="Choose a repository that Maven or Gradle builds.",
        )
    used = {name: _uses(request.ci.commands, program) for name, program in _PROGRAMS.items()}
    ordered = sorted((name for name, files in covered.items() if files), key=lambda name: (covered[name], used[name]), reverse=True)
    notes = []
    if len(ordered) > 1:
        notes.append(f"both Maven and Gradle could build it; CI runs Maven {used['maven']} and Gradle {used['gradle']} times")
    refused: BuildError | None = None
    for name in ordered:
        if name in request.without:
            notes.append(f"{name} cannot be had")
            continue
        try:
            plan = _PLANS[name](request)
        except BuildError as error:
            refused = refused or error
            notes.append(f"{name} would not do: {error.message}")
            continue
        return plan.model_copy(update={"notes": (*notes, *plan.notes)})
    raise refused or BuildError(
        f"The project is built by {' or '.join(ordered)}, which cannot be had here.",
        stage="plan",
        reason="no_toolchain",
        remedy="Let it be downloaded, or take a base image that has it.",
    )


def _covered(request: PlanRequest, changed: Iterable[str], *names: str, without: Sequence[str] = ()) -> int:
    """How many changed files have such a build file above them, and none of `without` nearer to them."""
    places = ((request.fixed.nearest(path, *names), request.fixed.nearest(path, *without)) for path in changed)
    return sum(mine is not None and len(mine) >= len(other or "") for mine, other in places)


def _uses(commands: Iterable[str], program: str) -> int:
    return sum(re.search(rf"(?:^|[\s;&|/]){program}(?:\s|$)", command) is not None for command in commands)
