"""Travis CI: `language` with its version keys, `addons.apt`, the phases, and the jobs of `jobs.include` on Linux."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import mapping, sequence, text_of, words
from podgym.envs.build.ci.gathering import Gathering

__all__ = ["read_travis"]

_VERSIONS: Final = {
    "python": "python", "node_js": "node", "jdk": "java", "go": "go", "rust": "rust", "ruby": "ruby", "rvm": "ruby", "php": "php",
}  # fmt: skip
_PHASES: Final = ("before_install", "install", "before_script", "script")
_MAX_JOBS: Final = 150


def read_travis(gathering: Gathering) -> None:
    """`.travis.yml`."""
    path = next((name for name in (".travis.yml", ".travis.yaml") if name in gathering.tree), "")
    config = mapping(gathering.document(path)) if path else {}
    jobs = mapping(config.get("jobs")) or mapping(config.get("matrix"))
    env = config.get("env")
    split = isinstance(env, dict) and bool({"global", "jobs", "matrix"} & set(env))
    common = _assignments(mapping(env).get("global") if split else env)
    gathering.variables(common)
    _job(gathering, config, common, f"{path}:default")
    for index, job in enumerate(sequence(jobs.get("include"))[:_MAX_JOBS]):
        if isinstance(job, dict):
            own = {**common, **_assignments(job.get("env"))}
            phases: dict[str, Any] = {key: config[key] for key in _PHASES if key in config}
            _job(gathering, {**phases, "os": config.get("os"), **job}, own, f"{path}:{text_of(job.get('name')) or index}")


def _job(gathering: Gathering, job: Mapping[str, Any], env: Mapping[str, str], name: str) -> None:
    systems = words(job.get("os"))
    if systems and "linux" not in systems:
        return
    for key, tool in _VERSIONS.items():
        for version in sequence(job.get(key)):
            gathering.version(tool, _jdk(version) if tool == "java" else version)
    for place in (mapping(job.get("addons")), mapping(mapping(job.get("addons")).get("linux"))):
        apt = place.get("apt")
        listed = mapping(apt).get("packages") if isinstance(apt, dict) else apt
        for word in [*words(listed), *words(place.get("apt_packages")), *words(place.get("apt-packages"))]:
            gathering.package(word.partition("=")[0].partition(":")[0])
        for service in ("postgresql", "mariadb", "rethinkdb"):
            if service in place:
                gathering.service(service)
    for service in words(job.get("services")):
        if service not in ("docker", "xvfb"):
            gathering.service(service)
        elif service == "xvfb":
            gathering.package("xvfb")
    for phase in _PHASES:
        text = "\n".join(line for line in sequence(job.get(phase)) if isinstance(line, str) and line not in ("true", "skip"))
        gathering.script(text, env=env, job=name)


def _jdk(version: Any) -> Any:
    """`openjdk11` and `oraclejdk8` are 11 and 8."""
    return version.removeprefix("oracle").removeprefix("open").removeprefix("jdk") if isinstance(version, str) else version


def _assignments(value: Any) -> dict[str, str]:
    """Of `A=1 B="2 3"`, of a list of such lines, or of mappings; a list's first line counts. Encrypted ones are left out."""
    found: dict[str, str] = {}
    for item in sequence(value)[:50]:
        if isinstance(item, dict):
            found |= {name: text for name, text in item.items() if isinstance(text, str) and name != "secure" and name not in found}
        elif isinstance(item, str):
            try:
                parts = shlex.split(item, comments=True)
            except ValueError:
                continue
            pairs = [part.partition("=") for part in parts if "=" in part]
            found = {**{name: text for name, _, text in pairs}, **found}
    return found
