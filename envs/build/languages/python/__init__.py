"""Python: pytest and unittest, whatever builds the project."""

from __future__ import annotations

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.python.detect import detect, runs_examples, test_file_patterns
from podgym.envs.build.languages.python.paths import PythonTestPaths
from podgym.envs.build.languages.python.plan import plan_python
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.verifiers.protection import Language

__all__ = ["PYTHON"]


class _Python:
    """See `LanguageModule`."""

    name: Language = "python"

    def test_paths(self, tree: Tree) -> PythonTestPaths:
        """See the class."""
        return PythonTestPaths(tree.paths, test_file_patterns(tree.paths, tree.read), examples=runs_examples(tree.paths, tree.read))

    def plan(self, request: PlanRequest) -> BuildPlan:
        """As the files of the fixed state say."""
        tree = request.fixed
        facts = detect(tree.paths, tree.read, changed_source=request.changed_source, changed_tests=request.changed_tests, ci=request.ci)
        return plan_python(
            facts,
            committed=request.committed,
            catalogue=request.catalogue,
            python=request.toolchain,
            suite_timeout_s=request.suite_timeout_s,
            step_timeout_s=request.step_timeout_s,
            exports=request.exports,
            packages=request.ci.packages,
        )

    def owns(self, path: str, identity: str) -> bool:
        """Ids begin with the file, relative to where the tests run."""
        file = identity.partition("::")[0]
        return path == file or path.endswith(f"/{file}") or file.endswith(f"../{path}")


PYTHON = _Python()
