"""Dockerfiles and development containers: which base, which Debian packages. Their lines are not CI's commands."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from podgym.envs.build.ci.debian import packages_of
from podgym.envs.build.ci.document import mapping, sequence, text_of
from podgym.envs.build.ci.gathering import Gathering
from podgym.envs.build.ci.images import image_name, versions_of_image
from podgym.envs.build.ci.shell import commands, expand

__all__ = ["read_devcontainers", "read_dockerfiles"]

_PLACES: Final = re.compile(
    r"((\.devcontainer|\.?ci|\.?docker|\.?build|\.github|\.gitlab|\.circleci|scripts|tools|test|tests|contrib|dev|etc)/([\w.-]+/)?)?"
    r"((Dockerfile|Containerfile)([._-][\w.-]+)?|[\w.-]+\.(Dockerfile|dockerfile))"
)
_MAX: Final = 12
_DEBIAN: Final = re.compile(r"alpine|fedora|centos|rocky|almalinux|ubi|arch|opensuse|windows|nanoserver", re.IGNORECASE)


def read_dockerfiles(gathering: Gathering) -> None:
    """Those of the root and of folders for CI or development; those for tests and development first."""
    paths = [path for path in gathering.tree.paths if _PLACES.fullmatch(path)]
    rank = re.compile(r"test|ci|dev|build", re.IGNORECASE)
    for path in sorted(paths, key=lambda one: (0 if rank.search(one) else 1, one.count("/"), one))[:_MAX]:
        if text := gathering.text(path):
            _dockerfile(gathering, text)


def _dockerfile(gathering: Gathering, text: str) -> None:
    arguments: dict[str, str] = {}
    for instruction, body in _instructions(text):
        if instruction in ("ARG", "ENV"):
            _assign(arguments, body)
        elif instruction == "FROM":
            words = [word for word in body.split() if not word.startswith("--")]
            image = expand(words[0], arguments) if words else ""
            if image_name(image) and not re.search(r"windows|nanoserver", image):
                for tool, version in versions_of_image(image):
                    gathering.version(tool, version)
        elif instruction == "RUN" and body.lstrip().startswith("["):
            continue
        elif instruction == "RUN":
            shell = re.sub(r"^(--\S+\s+)+", "", body)
            for command in commands(shell, dict(arguments)):
                for name in packages_of(command):
                    gathering.package(name)


def _instructions(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    pending, heredoc = "", ""
    for raw in text.splitlines()[:3000]:
        line = raw.strip()
        if heredoc:
            if line == heredoc:
                heredoc = ""
                found.append(_split(pending))
                pending = ""
            else:
                pending += f"\n{line}"
            continue
        if not line or line.startswith("#"):
            continue
        pending = f"{pending} {line}".strip()
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip()
            continue
        if opened := re.match(r"RUN\s+(?:--\S+\s+)*<<-?['\"]?(\w+)['\"]?\s*$", pending):
            heredoc, pending = opened[1], "RUN "
            continue
        found.append(_split(pending))
        pending = ""
    return [one for one in found if one[0]]


def _split(line: str) -> tuple[str, str]:
    name, _, body = line.partition(" ")
    return name.upper(), body.strip()


def _assign(arguments: dict[str, str], body: str) -> None:
    if "=" not in body.split(" ", maxsplit=1)[0]:
        name, _, value = body.partition(" ")
        if value:
            arguments[name] = expand(value.strip().strip("'\""), arguments)
        return
    for found in re.finditer(r"([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)", body):
        arguments[found[1]] = expand(found[2].strip("'\""), arguments)


def read_devcontainers(gathering: Gathering) -> None:
    """`devcontainer.json`: its image, and the versions of its features."""
    paths = [
        path for path in gathering.tree.paths if re.fullmatch(r"\.devcontainer/([^/]+/)?devcontainer\.json|\.devcontainer\.json", path)
    ]
    for path in paths[:5]:
        config = _jsonc(gathering.text(path) or "")
        if config is None:
            gathering.note(f"{path} was not read: it is not JSON.")
            continue
        for tool, version in versions_of_image(text_of(mapping(config).get("image"))):
            gathering.version(tool, version)
        for feature, options in mapping(mapping(config).get("features")).items():
            name = feature.rpartition("/")[2].partition(":")[0]
            tool = name if name in ("python", "node", "java", "go", "rust") else ""
            if tool:
                gathering.version(tool, text_of(mapping(options).get("version")))
            if "apt" in name:
                for word in re.split(r"[\s,]+", text_of(mapping(options).get("packages"))):
                    gathering.package(word)
        for word in sequence(mapping(config).get("postCreateCommand")):
            if isinstance(word, str):
                for command in commands(word, {}):
                    for package in packages_of(command):
                        gathering.package(package)


def _jsonc(text: str) -> Any:
    """JSON with comments and commas too many; None for what is none."""
    plain = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda found: found[1] or " ", text[: 256 << 10], flags=re.DOTALL)
    plain = re.sub(r'("(?:\\.|[^"\\])*")|,(\s*[\]}])', lambda found: found[1] or found[2], plain)
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return None
