"""The plan of a JavaScript or TypeScript project: which packages, how they are installed and built, and how their tests run.

Tests run in the directory of their package by the words of its own script; ids name files relative to the repository. A
package without a runner of its own is tested from the root of its workspace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PathKinds, PlanRequest
from podgym.envs.build.languages.node.builds import Build, build_script, package_build, sibling_builds, uses_build
from podgym.envs.build.languages.node.commands import Commands, program, test_files
from podgym.envs.build.languages.node.covering import is_compiled
from podgym.envs.build.languages.node.dependencies import (
    added_packages,
    manifest_files,
    missing_loader,
    missing_runner,
    spare_packages,
)
from podgym.envs.build.languages.node.harness import kept_files, stand_ins
from podgym.envs.build.languages.node.install import Installation, Steps, put_back
from podgym.envs.build.languages.node.layout import Layout, Workspace
from podgym.envs.build.languages.node.manager import Manager, choose_manager
from podgym.envs.build.languages.node.manifest import Manifest, join
from podgym.envs.build.languages.node.native import debian_packages
from podgym.envs.build.languages.node.nodes import choose_node
from podgym.envs.build.languages.node.paths import snapshot_of
from podgym.envs.build.languages.node.scripts import Scripts
from podgym.envs.build.languages.node.suite import Suite, find_suite, whole_script
from podgym.envs.build.languages.node.variables import ci_variables, environment
from podgym.envs.build.plan import BuildPlan
from podgym.sandbox import Limits
from podgym.verifiers.protection import Language

__all__ = ["plan_node"]

LIMITS: Final = Limits(cpus=2, memory_bytes=4 << 30, processes=1024, disk_bytes=8 << 30)
_MAX_PACKAGES: Final = 5
_HOOKS: Final = re.compile(
    r"\b(husky|lefthook|simple-git-hooks|is-ci|lerna bootstrap|playwright install|puppeteer|electron-builder|git config|only-allow|"
    r"pre-commit)\b"
)


def plan_node(request: PlanRequest, language: Language, paths: PathKinds) -> BuildPlan:
    """See `LanguageModule.plan`."""
    return _Planner(request, language, paths).plan()


class _Planner:
    def __init__(self, request: PlanRequest, language: Language, paths: PathKinds) -> None:
        self._request, self._language, self._paths = request, language, paths
        self._notes: list[str] = []
        self._layout = Layout(request.base)
        self._fixed = Layout(request.fixed)
        names = {path.rpartition("/")[2] for path in request.base.paths}
        if "package.json" not in names:
            if names & {"deno.json", "deno.jsonc", "deno.lock"}:
                raise BuildError(
                    "The project is one of Deno alone, without a package.json, and what it imports is on no registry that is asked.",
                    stage="plan",
                    reason="unsupported_build",
                    remedy="Choose a project with a package.json.",
                )
            raise BuildError(
                "The repository has no package.json, so nothing says how it is installed and tested.",
                stage="plan",
                reason="no_build_file",
                remedy="Choose another repository.",
            )

    def plan(self) -> BuildPlan:
        request = self._request
        suites = self._suites()
        packages = [suite.package for suite in suites]
        workspaces = {one.directory: one for one in (self._layout.workspace_of(package.directory) for package in packages)}
        if (top := self._layout.manifest("")) is not None and "" not in workspaces and top.dependencies():
            workspaces[""] = self._layout.workspace_of("")  # tools that packages without a workspace take from above
        first = next(iter(workspaces.values()))
        node = choose_node(
            request.base, first, packages, catalogue=request.catalogue, ci=request.ci.versions.get("node", ()),
            committed=request.committed, asked=request.toolchain, notes=self._notes,
        )  # fmt: skip
        if node is None:
            raise BuildError(
                "No image has Node.", stage="plan", reason="no_toolchain", remedy="Add an image of tool `node` to the catalogue."
            )
        managers = {
            directory: choose_manager(
                request.base, one, node=node.major, committed=request.committed, commands=request.ci.commands,
                versions=request.ci.versions.get("pnpm", ()), notes=self._notes,
            )
            for directory, one in workspaces.items()
        }  # fmt: skip
        dependencies = {
            name: wanted for one in workspaces.values() for package in one.packages for name, wanted in package.dependencies().items()
        }
        env = environment(request.base, request.ci, dependencies, node=node.major, managers=managers)
        builds = [self._builds(suite, managers) for suite in suites]
        variables = {**ci_variables(request.ci), **_without(env, "PATH")}
        programs = [run.command for suite in suites for run in suite.runs if run.framework == "exit"]
        if kept := kept_files(programs, request.base, request.fixed):
            self._notes.append(f"kept as the base has them, because an exit status is theirs: {', '.join(kept)}")
        commands = Commands(
            request, node=node.major, env=variables, versions=dependencies, first=put_back(kept, stand_ins(kept, request.fixed))
        )
        tests, changed = commands.all(suites, builds)
        installations = [self._installation(one, managers[directory], suites, node.major) for directory, one in workspaces.items()]
        needed = [(run.command.directory, name) for suite in suites for run in suite.runs if (name := program(run))]
        steps = Steps(request, _without(env, "PATH"))
        self._note_ignored()
        if node.installed:
            self._notes.append(f"Node {node.major} comes from npm's registry: there is no image of it")
        frameworks = dict.fromkeys("node" if run.framework == "exit" else run.framework for suite in suites for run in suite.runs)
        karma = any(run.framework == "karma" for suite in suites for run in suite.runs)
        return BuildPlan(
            language=self._language,
            build_system=managers[first.directory].name,
            toolchain=str(node.major),
            why_toolchain=node.why,
            framework=", ".join(frameworks),
            name=packages[0].name,
            root=packages[0].directory,
            base=node.image.name,
            mirror=request.catalogue.mirror,
            packages=(*debian_packages(dependencies, request.ci.packages), *(("chromium",) if karma else ())),
            manifests=tuple(dict.fromkeys(path for one in workspaces.values() for path in manifest_files(request.base, one))),
            dependencies=steps.dependencies(installations, node),
            install=steps.install(
                installations, lifecycle=self._lifecycle(workspaces, packages, managers), builds=[one for group in builds for one in group],
                needed=needed, kept=kept,
            ),
            env=env,
            tests=tests,
            changed=changed,
            limits=LIMITS,
            notes=tuple(dict.fromkeys([*self._notes, *self._layout.notes])),
        )  # fmt: skip

    def _suites(self) -> list[Suite]:
        """Of the packages of the changed tests, those of most tests first."""
        changed = [snapshot_of(path) or path for path in self._request.changed_tests] or self._request.changed_source
        groups: dict[str, list[str]] = {}
        for path in changed:
            package = self._layout.package_of(path) or self._fixed.package_of(path)
            if package is not None:
                groups.setdefault(package.directory, []).append(path)
        found: dict[str, Suite] = {}
        browsers: list[str] = []
        for directory, own in sorted(groups.items(), key=lambda item: -len(item[1])):
            suite = self._suite(directory, own, browsers)
            if suite is not None:
                known = found.get(suite.package.directory, suite)
                scope = (*known.scope, directory) if directory != suite.package.directory else known.scope
                found[suite.package.directory] = replace(known, scope=scope)
        if not found and "" not in groups and (suite := self._suite("", list(changed), browsers)) is not None:
            found[""] = suite
        if not found and not browsers:
            found = self._programs(groups)
        if not found:
            named = " and ".join(dict.fromkeys(browsers))
            raise BuildError(
                f"The package's tests are run by {named} alone, which needs a browser or a display."
                if browsers
                else "No script and no dependency of the package says how its tests are run.",
                stage="plan",
                reason="unsupported_build",
                remedy="Write the test command into the plan.",
            )
        if len(found) > _MAX_PACKAGES:
            self._notes.append(f"tests of {len(found)} packages change; those of {_MAX_PACKAGES} are run")
        return list(found.values())[:_MAX_PACKAGES]

    def _programs(self, directories: Iterable[str]) -> dict[str, Suite]:
        """For packages whose scripts start no runner that is known: their own `test` scripts, or the one of the root."""
        manifests = _Manifests(self._layout)
        for group in (sorted(directories), [""]):
            packages = [package for directory in group if (package := self._layout.manifest(directory)) is not None]
            tree, source = self._request.base, self._request.changed_source
            suites = [whole_script(package, tree=tree, manifests=manifests, changed_source=source) for package in packages]
            if found := {suite.package.directory: suite for suite in suites if suite is not None}:
                self._notes.append("no test runner is known here: the test script's programs are each one test, by their exit status")
                return found
        return {}

    def _suite(self, directory: str, changed: Sequence[str], browsers: list[str]) -> Suite | None:
        """Of the package in a directory, or of the nearest one above that has one."""
        while True:
            for layout in (self._layout, self._fixed):
                package = layout.manifest(directory)
                if package is None:
                    continue
                root = layout.workspace_of(directory).root
                suite = find_suite(
                    package, root, changed, tree=layout.tree, tests=self._request.fixed, manifests=_Manifests(layout), notes=self._notes
                )
                browsers += suite.browsers
                if suite.runs:
                    return suite
            if not directory:
                return None
            directory = directory.rpartition("/")[0]

    def _builds(self, suite: Suite, managers: Mapping[str, Manager]) -> list[tuple[Build, ...]]:
        """For each run of a suite, what is built before it."""
        package, tree = suite.package, self._request.base
        workspace = self._layout.workspace_of(package.directory)
        manager = managers.get(workspace.directory, Manager("npm"))
        manifests = _Manifests(self._layout)
        siblings = sibling_builds(workspace, package, tree, manager, manifests)
        tests = [join(package.directory, path) for path in tree.below(package.directory)]
        tests = [*test_files(self._request), *(path for path in tests if self._paths.is_test(path))]
        script = build_script(package, tree, manifests)
        used = bool(script) and uses_build(package, workspace.root, tests, self._request.fixed)
        parts = {one.shell for one in Scripts(tree, manifests).expand(package, script)} if script else set()
        found = []
        for place, run in enumerate(suite.runs):
            before = list(suite.before.get(place, ()))
            if script and (used or is_compiled(run, tree)) and not any(one.line in parts for one in before):
                before.append(package_build(package, script, tree, manager))
            found.append(tuple(dict.fromkeys([*siblings, *before])))
        return found

    def _installation(self, workspace: Workspace, manager: Manager, suites: Sequence[Suite], node: int) -> Installation:
        added: dict[str, list[str]] = {}
        typescript = any(path.endswith(("ts", "tsx")) for path in test_files(self._request))
        directories = {workspace.directory, *(suite.package.directory for suite in suites)} & {one.directory for one in workspace.packages}
        for directory in sorted(directories):
            if names := added_packages(self._layout, self._fixed, directory):
                added[directory] = names
        for suite in suites:
            if suite.package.directory in directories:
                for run in suite.runs:
                    for missing in (missing_runner(run, workspace, suite.package), missing_loader(run, node, typescript=typescript)):
                        if missing:
                            added.setdefault(suite.package.directory, []).append(missing)
        return Installation(
            workspace.directory,
            manager,
            tuple(workspace.members),
            spare=spare_packages(workspace, " ".join(run.command.shell for suite in suites for run in suite.runs)),
            separate=workspace.kind == "lerna",
            added=tuple((directory, tuple(dict.fromkeys(names))) for directory, names in added.items()),
        )

    def _lifecycle(self, workspaces: Mapping[str, Workspace], packages: Sequence[Manifest], managers: Mapping[str, Manager]) -> list[Build]:
        """Scripts that an installation runs, but for those of git hooks and downloads."""
        found: list[Build] = []
        for directory, one in workspaces.items():
            own = [one.root, *(package for package in packages if package.directory in one.members)]
            for package in {member.directory: member for member in own}.values():
                for name in ("postinstall", "prepare"):
                    commands = (
                        Scripts(self._request.base, _Manifests(self._layout)).expand(package, name) if name in package.scripts else []
                    )
                    if any(not _HOOKS.search(command.shell) for command in commands):
                        found.append(Build(package.directory, managers[directory].run(name)))
        return found

    def _note_ignored(self) -> None:
        rules = (self._request.base.read(".gitignore") or "") + (self._request.base.read(".git/info/exclude") or "")
        if "node_modules" not in rules:
            self._notes.append("git does not ignore node_modules")


class _Manifests(dict[str, Manifest]):
    """The packages of a layout by directory, read when asked for."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout

    def get(self, key: str, default: object = None) -> Manifest:
        """The package, or an empty one."""
        return self._layout.manifest(key) or Manifest(key)


def _without(env: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in env.items() if key != name}
