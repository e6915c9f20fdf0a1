"""The shell of a Maven plan: tools, dependencies ahead of the repository, a first build, and the tests' own script."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.java.jdk import Jdk
from podgym.envs.build.languages.java.leaveout import leave_out
from podgym.envs.build.languages.java.levels import least_maven, levels_of, toolchain_versions
from podgym.envs.build.languages.java.loose import added_by_fix, released_snapshots
from podgym.envs.build.languages.java.mavenshell import AHEAD, CENTRAL, FUNCTIONS, INSTALL, TEST
from podgym.envs.build.languages.java.pom import Pom
from podgym.envs.build.languages.java.scope import Scope
from podgym.envs.build.languages.java.settings import (
    BIN,
    JDK,
    LEAVE_OUT,
    LEFT_OUT,
    MARKS,
    MAVEN,
    maven_wrapper,
    settings_xml,
    toolchains_xml,
    trusted,
)
from podgym.envs.build.languages.java.shared import REPORT_BYTES
from podgym.envs.build.languages.java.told import told_by_ci
from podgym.envs.build.languages.java.tools import file_of, get_maven, lenient_javac, link_jdk, prelude, trust_store
from podgym.envs.build.plan import TOOLS
from podgym.sandbox import Step
from podgym.verifiers import ReportSource, TestCommand

__all__ = ["MavenScript"]

_STILL_TAKEN: Final = 8
_DEFAULT: Final = 5
"""The level of old releases of the compiler's plug-in."""
_SILENT_PARENTS: Final = frozenset({"oss-parent", "central-parent"})
"""Often used parents that say nothing of language levels."""
_ODD: Final = re.compile(r"[^\w./+@%=:,~ -]")


class MavenScript:
    """The shell of one plan."""

    def __init__(self, request: PlanRequest, scope: Scope, jdk: Jdk, *, manifests: bool) -> None:
        self._request, self._scope, self._jdk, self._manifests = request, scope, jdk, manifests
        self._levels = scope.reactor.levels(scope.tested)
        self._timeout_s = request.step_timeout_s
        self._top = shlex.quote(scope.root.directory or ".")
        pom = posixpath.basename(scope.root.path)
        self._mvn = f"{BIN}/mvn" if pom == "pom.xml" else f"{BIN}/mvn -f {shlex.quote(pom)}"

    def dependencies(self) -> tuple[Step, ...]:
        """Tools; then what the POMs alone bring in, by a build without sources, whose modules may fail."""
        scope, version = self._scope, self._jdk.version
        exports = self._request.exports
        levels = levels_of(scope.reactor, scope.built)
        lowest = self._lowest(levels)
        trust = trusted(exports)
        flags = [f"-P{name}" for name in scope.profiles]
        wrapper = maven_wrapper(wanted=self._jdk.wanted, lowest=lowest, flags=flags, trust=bool(trust))
        told = shlex.join(told_by_ci(self._request.ci.commands, scope.reactor, scope.built))
        directories = dict.fromkeys([scope.root.directory, ""])
        text = (
            prelude(exports)
            + link_jdk(version)
            + trust_store(trust)
            + file_of(f"{TOOLS}/settings.xml", settings_xml(exports, tested=False))
            + file_of(f"{TOOLS}/settings-tested.xml", settings_xml(exports, tested=True))
            + file_of(f"{TOOLS}/toolchains.xml", toolchains_xml(toolchain_versions(scope.reactor, scope.built), version))
            + file_of(f"{BIN}/mvn", wrapper, mode="755")
            + (lenient_javac() if lowest else "")
            + get_maven(least_maven(scope.reactor, scope.built, self._request.base, directories))
            + CENTRAL.format(maven=MAVEN, jdk=JDK, tools=TOOLS)
            + leave_out()
            + (f"printf '%s ' {told} > {TOOLS}/told\n" if told else "")
        )
        steps = [Step(run=text, timeout_s=self._timeout_s)]
        if self._manifests:
            released = released_snapshots(scope)
            look = f'if ! {BIN}/mvn -q validate > "$ahead/log" 2>&1 && grep -q SNAPSHOT "$ahead/log"; then\n{released}fi\n'
            run = prelude(exports) + AHEAD.format(mvn=self._mvn, top=self._top, tools=TOOLS, released=look if released else "")
            steps.append(Step(run=run, timeout_s=self._timeout_s))
        return tuple(steps)

    def _lowest(self, levels: Sequence[int]) -> int:
        """The oldest level that a compiler may refuse, 0 for none. No level at all in POMs that are all here means an old default."""
        line = self._scope.reactor.line
        compilers = [entry for pom in self._scope.built for one in line(pom) for entry in one.configurations("maven-compiler-plugin")]
        if any(entry.value("compilerId") not in ("", "javac") for entry in compilers):
            return 0
        if levels:
            return min(levels) if min(levels) < _STILL_TAKEN else 0
        outer = {parent.artifact for pom in self._scope.built if (parent := self._scope.reactor.outer_parent(pom)) is not None}
        return 0 if outer - _SILENT_PARENTS else _DEFAULT

    def install(self) -> tuple[Step, ...]:
        """A build of the repository with one class of tests a module, first online, then offline as the tests are run."""
        scope = self._scope
        warm = f"-Dtest={','.join(scope.warm)}" if scope.warm else "-DskipTests"
        phases = "verify" if scope.integration else "test package"
        text = prelude(self._request.exports) + added_by_fix(self._request.base, self._request.fixed, scope)
        text += INSTALL.format(
            top=self._top,
            functions=self._functions(),
            reports=" ".join(f"./{shlex.quote(place)}" for place in self._report_directories()),
            build=self._build(shlex.quote(warm)),
            phases=phases,
            mvn=self._mvn,
            tools=TOOLS,
            has_warm="1" if scope.warm else "",
            released=released_snapshots(scope) or ":\n",
            leave_out=LEAVE_OUT,
            left_out=LEFT_OUT,
            own=" ".join(self._own()),
        )
        return (Step(run=text, timeout_s=self._timeout_s),)

    def _own(self) -> list[str]:
        """`group:artifact` of what the build makes itself."""
        reactor = self._scope.reactor
        names = (":".join(reactor.value(pom, text) for text in (pom.own.group, pom.own.artifact)) for pom in self._scope.members)
        return [name for name in dict.fromkeys(names) if re.fullmatch(r"[A-Za-z0-9_.-]+:[A-Za-z0-9_.-]+", name)]

    def _functions(self) -> str:
        scope = self._scope
        outside = dict.fromkeys(place for pom in scope.built for place in scope.reactor.outside(pom))
        return FUNCTIONS.format(
            tools=TOOLS,
            marks=MARKS,
            modules=" ".join(shlex.quote(scope.place(pom)) for pom in scope.built),
            outside=shlex.join(posixpath.relpath(place, scope.root.directory or ".") for place in outside),
        )

    def _build(self, extra: str) -> str:
        """Lines that build and test each level, and set `rc`."""
        lines = []
        alone = len(self._scope.members) == 1
        for level, made in self._groups():
            selected = ",".join(self._scope.selector(pom) for pom in level)
            chosen = "" if alone else f" -pl {shlex.quote(selected)} -am"
            places = [shlex.quote(self._scope.place(pom)) for pom in level]
            lines += [f"if [ -f {shlex.quote(self._scope.file(level[0]))} ]; then"] if made else []
            lines.append(f"tested {' '.join(places)}")
            lines.append(f'{self._mvn} -fae{chosen} "$phase" {extra} || rc=$?'.replace("  ", " "))
            lines += ["fi"] if made else []
        return "\n".join(lines) + "\n"

    def _groups(self) -> list[tuple[list[Pom], bool]]:
        """The levels; a module that the fix makes stands alone, because Maven refuses to build what is not there."""
        found: list[tuple[list[Pom], bool]] = []
        for level in self._levels:
            there = [pom for pom in level if pom.path in self._request.base]
            found += [(there, False)] if there else []
            found += [([pom], True) for pom in level if pom not in there]
        return found

    def command(self, classes: Sequence[str] = ()) -> TestCommand:
        """All tests of the tested modules, or the named classes of them."""
        scope = self._scope
        extra = []
        if classes:
            extra.append(f"-Dtest={','.join(classes)}")
            extra += [f"-Dit.test={','.join(classes)}"] if scope.integration else []
        script = TEST.format(functions=self._functions(), build=self._build(shlex.join(extra)), tools=TOOLS)
        if self._hides_failures():
            globs = " ".join(f"./{shlex.quote(place)}/TEST-*.xml" for place in self._report_directories())
            script += f"[ \"$rc\" != 0 ] || ! cat {globs} 2>/dev/null | grep -qE '<(failure|error)[ />]' || rc=1\n"
        script += "exit $rc\n"
        return TestCommand(
            framework="program",
            script=script,
            report=ReportSource(format="junit", files=self._globs(), max_bytes=REPORT_BYTES),
            cwd=scope.root.directory or ".",
            timeout_s=self._request.suite_timeout_s,
        )

    def _report_directories(self) -> list[str]:
        kinds = ["surefire", *(["failsafe"] if self._scope.integration else [])]
        found: dict[str, None] = {}
        for pom in self._scope.tested:
            target = self._target(pom)
            for kind in kinds:
                places = [f"{target}/{kind}-reports"]
                for one in self._scope.reactor.line(pom):
                    stated = (entry.value("reportsDirectory") for entry in one.configurations(f"maven-{kind}-plugin"))
                    places += [self._below(pom, text, target) for text in stated if text]
                found.update({posixpath.normpath(posixpath.join(self._scope.place(pom), place)): None for place in places if place})
        return list(found)

    def _below(self, pom: Pom, text: str, target: str) -> str:
        """A directory as a POM states it, relative to the module; empty where that cannot be told."""
        text = re.sub(r"\$\{(?:project\.|pom\.)?build\.directory\}", target, text)
        text = re.sub(r"^\$\{(?:project\.)?basedir\}/", "", self._scope.reactor.value(pom, text))
        return "" if "$" in text or text.startswith("/") else text

    def _globs(self) -> tuple[str, ...]:
        places = self._report_directories()
        if any(_ODD.search(place) or place.startswith("..") for place in places):
            return ("**/target/surefire-reports/TEST-*.xml", "**/target/failsafe-reports/TEST-*.xml")
        return tuple(f"{place}/TEST-*.xml" for place in places)

    def _target(self, pom: Pom) -> str:
        """Where the module builds to, relative to it."""
        for one in self._scope.reactor.line(pom):
            if stated := one.project.value("build", "directory"):
                return self._below(pom, stated, "target") or "target"
        return "target"

    def _hides_failures(self) -> bool:
        """Whether a POM tells Surefire to end well whatever tests say."""
        return any(
            entry.name in ("testFailureIgnore", "maven.test.failure.ignore")
            for pom in self._scope.built
            for one in self._scope.reactor.line(pom)
            for entry in one.project.walk()
        )
