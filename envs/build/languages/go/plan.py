"""A Go project's plan: the modules that the changed tests are in, compiled and tested in their own directories.

go.mod and go.sum name every module by version and content, so that no date is needed; repositories from before modules are given a
go.mod, or are compiled as they were, where they hold their dependencies.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.debian import lacking
from podgym.envs.build.languages.go.arguments import build_tags
from podgym.envs.build.languages.go.generate import generators, unmade
from podgym.envs.build.languages.go.gomod import GoMod, Modules, differing
from podgym.envs.build.languages.go.legacy import import_path, pinned_modules
from podgym.envs.build.languages.go.script import (
    ENVIRONMENT,
    PATH,
    Unit,
    compile_script,
    download_script,
    extra_script,
    init_script,
    prelude,
    run_script,
)
from podgym.envs.build.languages.go.source import debian_packages, tests_of, uses_cgo
from podgym.envs.build.languages.go.toolchain import choose_go, needed, pinned_go
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree
from podgym.sandbox import Limits, Step
from podgym.verifiers import ReportSource, TestCommand

__all__ = ["plan_go"]

_LIMITS: Final = Limits(cpus=2, memory_bytes=4 << 30, processes=1024, disk_bytes=10 << 30)
_MAX_PACKAGES: Final = 60
"""A module with more packages of tests is tested where the fix touches it."""
_WHOLE: Final = 1.1
"""Of the suite's time, what go gives each package: none that is slow hides that the suite is, and that the changed tests must do."""
_PART: Final = 0.6
"""The same, where the changed tests run alone: one that hangs leaves a report."""
_MAX_GOMOD: Final = 40_000
_MAX_SOURCES: Final = 3000


def plan_go(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    return _Plan(request).make()


class _Plan:
    def __init__(self, request: PlanRequest) -> None:
        self.request = request
        self.base, self.fixed = Modules(request.base), Modules(request.fixed)
        self.notes: list[str] = []

    def make(self) -> BuildPlan:
        request = self.request
        if not any(path.endswith(".go") for path in request.base.paths):
            raise BuildError("The repository has no Go file.", stage="plan", reason="no_build_file", remedy="Choose another commit.")
        tests = [path for path in request.changed_tests if path.endswith("_test.go")] or list(request.changed_tests)
        by_module: dict[str | None, list[str]] = {}
        for path in tests or request.changed_source:
            by_module.setdefault(self.base.of(path), []).append(path)
        if None in by_module and self.base.directories and len(by_module) > 1:
            self.notes.append(f"left out tests outside of any module: {', '.join(by_module.pop(None)[:5])}")
        files = [self.files(directory) for directory in by_module if directory is not None]
        choice = choose_go(
            (one for pair in files for one in pair),
            request.ci.versions.get("go", ()),
            committed=request.committed,
            asked=request.toolchain,
            stated=pinned_go(request.base, [directory or "" for directory in by_module]),
            catalogue=request.catalogue,
        )
        cut = (request.committed.astimezone(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
        start = prelude(request.exports, cut=cut, need=needed(one for pair in files for one in pair))
        units = [
            replace(self.unit(directory, paths, str(number)), older=choice.older)
            for number, (directory, paths) in enumerate(by_module.items())
        ]
        install: list[str] = []
        for unit, directory in zip(units, by_module, strict=True):
            if directory is None and not unit.link:
                path, where = import_path(request.base, request.ci.commands)
                self.notes.append(f"no go.mod: made one for {path}, by {where}")
                install.append(init_script(unit, path, pinned_modules(request.base)))
            install.append(compile_script(unit))
            if directory is not None:
                install += self.extra(unit, directory)
        fetched = [unit.directory for unit, directory in zip(units, by_module, strict=True) if directory is not None and not unit.vendor]
        packages, cgo = self.native(by_module)
        env = {**ENVIRONMENT, "GOPROXY": "off", "GOSUMDB": "off", "GOMAXPROCS": "2", "PATH": PATH, "HOME": "/root"}
        if cgo:
            self.notes.append("has C in it: compiled by the image's gcc")

        def command(unit: Unit, chosen: Sequence[str], share: float, only: Sequence[str] = ()) -> TestCommand:
            return TestCommand(
                framework="program",
                script=run_script(unit, chosen, timeout_s=share * request.suite_timeout_s, only=only),
                report=ReportSource(format="go-json", max_bytes=64 << 20),
                env={**env, **unit.env},
                timeout_s=request.suite_timeout_s,
            )

        changed = [(unit, self.packages_of(paths, unit.directory), paths) for unit, paths in zip(units, by_module.values(), strict=True)]
        first = next(iter(by_module))
        return BuildPlan(
            language="go",
            build_system="go",
            toolchain=choice.image.version,
            why_toolchain=choice.why,
            framework="go test",
            name=self.base.read(first).module if first is not None else "",
            root=units[0].directory,
            base=choice.image.name,
            mirror=request.catalogue.mirror,
            packages=tuple(dict.fromkeys((*lacking(request.ci.packages, headers=False), *packages))),
            manifests=self.manifests() if fetched else (),
            dependencies=(Step(run=start + download_script(fetched), timeout_s=request.step_timeout_s),) if fetched else (),
            install=tuple(Step(run=start + text, timeout_s=request.step_timeout_s) for text in install),
            env={**env, **(units[0].env if len(units) == 1 else {})},
            tests=tuple(command(unit, unit.packages, _WHOLE) for unit in units),
            changed=tuple(command(unit, chosen, _PART, self.names_of(paths)) for unit, chosen, paths in changed if chosen),
            limits=_LIMITS,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def files(self, directory: str) -> list[GoMod]:
        """What decides about the version: go.mod and go.work, before and after the fix."""
        found = []
        for modules in (self.base, self.fixed):
            found.append(modules.read(directory))
            if modules.in_workspace(directory) and (workspace := modules.workspace(directory)) is not None:
                found.append(workspace[1])
        return found

    def unit(self, directory: str | None, paths: Iterable[str], name: str) -> Unit:
        """One run of `go test`."""
        request, top = self.request, directory or ""
        tags = build_tags(request.fixed, top, request.ci.commands, request.ci.env.get("GOFLAGS", ""), request.changed_tests)
        inside = [path for path in (*paths, *request.changed_source) if self.base.of(path) == directory]
        touched = self.packages_of((path for path in inside if path.endswith(".go")), top)
        sources = [one for one in touched if self.has_source(posixpath.normpath(posixpath.join(top or ".", one)))]
        prefix = f"{top}/" if top else ""
        vendored = any(path.startswith("vendor/") and path.endswith(".go") for path in request.base.below(top))
        every = self.base.packages(top) if directory is not None else []
        packages: tuple[str, ...] = ("./...",)
        if len(every) > _MAX_PACKAGES and touched:
            packages = touched
            self.notes.append(f"the module has {len(every)} packages with tests; those that the fix touches are run")
        link = ""
        if directory is None and vendored:
            link, where = import_path(request.base, request.ci.commands)
            self.notes.append(f"no go.mod, and dependencies in vendor/: compiled without modules as {link}, by {where}")
        return Unit(
            directory=top,
            packages=packages,
            touched=tuple(sources),
            name=name,
            tags=tags,
            tracked=tuple(file for file in ("go.mod", "go.sum") if f"{prefix}{file}" in request.base),
            vendor=vendored and f"{prefix}vendor/modules.txt" in request.base,
            link=link,
            generators=tuple(dict.fromkeys((*generators(request.ci), *unmade(request.base, top)))),
            alone=directory is not None and self.base.workspace(directory) is not None and not self.base.in_workspace(directory),
        )

    def packages_of(self, paths: Iterable[str], top: str) -> tuple[str, ...]:
        """Patterns of the packages that files are in, relative to `top`."""
        found: dict[str, None] = {}
        prefix = f"{top}/" if top else ""
        for path in paths:
            if path.startswith(prefix) and path.endswith(".go") and "testdata" not in path.split("/"):
                directory = posixpath.dirname(path.removeprefix(prefix))
                found[f"./{directory}" if directory else "."] = None
        return tuple(found)

    def names_of(self, paths: Iterable[str]) -> list[str]:
        """Test functions of files; none where one of the files does not tell its own."""
        found = [tests_of(self.request.fixed.read(path) or "") for path in paths if path.endswith("_test.go")]
        return list(dict.fromkeys(name for names in found for name in names)) if all(found) else []

    def has_source(self, directory: str) -> bool:
        """Whether a package of the base has more than tests."""
        below = self.request.base.below("" if directory == "." else directory)
        return any("/" not in name and name.endswith(".go") and not name.endswith("_test.go") for name in below)

    def extra(self, unit: Unit, directory: str) -> list[str]:
        """Steps that fetch what only the fix requires."""
        if not differing(self.base.read(directory), self.fixed.read(directory)) or unit.vendor:
            return []
        text = self.request.fixed.read(f"{directory}/go.mod" if directory else "go.mod") or ""
        if len(text) > _MAX_GOMOD:
            self.notes.append("the fix's go.mod is too long; modules that it adds are not fetched")
            return []
        return [extra_script(unit, text)]

    def manifests(self) -> tuple[str, ...]:
        """go.mod files, their sums and workspaces, of all modules, because they replace and use each other."""
        names = ("go.mod", "go.sum", "go.work", "go.work.sum")
        kept = {*self.base.directories}
        return tuple(
            path
            for path in self.request.base.paths
            if posixpath.basename(path) in names and (posixpath.dirname(path) in kept or posixpath.basename(path).startswith("go.work"))
        )

    def native(self, by_module: dict[str | None, list[str]]) -> tuple[list[str], bool]:
        """Debian packages that the C parts ask for."""
        texts = []
        for directory in by_module:
            below = [path for path in self.request.base.below(directory or "") if path.endswith(".go") and not _apart(path)]
            texts += [_head(self.request.base, f"{directory}/{path}" if directory else path) for path in below[:_MAX_SOURCES]]
        with_c = [text for text in texts if uses_cgo(text)]
        packages, unknown = debian_packages(with_c)
        if unknown:
            self.notes.append(f"no Debian package is known for {', '.join(unknown[:10])}")
        return packages, bool(with_c)


def _apart(path: str) -> bool:
    return bool({"vendor", "testdata", "node_modules"} & set(path.split("/"))) or re.search(r"(^|/)[_.]", path) is not None


def _head(tree: Tree, path: str) -> str:
    return (tree.read(path) or "")[:50_000]
