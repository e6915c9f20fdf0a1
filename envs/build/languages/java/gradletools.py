"""Gradle in the image: where it comes from, how it is called, and what it is told besides the project's own scripts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from podgym.envs.build.languages.java.settings import BIN, JDK, java_environment
from podgym.envs.build.plan import TOOLS

__all__ = ["GRADLE_FLAGS", "get_gradle", "gradle_properties", "gradle_wrapper", "init_script"]

_HOME: Final = f"{TOOLS}/gradle-home"
GRADLE_FLAGS: Final = f"{TOOLS}/gradle-flags"
"""A file with what Gradle is told besides in every run; it need not be there."""
_MEMORY: Final = re.compile(r"-Xmx\d+[kKmMgG]?")

_GET: Final = """\
export GRADLE_USER_HOME={home}
wanted={version} url={url} found=
plain=$(PATH=$(printf '%s' "$PATH" | sed 's|^{bin}:||') && command -v gradle || true)
have=
if [ -n "$plain" ]; then have=$("$plain" --version 2>/dev/null | sed -n 's/^Gradle //p' | head -n 1); fi
if [ -n "$have" ] && {{ [ -z "$wanted" ] || [ "$have" = "$wanted" ]; }}; then found=$plain; fi
if [ -z "$found" ] && [ -f {root}/gradle/wrapper/gradle-wrapper.jar ]; then
  if (cd {root} && {jdk}/bin/java -cp gradle/wrapper/gradle-wrapper.jar org.gradle.wrapper.GradleWrapperMain --no-daemon --version); then
    found=$(find {home}/wrapper/dists -path '*/bin/gradle' -type f | head -n 1)
  fi
fi
if [ -z "$found" ] && [ -n "$url" ]; then
  mkdir -p {tools}/gradle-dist
  if {{ curl -fsSL --retry 2 --max-time 600 -o {tools}/gradle.zip "$url" || wget -qO {tools}/gradle.zip "$url"; }} 2>/dev/null; then
    (cd {tools}/gradle-dist && {jdk}/bin/jar xf {tools}/gradle.zip)
    found=$(find {tools}/gradle-dist -path '*/bin/gradle' -type f | head -n 1)
    [ -z "$found" ] || chmod 755 "$found"
  fi
  rm -f {tools}/gradle.zip
fi
if [ -z "$found" ] && [ -n "$have" ] && [ "${{have%%.*}}" = "${{wanted%%.*}}" ]; then
  found=$plain
  echo "Gradle $have of the image in place of $wanted" >> "$log"
fi
if [ -z "$found" ]; then
  echo "Gradle ${{wanted:-of any version}} cannot be had: the image has ${{have:-none}}, and ${{url:-no wrapper}} does not answer." >&2
  exit 1
fi
ln -sfn "$found" {tools}/gradle-program
"""


def get_gradle(version: str, url: str, root: str) -> str:
    """Links a Gradle of the wanted version as `/opt/podgym/gradle-program`, or ends with the reason; `root` holds the wrapper."""
    return _GET.format(
        home=_HOME, version=shlex.quote(version), url=shlex.quote(url), bin=BIN, jdk=JDK, tools=TOOLS, root=shlex.quote(root or ".")
    )


def gradle_wrapper(wanted: int) -> str:
    """The script `gradle` for the build, the tests and the agent; `wanted` is the JDK that the project is used to."""
    lines = [
        "#!/bin/sh",
        "# Gradle as this project is built and tested here; PODGYM_ONLINE=1 lets it use the network.",
        *java_environment(wanted),
        f"export GRADLE_USER_HOME={_HOME}",
        "unset GRADLE_OPTS GRADLE_HOME",
        "offline=--offline",
        '[ -z "${PODGYM_ONLINE:-}" ] || offline=',
        f"flags=$(cat {GRADLE_FLAGS} 2>/dev/null)",
        f'exec {TOOLS}/gradle-program $offline $flags --no-daemon --console=plain --no-build-cache --init-script {TOOLS}/init.gradle "$@"',
    ]
    return "\n".join(lines) + "\n"


def gradle_properties(exports: Mapping[str, str], project: str, *, trust: bool) -> str:
    """For Gradle's user home, which goes before the project's own file: no daemon that outlives a run, bounded memory, the way out."""
    own = re.search(r"^\s*org\.gradle\.jvmargs\s*[=:]\s*(.*)$", project, re.MULTILINE)
    options = _MEMORY.sub("", own[1]).strip() if own else ""
    lines = [
        "org.gradle.daemon=false",
        "org.gradle.caching=false",
        "org.gradle.parallel=false",
        "org.gradle.workers.max=2",
        "org.gradle.vfs.watch=false",
        "org.gradle.configuration-cache=false",
        "org.gradle.java.installations.auto-download=false",
        f"org.gradle.java.installations.paths={JDK}",
        f"org.gradle.jvmargs=-Xmx1536m -Xss4m {options}".rstrip(),
    ]
    if trust:
        lines += [f"systemProp.javax.net.ssl.trustStore={TOOLS}/trust.jks", "systemProp.javax.net.ssl.trustStorePassword=changeit"]
    for protocol in ("http", "https"):
        name = f"{protocol}_proxy"
        stated = exports.get(name.upper()) or exports.get(name) or exports.get("ALL_PROXY") or ""
        try:
            url = urlsplit(stated if "//" in stated else f"http://{stated}")
            host, port = url.hostname, url.port
        except ValueError:
            continue
        if stated and host:
            lines += [f"systemProp.{protocol}.proxyHost={host}", f"systemProp.{protocol}.proxyPort={port or 80}"]
    without = exports.get("NO_PROXY") or exports.get("no_proxy") or ""
    if without:
        hosts = "|".join(f"*{host}" if host.startswith(".") else host for host in without.split(",") if host)
        lines.append(f"systemProp.http.nonProxyHosts={hosts}")
    return "\n".join(lines) + "\n"


_INIT: Final = """\
allprojects {{
    tasks.withType(Test) {{
        outputs.upToDateWhen {{ false }}
        ignoreFailures = false
        reports {{
            if (junitXml.hasProperty('required')) {{ junitXml.required.set(true) }} else {{ junitXml.enabled = true }}
        }}
    }}
{toolchain}}}
{mirror}"""

_TOOLCHAIN: Final = """\
    afterEvaluate {{ project ->
        try {{
            project.extensions.findByName('java')?.toolchain?.languageVersion?.set(JavaLanguageVersion.of({version}))
        }} catch (Exception ignored) {{
        }}
    }}
"""

_MIRROR: Final = """\
def mirrored = {{ repositories ->
    repositories.withType(MavenArtifactRepository) {{ if (!it.url.toString().startsWith('file:')) {{ it.url = '{url}' }} }}
}}
beforeSettings {{ settings -> mirrored(settings.pluginManagement.repositories) }}
allprojects {{
    mirrored(buildscript.repositories)
    mirrored(repositories)
}}
"""


def init_script(*, toolchain: int, mirror: str) -> str:
    """Test tasks always run, report as XML and fail with their tests. `toolchain`: the JDK to take for any that is asked for, or 0."""
    plain = mirror if re.fullmatch(r"[\w.:/@%+~-]+", mirror) else ""
    return _INIT.format(
        toolchain=_TOOLCHAIN.format(version=toolchain) if toolchain else "", mirror=_MIRROR.format(url=plain) if plain else ""
    )
