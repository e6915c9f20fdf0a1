"""What tox's test environments install and set, in tox.ini, setup.cfg, tox.toml or pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from podgym.envs.build.languages.python.installs import Installs, split_words
from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.languages.python.requirements import Requirements, add_group

__all__ = ["add_tox", "tox_variables"]

_TEST_SECTION: Final = re.compile(
    r"testenv(?::(?:[\w.{},-]*[-{,])?(?:tests?|unit\w*|pytest|py3?[\d.]*|py3?\.?\{[\d,. -]+\}|cov(?:erage)?)(?:[-},][\w.{},-]*)?)?"
)
_TEST_FACTOR: Final = re.compile(r"(?:py)?tests?|unit\w*|cov\w*|py(?:3(?:\.?\d+)?)?\.?|\d+|")
_OLD_FACTOR: Final = re.compile(r"py(?:thon)?(?:2\.?\d?|3\.?[0-7])")
"""Of a Python that no image has."""
_REFERENCE: Final = re.compile(r"\{\[([^\[\]{}]{1,80})\]([\w-]{1,40})\}")
_MAX_LINES: Final = 500
_MAX_NAMES: Final = 64


def add_tox(project: Project, into: Requirements) -> Requirements:
    """Take what test environments install, and return what lines for one variant each (`django42: Django~=4.2`) name, without versions:
    which one of them it is nobody says."""
    installs, variants = Installs(project), Requirements(project=project.name, root=project.root, notes=[])
    for section in _variants(project):
        others = Requirements(project=project.name, root=project.root, notes=[])
        for line in _lines(project, section.get("deps")):
            kept, variant = _of_tests(line)
            if kept is not None and re.match(r"\w", kept):
                others.add(re.sub(r"\s+#.*$", "", kept))
            elif variant is not None:
                others.add(variant)
        variants.add_all(sorted(others.names))
    for section in _sections(project):
        for line in _lines(project, section.get("deps")):
            kept, variant = _of_tests(line)
            if kept is not None:
                _dependency(kept, installs, into)
            elif variant is not None:
                variants.add(variant)
        for group in _words(project, section.get("dependency_groups")):
            add_group(into, project.table("dependency-groups"), group)
        into.own_extras += [extra for extra in _words(project, section.get("extras")) if "{" not in extra]
        for key in ("commands_pre", "commands"):
            for line in _lines(project, section.get(key)):
                installs.command(split_words(re.sub(r"^-\s*|\{posargs[^{}]*\}|\{\[?tty\]?[^{}]*\}", "", line)))
    into.take(installs.whole)
    into.take(installs.named)
    return variants


def tox_variables(project: Project) -> dict[str, str]:
    """What test environments set."""
    found: dict[str, str] = {}
    for section in _sections(project):
        for key in ("setenv", "set_env"):
            value = section.get(key)
            if isinstance(value, dict):
                found.update({name: one for name, one in value.items() if isinstance(name, str) and isinstance(one, str)})
                continue
            for line in _lines(project, value):
                kept, _ = _of_tests(line)
                name, equals, one = (kept or "").partition("=")
                if equals:
                    found.setdefault(name.strip(), re.sub(r"^(['\"])(.*)\1$", r"\2", re.sub(r"\s+#.*$", "", one).strip()))
    return found


def _sections(project: Project) -> Iterator[Mapping[str, Any]]:
    """Those of tests and of nothing else."""
    for name, section in project.tox.items():
        if _of_tests_alone(re.sub(r"\s", "", name)[:200]):
            yield section
    yield from project.tox_tables("env_run_base", "env.test", "env.tests", "env.unit", "env.pytest")


def _variants(project: Project) -> Iterator[Mapping[str, Any]]:
    """Those of tests with one of several others (`py39-django32`)."""
    for name, section in project.tox.items():
        short = re.sub(r"\s", "", name)[:200]
        if _TEST_SECTION.fullmatch(short) and not _of_tests_alone(short):
            yield section


def _of_tests_alone(section: str) -> bool:
    """Whether one of the environments that a section is for (`testenv:py{38,39}-{unit,docs}`) has factors of tests only."""
    if section == "testenv":
        return True
    names, done = [section.removeprefix("testenv:")] if section.startswith("testenv:") else [], False
    while names and not done:
        done = not any("{" in name for name in names)
        unfolded = []
        for name in names:
            before, _, rest = name.partition("{")
            inner, closed, after = rest.partition("}")
            unfolded += [f"{before}{one}{after}" for one in inner.split(",")] if closed else [name.replace("{", "")]
        names = unfolded[:_MAX_NAMES]
    parts = [one.split("-") for name in names for one in name.split(",") if one]
    return any(all(map(_TEST_FACTOR.fullmatch, factors)) and not any(map(_OLD_FACTOR.fullmatch, factors)) for factors in parts)


def _dependency(line: str, installs: Installs, into: Requirements) -> None:
    if line.startswith(("-", ".", "{toxinidir}", "{tox_root}")):
        installs.arguments(split_words(line))
    elif "{" not in line and not line.startswith("#"):
        into.add(re.sub(r"\s+#.*$", "", line))


def _of_tests(line: str) -> tuple[str | None, str | None]:
    """A line without its factors (`py311: name`) where it holds for test environments, or else what it would install there."""
    factor = re.match(r"([\w!,{}. -]{1,200}?):\s+(.*)", line)
    if factor is None:
        return line, None
    if all(map(_OLD_FACTOR.fullmatch, re.split(r"[,\s]+", factor[1]))):
        return None, None
    if all(map(_TEST_FACTOR.fullmatch, re.split(r"[-,{}\s]+", factor[1]))):
        return factor[2].strip(), None
    try:
        return None, None if "!" in factor[1] else Requirement(re.sub(r"\s+#.*$", "", factor[2]).strip()).name
    except InvalidRequirement:
        return None, None


def _lines(project: Project, value: object, seen: set[tuple[str, str]] | None = None) -> list[str]:
    """Lines of a setting, those of each setting that it refers to once in their place."""
    if isinstance(value, list):
        words = (" ".join(map(str, one)) if isinstance(one, list) else one for one in value)
        return [one for one in words if isinstance(one, str)][:_MAX_LINES]
    found: list[str] = []
    seen = set() if seen is None else seen
    for raw in value.replace("\\\n", " ").splitlines()[:_MAX_LINES] if isinstance(value, str) else ():
        line = raw.strip()
        if (reference := _REFERENCE.fullmatch(line)) is not None:
            place = (reference[1], reference[2])
            if place not in seen:
                seen.add(place)
                found += _lines(project, project.tox.get(place[0], {}).get(place[1]), seen)
        elif line and not line.startswith("#"):
            found.append(re.sub(r"\{env:\w{1,80}:([^{}]*)\}", r"\1", line))
    return found[:_MAX_LINES]


def _words(project: Project, value: object) -> list[str]:
    kept = (_of_tests(line)[0] for line in _lines(project, value))
    return [word for line in kept if line for word in re.split(r"[\s,]+", line) if word]
