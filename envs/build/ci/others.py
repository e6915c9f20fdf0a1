"""Cirrus CI, AppVeyor on Ubuntu, Bitbucket, Drone, Woodpecker and sourcehut: an image and lines, each in its own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import mapping, sequence, text_of, words
from podgym.envs.build.ci.gathering import Gathering, strings
from podgym.envs.build.ci.shell import expand

__all__ = ["read_appveyor", "read_bitbucket", "read_cirrus", "read_drone", "read_sourcehut"]

_MAX: Final = 100


def _lines(value: Any) -> str:
    return "\n".join(line for line in sequence(value) if isinstance(line, str))


def read_cirrus(gathering: Gathering) -> None:
    """`.cirrus.yml`: tasks in containers; those of other systems than Linux are left out."""
    config = mapping(gathering.document(".cirrus.yml"))
    common = strings(config.get("env"))
    gathering.variables({name: text for name, text in common.items() if not text.startswith("ENCRYPTED")})
    for name, task in list(config.items())[:_MAX]:
        if not (name == "task" or name.endswith("_task")) or not isinstance(task, dict):
            continue
        if any(f"{kind}_instance" in task for kind in ("freebsd", "macos", "osx", "windows")) or "macos_instance" in config:
            continue
        matrix = [one for one in sequence(task.get("matrix")) if isinstance(one, dict)]
        for more in matrix[:_MAX] or [{}]:
            whole = {**task, **more}
            env = {**common, **strings(task.get("env")), **strings(more.get("env"))}
            container = mapping(whole.get("container"))
            for image in sequence(container.get("image")):
                gathering.image(expand(text_of(image), env))
            for key, value in whole.items():
                if key == "script" or key.endswith("_script"):
                    gathering.script(_lines(value), env=env, job=f".cirrus.yml:{text_of(whole.get('name')) or name}")


def read_appveyor(gathering: Gathering) -> None:
    """`appveyor.yml`, where it asks for Ubuntu: the lines that are not PowerShell's or cmd's own."""
    path = next((name for name in ("appveyor.yml", ".appveyor.yml") if name in gathering.tree), "")
    config = mapping(gathering.document(path)) if path else {}
    parts: list[Mapping[str, Any]] = []
    if any("ubuntu" in image.lower() for image in words(config.get("image"))):
        parts.append(config)
    for part in sequence(config.get("for"))[:_MAX]:
        only = mapping(mapping(mapping(part).get("matrix")).get("only"))
        images = only.get("image") or [mapping(one).get("image") for one in sequence(mapping(mapping(part).get("matrix")).get("only"))]
        if any("ubuntu" in word.lower() for word in words(images)):
            parts.append(mapping(part))
    for part in parts:
        for tool, version in re.findall(r"(python|node|go|jdk|java)\s+(\d[\w.]*)", text_of(part.get("stack"))):
            gathering.version("java" if tool == "jdk" else tool, version)
        env = strings(mapping(config.get("environment")).get("global")) or strings(config.get("environment"))
        for phase in ("init", "install", "before_build", "build_script", "before_test", "test_script"):
            lines: list[str] = []
            for line in sequence(part.get(phase)):
                # `- sh: apt-get …` and `- cmd: …` are mappings.
                lines.append(text_of(line) or text_of(mapping(line).get("sh")))
            gathering.script("\n".join(line for line in lines if line), env=env, job=f"{path}:{phase}")


def read_bitbucket(gathering: Gathering) -> None:
    """`bitbucket-pipelines.yml`."""
    path = "bitbucket-pipelines.yml"
    config = mapping(gathering.document(path))
    gathering.image(text_of(config.get("image")) or text_of(mapping(config.get("image")).get("name")))
    pipelines = mapping(config.get("pipelines"))
    pending = [pipelines.get("default"), pipelines.get("pull-requests"), pipelines.get("branches")]
    for _ in range(2000):
        if not pending:
            break
        node = pending.pop(0)
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            if "script" in node:
                image = node.get("image")
                gathering.image(text_of(image) or text_of(mapping(image).get("name")))
                gathering.script(_lines(node["script"]), job=f"{path}:{text_of(node.get('name'))}")
            else:
                pending += list(node.values())


def read_drone(gathering: Gathering) -> None:
    """Drone and Woodpecker: steps of an image and `commands`."""
    paths = [path for path in gathering.tree.paths if re.fullmatch(r"\.(drone|woodpecker)\.ya?ml|\.woodpecker/[^/]+\.ya?ml", path)]
    for path in paths[:20]:
        config = mapping(gathering.document(path))
        if text_of(config.get("type")) == "exec" or "windows" in text_of(mapping(config.get("platform")).get("os")):
            continue
        steps = config.get("steps") or config.get("pipeline")
        entries = list(steps.values()) if isinstance(steps, dict) else sequence(steps)
        for step in entries[:_MAX]:
            one = mapping(step)
            if "commands" in one:
                gathering.image(text_of(one.get("image")))
                gathering.script(_lines(one.get("commands")), env=strings(one.get("environment")), job=f"{path}:{text_of(one.get('name'))}")
        services = config.get("services")
        for service in (list(services.values()) if isinstance(services, dict) else sequence(services))[:_MAX]:
            gathering.service(text_of(mapping(service).get("image")))


def read_sourcehut(gathering: Gathering) -> None:
    """`.build.yml` and `.builds/*.yml`, on Debian or Ubuntu."""
    paths = [path for path in gathering.tree.paths if re.fullmatch(r"\.build\.ya?ml|\.builds/[^/]+\.ya?ml", path)]
    for path in paths[:20]:
        config = mapping(gathering.document(path))
        if not re.match(r"debian|ubuntu", text_of(config.get("image"))):
            continue
        for package in words(config.get("packages")):
            gathering.package(package)
        env = strings(config.get("environment"))
        for task in sequence(config.get("tasks"))[:_MAX]:
            for name, text in mapping(task).items():
                lines = re.sub(r"(?m)^\s*cd [\w./-]+\s*(&&)?", "", text_of(text))
                gathering.script(lines, env=env, job=f"{path}:{name}")
