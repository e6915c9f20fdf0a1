"""Azure Pipelines: stages, jobs, steps, matrices, and the templates of the same repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import mapping, sequence, text_of
from podgym.envs.build.ci.gathering import Gathering, strings

__all__ = ["read_azure"]

_FILE: Final = re.compile(
    r"(\.?azure[-_]?pipelines?(\.[\w-]+)?|\.azure-pipelines/[\w./-]+|azure-pipelines/[\w./-]+|\.vsts-ci|\.ci/azure-pipelines\S*)\.ya?ml"
)
_TASKS: Final = {
    "usepythonversion": ("versionspec", "python"), "nodetool": ("versionspec", "node"), "usenode": ("version", "node"),
    "gotool": ("version", "go"), "javatoolinstaller": ("versionspec", "java"), "condaenvironment": ("", ""),
}  # fmt: skip
_PLACE: Final = re.compile(r"\$\(([\w.-]+)\)|\$\{\{\s*(?:parameters|variables)\.([\w-]+)\s*\}\}|\$\[\s*variables\[?'?\.?([\w.]+)'?\]?\s*\]")
_DEPTH: Final = 5
_MAX: Final = 200


def read_azure(gathering: Gathering) -> None:
    """The pipelines that are named as Azure names them."""
    paths = [path for path in gathering.tree.paths if _FILE.fullmatch(path)]
    for path in sorted(paths, key=lambda one: (one.count("/"), one))[:20]:
        pipeline = mapping(gathering.document(path))
        values = _variables(pipeline.get("variables")) | _parameters(pipeline)
        gathering.variables({name: text for name, text in values.items() if "." not in name})
        _walk(gathering, path, pipeline, values, linux=_linux(pipeline, values), depth=_DEPTH)


def _walk(gathering: Gathering, path: str, node: Mapping[str, Any], values: Mapping[str, str], *, linux: bool, depth: int) -> None:
    """A pipeline, a stage, a job or a template: whatever holds stages, jobs or steps."""
    own = {**values, **_variables(node.get("variables"))}
    linux = _linux(node, own, linux)
    matrix = mapping(mapping(node.get("strategy")).get("matrix"))
    for more in [strings(one) for one in matrix.values() if isinstance(one, dict)][:_MAX] or [{}]:
        known = {**own, **more}
        here = _linux(node, known, linux)
        container = node.get("container")
        if here:
            gathering.image(_filled(text_of(container) or text_of(mapping(container).get("image")), known))
        for key in ("stages", "jobs"):
            for child in _flat(node.get(key)):
                _child(gathering, path, child, known, linux=here, depth=depth)
        for step in _flat(node.get("steps")):
            if "template" in step:
                _child(gathering, path, step, known, linux=here, depth=depth)
            elif here:
                _step(gathering, step, known, f"{path}:{text_of(node.get('job')) or 'steps'}")


def _child(gathering: Gathering, path: str, child: Mapping[str, Any], values: Mapping[str, str], *, linux: bool, depth: int) -> None:
    if depth <= 0:
        return
    if template := text_of(child.get("template")):
        where = posixpath.dirname(path)
        target = template.lstrip("/") if template.startswith("/") else posixpath.normpath(posixpath.join(where, template))
        body = mapping(gathering.document(target)) if target in gathering.tree else {}
        given = {name: _filled(text, values) for name, text in strings(child.get("parameters")).items()}
        _walk(gathering, target, body, {**values, **_parameters(body), **given}, linux=linux, depth=depth - 1)
    else:
        _walk(gathering, path, child, values, linux=linux, depth=depth - 1)


def _step(gathering: Gathering, step: Mapping[str, Any], values: Mapping[str, str], name: str) -> None:
    if re.search(r"eq\(\s*variables\[?'?\.?agent\.os'?\]?\s*,\s*'(windows_nt|darwin)'", text_of(step.get("condition")).lower()):
        return
    inputs = {key.lower(): _filled(text, values) for key, text in strings(step.get("inputs")).items()}
    task = text_of(step.get("task")).partition("@")[0].lower()
    key, tool = _TASKS.get(task, ("", ""))
    if tool:
        gathering.version(tool, inputs.get(key, ""))
    text = (
        text_of(step.get("script"))
        or text_of(step.get("bash"))
        or (inputs.get("script", "") if task in ("bash", "commandline", "cmdline") else "")
    )
    directory = _filled(text_of(step.get("workingDirectory")) or inputs.get("workingdirectory", ""), values)
    directory = re.sub(r"^\$\((Build\.SourcesDirectory|System\.DefaultWorkingDirectory)\)/?", "", directory)
    env = {**{key: text for key, text in values.items() if "." not in key}, **strings(step.get("env"))}
    gathering.script(_filled(text, values), directory=directory, env=env, job=name)


def _flat(value: Any) -> list[dict[str, Any]]:
    """Entries, those below `${{ if … }}` and `${{ each … }}` among them."""
    found: list[dict[str, Any]] = []
    pending = list(reversed(sequence(value)))
    while pending and len(found) < _MAX:
        item = mapping(pending.pop())
        nested = [inner for key, inner in item.items() if key.startswith("${{")]
        pending += [entry for inner in reversed(nested) for entry in reversed(sequence(inner))] if nested and len(pending) < 5000 else []
        if item and not nested:
            found.append(item)
    return found


def _variables(value: Any) -> dict[str, str]:
    """Written as a mapping, or as a list of names and values."""
    if isinstance(value, dict):
        return strings(value)
    return {text_of(item.get("name")): text_of(item.get("value")) for item in _flat(value) if item.get("name")}


def _parameters(node: Mapping[str, Any]) -> dict[str, str]:
    declared = node.get("parameters")
    if isinstance(declared, dict):
        return strings(declared)
    return {text_of(item.get("name")): text_of(item.get("default")) for item in _flat(declared) if isinstance(item.get("default"), str)}


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: values.get(found[1] or found[2] or found[3], found[0]), text)


def _linux(node: Mapping[str, Any], values: Mapping[str, str], otherwise: bool = True) -> bool:
    pool = node.get("pool")
    image = _filled(text_of(mapping(pool).get("vmImage")) or text_of(mapping(pool).get("name")) or text_of(pool), values).lower()
    return not re.search(r"windows|vs20|win-|macos|mac-", image) if image else otherwise
