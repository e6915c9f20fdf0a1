"""Maven: facts of its POMs to a plan.

The modules that the fix touches are tested, and what they need of the repository is built with them (`-pl … -am`) in every run, so
that a change anywhere counts. Tests of the other modules are left out by Maven's settings, which know the tested ones by a mark. A module
whose tests fail would keep Maven from those that need it, so each level of tested modules is a build of its own.

Nothing can be resolved as of a date, because Maven has no such thing; versions are fixed but for ranges and snapshots.
"""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.java.jdk import JavaNeeds, choose_jdk, major, pinned_java
from podgym.envs.build.languages.java.levels import enforced_java, levels_of, toolchain_versions
from podgym.envs.build.languages.java.loose import loose
from podgym.envs.build.languages.java.mavenscript import MavenScript
from podgym.envs.build.languages.java.paths import source_set
from podgym.envs.build.languages.java.scope import Scope, find_scope
from podgym.envs.build.languages.java.shared import LIMITS, agent_environment
from podgym.envs.build.plan import BuildPlan

__all__ = ["plan_maven"]

_MAX_REACTOR: Final = 30
"""Modules whose dependencies are fetched ahead of the repository's own files, for the tasks of one repository to share."""


def plan_maven(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    scope = find_scope(request.base, request.fixed, changed_source=request.changed_source, changed_tests=request.changed_tests)
    jdk = choose_jdk(_needs(request, scope), request.catalogue, committed=request.committed, asked=request.toolchain)
    manifests = _manifests(request, scope)
    script = MavenScript(request, scope, jdk, manifests=bool(manifests))
    tests = script.command()
    changed = (script.command(scope.changed),) if scope.changed else ()
    root, name = scope.root.directory, scope.reactor.value(scope.root, scope.root.own.artifact)
    return BuildPlan(
        language="java",
        build_system="maven",
        toolchain=str(jdk.version),
        why_toolchain=jdk.why,
        framework="failsafe" if scope.integration else "surefire",
        name=name if re.fullmatch(r"[\w.-]{1,200}", name) else "",
        root=root,
        base=jdk.image.name,
        manifests=manifests,
        dependencies=script.dependencies(),
        install=script.install(),
        env=agent_environment(),
        tests=(tests,),
        changed=changed,
        limits=LIMITS,
        notes=tuple(dict.fromkeys((*scope.notes, *jdk.notes, *_drift(scope)))),
    )


def _needs(request: PlanRequest, scope: Scope) -> JavaNeeds:
    directories = dict.fromkeys([*(pom.directory for pom in scope.tested), scope.root.directory, ""])
    pinned = pinned_java(request.base, directories)
    levels = levels_of(scope.reactor, scope.built)
    if pinned is None:
        stated = [number for text in toolchain_versions(scope.reactor, scope.built) if (number := major(text.strip("[](),")))]
        pinned = (max(stated), "its toolchain") if stated else None
    ci = tuple(number for text in request.ci.versions.get("java", ()) if (number := major(text)) is not None)
    named = (re.search(r"(?:jdk|java|jre)-?(\d{1,2})$", source_set(path)) for path in request.changed_tests)
    return JavaNeeds(
        levels=levels,
        least=max([enforced_java(scope.reactor, scope.built), *(int(match[1]) for match in named if match)]),
        pinned=pinned[0] if pinned else None,
        pinned_by=pinned[1] if pinned else "",
        ci=ci,
    )


def _manifests(request: PlanRequest, scope: Scope) -> tuple[str, ...]:
    """POMs of the build and `.mvn`, as the base has them; none where its build is large."""
    if len(scope.members) > _MAX_REACTOR:
        return ()
    wanted = {pom.path for member in scope.members for pom in scope.reactor.line(member)}
    for directory in _above(scope.root.directory):
        wanted |= {path for path in request.base.paths if path.startswith(f"{directory}.mvn/")}
    return tuple(sorted(path for path in wanted if path in request.base))


def _above(directory: str) -> list[str]:
    """The directory and those above it, each with a slash; the repository's own is empty."""
    parts = directory.split("/") if directory else []
    return ["".join(f"{part}/" for part in parts[:count]) for count in range(len(parts), -1, -1)]


def _drift(scope: Scope) -> list[str]:
    found = sorted({f"{one.group}:{one.artifact}:{one.version}" for one in loose(scope)})
    return [f"not as of the commit's date, which Maven cannot do: {', '.join(found[:10])}"] if found else []
