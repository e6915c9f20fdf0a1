"""What of a Maven build is not fixed by its POMs, and what the fix's POMs add to those of the base.

Snapshots vanish, mostly when their release is published; then the release takes their place in the local repository. What only the fix
needs is fetched by POMs that hold nothing but names and versions.
"""

from __future__ import annotations

import shlex
from typing import Final
from xml.sax.saxutils import escape

from podgym.envs.build.languages.java.elements import Element
from podgym.envs.build.languages.java.pom import Coordinates, Pom
from podgym.envs.build.languages.java.reactor import Reactor
from podgym.envs.build.languages.java.scope import Scope
from podgym.envs.build.languages.java.settings import BIN
from podgym.envs.build.languages.java.tools import file_of
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["added_by_fix", "loose", "released_snapshots"]

_SNAPSHOT: Final = "-SNAPSHOT"
_MAX_ADDED: Final = 6
_NAMES: Final = ("groupId", "artifactId", "version", "type", "classifier", "scope", "optional")


def loose(scope: Scope) -> tuple[Coordinates, ...]:
    """Ranges and snapshots of artifacts that are not the repository's own, properties replaced."""
    found: dict[tuple[str, str, str], Coordinates] = {}
    for pom in scope.built:
        for one in scope.reactor.line(pom):
            stated = [(entry, entry.kind or "jar") for entry in (*one.dependencies, *one.built_with)]
            stated += [(entry, "pom") for entry in (*one.imports, *([one.parent] if one.parent else []))]
            for entry, kind in stated:
                group, artifact, version = (scope.reactor.value(pom, text) for text in (entry.group, entry.artifact, entry.version))
                floats = version.startswith(("[", "(")) or version.endswith(_SNAPSHOT) or version in ("LATEST", "RELEASE")
                if floats and not scope.reactor.holds(artifact):
                    found.setdefault((group, artifact, version), Coordinates(group, artifact, version, kind))
    return tuple(found.values())


_FUNCTION: Final = """\
released() {{
  folder={tools}/m2/$(printf '%s' "$1" | tr . /)/$2
  for version in "${{3%-SNAPSHOT}}" RELEASE; do
    # Not in the project's directory: its POM cannot be read while the snapshot is missing.
    (cd / && {mvn} -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:get -Dartifact="$1:$2:$version:$4") > /dev/null 2>&1 ||
      continue
    [ "$version" != RELEASE ] || version=$(cd "$folder" && find . -name "$2-*.pom" ! -path '*SNAPSHOT*' | sed 's|^\\./||; s|/.*||' |
      sort -V | tail -n 1)
    mkdir -p "$folder/$3" || return 0
    for kind in pom "$4"; do
      [ ! -f "$folder/$version/$2-$version.$kind" ] || cp "$folder/$version/$2-$version.$kind" "$folder/$3/$2-$3.$kind"
    done
    echo "Maven: $1:$2:$version in place of $3, which is gone" >> "$log"
    return 0
  done
  echo "Maven: $1:$2:$3 is gone, and there is no release" >> "$log"
}}
"""


def released_snapshots(scope: Scope) -> str:
    """Shell that puts releases in place of snapshots; empty where there are none."""
    gone = [one for one in loose(scope) if one.version.endswith(_SNAPSHOT) and "$" not in f"{one.group}{one.artifact}{one.version}"]
    if not gone:
        return ""
    lines = [
        f"released {shlex.join((one.group, one.artifact, one.version, 'jar' if one.kind == 'test-jar' else one.kind))}" for one in gone
    ]
    return _FUNCTION.format(tools=TOOLS, mvn=f"{BIN}/mvn") + "\n".join(lines) + "\n"


def added_by_fix(base: Tree, fixed: Tree, scope: Scope) -> str:
    """Shell that fetches what the fix's POMs need beyond the base's; empty where they need the same."""
    before = Reactor(base)
    texts = []
    for pom in scope.built:
        if any(base.read(one.path) != fixed.read(one.path) for one in scope.reactor.line(pom)):
            old = before.poms.get(pom.path)
            text = _names_only(scope.reactor, pom)
            if old is None or text != _names_only(before, old):
                texts.append(text)
    lines = []
    for number, text in enumerate(dict.fromkeys(texts[:_MAX_ADDED])):
        place = f"{TOOLS}/added/{number}"
        fetch = f"{BIN}/mvn -q -fn -DskipTests package; {BIN}/mvn -q dependency:resolve-plugins"
        lines += [
            f"mkdir -p {place}",
            file_of(f"{place}/pom.xml", text).rstrip("\n"),
            f"(cd {place} && {{ {fetch}; }}) > /dev/null 2>&1 || true",
        ]
    if not lines:
        return ""
    return "\n".join([*lines, f"rm -rf {TOOLS}/added", 'echo "Maven: fetched what the fix adds to the POMs" >> "$log"', ""])


def _names_only(reactor: Reactor, pom: Pom) -> str:
    """A POM with the dependencies, managed versions and plug-ins of a module and its parents in the repository, and nothing else."""
    line = reactor.line(pom)
    outer = line[-1].parent

    def lists(path: tuple[str, ...], item: str) -> str:
        found: dict[tuple[str, ...], Element] = {}
        for one in line:
            for entry in one.project.all(*path, item):
                if not reactor.holds(reactor.value(pom, entry.value("artifactId"))):
                    key = tuple(entry.value(name) for name in ("groupId", "artifactId", "classifier", "type"))
                    found.setdefault(key, entry)
        return "".join(_entry(reactor, pom, entry, item) for entry in found.values())

    parent = ""
    if outer is not None:
        values = zip(("groupId", "artifactId", "version"), (outer.group, outer.artifact, outer.version), strict=True)
        parent = "<parent>" + "".join(_tag(name, reactor.value(line[-1], value)) for name, value in values) + "<relativePath/></parent>"
    managed = lists(("dependencyManagement", "dependencies"), "dependency")
    plugins = lists(("build", "plugins"), "plugin")
    managed_plugins = lists(("build", "pluginManagement", "plugins"), "plugin")
    return (
        f"<project><modelVersion>4.0.0</modelVersion>{parent}<groupId>podgym</groupId><artifactId>added</artifactId><version>1</version>"
        f"<dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>"
        f"<dependencies>{lists(('dependencies',), 'dependency')}</dependencies>"
        f"<build><pluginManagement><plugins>{managed_plugins}</plugins></pluginManagement><plugins>{plugins}</plugins></build></project>\n"
    )


def _entry(reactor: Reactor, pom: Pom, entry: Element, item: str) -> str:
    inner = "".join(_tag(name, reactor.value(pom, text)) for name in _NAMES if (text := entry.value(name)))
    nested = "".join(_entry(reactor, pom, one, "dependency") for one in entry.all("dependencies", "dependency"))
    return f"<{item}>{inner}{f'<dependencies>{nested}</dependencies>' if nested else ''}</{item}>"


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
