"""The steps that install a project: tools and the package manager, the dependencies of each workspace, what is built.

Dependencies are installed from manifests alone, without install scripts, which want the sources that are not there yet; native
modules are built afterwards. Where that fails, it is tried again with the whole repository in place.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.node.builds import Build
from podgym.envs.build.languages.node.manager import Manager
from podgym.envs.build.languages.node.nodes import ChosenNode
from podgym.envs.build.languages.node.suites import HOME
from podgym.envs.build.plan import INSTALL_LOG, WORKDIR
from podgym.sandbox import Step

__all__ = ["INSTALLING", "Installation", "Steps", "build_call", "put_back"]

_TOOLS: Final = (
    "install.sh", "add.sh", "build.sh", "registry.js", "loosen.js", "rebuild.js", "mocha.js", "nodetest.mjs", "jasmine.js",
    "printed.js", "glob.js",
    "karma.js",
)  # fmt: skip
INSTALLING: Final[dict[str, str]] = {
    "ADBLOCK": "1",
    "CI": "1",
    "CYPRESS_INSTALL_BINARY": "0",
    "CHROMEDRIVER_SKIP_DOWNLOAD": "true",
    "DISABLE_OPENCOLLECTIVE": "1",
    "ELECTRON_SKIP_BINARY_DOWNLOAD": "1",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=5",
    "GIT_TERMINAL_PROMPT": "0",
    "HUSKY": "0",
    "HUSKY_SKIP_INSTALL": "1",
    "MONGOMS_DISABLE_POSTINSTALL": "1",
    "NEXT_TELEMETRY_DISABLED": "1",
    "NG_CLI_ANALYTICS": "false",
    "PHANTOMJS_SKIP_DOWNLOAD": "1",
    "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1",
    "PUPPETEER_SKIP_CHROMIUM_DOWNLOAD": "1",
    "PUPPETEER_SKIP_DOWNLOAD": "1",
    "SENTRYCLI_SKIP_DOWNLOAD": "1",
    "TURBO_TELEMETRY_DISABLED": "1",
    "YARN_IGNORE_NODE": "1",
}
_KEPT: Final = f"{HOME}/kept"
_LIFECYCLE_TIMEOUT_S: Final = 600
_GLOBAL_SETTINGS: Final = """\
if settings=$(cd / && npm config get globalconfig 2>/dev/null) && [ -f "$settings" ]; then
  export npm_config_globalconfig="$settings"
fi
"""
"""A registry and certificates may be named there, and npm would look beside another Node and below another prefix."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One workspace to install."""

    directory: str
    manager: Manager
    packages: tuple[str, ...] = ()
    """Directories of its members."""
    spare: tuple[str, ...] = ()
    """Packages that are left out where they cannot be had."""
    separate: bool = False
    """The members are packages of their own, which lerna would install one by one and link."""
    added: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Packages that the manifests do not name, by the directory that they are added in."""


@cache
def _tool(name: str) -> str:
    return (files(__package__) / "tools" / name).read_text(encoding="utf-8")


def _laid() -> str:
    """Shell that writes the tools."""
    lines = [f"mkdir -p {HOME}/stamps"]
    lines += [f"cat >{HOME}/{name} <<'PODGYM_TOOL'\n{_tool(name)}PODGYM_TOOL" for name in _TOOLS]
    return "\n".join(lines) + "\n"


def _prelude(exports: Mapping[str, str], env: Mapping[str, str]) -> str:
    own = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted({**INSTALLING, **env, **exports}.items()))
    return f'set -eu\n{own}{_GLOBAL_SETTINGS}export PATH={HOME}/bin:"$PATH"\numask 022\n'


def _install_call(one: Installation, committed: datetime) -> str:
    cut = committed + timedelta(days=1)
    manager = "berry" if one.manager.berry else "siblings" if one.separate else one.manager.name
    lock = (one.manager.lock.rpartition("/")[2] if not one.separate else "") or "-"
    words = [
        "sh",
        f"{HOME}/install.sh",
        manager,
        lock,
        f"{cut:%Y-%m-%dT%H:%M:%SZ}",
        str(int(cut.timestamp())),
        one.directory,
        *one.packages,
    ]
    spare = f"SPARE={shlex.quote(' '.join(one.spare))} " if one.spare else ""
    return spare + shlex.join(words)


def _additions(one: Installation, committed: datetime) -> list[str]:
    cut = f"{committed + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    return [shlex.join(["sh", f"{HOME}/add.sh", cut, directory, *names]) for directory, names in one.added]


def _rebuild(installations: Sequence[Installation]) -> str:
    directories = dict.fromkeys(place or "." for one in installations for place in (one.directory, *one.packages))
    return (
        'real=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")\n'
        '[ ! -e "$real/include/node/node.h" ] || export npm_config_nodedir="$real"\n'
        f'[ -e {HOME}/bin/node-gyp ] || export PODGYM_NPM="$(npm root -g)/npm/bin/node-gyp-bin"\n'
        f"node {HOME}/rebuild.js {shlex.join(directories)} >>{INSTALL_LOG} || true\n"
    )


def build_call(builds: Sequence[Build], top: str = WORKDIR) -> str:
    """Shell that builds what changed; empty where there is nothing to build."""
    if not builds:
        return ""
    words = " ".join(_kept(one) + shlex.join([one.directory, one.line]) for one in builds)
    return f"sh {HOME}/build.sh {top} {words} >&2\n"


def _copied(paths: Sequence[str]) -> str:
    copy = f'mkdir -p "$(dirname "{_KEPT}/$one")" && cp -p "{WORKDIR}/$one" "{_KEPT}/$one"'
    return f"for one in {shlex.join(paths)}; do {copy}; done"


def put_back(paths: Sequence[str], absent: Sequence[str] = ()) -> str:
    """Shell that puts files back as the image was made with them, and removes those that it was made without; `$top` is set."""
    same = f'[ ! -h "$top/$one" ] && cmp -s "{_KEPT}/$one" "$top/$one"'
    copy = f'rm -rf "$top/$one"; mkdir -p "$(dirname "$top/$one")" && cp -p "{_KEPT}/$one" "$top/$one"'
    lines = [f"for one in {shlex.join(paths)}; do {{ {same}; }} || {{ {copy}; }} || exit 96; done"] if paths else []
    lines += [f'for one in {shlex.join(absent)}; do [ -d "$top/$one" ] || rm -f "$top/$one"; done'] if absent else []
    return "\n".join(lines)


def _kept(build: Build) -> str:
    return f"-k {shlex.quote(' '.join(build.kept))} " if build.kept else ""


def _node_of_npm(major: int) -> str:
    """Shell that installs another Node than the image's, with an npm that it runs; where that fails, the image's stays."""
    npm = next((version for below, version in ((15, "6"), (18, "8"), (20, "10")) if major < below), "")
    more = [f"npm@{npm}"] if npm else []
    more += ["node-gyp@8"] if major < 16 else []  # that of an old npm does not run on a new Python
    lines = [
        f"home={HOME}/toolchain; mkdir -p $home {HOME}/bin; name=node-linux-$(node -p process.arch); own=$home/node_modules/$name/bin/node",
        f'if npm install --prefix "$home" --cache {HOME}/cache --ignore-scripts --no-audit --no-fund "$name@{major}" >&2 &&',
        '   chmod 755 "$own" && "$own" --version >&2; then',
    ]
    if more:
        lines.append(f"  npm install --global --prefix {HOME} --cache {HOME}/cache --no-audit --no-fund {shlex.join(more)} >&2")
    lines += [
        f'  ln -sf "$own" {HOME}/bin/node',
        f'else rm -rf "$home"; echo "Node {major} could not be had; the image has $(node --version)" >>{INSTALL_LOG}; fi',
    ]
    return "\n".join(lines) + "\n"


def _manager_of_npm(manager: Manager) -> str:
    """Shell that installs a package manager, in the newest version of the same major one where that version is not there. What bun would
    install npm can."""
    name, _, version = manager.package.rpartition("@")
    tries = dict.fromkeys([manager.package, *([f"{name}@{manager.major}"] if "." in version and manager.major else [])])
    calls = [f"npm install --global --prefix {HOME} --cache {HOME}/cache --no-audit --no-fund {shlex.quote(one)} >&2" for one in tries]
    if manager.name == "bun":
        calls.append(f'echo "{name} could not be had; its dependencies are installed by npm" >>{INSTALL_LOG}')
    return " ||\n  ".join(calls) + "\n"


class Steps:
    """The steps of one plan; `env` holds while installing and afterwards."""

    def __init__(self, request: PlanRequest, env: Mapping[str, str]) -> None:
        self._committed = request.committed
        self._prelude = _prelude(request.exports, env)
        self._timeout_s = request.step_timeout_s

    def _step(self, run: str) -> Step:
        return Step(run=f"{self._prelude}{run}", timeout_s=self._timeout_s)

    def dependencies(self, installations: Sequence[Installation], node: ChosenNode) -> tuple[Step, ...]:
        """The tools, and all dependencies."""
        tools = _laid() + (_node_of_npm(node.major) if node.installed else "")
        for manager in dict.fromkeys(one.manager for one in installations if one.manager.package):
            tools += _manager_of_npm(manager)
        tools += f"rm -rf {HOME}/cache\n"
        lines = []
        for number, one in enumerate(installations):
            lines.append(f"{_install_call(one, self._committed)} || touch {HOME}/later{number}")
            lines += [f"[ -e {HOME}/later{number} ] || {call}" for call in _additions(one, self._committed)]
        return self._step(tools), self._step("\n".join(lines) + "\n" + _rebuild(installations))

    def install(
        self,
        installations: Sequence[Installation],
        *,
        lifecycle: Sequence[Build],
        builds: Sequence[Sequence[Build]],
        needed: Sequence[tuple[str, str]],
        kept: Sequence[str] = (),
    ) -> tuple[Step, ...]:
        """What wants the sources: scripts that run after an installation, and builds. `needed` are programs by directory, without
        which there are no tests; `kept` are files that tests put back."""
        lines = [_copied(kept)] if kept else []
        for number, one in enumerate(installations):
            again = "; ".join([_install_call(one, self._committed), *_additions(one, self._committed)])
            lines.append(f"if [ -e {HOME}/later{number} ]; then {again}; rm {HOME}/later{number}; later=1; fi")
        lines.append(f'if [ -n "${{later:-}}" ]; then\n{_rebuild(installations)}fi')
        for step in lifecycle:
            home = shlex.quote(f"{WORKDIR}/{step.directory}".rstrip("/"))
            run = f"(cd {home} && timeout {_LIFECYCLE_TIMEOUT_S} {step.line}) </dev/null >&2"
            lines.append(f"{run} || echo {shlex.quote(f'failed in ./{step.directory}: {step.line}')} >>{INSTALL_LOG}")
        for group in dict.fromkeys(tuple(one for one in group if not one.kept) for group in builds):
            lines += [call.rstrip()] if (call := build_call(group)) else []
        for directory, program in dict.fromkeys(needed):
            bins = f"{WORKDIR}/{directory}/node_modules/.bin:{WORKDIR}/node_modules/.bin".replace("//", "/")
            search = f'PATH={shlex.quote(bins)}:"$PATH"; command -v {shlex.quote(program)} >/dev/null'
            lines.append(f'( {search} ) || {{ echo "the test runner {program} is not installed" >&2; exit 1; }}')
        return (self._step("\n".join(lines) + "\n"),)
