"""Profiles and properties that CI gives every run of Maven's tests, as far as the POMs know them and they decide about no test.

What only some runs are given belongs to one cell of a matrix, or to a release, and is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from podgym.envs.build.languages.java.pom import Pom
from podgym.envs.build.languages.java.reactor import Reactor

__all__ = ["told_by_ci"]

_RUN: Final = re.compile(r"(?:^|[\s;&|(/])mvnw?\s+([^;&|\n]+)")
_GOALS: Final = frozenset({"test", "package", "verify", "install", "integration-test"})
_UNTESTED: Final = re.compile(r"-D(?:skipTests|maven\.test\.skip)(?:=true)?")
_MAX_RUNS: Final = 200
_MAX_LINE: Final = 4096
_PROFILE: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,60}")
_OTHER_WORK: Final = re.compile(
    r"(?i).*(?:release|sign|gpg|deploy|publish|stag(?:e|ing)|ossrh|central|sonar|cover|jacoco|javadoc|docs?$|site|docker|native|graal|bench"
    r"|perf|checkstyle|format|spotless|quality|static|analysis|errorprone|owasp|license|e2e|integration|(?:^|-)its?$|dist|assembl|skip|slow).*"
)
"""Profiles that release, measure or look at the code, need more than a JDK, or add the tests that take long."""
_DECIDES: Final = re.compile(
    r"(?i).*(?:skip|docker|pass(?:word|phrase)|token|secret|deploy|gpg|sonar|fail|surefire|failsafe|argline|fork|parallel|thread).*"
    r"|test|it\.test|groups|excludedgroups|maven\.(?:test|repo|ext|multi).*|user\..*|java\..*|style\..*"
)
_VALUE: Final = re.compile(r"[\w.:/@+,-]{0,200}")


def told_by_ci(commands: Iterable[str], reactor: Reactor, poms: Sequence[Pom]) -> tuple[str, ...]:
    """Arguments for Maven, none of which a shell takes apart."""
    runs = list(islice(_runs(commands), _MAX_RUNS))
    if not runs:
        return ()
    known_profiles, known_properties = _known(reactor, poms)
    profiles = [name for name in _profiles(runs[0]) if name in known_profiles and not _OTHER_WORK.fullmatch(name)]
    properties = [(name, value) for name, value in _properties(runs[0]) if name in known_properties and not _DECIDES.fullmatch(name)]
    for run in runs[1:]:
        profiles = [name for name in profiles if name in _profiles(run)]
        properties = [one for one in properties if one in _properties(run)]
    return (*(f"-P{name}" for name in profiles), *(f"-D{name}={value}" for name, value in properties))


def _runs(commands: Iterable[str]) -> Iterator[list[str]]:
    """Arguments of each run that tests."""
    for line in commands:
        for match in _RUN.finditer(line[:_MAX_LINE]):
            try:
                words = shlex.split(match[1])
            except ValueError:
                words = match[1].split()
            if _GOALS.intersection(words) and not any(map(_UNTESTED.fullmatch, words)):
                yield words


def _profiles(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for place, word in enumerate(words):
        if word in ("-P", "--activate-profiles"):
            found += words[place + 1 : place + 2]
        elif word.startswith(("-P", "--activate-profiles=")):
            found.append(word.removeprefix("--activate-profiles=").removeprefix("-P"))
    names = (name.removeprefix("+").removeprefix("?") for text in found for name in text.split(","))
    return [name for name in dict.fromkeys(names) if _PROFILE.fullmatch(name)]


def _properties(words: Sequence[str]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for place, word in enumerate(words):
        text = word[2:] if word.startswith("-D") else ""
        text = words[place + 1] if word in ("-D", "--define") and place + 1 < len(words) else text
        name, stated, value = text.partition("=")
        value = value if stated else "true"
        if _PROFILE.fullmatch(name) and _VALUE.fullmatch(value):
            found.append((name, value))
    return found


def _known(reactor: Reactor, poms: Iterable[Pom]) -> tuple[set[str], set[str]]:
    """Ids of profiles, and names of properties that a value or an activation asks for."""
    profiles: set[str] = set()
    properties: set[str] = set()
    for pom in dict.fromkeys(one for module in poms for one in reactor.line(module)):
        profiles |= {profile.value("id") for profile in pom.profiles}
        properties |= {profile.value("activation", "property", "name").removeprefix("!") for profile in pom.profiles}
        for element in pom.project.walk():
            properties.update(re.findall(r"\$\{([\w.-]{1,60})\}", element.text))
    return profiles, properties
