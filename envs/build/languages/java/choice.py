"""Which build system a fix is built with where a repository has several: the one that its CI runs, else Maven."""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def plan_java(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    changed = [path for path in (*request.changed_tests, *request.changed_source) if "/" in path or path.endswith(".java")]
    maven = _covered(request, changed, "pom.xml")
    gradle = _covered(request, changed, *_GRADLE)
    if not maven and not gradle:
        other = next((name for file, name in _OTHERS.items() if request.fixed.named(file)), "")
        raise BuildError(
            f"The changed files are built by {other}, which is not known here."
            if other
            else "No pom.xml and no build.gradle is above the changed files.",
            stage="plan",
            reason="unsupported_build" if other else "no_build_file",
            remedy="Choose a repository that Maven or Gradle builds.",
        )
    if maven and gradle:
        with_maven, with_gradle = _uses(request.ci.commands, r"mvnw?"), _uses(request.ci.commands, r"gradlew?")
        note = f"both Maven and Gradle could build it; CI runs Maven {with_maven} and Gradle {with_gradle} times"
        plan = plan_maven(request) if maven > gradle or (maven == gradle and with_maven >= with_gradle) else plan_gradle(request)
        return plan.model_copy(update={"notes": (note, *plan.notes)})
    return plan_maven(request) if maven else plan_gradle(request)


def _covered(request: PlanRequest, changed: Iterable[str], *names: str) -> int:
    """How many changed files have such a build file above them."""
    return sum(request.fixed.nearest(path, *names) is not None for path in changed)


def _uses(commands: Iterable[str], program: str) -> int:
    return sum(re.search(rf"(?:^|[\s;&|/]){program}(?:\s|$)", command) is not None for command in commands)
