"""Java, and what else runs on its machine in the same projects: Maven and Gradle, with JUnit, TestNG and Spock."""

from __future__ import annotations

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.java.choice import plan_java
from podgym.envs.build.languages.java.paths import JavaTestPaths, owns
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["JAVA"]


class _Java:
    """See `LanguageModule`."""

    name: Language = "java"

    def test_paths(self, tree: Tree) -> JavaTestPaths:
        return JavaTestPaths(tree)

    def plan(self, request: PlanRequest) -> BuildPlan:
        return plan_java(request)

    def owns(self, path: str, identity: str) -> bool:
        return owns(path, identity)


JAVA = _Java()
