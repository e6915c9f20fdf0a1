"""Maven's settings, and what else lies in the image so that one command behaves the same for the build, the tests and the agent.

`/opt/podgym/bin/mvn` is Maven with the chosen JDK, a local repository of its own, and no network unless `PODGYM_ONLINE` is set. What
is no test, and may break without a network or on another JDK, is left out by the properties that its plug-ins define.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from podgym.envs.build.plan import TOOLS

__all__ = [
    "BIN",
    "COMPILER",
    "JDK",
    "LEAST",
    "LEAVE_OUT",
    "LEFT_OUT",
    "MARKS",
    "MAVEN",
    "NUMBER",
    "SKIPPED",
    "java_environment",
    "maven_wrapper",
    "proxies",
    "settings_xml",
    "toolchains_xml",
    "trusted",
]

BIN: Final = f"{TOOLS}/bin"
JDK: Final = f"{TOOLS}/jdk"
"""A link to the home of the chosen JDK."""
MAVEN: Final = f"{TOOLS}/maven"
"""A link to the home of the chosen Maven."""
LEAVE_OUT: Final = f"{TOOLS}/leave-out.jar"
LEFT_OUT: Final = f"{TOOLS}/left-out"
"""An extension of Maven, and the artifacts of the plug-ins that it takes out; see `leaveout`."""
MARKS: Final = f"{TOOLS}/tested"
"""`MARKS/testbed/core/yes` says that the tests of the module `/testbed/core` run, in a build that takes other modules too."""

SKIPPED: Final = (
    "animal.sniffer.skip", "apache-rat.skip", "checkstyle.skip", "clirr.skip", "cpd.skip", "cyclonedx.skip", "dependency-check.skip",
    "docker.skip", "dockerfile.skip", "editorconfig.skip", "enforcer.skip", "findbugs.skip", "fmt.skip", "forbiddenapis.skip",
    "formatter.skip", "gpg.skip", "impsort.skip", "invoker.skip", "japicmp.skip", "jib.skip", "license.skip", "license.skipAddThirdParty",
    "license.skipCheckLicense", "license.skipUpdateLicense", "maven.javadoc.skip", "maven.site.skip", "mdep.analyze.skip",
    "modernizer.skip", "pmd.skip", "rat.skip", "revapi.skip", "rewrite.skip", "sonar.skip", "sort.skip", "spotbugs.skip",
    "spotless.apply.skip", "spotless.check.skip", "tidy.skip", "versions.skip", "xml.skip", "jacoco.skip", "cobertura.skip",
    "maven.buildNumber.skip", "skip.installnodenpm", "skip.installnodecorepack", "skip.installyarn", "skip.npm", "skip.yarn", "skip.pnpm",
    "skip.npx", "skip.bower", "skip.gulp", "skip.grunt", "skip.webpack", "skip.corepack", "skip.bun", "air.check.skip-all", "airbase.skip",
    "baseline.skip", "basepom.check.skip-all", "bnd.baseline.skip", "copyright.skip", "dependency-scope.skip", "detekt.skip",
    "duplicate-finder.skip", "gcf.skip", "jxr.skip", "ktlint.skip", "maven.source.skip", "ossindex.skip", "pgpverify.skip",
    "scalastyle.skip", "spring-javaformat.apply.skip", "spring-javaformat.validate.skip", "spotless.skip", "jqassistant.skip", "skipPitest",
)  # fmt: skip

_FLAGS: Final = (
    "-B", "-ntp", "-Dstyle.color=never", "-DfailIfNoTests=false", "-Dsurefire.failIfNoSpecifiedTests=false",
    "-Dfailsafe.failIfNoSpecifiedTests=false", "-Dit.failIfNoSpecifiedTests=false", "-DdisableXmlReport=false",
    "-Dmaven.test.failure.ignore=false", "-Dmaven.build.cache.enabled=false", "-Ddevelocity.scan.disabled=true",
    "-Dgradle.enterprise.skip=true", "-Dmaven.buildNumber.doCheck=false", "-Dmaven.buildNumber.doUpdate=false",
    "-Dsurefire.runOrder=alphabetical", "-Dfailsafe.runOrder=alphabetical",
)  # fmt: skip

_OPENED: Final = (
    "java.base/java.io", "java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect", "java.base/java.math",
    "java.base/java.net", "java.base/java.nio", "java.base/java.nio.charset", "java.base/java.security", "java.base/java.text",
    "java.base/java.time", "java.base/java.util", "java.base/java.util.concurrent", "java.base/java.util.concurrent.atomic",
    "java.base/java.util.regex", "java.base/sun.net.www.protocol.http", "java.base/sun.nio.ch", "java.base/sun.nio.fs",
    "java.base/sun.security.x509", "java.base/sun.util.calendar", "java.desktop/java.awt", "java.desktop/java.awt.font",
    "java.desktop/java.beans", "java.sql/java.sql", "java.xml/jdk.xml.internal",
)  # fmt: skip
_FOR_PLUGINS: Final = ("java.base/java.io", "java.base/java.lang", "java.base/java.net", "java.base/java.text", "java.base/java.util")
COMPILER: Final = tuple(
    f"jdk.compiler/com.sun.tools.javac.{name}"
    for name in ("api", "code", "comp", "file", "jvm", "main", "model", "parser", "processing", "tree", "util")
)
"""What old releases of Lombok and Error Prone reach into."""
_MEMORY: Final = "-Xmx1536m -Xss4m -XX:+UseSerialGC"
"""The compiler runs inside Maven, and nests as deep as an expression of the project's sources does."""
_CLOSED: Final = 16
"""Since this JDK, reflection into its own classes fails where it only warned before."""
_NO_MANAGER: Final = 18
_NO_MANAGER_AT_ALL: Final = 24
_MODULES: Final = 9
_STILL_TAKEN: Final = 8
"""The oldest language level that every JDK takes."""
NUMBER: Final = """sed -n 's/^JAVA_VERSION="\\(1\\.\\)\\{{0,1\\}}\\([0-9]*\\).*/\\2/p' {home}/release 2>/dev/null | head -n 1"""
"""Shell that prints the number of the JDK in a directory."""
LEAST: Final = (
    """if [ "$version" -ge 20 ]; then echo 8; elif [ "$version" -ge 12 ]; then echo 7; elif [ "$version" -ge 9 ]; then echo 6; fi"""
)
"""Shell that prints the oldest language level that the compiler of JDK `$version` takes."""


_NOT_SKIPPED: Final = (
    "skipTests", "maven.test.skip", "maven.test.skip.exec", "skipITs", "skipUnitTests", "skip.unit.tests", "skip.surefire.tests",
)  # fmt: skip
"""What projects that test only where they are told to set to true."""


def java_environment(wanted: int) -> list[str]:
    """Lines that begin a wrapper: the JDK as it is in the image, whose number is `version`; and for code that was written for one before
    16, options that let it run on a newer one."""
    lines = [
        f"export JAVA_HOME={JDK}",
        f"version=$({NUMBER.format(home=JDK)})",
        "version=${version:-0}",
    ]
    if wanted < _CLOSED:
        opened = (f"--add-opens={name}=ALL-UNNAMED" for name in _OPENED)
        options = " ".join([*opened, "-Dnet.bytebuddy.experimental=true", "-XX:+IgnoreUnrecognizedVMOptions"])
        lines += [
            f'if [ "$version" -ge {_CLOSED} ]; then export JDK_JAVA_OPTIONS={shlex.quote(options)}; fi',
            f'if [ "$version" -ge {_NO_MANAGER} ] && [ "$version" -lt {_NO_MANAGER_AT_ALL} ]; then',
            '  export JDK_JAVA_OPTIONS="$JDK_JAVA_OPTIONS -Djava.security.manager=allow"',
            "fi",
        ]
    return lines


def maven_wrapper(*, wanted: int, lowest: int, flags: Sequence[str], trust: bool) -> str:
    """The script. `wanted` is the JDK that the project is used to, `lowest` the oldest language level that it asks for, 0 for none;
    `flags` are the project's own. What depends on the JDK is decided when it runs, because a plan may be moved to another image."""
    opened = " ".join(f"--add-opens={name}=ALL-UNNAMED" for name in (*_FOR_PLUGINS, *COMPILER))
    store = f"-Djavax.net.ssl.trustStore={TOOLS}/trust.jks -Djavax.net.ssl.trustStorePassword=changeit"
    told = [*_FLAGS, *(f"-D{name}" for name in SKIPPED), *flags]
    lines = [
        "#!/bin/sh",
        "# Maven as this project is built and tested here; PODGYM_ONLINE=1 lets it use the network.",
        *java_environment(wanted),
        "export MAVEN_SKIP_RC=1",
        "unset M2_HOME MAVEN_HOME MAVEN_ARGS MAVEN_CONFIG",
        f'MAVEN_OPTS="{_MEMORY} -XX:TieredStopAtLevel=1 -XX:+IgnoreUnrecognizedVMOptions${{MAVEN_OPTS:+ $MAVEN_OPTS}}"',
        f'[ "$version" -lt {_MODULES} ] || MAVEN_OPTS="$MAVEN_OPTS {opened}"',
        "offline=-o lenient=",
        'if [ -n "${PODGYM_ONLINE:-}" ]; then',
        "  offline='-Daether.connector.connectTimeout=15000 -Dmaven.wagon.http.retryHandler.count=3'",
        *([f'  MAVEN_OPTS="$MAVEN_OPTS {store}"'] if trust else []),
        "fi",
        "export MAVEN_OPTS",
    ]
    if 0 < lowest < _STILL_TAKEN:
        lines += [
            f"case $({LEAST}) in {'|'.join(str(least) for least in (6, 7, 8) if lowest < least)})",
            f"  lenient='-Dmaven.compiler.fork=true -Dmaven.compiler.executable={BIN}/javac-lenient' ;;",
            "esac",
        ]
    lines += [
        f"told=$(cat {TOOLS}/told 2>/dev/null)",
        f'[ ! -f {LEAVE_OUT} ] || told="-Dmaven.ext.class.path={LEAVE_OUT} $told"',
        f'exec {MAVEN}/bin/mvn $offline $lenient $told -s "${{PODGYM_SETTINGS:-{TOOLS}/settings.xml}}" -t {TOOLS}/toolchains.xml '
        f'-Dmaven.repo.local={TOOLS}/m2 {shlex.join(told)} "$@"',
    ]
    return "\n".join(lines) + "\n"


def settings_xml(exports: Mapping[str, str], *, tested: bool) -> str:
    """`@CENTRAL@` stands for the address of Maven's central repository, which Maven itself knows. `tested`: run the tests of the modules
    that `MARKS` names and of no other."""
    mirror = exports.get("MAVEN_MIRROR_URL", "")
    # Maven refuses plain HTTP; what old POMs name so is mostly the central repository.
    place, of = (mirror, "*") if mirror else ("@CENTRAL@", "external:http:*")
    text = f"<mirrors><mirror><id>podgym</id><url>{escape(place)}</url><mirrorOf>{of}</mirrorOf></mirror></mirrors>"
    if tested:
        place = f"{MARKS}${{basedir}}/yes"
        run = "".join(f"<{name}>false</{name}>" for name in _NOT_SKIPPED)
        text += (
            f"<profiles><profile><id>podgym-untested</id><activation><file><missing>{place}</missing></file></activation>"
            "<properties><skipTests>true</skipTests></properties></profile>"
            f"<profile><id>podgym-tested</id><activation><file><exists>{place}</exists></file></activation>"
            f"<properties>{run}</properties></profile></profiles>"
        )
    return f"<settings>{text}{proxies(exports)}</settings>\n"


def proxies(exports: Mapping[str, str]) -> str:
    """`<proxies>` of the usual variables; empty without them."""
    found = []
    without = "|".join(
        f"*{host}" if host.startswith(".") else host
        for host in exports.get("NO_PROXY", exports.get("no_proxy", "")).split(",")
        if host.strip()
    )
    for protocol in ("http", "https"):
        name = f"{protocol}_proxy"
        stated = exports.get(name.upper()) or exports.get(name) or exports.get("ALL_PROXY") or ""
        try:
            url = urlsplit(stated if "//" in stated else f"http://{stated}")
            host, port = url.hostname, url.port or (443 if url.scheme == "https" else 80)
        except ValueError:
            continue
        if not stated or not host:
            continue
        user = f"<username>{escape(unquote(url.username))}</username>" if url.username else ""
        word = f"<password>{escape(unquote(url.password))}</password>" if url.password else ""
        found.append(
            f"<proxy><id>{name}</id><active>true</active><protocol>{protocol}</protocol><host>{escape(host)}</host><port>{port}</port>"
            f"{user}{word}<nonProxyHosts>{escape(without)}</nonProxyHosts></proxy>"
        )
    return f"<proxies>{''.join(found)}</proxies>" if found else ""


def toolchains_xml(versions: Sequence[str], version: int) -> str:
    """The chosen JDK under every version that the project asks for, because there is no other one."""
    stated = dict.fromkeys((str(version), *(_bare(text) for text in versions)))
    entries = "".join(
        f"<toolchain><type>jdk</type><provides><version>{escape(text)}</version></provides>"
        f"<configuration><jdkHome>{JDK}</jdkHome></configuration></toolchain>"
        for text in stated
        if text
    )
    return f"<toolchains>{entries}</toolchains>\n"


def _bare(text: str) -> str:
    """The lower bound of a version range."""
    return text.strip("[]() ").partition(",")[0].strip()


def trusted(exports: Mapping[str, str]) -> str:
    """The file with the certificates to trust, in the image; empty without one."""
    names = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")
    return next((exports[name] for name in names if exports.get(name)), "")
