"""The test commands of a plan: where each runs, what it builds first, how it reports."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.node.builds import Build
from podgym.envs.build.languages.node.covering import covers, is_compiled
from podgym.envs.build.languages.node.install import build_call
from podgym.envs.build.languages.node.manifest import Manifest, join
from podgym.envs.build.languages.node.mocha import missed_files
from podgym.envs.build.languages.node.paths import snapshot_of
from podgym.envs.build.languages.node.runners import Run
from podgym.envs.build.languages.node.shell import word
from podgym.envs.build.languages.node.suite import Suite
from podgym.envs.build.languages.node.suites import Started, start
from podgym.verifiers import ReportSource, TestCommand
from podgym.verifiers.reports import ReportFormat

__all__ = ["Commands", "program", "test_files"]

_SCRIPT = re.compile(r"\.[cm]?[jt]sx?$")


def test_files(request: PlanRequest) -> tuple[str, ...]:
    """The changed test files that a runner can be given; for a snapshot the one that it belongs to."""
    found = [snapshot_of(path) or path for path in request.changed_tests]
    return tuple(dict.fromkeys(path for path in found if _SCRIPT.search(path) and path in request.fixed))


def program(run: Run) -> str:
    """What has to be on the PATH; empty where node itself runs it."""
    name = run.head[0].text
    return "" if "/" in name or name in ("node", "nodejs", "bun", "deno") or run.framework == "karma" else name


@dataclass(frozen=True, slots=True)
class _Part:
    """One start of a runner within a command."""

    started: Started
    package: Manifest
    directory: str
    builds: tuple[Build, ...]
    targets: tuple[str, ...] = ()


class Commands:
    """Of one plan; `versions` are the ranges of all dependencies, `first` is what programs want done first."""

    def __init__(self, request: PlanRequest, *, node: int, env: Mapping[str, str], versions: Mapping[str, str], first: str = "") -> None:
        self._request, self._node, self._env, self._versions, self._first = request, node, env, versions, first
        self._typescript = any(path.endswith(("ts", "tsx")) for path in test_files(request))

    def all(
        self, suites: Sequence[Suite], builds: Sequence[Sequence[tuple[Build, ...]]]
    ) -> tuple[tuple[TestCommand, ...], tuple[TestCommand, ...]]:
        """Whole suites, and the changed files alone; none of the latter where a part cannot be run alone."""
        whole: list[_Part] = []
        changed: list[_Part] = []
        data = len(test_files(self._request)) < len(self._request.changed_tests) and not any(map(snapshot_of, self._request.changed_tests))
        partial = not data
        for suite, groups in zip(suites, builds, strict=True):
            ranges = {**self._versions, **suite.package.dependencies()}
            if coarse := [run for run in suite.runs if run.framework == "exit"]:
                whole.append(_Part(_coarse(coarse, self._first), suite.package, "", groups[0]))
                partial = False
            for run, group in zip(suite.runs, groups, strict=True):
                if run.framework == "exit":
                    continue
                started = start(self._scoped(run, suite), node=self._node, versions=ranges, targeted=False, typescript=self._typescript)
                whole.append(_Part(started, suite.package, run.command.directory, group))
                only = self._own_files(run, suite)
                if not only and len(suite.runs) == 1:  # the runner may take what its words do not name
                    only = self._of_package(suite)
                if not only and len(suite.runs) > 1:
                    continue
                if not started.files or not only or is_compiled(run, self._request.base):
                    partial = False
                    continue
                started = start(run, node=self._node, versions=ranges, targeted=True, typescript=self._typescript)
                changed.append(_Part(started, suite.package, run.command.directory, group, only))
        return (self._command(whole),), (self._command(changed),) if partial and changed else ()

    def _own_files(self, run: Run, suite: Suite) -> tuple[str, ...]:
        return tuple(path for path in self._of_package(suite) if covers(run, path, self._request.fixed))

    def _of_package(self, suite: Suite) -> tuple[str, ...]:
        prefix = f"{suite.package.directory}/" if suite.package.directory else ""
        return tuple(path for path in test_files(self._request) if path.startswith(prefix))

    def _scoped(self, run: Run, suite: Suite) -> Run:
        """A runner of the root, for the packages that it stands in for; a Mocha with files, where it would not find the changed ones."""
        if run.framework == "mocha":
            return replace(run, files=missed_files(run, suite.package, self._of_package(suite), self._request.base) or run.files)
        if run.framework not in ("jest", "vitest") or run.files or run.choosing or not suite.scope:
            return run
        prefix = f"{suite.package.directory}/" if suite.package.directory else ""
        return replace(run, files=tuple(word(f"{one.removeprefix(prefix)}/") for one in suite.scope))

    def _command(self, parts: Sequence[_Part]) -> TestCommand:
        """Runs in the top directory, so that ids are relative to that. Of several parts, each that leaves a report counts."""
        if len(parts) == 1:
            (part,) = parts
            lines = ["top=$PWD", *([] if part.started.printed else ["report={report}"]), *_lines(part, "{targets}")]
            form: ReportFormat = part.started.format
        else:
            form = "mixed"
            lines = ["top=$PWD", "reports={report}", "bad=1; none=1"]
            for number, part in enumerate(parts):
                folder = f'"$reports"/{part.started.format}'
                inner = "\n".join(_lines(part, shlex.join(part.targets)))
                output = '>"$report"' if part.started.printed else ">&2"
                lines += [
                    f'mkdir -p {folder} && report="$reports"/{part.started.format}/{number} && status=0',
                    f"(\n{inner}\n) {output} || status=$?",
                    'if [ -s "$report" ]; then [ -z "$none" ] || bad=0; none=; [ "$status" = 0 ] || bad=1; fi',
                ]
            lines.append("exit $bad")
        return TestCommand(
            framework="program",
            script="\n".join(lines) + "\n",
            report=ReportSource(format=form),
            targets=parts[0].targets if len(parts) == 1 else (),
            env={**self._env, "CI": "true", **_package_variables(parts[0].package)},
            timeout_s=self._request.suite_timeout_s,
        )


def _lines(part: _Part, targets: str) -> list[str]:
    """Shell that ends in the start of the runner; `$top` is set, and `$report` where it wants one."""
    bins = "".join(f'"$top/{place}":' for place in dict.fromkeys([join(part.directory, "node_modules/.bin"), "node_modules/.bin"]))
    lines = [f'export PATH={_plain(bins)}"$PATH"']
    if not part.started.printed:
        lines.append('export PODGYM_REPORT="$report"')
    if call := build_call(part.builds, '"$top"').rstrip():
        lines.append(call)
    if part.targets:
        lines += ["set --", f'for one in {targets}; do set -- "$@" "$top/$one"; done']
    if part.directory:
        lines.append(f"cd {shlex.quote(part.directory)} || exit 96")
    return [*lines, part.started.line]


def _coarse(runs: Sequence[Run], first: str) -> Started:
    """Each program by itself, with its exit status as its result."""
    lines = [*([first] if first else []), "bad=0"]
    for run in runs:
        sets = "".join(f"export {name}={value.raw}; " for name, value in run.command.env)
        words = " ".join(one.raw for one in (*run.head, *run.flags, *run.files))
        file = next((one.text for one in run.command.words[1:] if _SCRIPT.search(one.text)), run.command.words[-1].text)
        name = re.sub(r"[^ -~]", "?", join(run.command.directory, file.removeprefix("./")))
        home = shlex.quote(f"./{run.command.directory}")
        lines.append(f'status=0; ( cd "$top"/{home} && {sets}exec {words} ) >&2 || status=$?')
        lines.append(f'printf "%s\\t%s\\n" {shlex.quote(name)} "$status" >>"$report"')
        lines.append('[ "$status" = 0 ] || [ "$status" = 77 ] || bad=1')
    return Started("\n".join([*lines, "exit $bad"]), "exit-code")


def _plain(text: str) -> str:
    """Without what a shell would read in double quotes, which no directory of a package is named after."""
    return re.sub(r"[`\\]|\$(?!top)", "?", text)


def _package_variables(package: Manifest) -> dict[str, str]:
    """Those of npm's that tests read."""
    found = {"npm_lifecycle_event": "test"}
    for name, value in (("name", package.name), ("version", package.version)):
        if value and len(value) < 300 and value.isprintable():
            found[f"npm_package_{name}"] = value
    return found
