"""Changes to a plan. A plan is data; each function returns another one and leaves the rest as it is.

What is put before a step or a test script goes before everything else in it, so that what the script itself sets still wins. Scripts
of test programs are wrapped by way of a file, because their placeholders are filled in later, by text that no quoting would survive.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pydantic import TypeAdapter, ValidationError

from podgym.envs.build.catalogue import BaseImage
from podgym.envs.build.plan import TOOLS, BuildPlan
from podgym.sandbox import Step
from podgym.sandbox.values import PackageName
from podgym.verifiers import TestCommand

__all__ = [
    "WRAP", "each_program", "with_base", "with_env", "with_exports", "with_first_step",
    "with_interpreter", "with_last_step", "with_limits", "with_note",
    "with_packages", "with_prefix", "with_script", "without_packages", "wrapped",
]  # fmt: skip

WRAP: Final = f"{TOOLS}/wrap"
"""Directory of programs that stand in for others, put first on the path where a remedy makes some."""
_JOINED: Final = {
    "CFLAGS": " ", "CXXFLAGS": " ", "LDFLAGS": " ", "CPPFLAGS": " ", "NODE_OPTIONS": " ", "RUSTFLAGS": " ", "RUSTDOCFLAGS": " ",
    "MAVEN_OPTS": " ", "MAVEN_ARGS": " ", "GRADLE_OPTS": " ", "JAVA_TOOL_OPTIONS": " ", "JDK_JAVA_OPTIONS": " ", "GOFLAGS": " ",
    "PYTEST_ADDOPTS": " ",
}  # fmt: skip
"""Variables that hold several options: more are added, none is replaced."""
_TOOLCHAINS: Final = {"rust": ("cargo", "rustc"), "java": ("default-jdk", "default-jdk-headless", "default-jre")}
_NAME: Final = TypeAdapter(PackageName)


def with_packages(plan: BuildPlan, names: Iterable[str]) -> BuildPlan:
    """Debian packages more; those that the plan has already stay once. A second copy of the plan's own toolchain is none of them."""
    new = [name for name in names if name not in _TOOLCHAINS.get(plan.language, ()) and _is_name(name)]
    return plan.model_copy(update={"packages": tuple(dict.fromkeys((*plan.packages, *new)))})


def _is_name(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def without_packages(plan: BuildPlan, names: Iterable[str]) -> BuildPlan:
    """Fewer Debian packages."""
    left_out = set(names)
    return plan.model_copy(update={"packages": tuple(name for name in plan.packages if name not in left_out)})


def with_base(plan: BuildPlan, image: BaseImage, why: str) -> BuildPlan:
    """Another toolchain's image."""
    return plan.model_copy(update={"base": image.name, "toolchain": image.version, "why_toolchain": why})


def with_prefix(plan: BuildPlan, text: str, *, steps: bool = True, tests: bool = True) -> BuildPlan:
    """Shell lines before every step and every test program's script."""
    if steps:
        change = {
            "dependencies": tuple(_prefixed(step, text) for step in plan.dependencies),
            "install": tuple(_prefixed(step, text) for step in plan.install),
        }
        plan = plan.model_copy(update=change)
    return each_program(plan, lambda command: f"{text}{command.script}") if tests else plan


def _prefixed(step: Step, text: str) -> Step:
    return step if step.run.startswith(text) else step.model_copy(update={"run": f"{text}{step.run}"})


def with_exports(plan: BuildPlan, exports: Mapping[str, str], *, steps: bool = True, tests: bool = True) -> BuildPlan:
    """Variables for steps and tests; those that hold options are added to, and no script unsets them. Values are literal."""
    plan = _unset_no_more(plan, frozenset(exports))
    if steps:
        lines = []
        for name, value in exports.items():
            quoted = shlex.quote(value)
            joined = f'"${{{name}:+${name}{_JOINED[name]}}}"{quoted}' if name in _JOINED else quoted
            lines.append(f"export {name}={joined}\n")
        plan = with_prefix(plan, "".join(lines), tests=False)
    if not tests:
        return plan
    return _each_test(plan, lambda command: command.model_copy(update={"env": _joined_env(command.env, exports)}))


def _unset_no_more(plan: BuildPlan, names: frozenset[str]) -> BuildPlan:
    """Scripts start from a clean environment; what a remedy sets has to survive that."""

    def kept(found: re.Match[str]) -> str:
        words = [word for word in found[2].split() if word not in names]
        return f"{found[1]}unset {' '.join(words)} " if words else f"{found[1]}: "

    def edited(script: str) -> str:
        return re.sub(r"(?m)^([ \t]*)unset((?:[ \t]+[A-Za-z_]\w*)+)[ \t]*", kept, script) if names else script

    def step(one: Step) -> Step:
        return one.model_copy(update={"run": edited(one.run)})

    change = {"dependencies": tuple(map(step, plan.dependencies)), "install": tuple(map(step, plan.install))}
    return each_program(plan.model_copy(update=change), lambda command: edited(command.script))


def with_env(plan: BuildPlan, env: Mapping[str, str]) -> BuildPlan:
    """Variables of the agent and of the tests."""
    return plan.model_copy(update={"env": _joined_env(plan.env, env)})


def _joined_env(before: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    joined = dict(before)
    for name, value in more.items():
        old = joined.get(name, "")
        if name in _JOINED and old and value not in old:
            joined[name] = f"{old}{_JOINED[name]}{value}"
        elif name not in _JOINED or not old:
            joined[name] = value
    return joined


def with_first_step(plan: BuildPlan, script: str, *, timeout_s: float = 600.0, files: bool = False) -> BuildPlan:
    """A step before all others; with `files` the first that has the repository."""
    step = Step(run=f"set -eu\n{script}", timeout_s=timeout_s)
    key = "install" if files else "dependencies"
    return plan.model_copy(update={key: (step, *getattr(plan, key))})


def with_last_step(plan: BuildPlan, script: str, *, timeout_s: float = 900.0) -> BuildPlan:
    """A step after all others."""
    return plan.model_copy(update={"install": (*plan.install, Step(run=f"set -eu\n{script}", timeout_s=timeout_s))})


def with_limits(plan: BuildPlan, **changes: float | int) -> BuildPlan:
    """Other limits of the task's sandboxes."""
    return plan.model_copy(update={"limits": plan.limits.model_copy(update=changes)})


def with_note(plan: BuildPlan, note: str) -> BuildPlan:
    """What was changed, for people."""
    return plan.model_copy(update={"notes": (*plan.notes, note)})


def with_script(command: TestCommand, script: str) -> TestCommand:
    """Another script of a test program."""
    return command.model_copy(update={"script": script})


def each_program(plan: BuildPlan, change: Callable[[TestCommand], str]) -> BuildPlan:
    """Every test program's script replaced; podgym's own runners have none."""
    return _each_test(plan, lambda command: with_script(command, change(command)) if command.framework == "program" else command)


def _each_test(plan: BuildPlan, change: Callable[[TestCommand], TestCommand]) -> BuildPlan:
    update = {"tests": tuple(change(command) for command in plan.tests), "changed": tuple(change(command) for command in plan.changed)}
    return plan.model_copy(update=update)


def with_interpreter(plan: BuildPlan, name: str, *, before: str = "", run: str = 'exec "$real" "$@"') -> BuildPlan:
    """A stand-in for the interpreter of podgym's own runners, which have no script: `before`, then `run` with `$real`.

    What `before` prints goes to the log, for the runner's standard output is its report.
    """
    places: dict[str, str] = {}

    def turned(command: TestCommand) -> TestCommand:
        if command.framework == "program":
            return command
        place = places.setdefault(command.python, f"{WRAP}/{name}{len(places) or ''}")
        return command.model_copy(update={"python": place})

    changed = _each_test(plan, turned)
    if not places:
        return plan
    lines = [f"mkdir -p {WRAP}\n"]
    for python, place in places.items():
        quoted = shlex.quote(python)
        body = f"#!/bin/sh\nreal=$(command -v {quoted} || command -v python3)\n{{\n{before or ':'}\n}} >&2\n{run}\n"
        lines.append(f"printf %s {shlex.quote(body)} > {place}\nchmod 755 {place}\n")
    return with_last_step(changed, "".join(lines))


def wrapped(script: str, *, before: str = "", run: str = 'sh "$podgym_script"', after: str = "") -> str:
    """A script that writes `script` to the file `$podgym_script` and runs it by `run`; the exit code is the file's.

    `script` stands word for word in a here-document whose end is no line of it.
    """
    end = f"PODGYM_{hashlib.sha256(script.encode()).hexdigest()[:12]}"
    body = script if script.endswith("\n") else f"{script}\n"
    return (
        f'{before}podgym_script=$(mktemp)\ncat > "$podgym_script" <<\'{end}\'\n{body}{end}\nchmod a+r "$podgym_script"\n'
        f'podgym_code=0\n{run} || podgym_code=$?\n{after}rm -f "$podgym_script"\nexit "$podgym_code"\n'
    )
