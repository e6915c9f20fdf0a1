"""Facts of a Python project to its plan: the image, how the tests run, and why.

A project of plain files with tests on unittest needs no step at all: its image is the base and the repository. All
others get a virtual environment outside the work tree. What can be told without the project's files (its listed
dependencies, the tests' requirements) is installed before the repository is copied, so that tasks of one day share
those layers; the project itself is installed in place afterwards. Versions are those of a lock file, as far as they fit together, and
otherwise those of the commit's day.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.python.facts import PythonFacts
from podgym.envs.build.languages.python.native import build_needs, cython_call, stand_in
from podgym.envs.build.languages.python.pythons import choose_python, packages_as_of
from podgym.envs.build.plan import INSTALL_LOG, TOOLS, WORKDIR, BuildPlan
from podgym.sandbox import Step
from podgym.verifiers import TestCommand

__all__ = ["VENV", "plan_python"]

VENV = "/opt/venv"

_LOCKED = f"{TOOLS}/locked.txt"

_EDITABLE_SINCE = "2023-06-01"
_BUILDERS = ("flit-core", "poetry-core", "setuptools", "wheel")
"""Build tools are taken as of this date where a commit is older: by then all of them knew editable installs (PEP 660)."""

_TEST_ENV = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PIP_NO_INDEX": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}


def plan_python(
    facts: PythonFacts,
    *,
    committed: datetime,
    catalogue: Catalogue,
    python: str = "",
    suite_timeout_s: float = 300.0,
    step_timeout_s: float = 1800.0,
    exports: Mapping[str, str] = MappingProxyType({}),
    packages: Sequence[str] = (),
) -> BuildPlan:
    """The plan for `facts`. `python` overrides the choice; `exports` are set while installing; `packages` are Debian's.

    Raises `BuildError` (no_toolchain) where no base image fits.
    """
    python, base, why = _image(facts, python, committed=committed, catalogue=catalogue)
    env = dict(_TEST_ENV)
    plain = not (facts.installable or facts.dependencies or facts.test_requirements or facts.siblings) and facts.framework == "unittest"
    steps = _Steps(facts, cut=packages_as_of(python, committed), timeout_s=step_timeout_s, env=exports)
    if not plain:
        env |= {"PATH": f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VIRTUAL_ENV": VENV}
    tests = TestCommand(
        framework=facts.framework,
        python="python" if plain else steps.interpreter,
        targets=facts.suite,
        args=facts.test_args,
        env=_test_env(facts),
        cwd=facts.root or ".",
        # A build before each run may take as long as the one that made the image.
        timeout_s=max(suite_timeout_s, step_timeout_s) if facts.compiled else suite_timeout_s,
    )
    return BuildPlan(
        language="python",
        build_system=facts.build_system,
        toolchain=python,
        why_toolchain=why,
        framework=facts.framework,
        name=facts.name,
        root=facts.root,
        base=base,
        packages=() if plain else tuple(packages),
        dependencies=() if plain else steps.before(),
        install=() if plain else steps.after(),
        writable=() if plain else (VENV, TOOLS),
        env=env,
        tests=(tests,),
        changed=(tests.model_copy(update={"targets": facts.changed_tests}),) if facts.changed_tests else (),
        notes=facts.notes,
    )


def _image(facts: PythonFacts, asked: str, *, committed: datetime, catalogue: Catalogue) -> tuple[str, str, str]:
    """Version, name and why. One that is asked for may be one that the catalogue does not know; one that it knows not to be had is not
    taken."""
    if asked:
        image = catalogue.choose("python", lambda version: version == asked)
        name = f"python:{asked}-bookworm"
        if image is None and name not in catalogue.absent:
            return asked, name, "asked for"
        image = image or catalogue.nearest("python", asked)
        if image is not None:
            return image.version, image.name, "asked for" if image.version == asked else f"the nearest to {asked}, asked for"
    here, others = ([image.version for image in images] for images in (catalogue.here("python"), catalogue.of("python")))

    def chosen(available: Sequence[str]) -> tuple[str, str]:
        return choose_python(
            requires=facts.requires_python,
            pinned=facts.pinned_python,
            claimed=facts.claimed_pythons,
            committed=committed,
            installable=facts.installable,
            available=available,
            pinned_by=facts.pinned_by,
        )

    try:
        version, why = chosen(here)
    except BuildError:
        # What is not here may be pulled.
        version, why = chosen(others)
    return version, next(image.name for image in catalogue.of("python") if image.version == version), why


def _test_env(facts: PythonFacts) -> dict[str, str]:
    env = dict(facts.variables)
    if facts.src_layout and not (facts.installable and facts.surely_built):
        env["PYTHONPATH"] = ":".join((f"{WORKDIR}/{facts.root}/src".replace("//", "/"), *filter(None, (env.get("PYTHONPATH"),))))
    if facts.django_settings:
        env["DJANGO_SETTINGS_MODULE"] = facts.django_settings
    return env


_PRELUDE = """\
set -eu
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
[ -z "${{PIP_INDEX_URL:-}}" ] || export UV_DEFAULT_INDEX="${{UV_DEFAULT_INDEX:-$PIP_INDEX_URL}}"
[ -z "${{PIP_EXTRA_INDEX_URL:-}}" ] || export UV_INDEX="${{UV_INDEX:-$PIP_EXTRA_INDEX_URL}}"
[ -z "${{PIP_FIND_LINKS:-}}" ] || export UV_FIND_LINKS="${{UV_FIND_LINKS:-$PIP_FIND_LINKS}}"
[ -z "${{PIP_CERT:-}}" ] || export SSL_CERT_FILE="${{SSL_CERT_FILE:-$PIP_CERT}}"
export UV_SYSTEM_CERTS=1
mkdir -p {tools}
venv={venv} log={log} cut={cut} locked={locked} builders="{builders}"
tools=$(mktemp -d) && trap 'rm -rf "$tools"' EXIT
if python -m pip --version >/dev/null 2>&1; then pip="python -m pip"
else python -m venv "$tools/pip" && pip="$tools/pip/bin/python -m pip"; fi
compile=--compile-bytecode
uv=; if $pip install -q --target "$tools/uv" uv; then uv="$tools/uv/bin/uv"; fi
by_lock() {{
  [ -s "$locked" ] || return 1
  if [ -n "$uv" ]; then
    "$uv" pip install -q --python "$venv/bin/python" $compile $builders --exclude-newer "$cut" -c "$locked" "$@" &&
      echo "uv, as of $cut and by the lock file: $*" >> "$log" && return
    # An index that tells no dates has nothing as of a day, and yet the versions that are named.
    "$uv" pip install -q --python "$venv/bin/python" $compile -c "$locked" "$@" && echo "uv, by the lock file: $*" >> "$log" && return
  else
    $pip --python "$venv/bin/python" install -q -c "$locked" "$@" && echo "pip, by the lock file: $*" >> "$log" && return
  fi
  echo "not by the lock file: $*" >> "$log"
  return 1
}}
install() {{
  if by_lock "$@"; then return; fi
  if [ -z "$uv" ]; then
    $pip --python "$venv/bin/python" install -q "$@" && echo "pip, latest: $*" >> "$log"
  elif "$uv" pip install -q --python "$venv/bin/python" $compile $builders --exclude-newer "$cut" "$@"; then
    echo "uv, as of $cut: $*" >> "$log"
  else
    "$uv" pip install -q --python "$venv/bin/python" $compile "$@" && echo "uv, latest: $*" >> "$log"
  fi
}}
install_project() {{
  if [ -z "$uv" ]; then install -e "$1"; return; fi
  if by_lock -e "$1"; then return; fi
  if "$uv" pip install -q --python "$venv/bin/python" $compile $builders --exclude-newer "$cut" -e "$1"; then
    echo "uv, as of $cut: -e $1" >> "$log"; return
  fi
  # Build tools of that time may not know editable installs: the dependencies as of then, the project by newer tools.
  kept=; code=0; [ ! -e build ] || kept=1
  if "$uv" pip install -q --python "$venv/bin/python" $compile $builders --exclude-newer "$cut" "$1" &&
     "$uv" pip install -q --python "$venv/bin/python" --no-deps -e "$1"; then
    echo "uv, as of $cut but for build tools: -e $1" >> "$log"
  else
    "$uv" pip install -q --python "$venv/bin/python" $compile -e "$1" && echo "uv, latest: -e $1" >> "$log" || code=1
  fi
  [ -n "$kept" ] || rm -rf build
  return "$code"
}}
install_alone() {{
  if [ -n "$uv" ]; then "$uv" pip install -q --python "$venv/bin/python" --no-deps -e "$1"
  else $pip --python "$venv/bin/python" install -q --no-deps -e "$1"; fi && echo "without what it needs: -e $1" >> "$log"
}}
install_any() {{
  install "$@" && return
  for one in "$@"; do install "$one" || echo "not installed: $one" >> "$log"; done
}}
"""


class _Steps:
    """The shell commands of one plan."""

    def __init__(self, facts: PythonFacts, *, cut: datetime, timeout_s: float, env: Mapping[str, str]) -> None:
        self._facts = facts
        self._exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(env.items()))
        self._cut = cut.strftime("%Y-%m-%d")
        self._timeout_s = timeout_s
        self._rebuilt: tuple[str, str] | None = None
        if facts.compiled and facts.installable:
            self._rebuilt = stand_in(
                facts.compiled, facts.root, f"{VENV}/bin/python", name=facts.name, version_from=facts.version_from, sources=facts.cythonized
            )

    @property
    def interpreter(self) -> str:
        """What runs the tests."""
        return self._rebuilt[1] if self._rebuilt else f"{VENV}/bin/python"

    def before(self) -> tuple[Step, ...]:
        """The environment, the project's listed dependencies, and what its tests need."""
        lines = [
            # By its real name: a link to an interpreter elsewhere would make an environment that cannot find its library.
            'real=$(python -c "import os, sys; print(os.path.realpath(sys.executable))")',
            '"$real" -m venv --without-pip "$venv"',
            "compile=",
            "install pip setuptools wheel",
            "compile=--compile-bytecode",
        ]
        if self._facts.constraints:
            lines.append("\n".join((f"cat >{_LOCKED} <<'PODGYM_LOCK'", *self._facts.constraints, "PODGYM_LOCK")))
        if self._facts.dependencies:
            lines.append(_call("install", self._facts.dependencies))
        if self._facts.build_requirements:
            lines.append(
                _call("install_any", (*build_needs(self._facts.build_requirements, self._facts.dependencies or ()), "ninja", "cmake"))
            )
        if self._facts.test_requirements:
            lines.append(_call("install_any", self._facts.test_requirements))
        if self._facts.cythonized:
            lines.append("install_any cython setuptools")
        return (self._step(lines),)

    def after(self) -> tuple[Step, ...]:
        """The project itself, in place, with the extras that its tests need, and what else of the repository it is installed with."""
        facts = self._facts
        siblings = [shlex.quote(f"./{target}" if target != "." else ".") for target in facts.siblings]
        lines = [f"install_project {one} || echo 'not installed: '{one} >> \"$log\"" for one in siblings]
        if facts.installable:
            tries = self._tries()
            if facts.version_from:
                tries += f" || {{ export SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0 PBR_VERSION=0.0.0; {tries}; }}"
            elif not facts.surely_built:
                tries += " || echo 'not installed: the project, of which nothing says how it is built' >> \"$log\""
            if facts.cythonized:
                made = cython_call(f"{VENV}/bin/python", facts.cythonized)
                lines.append(f"( cd {shlex.quote(f'./{facts.root}')} && {made} ) || echo 'not made: sources in C' >> \"$log\"")
            # A project that names another one by its path has brought a copy of it.
            lines = [*lines, tries, *(f"install_alone {one} || true" for one in siblings)]
            lines += [self._rebuilt[0]] if self._rebuilt else []
        return (self._step(lines),) if lines else ()

    def _tries(self) -> str:
        """How the project is installed: as it says; or else its extras' parts one by one, without sources that only uv knows, and at last
        without what it needs, which is there as far as it can be had."""
        facts = self._facts
        target = f"./{facts.root}" if facts.root else "."
        extras = f"[{','.join(facts.extras)}]" if facts.extras else ""
        whole, target = f"install_project {shlex.quote(target + extras)}", shlex.quote(target)
        parts = f" && {_call('install_any', facts.extra_requirements)}" if facts.extra_requirements else ""
        tries = [whole]
        if facts.extras:
            tries.append(f"{{ install_project {target}{parts}; }}")
        if facts.without_extensions:
            tries.append(f"( export {facts.without_extensions}=1; {whole} )")
        if facts.uv_sources:
            tries.append(f"( export UV_NO_SOURCES=1; {whole} )")
        if facts.dependencies:
            tries.append(f"{{ install_alone {target}{parts}; }}" if parts else f"install_alone {target}")
        return " || ".join(tries)

    def _step(self, lines: Sequence[str]) -> Step:
        old = self._cut < _EDITABLE_SINCE
        builders = " ".join(f"--exclude-newer-package {name}={_EDITABLE_SINCE}" for name in _BUILDERS) if old else ""
        prelude = _PRELUDE.format(tools=TOOLS, venv=VENV, log=INSTALL_LOG, locked=_LOCKED, cut=self._cut, builders=builders)
        return Step(run=self._exports + prelude + "\n".join(lines) + "\n", timeout_s=self._timeout_s)


def _call(function: str, requirements: Sequence[str]) -> str:
    return " ".join((function, *(shlex.quote(line) for line in requirements)))
