"""CircleCI: executors, reusable commands and parameters; orbs are left out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from podgym.envs.build.ci.document import mapping, sequence, text_of
from podgym.envs.build.ci.gathering import Gathering, strings
from podgym.envs.build.ci.purpose import is_beside

__all__ = ["read_circleci"]

_PATH: Final = ".circleci/config.yml"
_PARAMETER: Final = re.compile(r"<<\s*(?:parameters|pipeline\.parameters|matrix)\.([\w-]+)\s*>>")
_DEPTH: Final = 6
_MAX_JOBS: Final = 150


def read_circleci(gathering: Gathering) -> None:
    """`.circleci/config.yml`."""
    config = mapping(gathering.document(_PATH))
    calls = list(_calls(config))
    for name, job in list(mapping(config.get("jobs")).items())[:_MAX_JOBS]:
        if isinstance(job, dict):
            for arguments in [arguments for called, arguments in calls if called == name] or [{}]:
                values = {**_defaults(config), **_defaults(job), **arguments}
                gathering.aside = is_beside(name)
                _job(gathering, config, job, values, f"{_PATH}:{name}")
    gathering.aside = False


def _calls(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Jobs that workflows run, with their parameters; matrices unfolded."""
    for workflow in mapping(config.get("workflows")).values():
        for entry in sequence(mapping(workflow).get("jobs"))[:_MAX_JOBS]:
            for name, arguments in mapping(entry).items():
                own = strings(arguments)
                axes = {
                    key: sequence(values) for key, values in mapping(mapping(mapping(arguments).get("matrix")).get("parameters")).items()
                }
                for values in itertools.islice(itertools.product(*axes.values()), 200):
                    yield name, {**own, **{key: value for key, value in zip(axes, values, strict=True) if isinstance(value, str)}}


def _defaults(of: Mapping[str, Any]) -> dict[str, str]:
    declared = {name: mapping(value).get("default") for name, value in mapping(of.get("parameters")).items()}
    return {name: value for name, value in declared.items() if isinstance(value, str)}


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PARAMETER.sub(lambda found: values.get(found[1], found[0]), text)


def _job(gathering: Gathering, config: Mapping[str, Any], job: Mapping[str, Any], values: Mapping[str, str], name: str) -> None:
    executor = job.get("executor")
    called = _filled(text_of(executor) or text_of(mapping(executor).get("name")), values)
    machine = mapping(mapping(config.get("executors")).get(called))
    whole = {**machine, **job}
    if "macos" in whole or "windows" in called.lower() or called.startswith("win/"):
        return
    values = {**_defaults(machine), **strings(executor), **values}
    env: dict[str, str] = {}
    for index, container in enumerate(sequence(whole.get("docker"))):
        image = _filled(text_of(mapping(container).get("image")), values)
        (gathering.service if index else gathering.image)(image)
        if index == 0:
            env |= strings(mapping(container).get("environment"))
    env |= {**strings(machine.get("environment")), **strings(job.get("environment"))}
    env = {key: _filled(text, values) for key, text in env.items()}
    gathering.variables(env)
    directory = _filled(text_of(whole.get("working_directory")), values)
    _steps(gathering, config, whole.get("steps"), values, env=env, directory=directory, name=name, depth=_DEPTH)


def _steps(
    gathering: Gathering,
    config: Mapping[str, Any],
    steps: Any,
    values: Mapping[str, str],
    *,
    env: Mapping[str, str],
    directory: str,
    name: str,
    depth: int,
) -> None:
    for step in sequence(steps)[:300]:
        # `checkout` and the like are bare names, as is a call of a reusable command without parameters.
        entry = {step: None} if isinstance(step, str) else mapping(step)
        for kind, body in entry.items():
            if kind == "run":
                text = _filled(text_of(body) or text_of(mapping(body).get("command")), values)
                place = _filled(text_of(mapping(body).get("working_directory")), values) or directory
                gathering.script(text, directory=_relative(place), env={**env, **strings(mapping(body).get("environment"))}, job=name)
            elif kind in ("when", "unless"):
                inner = mapping(body).get("steps")
                if depth > 0:
                    _steps(gathering, config, inner, values, env=env, directory=directory, name=name, depth=depth - 1)
            elif isinstance(command := mapping(config.get("commands")).get(kind), dict) and depth > 0:
                given = {key: _filled(text, values) for key, text in strings(body).items()}
                inner_values = {**_defaults(command), **given}
                _steps(gathering, config, command.get("steps"), inner_values, env=env, directory=directory, name=name, depth=depth - 1)


def _relative(directory: str) -> str:
    """Of the checkout, which is what `~/project` and its likes name."""
    return re.sub(r"^(~|/home/circleci|/root)/(project|repo|code|src|app)\b/?|^/(app|code|src|project)\b/?|^~/[^/]*/?", "", directory)
