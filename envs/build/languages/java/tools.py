"""Shell for the first step of an image: the JDK under a fixed path, certificates for Java, a compiler that takes old levels, Maven."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

from podgym.envs.build.languages.java.settings import BIN, COMPILER, JDK, LEAST, MAVEN, NUMBER
from podgym.envs.build.plan import INSTALL_LOG, TOOLS

__all__ = ["file_of", "get_maven", "lenient_javac", "link_jdk", "prelude", "trust_store"]

_NEWEST_MAVEN: Final = "3.9.9"

_PRELUDE: Final = """\
set -eu
umask 022
export TZ=UTC LC_ALL=C.UTF-8 PODGYM_ONLINE=1
mkdir -p {bin}
log={log}
"""

_LINK_JDK: Final = """\
found=
for home in "${{JAVA_HOME:-}}" /opt/java/openjdk /usr/lib/jvm/* /opt/java/* /opt/jdk*; do
  [ -x "$home/bin/javac" ] || continue
  number=$({number})
  if [ "$number" = {version} ]; then found=$home; break; fi
done
if [ -z "$found" ]; then
  any=$(command -v javac || true)
  [ -n "$any" ] || {{ echo 'This image has no JDK.' >&2; exit 1; }}
  any=$(readlink -f "$any") found=${{any%/bin/javac}}
  echo "no JDK {version} here: $("$any" -version 2>&1 | head -n 1)" >> "$log"
fi
ln -sfn "$(readlink -f "$found")" {jdk}
for tool in java javac jar javadoc jshell keytool; do
  [ ! -x "{jdk}/bin/$tool" ] || ln -sfn "{jdk}/bin/$tool" "{bin}/$tool"
done
export JAVA_HOME={jdk} PATH={bin}:$PATH
"""

_TRUST: Final = """\
cat > {tools}/Trust.java <<'PODGYM_END'
import java.io.*;
import java.security.KeyStore;
import java.security.cert.*;

public class Trust {{
    public static void main(String[] args) throws Exception {{
        KeyStore store = KeyStore.getInstance("JKS");
        store.load(null, null);
        int number = 0;
        try (InputStream in = new BufferedInputStream(new FileInputStream(args[0]))) {{
            for (Certificate one : CertificateFactory.getInstance("X.509").generateCertificates(in)) {{
                store.setCertificateEntry("c" + number++, one);
            }}
        }}
        for (String place : new String[] {{"/lib/security/cacerts", "/jre/lib/security/cacerts"}}) {{
            File file = new File(System.getenv("JAVA_HOME") + place);
            if (!file.exists()) continue;
            KeyStore old = KeyStore.getInstance(KeyStore.getDefaultType());
            try (InputStream in = new FileInputStream(file)) {{
                old.load(in, "changeit".toCharArray());
            }}
            for (String alias : java.util.Collections.list(old.aliases())) {{
                if (old.isCertificateEntry(alias)) store.setCertificateEntry("old-" + alias, old.getCertificate(alias));
            }}
        }}
        try (OutputStream out = new FileOutputStream(args[1])) {{
            store.store(out, "changeit".toCharArray());
        }}
    }}
}}
PODGYM_END
if [ -f {bundle} ]; then
  {jdk}/bin/javac -d {tools}/trust {tools}/Trust.java && {jdk}/bin/java -cp {tools}/trust Trust {bundle} {tools}/trust.jks
  rm -rf {tools}/trust
fi
rm -f {tools}/Trust.java
"""

_LENIENT: Final = """\
cat > {bin}/javac-lenient <<'PODGYM_END'
#!/bin/sh
# The compiler, with the language levels that it has dropped raised to the oldest that it takes.
version=$({number})
least=$({least})
change="s/^\\"\\{{0,1\\}}\\(1\\.\\)\\{{0,1\\}}[3-$(( ${{least:-4}} - 1 ))]\\"\\{{0,1\\}}\\$/${{least:-4}}/"
made= level=
for one; do
  shift
  case $one in
  @*) raised=$(mktemp)
    made="$made $raised"
    sed "/^\\"\\{{0,1\\}}-\\{{1,2\\}}\\(source\\|target\\|release\\)\\"\\{{0,1\\}}\\$/{{n;$change}}" "${{one#@}}" > "$raised"
    set -- "$@" "@$raised" ;;
  *) [ -z "$level" ] || one=$(printf '%s' "$one" | sed "$change")
    set -- "$@" "$one" ;;
  esac
  case $one in -source|-target|--source|--target|--release) level=1 ;; *) level= ;; esac
done
opened=
[ "${{version:-0}}" -lt 9 ] || opened="{opened}"
{jdk}/bin/javac -J-Xss4m $opened "$@"
rc=$?
rm -f $made
exit $rc
PODGYM_END
chmod 755 {bin}/javac-lenient
"""

_GET_MAVEN: Final = """\
plain=$(PATH=$(printf '%s' "$PATH" | sed 's|^{bin}:||') && command -v mvn || true)
[ -n "$plain" ] || {{ echo 'This image has no Maven.' >&2; exit 1; }}
stated=$(MAVEN_SKIP_RC=1 "$plain" -B --version 2>/dev/null)
home=$(printf '%s\\n' "$stated" | sed -n 's/^Maven home: *//p' | head -n 1)
have=$(printf '%s\\n' "$stated" | sed -n 's/.*Apache Maven \\([0-9][0-9A-Za-z.-]*\\).*/\\1/p' | head -n 1)
[ -n "$home" ] || home=$(dirname "$(dirname "$(readlink -f "$plain")")")
ln -sfn "$home" {maven}
get_maven() {{
  (cd / && {bin}/mvn -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dtransitive=false \\
    -Dartifact="org.apache.maven:apache-maven:$1:tar.gz:bin") || return 1
  rm -rf {tools}/apache-maven && mkdir -p {tools}/apache-maven || return 1
  tar -xzf "{tools}/m2/org/apache/maven/apache-maven/$1/apache-maven-$1-bin.tar.gz" -C {tools}/apache-maven --strip-components=1 || return 1
  rm -rf "{tools}/m2/org/apache/maven/apache-maven"
  ln -sfn {tools}/apache-maven {maven}
  echo "Maven $1 in place of $have" >> "$log"
}}
older() {{ [ "$1" != "$2" ] && [ "$(printf '%s\\n%s\\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }}
for version in {versions}; do
  if older "$have" "$version" || {{ [ "${{version%%.*}}" -gt 3 ] && [ "$have" != "$version" ]; }}; then
    get_maven "$version" && break
    echo "Maven $version could not be had; there is $have" >> "$log"
  else break; fi
done
"""


def prelude(exports: Mapping[str, str]) -> str:
    """How each step begins."""
    stated = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(exports.items()))
    return _PRELUDE.format(bin=BIN, log=INSTALL_LOG) + stated


def link_jdk(version: int) -> str:
    """Finds the JDK and links it and its programs."""
    return _LINK_JDK.format(version=version, jdk=JDK, bin=BIN, number=NUMBER.format(home='"$home"'))


def trust_store(bundle: str) -> str:
    """A trust store of a PEM file's certificates and of the JDK's own."""
    return _TRUST.format(tools=TOOLS, jdk=JDK, bundle=shlex.quote(bundle)) if bundle else ""


def lenient_javac() -> str:
    """A compiler that raises levels below the oldest that the image's takes."""
    opened = " ".join(f"-J--add-opens={name}=ALL-UNNAMED" for name in COMPILER)
    return _LENIENT.format(bin=BIN, jdk=JDK, number=NUMBER.format(home=JDK), least=LEAST, opened=opened)


def get_maven(wanted: str) -> str:
    """Links the image's Maven, or one of the central repository where the image's is older than it has to be."""
    versions = shlex.join(dict.fromkeys((*([wanted] if wanted else []), _NEWEST_MAVEN)))
    return _GET_MAVEN.format(bin=BIN, maven=MAVEN, tools=TOOLS, versions=versions)


def file_of(path: str, text: str, *, mode: str = "644") -> str:
    """Shell that writes a file."""
    return f"cat > {path} <<'PODGYM_END'\n{text}PODGYM_END\nchmod {mode} {path}\n"
