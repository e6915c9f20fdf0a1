"""Gradle: facts of its scripts to a plan.

The test tasks of the projects that the fix touches are run; Gradle itself builds what they need, and knows by content what changed.
Gradle comes from the image where it has the wanted version, else as the wrapper brings it, else from the wrapper's address.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.java.gradleadded import added_to_gradle
from podgym.envs.build.languages.java.gradlebuild import BUILD_FILES, SETTINGS, GradleBuild, find_build, runs_on
from podgym.envs.build.languages.java.gradletools import GRADLE_FLAGS, get_gradle, gradle_properties, gradle_wrapper, init_script
from podgym.envs.build.languages.java.jdk import JavaNeeds, Jdk, choose_jdk, major, pinned_java
from podgym.envs.build.languages.java.paths import SOURCES, JavaTestPaths, class_of, source_set
from podgym.envs.build.languages.java.settings import BIN, trusted
from podgym.envs.build.languages.java.shared import LIMITS, REPORT_BYTES, agent_environment
from podgym.envs.build.languages.java.tools import file_of, link_jdk, prelude, trust_store
from podgym.envs.build.plan import TOOLS, BuildPlan
from podgym.sandbox import Step
from podgym.verifiers import ReportSource, TestCommand

__all__ = ["plan_gradle"]

_MAX_PROJECTS: Final = 8
_MAX_READ: Final = 3000


def plan_gradle(request: PlanRequest) -> BuildPlan:
    """Raises `BuildError` (stage plan)."""
    tree = request.fixed
    build = find_build(tree, (*request.changed_tests, *request.changed_source))
    if build is None:
        raise BuildError(
            "No build.gradle is above the changed files.", stage="plan", reason="no_build_file", remedy="Choose another build system."
        )
    tests, notes = _tasks(build, request)
    directories = [directory for directory, _ in tests]
    if build.android(directories):
        raise BuildError(
            "The project is built with the Android SDK, which no base image has.",
            stage="plan",
            reason="unsupported_build",
            remedy="Choose a repository that a JDK alone builds.",
        )
    gradle, url = build.wrapper
    jdk = choose_jdk(_needs(request, build, directories), request.catalogue, committed=request.committed, asked=request.toolchain)
    commands = _Commands(request, build, tests, jdk)
    changed = commands.changed()
    if not url:
        notes.append("no Gradle wrapper: taking the Gradle of the image")
    return BuildPlan(
        language="java",
        build_system="gradle",
        toolchain=str(jdk.version),
        why_toolchain=jdk.why,
        framework="gradle test",
        root=build.root,
        base=jdk.image.name,
        manifests=_wrapper_files(request, build),
        dependencies=commands.tools(gradle, url),
        install=commands.install(),
        env=agent_environment(),
        tests=(commands.command(),),
        changed=(commands.command(changed),) if changed else (),
        limits=LIMITS,
        notes=(*notes, *jdk.notes),
    )


def _needs(request: PlanRequest, build: GradleBuild, directories: Sequence[str]) -> JavaNeeds:
    oldest, newest = runs_on(build.wrapper[0])
    toolchains = [number for number in build.toolchains(directories) if number <= newest]
    pinned = (max(toolchains), "its toolchain") if toolchains else pinned_java(request.base, dict.fromkeys((build.root, "")))
    # Which of several levels holds where is up to the script, and a script asks for an old one only where it can.
    return JavaNeeds(
        levels=build.levels(directories)[-1:],
        least=oldest,
        most=newest,
        pinned=pinned[0] if pinned else None,
        pinned_by=pinned[1] if pinned else "",
        ci=tuple(number for text in request.ci.versions.get("java", ()) if (number := major(text)) is not None),
    )


def _tasks(build: GradleBuild, request: PlanRequest) -> tuple[list[tuple[str, str]], list[str]]:
    """Directory and name of each test task to run: those of the changed tests, then `test` of the projects of the changed source."""
    found: dict[tuple[str, str], None] = {}
    notes = []
    for path in request.changed_tests:
        directory = build.owner(path)
        if directory is None:
            notes.append(f"{path} is outside of the build: its tests are left out")
        else:
            found[directory, _task(source_set(path))] = None
    for path in request.changed_source:
        directory = build.owner(path)
        if directory is not None and path.endswith(SOURCES) and source_set(path):
            name = "jvmTest" if source_set(path).endswith("Main") else "test"
            if any(source_set(one) == name and build.owner(one) == directory for one in build.tree.paths):
                found[directory, name] = None
    if len(found) > _MAX_PROJECTS:
        notes.append(f"the fix touches {len(found)} test tasks: {_MAX_PROJECTS} are run")
    return [*found][:_MAX_PROJECTS] or [(build.root, "test")], notes


def _task(sources: str) -> str:
    """Of the tests of a source set: mostly of its name, but not where it is shared by platforms or by other tests."""
    if not sources or sources.startswith("test-") or sources == "testFixtures":
        return "test"
    return "jvmTest" if sources == "commonTest" else sources


def _wrapper_files(request: PlanRequest, build: GradleBuild) -> tuple[str, ...]:
    top = f"{build.wrapper_root}/" if build.wrapper_root else ""
    names = (f"{top}gradlew", f"{top}gradle/wrapper/gradle-wrapper.jar", f"{top}gradle/wrapper/gradle-wrapper.properties")
    return tuple(name for name in names if name in request.base)


class _Commands:
    """The shell of one plan."""

    def __init__(self, request: PlanRequest, build: GradleBuild, tests: Sequence[tuple[str, str]], jdk: Jdk) -> None:
        self._request, self._build, self._tests, self._jdk = request, build, tests, jdk
        before = GradleBuild(request.base, build.root).projects
        self._made = [test for test in tests if test[0] not in before]
        """In projects that the fix makes: Gradle refuses a task of a project that is not there."""

    def tools(self, gradle: str, url: str) -> tuple[Step, ...]:
        """Java and Gradle."""
        exports, version = self._request.exports, self._jdk.version
        trust = trusted(exports)
        properties = self._build.tree.read(f"{self._build.root}/gradle.properties".lstrip("/")) or ""
        toolchains = self._build.toolchains([directory for directory, _ in self._tests])
        other = version if toolchains and version not in toolchains else 0
        run = (
            prelude(exports)
            + link_jdk(version)
            + trust_store(trust)
            + f"mkdir -p {TOOLS}/gradle-home\n"
            + file_of(f"{TOOLS}/gradle-home/gradle.properties", gradle_properties(exports, properties, trust=bool(trust)))
            + file_of(
                f"{TOOLS}/init.gradle",
                init_script(toolchain=other, mirror=exports.get("MAVEN_MIRROR_URL", "")),
            )
            + file_of(f"{BIN}/gradle", gradle_wrapper(self._jdk.wanted), mode="755")
            + get_gradle(gradle, url, self._build.wrapper_root)
        )
        return (Step(run=run, timeout_s=self._request.step_timeout_s),)

    def install(self) -> tuple[Step, ...]:
        """One class of tests a task, online; then offline."""
        run = prelude(self._request.exports) + added_to_gradle(self._build, self._request.base)
        run += _INSTALL.format(
            top=shlex.quote(self._build.root or "."), warm=self._line(self._warm()), plain=self._line({}), flags=GRADLE_FLAGS
        )
        return (Step(run=run, timeout_s=self._request.step_timeout_s),)

    def command(self, classes: Mapping[tuple[str, str], Sequence[str]] | None = None) -> TestCommand:
        """All tests of the tasks, or the named classes of each."""
        chosen = self._made if classes is None else [test for test in self._made if test in classes]
        more = "".join(self._guarded(test, (classes or {}).get(test, ())) for test in chosen)
        start, end = ("set --\n", ' "$@"') if more else ("", "")
        script = f"set -u\n{start}{more}exec {self._line(classes or {}, only=classes is not None)}{end}\n"
        return TestCommand(
            framework="program",
            script=script,
            report=ReportSource(format="junit", files=self._globs(), max_bytes=REPORT_BYTES),
            cwd=self._build.root or ".",
            timeout_s=self._request.suite_timeout_s,
        )

    def _globs(self) -> tuple[str, ...]:
        places = []
        for directory, task in self._tests:
            place = posixpath.relpath(directory or ".", self._build.root or ".")
            places.append(posixpath.normpath(f"{place}/build/test-results/{task}"))
        plain = all(re.fullmatch(r"[\w./-]+", place) and not place.startswith("..") for place in places)
        stated = re.search(
            r"\b(?:buildDir\s*=|buildDirectory\s*(?:=|\.set))", self._build.about([directory for directory, _ in self._tests])
        )
        if not plain or stated:
            return ("**/test-results/*/TEST-*.xml",)
        return tuple(f"{place}/TEST-*.xml" for place in places)

    def _line(self, classes: Mapping[tuple[str, str], Sequence[str]], *, only: bool = False) -> str:
        words = [f"{BIN}/gradle", "--continue"]
        for test in self._tests:
            if test not in self._made and (test in classes or not only):
                words += self._words(test, classes.get(test, ()))
        return shlex.join(words)

    def _words(self, test: tuple[str, str], classes: Sequence[str]) -> list[str]:
        words = [f"{self._build.projects[test[0]]}:{test[1]}"]
        for name in classes:
            words += ["--tests", f"*{name}"]
        return words

    def _guarded(self, test: tuple[str, str], classes: Sequence[str]) -> str:
        """A line that adds the task where its project is there: named by the settings, or with a build file of its own."""
        place = posixpath.relpath(test[0] or ".", self._build.root or ".")
        name = self._build.projects[test[0]].removeprefix(":")
        files = " || ".join(f"[ -f {shlex.quote(f'{place}/{file}')} ]" for file in BUILD_FILES)
        whole = re.sub(r"[][\\.^$*+?(){}|]", r"\\\g<0>", name).replace(":", "[:/]")
        pattern = f"[\"']:?{whole}[\"']"
        stated = f"cat {' '.join(SETTINGS)} 2>/dev/null | grep -vE '^[[:space:]]*(//|[*]|/[*])|rootProject[.]name'"
        named = f"{stated} | grep -qE -- {shlex.quote(pattern)}"
        return f'if {named} || {files}; then set -- "$@" {shlex.join(self._words(test, classes))}; fi\n'

    def changed(self) -> dict[tuple[str, str], list[str]]:
        """Classes of the changed tests by task."""
        found: dict[tuple[str, str], list[str]] = {}
        for path in self._request.changed_tests:
            for directory, task in self._tests:
                text = self._build.tree.read(path) or ""
                abstract = re.search(rf"\babstract\s+class\s+{re.escape(class_of(path))}\b", text)
                if self._build.owner(path) == directory and (not source_set(path) or _task(source_set(path)) == task) and not abstract:
                    found.setdefault((directory, task), []).append(class_of(path))
        return found

    def _warm(self) -> dict[tuple[str, str], list[str]]:
        base = self._request.base
        kinds = JavaTestPaths(base)
        found: dict[tuple[str, str], list[str]] = {}
        for directory, task in self._tests:
            candidates = [path for path in self._request.changed_tests if path in base]
            candidates += [path for path in base.paths if path.endswith(SOURCES)][:_MAX_READ]
            for path in candidates:
                inside = self._build.owner(path) == directory and source_set(path) and _task(source_set(path)) == task
                text = base.read(path) or "" if inside else ""
                if text and kinds.is_runnable(path) and "abstract class" not in text:
                    found[directory, task] = [class_of(path)]
                    break
        return found


_INSTALL: Final = """\
cd {top}
seen=$(mktemp)
warm() {{
  {{ code=0; {warm} 2>&1 || code=$?; echo "$code" > "$seen.code"; }} | tee "$seen" >&2
  return "$(cat "$seen.code")"
}}
# A project for Android cannot even be configured without the SDK.
on_demand() {{
  grep -qE 'SDK location not found|ANDROID_(HOME|SDK_ROOT)' "$seen" || return 0
  echo --configure-on-demand >> {flags}
  echo 'Gradle: projects that are not under test are not configured, because some need the Android SDK' >> "$log"
}}
warm || {{ on_demand; echo 'once more, after a failure' >&2; warm; }} || ran=$?
[ "${{ran:-0}}" = 0 ] || find . -path '*/test-results/*/TEST-*.xml' | grep -q . ||
  {{ echo 'Gradle cannot build the projects under test: see above.' >&2; exit 1; }}
PODGYM_ONLINE=
export PODGYM_ONLINE
if warm > /dev/null 2>&1; then
  echo 'Gradle: built and tested offline' >> "$log"
else
  echo 'Gradle: the build or a test fails offline; running all tests once with the network' >> "$log"
  PODGYM_ONLINE=1 {plain} > /dev/null 2>&1 || true
fi
find . -path '*/test-results/*/TEST-*.xml' -exec rm -f {{}} +
rm -f "$seen" "$seen.code"
"""
