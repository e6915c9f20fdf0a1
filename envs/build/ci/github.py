"""GitHub Actions: workflows, the composite actions and the reusable workflows of the same repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from podgym.envs.build.ci.actions import read_action
from podgym.envs.build.ci.document import mapping, sequence, text_of
from podgym.envs.build.ci.expressions import UNKNOWN, evaluate, interpolate, truth
from podgym.envs.build.ci.gathering import Gathering, strings
from podgym.envs.build.ci.matrix import combinations
from podgym.envs.build.ci.purpose import OTHER, TESTING, is_beside

__all__ = ["read_github"]

_DEPTH: Final = 4
_MAX_JOBS: Final = 200
_EVIDENCE: Final = frozenset(
    ("push", "pull_request", "pull_request_target", "merge_group", "workflow_dispatch", "workflow_call", "workflow_run")
)
_PLAIN: Final = frozenset(
    ("ci", "test", "tests", "testing", "build", "main", "linux", "ubuntu", "unit-tests", "unittest", "check", "checks")
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a step stands, and what is known there."""

    contexts: dict[str, Any]
    job: str
    env: dict[str, str] = field(default_factory=dict)
    directory: str = ""
    shell: str = ""
    depth: int = _DEPTH
    checkout: str = ""
    """Where the job has put the repository below its workspace."""

    def filled(self, text: str) -> str:
        return interpolate(text, {**self.contexts, "env": {**self.env, "*": UNKNOWN}})

    def holds(self, condition: Any) -> bool | None:
        """Of an `if:`; one without braces is an expression all the same."""
        text = text_of(condition).strip()
        if not text:
            return True
        inner = re.fullmatch(r"\$\{\{(.*)\}\}", text, re.DOTALL)
        if inner is None and "${{" in text:
            return None
        return truth(evaluate(inner[1] if inner else text, {**self.contexts, "env": {**self.env, "*": UNKNOWN}}))

    def inside(self, directory: str) -> str:
        """A directory of the workspace as one of the repository."""
        whole = posixpath.normpath(directory or ".")
        under = self.checkout and (whole == self.checkout or whole.startswith(f"{self.checkout}/"))
        return whole[len(self.checkout) + 1 :] if under else directory

    def with_env(self, value: Any) -> dict[str, str]:
        return {**self.env, **{name: self.filled(text) for name, text in strings(value).items()}}


def read_github(gathering: Gathering) -> None:
    """All workflows, those first that look like tests of what is pushed."""
    paths = [path for path in gathering.tree.paths if re.fullmatch(r"\.(github|gitea|forgejo)/workflows/[^/]+\.ya?ml", path)]
    found = [(path, mapping(gathering.document(path))) for path in paths]
    workflows = [(path, workflow) for path, workflow in found if isinstance(workflow.get("jobs"), dict)]
    called = {
        posixpath.normpath(uses)
        for _, workflow in workflows
        for job in mapping(workflow["jobs"]).values()
        if (uses := text_of(mapping(job).get("uses"))).startswith("./")
    }
    for path, workflow in sorted(workflows, key=lambda one: (_rank(*one), one[0])):
        triggers = _triggers(workflow)
        alone = triggers != {"workflow_call"} or path not in called
        if alone and (triggers & _EVIDENCE or not triggers):
            gathering.aside = is_beside(posixpath.basename(path))
            _workflow(gathering, path, workflow, inputs={}, depth=_DEPTH)
    gathering.aside = False


def _triggers(workflow: Mapping[str, Any]) -> set[str]:
    events = workflow.get("on")
    return set(events) if isinstance(events, dict) else {event for event in sequence(events) if isinstance(event, str)}


def _rank(path: str, workflow: Mapping[str, Any]) -> int:
    """0 for the workflow that most likely builds and tests."""
    name = f"{posixpath.basename(path)} {text_of(workflow.get('name'))}"
    triggers = _triggers(workflow)
    rank = 0 if triggers & {"push", "pull_request", "merge_group"} else 3
    plain = posixpath.basename(path).rpartition(".")[0].lower() in _PLAIN
    return 2 * rank + (4 if OTHER.search(name) else 0) + (0 if plain else 1 if TESTING.search(name) else 2)


def _workflow(gathering: Gathering, path: str, workflow: Mapping[str, Any], *, inputs: Mapping[str, str], depth: int) -> None:
    declared = mapping(mapping(mapping(workflow.get("on")).get("workflow_call")).get("inputs"))
    declared = declared or mapping(mapping(mapping(workflow.get("on")).get("workflow_dispatch")).get("inputs"))
    defaults = {name: text_of(mapping(value).get("default")) for name, value in declared.items() if "default" in mapping(value)}
    contexts: dict[str, Any] = {
        "runner": {"os": "Linux", "arch": "X64", "*": UNKNOWN},
        "inputs": {**defaults, **inputs, "*": UNKNOWN},
        "github": {"workspace": ".", "action_path": ".", "job": "test", "*": UNKNOWN},
    }
    top = _Place(contexts, path)
    env = top.with_env(workflow.get("env"))
    gathering.variables(strings(workflow.get("env")))
    jobs = mapping(workflow.get("jobs"))
    named = sorted(jobs.items(), key=lambda one: is_beside(one[0]))
    for name, job in named[:_MAX_JOBS]:
        if isinstance(job, dict):
            place = _Place(contexts, f"{path}:{name}", env, *_defaults(workflow), depth=depth)
            before, gathering.aside = gathering.aside, gathering.aside or is_beside(name)
            for matrix in combinations(_matrix(job, place)):
                _job(gathering, job, matrix, place)
            gathering.aside = before


def _matrix(job: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    """The axes whose values the file tells; `fromJSON('[…]')` among them."""
    matrix = mapping(job.get("strategy")).get("matrix")
    if isinstance(matrix, str):
        matrix = _value(matrix, place)
    found: dict[str, Any] = {}
    for name, values in mapping(matrix).items():
        known = _value(values, place) if isinstance(values, str) else values
        if isinstance(known, list):
            found[name] = [_value(one, place) if isinstance(one, str) else one for one in known]
    return found


def _told(job: Mapping[str, Any]) -> bool:
    """Whether a name that a matrix lacks is one that it does not have, rather than one that another job sets."""
    matrix = mapping(job.get("strategy")).get("matrix")
    return not isinstance(matrix, str) and not any(isinstance(values, str) for values in mapping(matrix).values())


def _value(text: str, place: _Place) -> Any:
    inner = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", text, re.DOTALL)
    if inner is None:
        return place.filled(text)
    value = evaluate(inner[1], {**place.contexts, "env": place.env})
    return text if value is UNKNOWN else _texts(value)


def _texts(value: Any) -> Any:
    """JSON's numbers and truth values as the texts that YAML's are here."""
    if isinstance(value, list):
        return [_texts(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _texts(one) for name, one in value.items()}
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None or isinstance(value, str) else str(value)


def _defaults(of: Mapping[str, Any]) -> tuple[str, str]:
    run = mapping(mapping(of.get("defaults")).get("run"))
    return text_of(run.get("working-directory")), text_of(run.get("shell"))


def _job(gathering: Gathering, job: Mapping[str, Any], matrix: Mapping[str, Any], outer: _Place) -> None:
    rest = {} if _told(job) else {"*": UNKNOWN}
    place = _Place({**outer.contexts, "matrix": {**matrix, **rest}}, outer.job, outer.env, outer.directory, outer.shell, outer.depth)
    if not _on_linux(job.get("runs-on"), place) or place.holds(job.get("if")) is False:
        return
    env = place.with_env(job.get("env"))
    gathering.variables(strings(job.get("env")))
    directory, shell = _defaults(job)
    place = _Place(place.contexts, outer.job, env, place.filled(directory) or place.directory, shell or place.shell, outer.depth)
    if uses := text_of(job.get("uses")):
        _call(gathering, uses, {name: place.filled(value) for name, value in strings(job.get("with")).items()}, place)
        return
    container = job.get("container")
    gathering.image(place.filled(text_of(container) or text_of(mapping(container).get("image"))))
    place = _Place(place.contexts, outer.job, place.with_env(mapping(container).get("env")), place.directory, place.shell, outer.depth)
    for service in mapping(job.get("services")).values():
        gathering.service(place.filled(text_of(service) or text_of(mapping(service).get("image"))))
    _steps(gathering, job.get("steps"), place)


def _on_linux(runner: Any, place: _Place) -> bool:
    """Whether a job runs on Linux; yes where that is not known."""
    if isinstance(runner, dict):
        runner = [*sequence(runner.get("labels")), *sequence(runner.get("group"))]
    labels = " ".join(place.filled(label) for label in sequence(runner) if isinstance(label, str)).lower()
    return re.search(r"windows|macos|mac-|darwin|freebsd|\barm64-win", labels) is None


def _call(gathering: Gathering, uses: str, inputs: Mapping[str, str], place: _Place) -> None:
    """A reusable workflow of this repository."""
    path = posixpath.normpath(uses.partition("@")[0])
    if not uses.startswith("./") or place.depth <= 0:
        return
    workflow = mapping(gathering.document(path))
    if isinstance(workflow.get("jobs"), dict):
        _workflow(gathering, path, workflow, inputs=inputs, depth=place.depth - 1)


def _checkout(steps: Any) -> str:
    for step in sequence(steps)[:20]:
        inputs = mapping(mapping(step).get("with"))
        if text_of(mapping(step).get("uses")).startswith("actions/checkout@") and "path" in inputs and "repository" not in inputs:
            return posixpath.normpath(text_of(inputs["path"]) or ".")
    return ""


def _steps(gathering: Gathering, steps: Any, place: _Place) -> None:
    place = replace(place, checkout=_checkout(steps) or place.checkout)
    for step in sequence(steps)[:500]:
        if not isinstance(step, dict) or place.holds(step.get("if")) is False:
            continue
        env = place.with_env(step.get("env"))
        directory = place.inside(place.filled(text_of(step.get("working-directory"))) or place.directory)
        if text := text_of(step.get("run")):
            shell = text_of(step.get("shell")) or place.shell
            if not re.match(r"pwsh|powershell|cmd|python|node|perl|msys|cygwin", shell):
                gathering.script(place.filled(text), directory=directory, env=env, job=place.job)
        elif uses := text_of(step.get("uses")):
            inputs = {name: place.filled(value) for name, value in strings(step.get("with")).items()}
            if uses.startswith("./"):
                _composite(gathering, uses, inputs, _Place(place.contexts, place.job, env, "", place.shell, place.depth))
            else:
                read_action(gathering, place.filled(uses), inputs, directory=directory, env=env, job=place.job)


def _composite(gathering: Gathering, uses: str, inputs: Mapping[str, str], place: _Place) -> None:
    """An action of this repository."""
    directory = posixpath.normpath(uses.partition("@")[0])
    if place.depth <= 0 or directory.startswith(".."):
        return
    names = [posixpath.normpath(f"{directory}/{name}") for name in ("action.yml", "action.yaml")]
    path = next((name for name in names if name in gathering.tree), "")
    action = mapping(gathering.document(path)) if path else {}
    runs = mapping(action.get("runs"))
    declared = mapping(action.get("inputs"))
    defaults = {name: place.filled(text_of(mapping(value).get("default"))) for name, value in declared.items()}
    # An input that the caller left to an expression is not known; one that it left out has its default.
    values: dict[str, Any] = {**defaults, **{name: UNKNOWN if "${{" in value else value for name, value in inputs.items()}}
    github = {**mapping(place.contexts.get("github")), "action_path": directory}
    contexts = {**place.contexts, "inputs": values, "github": github}
    if text_of(runs.get("using")) == "composite":
        _steps(gathering, runs.get("steps"), _Place(contexts, place.job, place.env, "", "", place.depth - 1))
    elif text_of(runs.get("image")).startswith("docker://"):
        gathering.image(text_of(runs.get("image")).removeprefix("docker://"))
