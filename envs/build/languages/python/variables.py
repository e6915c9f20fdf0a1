"""Variables that tests are run with: what tox, Hatch and CI set for them, but for those of tools."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from posixpath import join, normpath
from typing import Final

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.languages.python.tox import tox_variables
from podgym.envs.build.plan import WORKDIR

__all__ = ["runs_tests", "test_variables"]

_RUNS: Final = re.compile(
    r"\b(?:pytest|py\.test|unittest|tox|nox|nosetests|nose2|trial|run_?tests?\.py|stestr)\b|(?:manage\.py|django-admin|setup\.py) test\b|"
    r"\b(?:make|just|task|poe|invoke|inv|pdm run|hatch run|hatch|poetry run|uv run|rye run) "
    r"(?:[\w:-]{0,40}[:-])?(?:tests?|check|unit|coverage|cov)\b"
)
_BESIDE: Final = re.compile(
    r"\b(?:install|add|sync|update)\b|(?:-e|-s|--sessions?|-env|run)[ =]*(?:lint|docs?|style|mypy|typ(?:es?|ing)|format|pre-commit|"
    r"build|publish|release|flake8|black|ruff|check-manifest|package)\b"
)
"""What names a runner and is no test."""
_TOOLS: Final = re.compile(
    r"CC|CXX|LD|AR|CPP|\w*FLAGS|\w*PATH|HOME|PWD|SHELL|USER|TERM|CI|TMP|TEMP|TMPDIR|LANG|LANGUAGE|LC_\w+|LD_\w+|DYLD_\w+|DISPLAY|XDG_\w+|"
    r"(?:PIP|UV|POETRY|PDM|PIPENV|CONDA|MAMBA|HATCH|VIRTUALENV|VIRTUAL|TOX|NOX|SETUPTOOLS|CIBW|CARGO|RUST|RUSTUP|MAKE|CMAKE|DEBIAN|GITHUB|"
    r"RUNNER|GIT|PRE_COMMIT|COVERAGE|COV|CODECOV|COVERALLS|NPM|NODE|DOCKER|ACTIONS|PODGYM|PY|FORCE|NO)(?:_\w*)?|"
    r"(?:TOX|NOX|PYTHON|PYTEST|VIRTUALENV|CLICOLOR|MATRIX)\w*|\w*(?:TOKEN|_PROXY)\w*"
)
"""Of build tools and of this machine, and those that decide how pytest reports."""
_KEPT: Final = frozenset(("PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING", "NO_NETWORK"))
_SERVICE: Final = re.compile(
    r"(?:\w*_)?(?:HOST|HOSTNAME|PORT|URL|URI|DSN|DATABASE)|"
    r"(?:PG|MYSQL|POSTGRES\w*|MONGO\w*|REDIS|MARIADB|DB|ELASTIC\w*|RABBIT\w*|KAFKA|DATABASE)_?\w*"
)
"""Where CI has its services, and no sandbox has."""
_MAX: Final = 60


def runs_tests(line: str) -> bool:
    """Whether a shell line of CI runs tests."""
    return any(_RUNS.search(part) and not _BESIDE.search(part) for part in re.split(r"&&|;|\|\|", line[:2000]))


def test_variables(project: Project, ci: CiFacts) -> dict[str, str]:
    """By name; what tox says goes before CI. Of CI's those that half of the steps that run the project's tests set, as the first does."""
    here = normpath(join(WORKDIR, project.root))
    found = dict(_of(tox_variables(project), here))
    for name, environment in project.hatch_environments.items():
        if re.search(r"test|^default$", name) and isinstance(environment.get("env-vars"), dict):
            found = {**_of(environment["env-vars"], here), **found}
    steps = [step for step in ci.steps if project.has(step.directory) and runs_tests(step.line)]
    named = Counter(name for step in steps for name in step.env)
    for step in steps:
        env = {name: value for name, value in step.env.items() if 2 * named[name] >= len(steps) and not _of_service(name, value)}
        found = {**_of(env, normpath(join(WORKDIR, step.directory))), **found}
    return dict(list(found.items())[:_MAX])


def _of_service(name: str, value: str) -> bool:
    return _SERVICE.fullmatch(name[:100]) is not None and not value.startswith("sqlite")


def _of(env: Mapping[str, object], here: str) -> dict[str, str]:
    kept = {}
    for name, value in env.items():
        if not isinstance(value, str) or not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,80}", name):
            continue
        text = re.sub(r"\{(?:toxinidir|tox_root|root)\}", here, value)
        if name == "PYTHONPATH":
            text = ":".join(_place(part, here) for part in text.split(":") if part and "$" not in part)
            if not text:
                continue
        if (name in _KEPT or not _TOOLS.fullmatch(name)) and text.isprintable() and len(text) < 1000 and not re.search(r"[${}]", text):
            kept[name] = text
    return kept


def _place(part: str, here: str) -> str:
    return part if part.startswith("/") else normpath(join(here, part))
