"""The modules of JavaScript and TypeScript: one toolchain, one way of reading repositories, two names."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

from podgym.envs.build.languages.contract import PathKinds, PlanRequest
from podgym.envs.build.languages.node.paths import NodeTestPaths, snapshot_of
from podgym.envs.build.languages.node.plan import plan_node
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["JAVASCRIPT", "TYPESCRIPT", "NodeModule"]

_SCRIPT: Final = re.compile(r"\.[cm]?[jt]sx?$")


@dataclass(frozen=True, slots=True)
class NodeModule:
    """See `LanguageModule`."""

    name: Language

    def test_paths(self, tree: Tree) -> PathKinds:
        """For the paths of base and fix together."""
        return NodeTestPaths(tree)

    def plan(self, request: PlanRequest) -> BuildPlan:
        """Raises `BuildError` (stage plan)."""
        return plan_node(request, self.name, NodeTestPaths(request.fixed))

    def owns(self, path: str, identity: str) -> bool:
        """By the file that an id begins with; an id without one may come from any file. A test that is compiled before it is run is
        reported under the name of what it was compiled to."""
        file = identity.partition("::")[0]
        path = snapshot_of(path) or path
        if not _SCRIPT.search(path):
            return True  # data that any test may read
        if not _SCRIPT.search(file) or " > " in file:
            return True
        if file == path or file.endswith(f"/{path}") or path.endswith(f"/{file}"):
            return True
        own, reported = (_SCRIPT.sub("", posixpath.basename(one)) for one in (path, file))
        compiled = path.endswith(("ts", "tsx")) and file.endswith(("js", "jsx"))
        return compiled and own == reported


JAVASCRIPT: Final = NodeModule("javascript")
TYPESCRIPT: Final = NodeModule("typescript")
