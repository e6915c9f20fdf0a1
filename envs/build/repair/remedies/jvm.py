"""Java's own: checks beside the code, closed modules, memory, repositories without encryption; and Go's modules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from podgym.envs.build.languages.java.settings import SKIPPED
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_exports, with_first_step
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table, another_toolchain

__all__ = ["JVM"]

_SKIPPED: Final = (
    *SKIPPED, "airbase.skip", "basepom.check.skip-all", "errorprone.skip", "gcf.skip", "git.commit.id.skip", "jqassistant.skip",
    "maven.gitcommitid.skip", "maven.source.skip", "spotless.skip",
)  # fmt: skip
"""No test is among them."""
_QUALITY_TASKS: Final = (
    "(?i).*(checkstyle|spotless|pmd|spotbugs|findbugs|license|javadoc|forbiddenApis|ktlint|detekt|animalsniffer|rat|japicmp|sign|pgp).*"
)
_INIT: Final = """\
mkdir -p {home}/init.d
cat > {home}/init.d/podgym-no-checks.gradle <<'END'
allprojects {{ tasks.configureEach {{ task -> if (task.name ==~ /{tasks}/) {{ task.enabled = false }} }} }}
END
"""
_SETTINGS: Final = f"""\
mkdir -p {TOOLS}
cat > {TOOLS}/unblocked.xml <<'END'
<settings><mirrors><mirror><id>maven-default-http-blocker</id><mirrorOf>external:dummy:*</mirrorOf><url>http://0.0.0.0/</url></mirror></mirrors></settings>
END
"""
_OPENS: Final = " ".join(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        "java.lang",
        "java.lang.reflect",
        "java.util",
        "java.util.concurrent",
        "java.io",
        "java.net",
        "java.nio",
        "java.text",
        "java.time",
        "sun.nio.ch",
    )
)
_JAVAC: Final = " ".join(
    f"--add-opens=jdk.compiler/com.sun.tools.javac.{package}=ALL-UNNAMED"
    for package in ("api", "code", "comp", "file", "main", "model", "parser", "processing", "tree", "util", "jvm")
)


def _gate(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool != "java":
        return
    skipped = " ".join(f"-D{name}=true" for name in _SKIPPED)
    if "gradle" in case.plan.build_system.lower():
        home = _gradle_home(case)
        plan = with_exports(case.plan, {"GRADLE_USER_HOME": f"{TOOLS}/gradle"}) if not home else case.plan
        plan = with_first_step(plan, _INIT.format(home=home or f"{TOOLS}/gradle", tasks=_QUALITY_TASKS))
        yield Remedy("gradle:no-checks", f"{cause.subject or 'Checks'} beside the code do not run.", plan)
    else:
        exports = {"MAVEN_OPTS": skipped, "MAVEN_ARGS": skipped}
        yield Remedy("maven:no-checks", f"{cause.subject or 'Checks'} beside the code do not run.", with_exports(case.plan, exports))


def _gradle_home(case: Case) -> str:
    """Where the plan has Gradle keep its own; empty where it does not say."""
    texts = (case.plan.env.get("GRADLE_USER_HOME", ""), *(step.run for step in case.plan.steps))
    found = re.fullmatch(r"/[\w./-]+", texts[0]) or re.search(r"(?m)GRADLE_USER_HOME=(/[\w./-]+)", "\n".join(texts[1:]))
    return found[found.lastindex or 0] if found else ""


def _modules(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool == "java":
        exports = {"JDK_JAVA_OPTIONS": f"{_OPENS} {_JAVAC}", "MAVEN_OPTS": f"{_OPENS} {_JAVAC}"}
        yield Remedy(
            "env:add-opens", "The JDK's packages are open to reflection, as they were before 16.", with_exports(case.plan, exports)
        )
        older = case.catalogue.choose(
            "java", lambda version: int(version) < min(int(case.plan.toolchain.split(".")[0] or 0), 16), prefer="11"
        )
        if older is not None and older.name != case.plan.base:
            yield another_toolchain(case, older, "A JDK before 16 lets reflection in.")


def _heap(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "java":
        exports = {"MAVEN_OPTS": "-Xmx2g", "GRADLE_OPTS": "-Xmx2g -Dorg.gradle.daemon=false -Dorg.gradle.workers.max=1"}
        yield Remedy("env:jvm-heap", "The JVM of the build gets more memory, and does less at once.", with_exports(case.plan, exports))


def _insecure(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"MAVEN_ARGS": f"-gs {TOOLS}/unblocked.xml"}
    yield Remedy("maven:http", "Repositories without encryption are read.", with_first_step(with_exports(case.plan, exports), _SETTINGS))


def _headless(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool == "java":
        exports = {"JAVA_TOOL_OPTIONS": "-Djava.awt.headless=true"}
        yield Remedy("env:headless", "Java draws without a display.", with_exports(case.plan, exports))


def _ipv6(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool == "java":
        exports = {"JAVA_TOOL_OPTIONS": "-Djava.net.preferIPv4Stack=true"}
        yield Remedy("env:ipv4-java", "Java listens on IPv4.", with_exports(case.plan, exports, steps=False))


def _go_modules(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool != "go":
        return
    if cause.subject in ("mod", "vendor", "main"):
        yield Remedy("env:mod=mod", "go.mod and go.sum are brought up to date.", with_exports(case.plan, {"GOFLAGS": "-mod=mod"}))
    if cause.subject == "main":
        yield Remedy("env:GO111MODULE=off", "The project is older than modules.", with_exports(case.plan, {"GO111MODULE": "off"}))
    if cause.subject in ("checksum", "proxy"):
        exports = {"GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GONOSUMCHECK": "1", "GOSUMDB": "off"}
        yield Remedy("env:no-sumdb", "The checksum database is not asked.", with_exports(case.plan, exports))
        yield Remedy(
            "env:GOPROXY=direct", "Modules are taken from their repositories.", with_exports(case.plan, {"GOPROXY": "direct"}, tests=False)
        )


JVM: Final[Table] = {
    "quality_gate": _gate,
    "java_modules": _modules,
    "heap_limit": _heap,
    "insecure_repository": _insecure,
    "display": _headless,
    "ipv6": _ipv6,
    "go_modules": _go_modules,
}
