"""GitLab CI: `image`, `script` and the keys around it, with `extends`, `!reference`, `default`, `parallel: matrix` and local includes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import Reference, mapping, sequence, text_of
from podgym.envs.build.ci.gathering import Gathering
from podgym.envs.build.ci.shell import expand

__all__ = ["read_gitlab"]

_KEYWORDS: Final = frozenset(
    (
        "default",
        "include",
        "stages",
        "variables",
        "workflow",
        "image",
        "services",
        "before_script",
        "after_script",
        "cache",
        "pages",
        "spec",
    )
)
_INHERITED: Final = ("image", "services", "before_script", "after_script", "tags")
_DEPTH: Final = 10
_MAX_FILES: Final = 30
_MAX_JOBS: Final = 200


def read_gitlab(gathering: Gathering) -> None:
    """`.gitlab-ci.yml` with what it includes from the same repository."""
    whole = _with_includes(gathering, ".gitlab-ci.yml", set())
    if not whole:
        return
    inherited: dict[str, Any] = {key: whole[key] for key in _INHERITED if key in whole}
    defaults = {**inherited, **mapping(whole.get("default"))}
    variables = _variables(whole.get("variables"))
    gathering.variables(variables)
    for name, job in list(whole.items())[:_MAX_JOBS]:
        if isinstance(job, dict) and name not in _KEYWORDS and not name.startswith("."):
            resolved = _extended(whole, job, _DEPTH)
            if "script" in resolved or "run" in resolved:
                _job(gathering, whole, {**defaults, **resolved}, name, variables)


def _with_includes(gathering: Gathering, path: str, seen: set[str]) -> dict[str, Any]:
    seen.add(path)
    text = mapping(gathering.document(path))
    merged: dict[str, Any] = {}
    for include in sequence(text.get("include")):
        local = text_of(include) or text_of(mapping(include).get("local"))
        for found in _matching(gathering, local):
            if found not in seen and len(seen) < _MAX_FILES:
                merged |= _with_includes(gathering, found, seen)
    for key, value in text.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
    return merged


def _matching(gathering: Gathering, local: str) -> Iterator[str]:
    path = posixpath.normpath(local.lstrip("/")) if local else ""
    if "*" in path:
        pattern = re.escape(path).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        yield from [one for one in gathering.tree.paths if re.fullmatch(pattern, one)][:_MAX_FILES]
    elif path in gathering.tree:
        yield path


def _extended(whole: Mapping[str, Any], job: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """The job over those that it extends; mappings are merged, everything else is replaced."""
    merged: dict[str, Any] = {}
    for name in sequence(job.get("extends")) if depth > 0 else []:
        parent = whole.get(name) if isinstance(name, str) else None
        if isinstance(parent, dict):
            merged = _over(merged, _extended(whole, parent, depth - 1))
    return _over(merged, job)


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _variables(value: Any) -> dict[str, str]:
    """GitLab's may be mappings with a `value` and a description."""
    found = {name: text_of(item) or text_of(mapping(item).get("value")) for name, item in mapping(value).items()}
    return {name: text for name, text in found.items() if text}


def _job(gathering: Gathering, whole: Mapping[str, Any], job: Mapping[str, Any], name: str, top: Mapping[str, str]) -> None:
    tags = " ".join(tag for tag in sequence(job.get("tags")) if isinstance(tag, str)).lower()
    if re.search(r"windows|macos|osx|darwin|shell-win", tags):
        return
    variables = {**top, **_variables(job.get("variables"))}
    gathering.variables(variables)
    for more in _matrix(mapping(job.get("parallel")).get("matrix")):
        known = {**variables, **more}
        image = job.get("image")
        gathering.image(expand(text_of(image) or text_of(mapping(image).get("name")), known))
        for service in sequence(_resolved(whole, job.get("services"), _DEPTH)):
            gathering.service(expand(text_of(service) or text_of(mapping(service).get("name")), known))
        directory = ""
        for key in ("before_script", "script"):
            text = "\n".join(line for line in sequence(_resolved(whole, job.get(key), _DEPTH)) if isinstance(line, str))
            gathering.script(text, directory=directory, env=known, job=f".gitlab-ci.yml:{name}")


def _resolved(whole: Mapping[str, Any], value: Any, depth: int) -> Any:
    """`value` with its references followed and nested lists made flat, as GitLab does."""
    if isinstance(value, Reference):
        target: Any = whole
        for key in value.path:
            target = mapping(target).get(key)
        return _resolved(whole, target, depth - 1) if depth > 0 else None
    if not isinstance(value, list):
        return value
    flat: list[Any] = []
    for item in value:
        if isinstance(item, (Reference, list)) and depth > 0 and len(flat) < 2000:
            flat += sequence(_resolved(whole, item, depth - 1))
        else:
            flat.append(item)
    return flat


def _matrix(matrix: Any) -> list[dict[str, str]]:
    """One set of variables for each job of `parallel: matrix`; a job without one is one job."""
    found: list[dict[str, str]] = []
    for entry in sequence(matrix):
        combined: list[dict[str, str]] = [{}]
        for name, values in mapping(entry).items():
            texts = [value for value in sequence(values) if isinstance(value, str)]
            combined = [{**one, name: text} for one in combined for text in texts][:200] or combined
        found += combined
    return found[:200] or [{}]
