"""What POMs say of Java's version: language levels, enforcer rules, toolchains; and of Maven's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.catalogue import version_key
from podgym.envs.build.languages.java.jdk import major
from podgym.envs.build.languages.java.pom import Pom
from podgym.envs.build.languages.java.reactor import Reactor
from podgym.envs.build.tree import Tree

__all__ = ["enforced_java", "least_maven", "levels_of", "toolchain_versions"]

_WORD: Final = (
    r"(?:project|build|min|minimum|required|requires|version|maven|compiler|air|main|test|tests|base|app|language|source|target|release)"
)
_PROPERTY: Final = re.compile(
    rf"(?i)maven[.-]compiler[.-](?:test)?(?:release|source|target)|(?:{_WORD}[._-]?)*(?:java|jdk|jre|javac)(?:[._-]?(?:{_WORD}|level))*"
    r"|(?:test)?(?:release|source|target)(?:[._-]?(?:version|level))?"
)
_SETTINGS: Final = ("release", "source", "target", "testRelease", "testSource", "testTarget")
_LIKELY: Final = range(3, 30)


def levels_of(reactor: Reactor, poms: Iterable[Pom]) -> tuple[int, ...]:
    """Language levels that the compiler is given for these modules, main and test."""
    found: list[int] = []
    for pom in poms:
        for one in reactor.line(pom):
            for name, text in one.properties.items():
                if _PROPERTY.fullmatch(name):
                    found += _level(reactor.value(pom, text))
            for settings in one.configurations("maven-compiler-plugin"):
                for name in _SETTINGS:
                    found += _level(reactor.value(pom, settings.value(name)))
    return tuple(sorted(set(found)))


def _level(text: str) -> list[int]:
    match = re.fullmatch(r"\s*(?:1\.)?(\d{1,2})\s*", text)
    number = int(match[1]) if match else 0
    return [number] if number in _LIKELY else []


def enforced_java(reactor: Reactor, poms: Iterable[Pom]) -> int:
    """The least version that an enforcer's rule takes; 0 without one."""
    return max((major(bound) or 0 for bound in _rules(reactor, poms, "requireJavaVersion")), default=0)


def _rules(reactor: Reactor, poms: Iterable[Pom], rule: str) -> list[str]:
    """Lower bounds of the rule's version ranges: `17` of `[17,)`, `1.8` of `1.8`."""
    found = []
    for pom in poms:
        for one in reactor.line(pom):
            for settings in one.configurations("maven-enforcer-plugin"):
                for entry in settings.walk():
                    if entry.name == rule:
                        bound = re.match(r"[\[(]?\s*(\d[\w.-]*)", reactor.value(pom, entry.value("version")))
                        found += [bound[1]] if bound else []
    return found


def toolchain_versions(reactor: Reactor, poms: Iterable[Pom]) -> tuple[str, ...]:
    """Versions of JDKs that the toolchains plug-in, or a plug-in's own `jdkToolchain`, asks for."""
    found: dict[str, None] = {}
    for pom in poms:
        for one in reactor.line(pom):
            for plugin in one.plugins:
                for entry in plugin.walk():
                    if entry.name in ("jdk", "jdkToolchain") and (version := reactor.value(pom, entry.value("version"))):
                        found[version] = None
    return tuple(found)


def least_maven(reactor: Reactor, poms: Iterable[Pom], tree: Tree, directories: Iterable[str]) -> str:
    """The Maven that the wrapper brings, or a newer one that a rule asks for; empty where nothing says so."""
    wanted = []
    for directory in directories:
        text = tree.read(f"{directory}/.mvn/wrapper/maven-wrapper.properties".lstrip("/")) or ""
        match = re.search(r"^\s*distributionUrl\s*=\s*\S*/apache-maven-([\w.-]+?)-bin\.", text, re.MULTILINE)
        if match:
            wanted.append(match[1])
            break
    chosen = list(poms)
    wanted += _rules(reactor, chosen, "requireMavenVersion")
    wanted += [reactor.value(pom, text) for pom in chosen if (text := pom.project.value("prerequisites", "maven"))]
    wanted = [version for version in wanted if re.fullmatch(r"\d[\w.-]{0,30}", version)]
    return max(wanted, key=version_key, default="")
