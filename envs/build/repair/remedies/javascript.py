"""Node's own: flags for OpenSSL and memory, lenient package managers, downloads that tests do not need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from podgym.envs.build.plan import INSTALL_LOG, TOOLS, WORKDIR, BuildPlan
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_exports, with_last_step, with_packages
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table, another_toolchain
from podgym.sandbox import Step

__all__ = ["JAVASCRIPT"]

_NO_DOWNLOADS: Final[Mapping[str, str]] = {
    "PUPPETEER_SKIP_DOWNLOAD": "true", "PUPPETEER_SKIP_CHROMIUM_DOWNLOAD": "true", "PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD": "1",
    "CYPRESS_INSTALL_BINARY": "0", "ELECTRON_SKIP_BINARY_DOWNLOAD": "1", "CHROMEDRIVER_SKIP_DOWNLOAD": "true",
    "GECKODRIVER_SKIP_DOWNLOAD": "true", "EDGEDRIVER_SKIP_DOWNLOAD": "true", "SENTRYCLI_SKIP_DOWNLOAD": "1",
    "NGROK_SKIP_DOWNLOAD": "true", "DETECT_CHROMEDRIVER_VERSION": "false", "HUSKY": "0", "HUSKY_SKIP_INSTALL": "1", "LEFTHOOK": "0",
    "SKIP_INSTALL_SIMPLE_GIT_HOOKS": "1",
}  # fmt: skip
_CHROMIUM: Final[Mapping[str, str]] = {
    "CHROME_BIN": f"{TOOLS}/wrap/chromium", "PUPPETEER_EXECUTABLE_PATH": f"{TOOLS}/wrap/chromium", "CHROMIUM_BIN": f"{TOOLS}/wrap/chromium",
}  # fmt: skip

_INSTALL: Final = """\
mkdir -p {tools}
cd {place}
set -- {names}
for name; do
  shift
  # A workspace's own package is none of the registry's.
  if grep -rqF --include=package.json --exclude-dir=node_modules --exclude-dir=.git "\\"name\\": \\"$name\\"" /testbed; then continue; fi
  set -- "$@" "$name"
done
[ "$#" = 0 ] || npm install --no-save --no-package-lock --legacy-peer-deps --ignore-scripts "$@" || echo "not installed: $*" >> {log}
"""


def _openssl(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"NODE_OPTIONS": "--openssl-legacy-provider"}
    yield Remedy(
        "env:openssl-legacy-provider", "webpack before 5 hashes with MD4, which OpenSSL 3 has put away.", with_exports(case.plan, exports)
    )
    older = case.catalogue.choose("node", lambda version: int(version.split(".")[0]) < 17, prefer="16")
    if case.tool == "node" and older is not None:
        yield another_toolchain(case, older, "Node before 17 has OpenSSL 1.1.")


def _peers(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {
        "npm_config_legacy_peer_deps": "true",
        "npm_config_strict_peer_dependencies": "false",
        "pnpm_config_strict_peer_dependencies": "false",
    }
    yield Remedy(
        "env:legacy-peer-deps", "Peer dependencies are not resolved, as npm before 7 did it.", with_exports(case.plan, exports, tests=False)
    )
    yield Remedy("env:npm-force", "npm takes conflicting peers.", with_exports(case.plan, {"npm_config_force": "true"}, tests=False))


def _rewritten(plan: BuildPlan, replacements: Mapping[str, str]) -> BuildPlan:
    def change(step: Step) -> Step:
        run = step.run
        for pattern, by in replacements.items():
            run = re.sub(pattern, by, run)
        return step.model_copy(update={"run": run})

    return plan.model_copy(update={"dependencies": tuple(map(change, plan.dependencies)), "install": tuple(map(change, plan.install))})


def _lock(case: Case, cause: Cause) -> Iterator[Remedy]:
    kind = cause.subject
    if kind == "cargo":
        plan = _rewritten(case.plan, {r" --(locked|frozen)\b": ""})
        yield Remedy("lock:cargo", "The lock file is brought up to date.", plan)
        return
    lenient = _rewritten(
        case.plan,
        {r"\bnpm ci\b": "npm install", r" --frozen-lockfile\b(?!=)": " --no-frozen-lockfile", r" --immutable\b(?!-)": " --no-immutable"},
    )
    exports = {"YARN_ENABLE_IMMUTABLE_INSTALLS": "false", "npm_config_frozen_lockfile": "false", "pnpm_config_frozen_lockfile": "false"}
    if kind in ("yarn1", "bun"):
        lenient = _rewritten(case.plan, {r" --(no-)?frozen-lockfile\b": ""})
    yield Remedy(
        "lock:lenient", "The lock file does not fit the manifest; it is brought up to date.", with_exports(lenient, exports, tests=False)
    )
    if kind == "pnpm-version":
        plan = _rewritten(case.plan, {r"\bpnpm@[\w.]+": "pnpm@8"})
        yield Remedy("pnpm:8", "The lock file is of another pnpm.", plan)


def _scripts(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool != "node":
        return
    yield Remedy(
        "env:no-hooks", "Hooks of git and downloads of browsers are left out.", with_exports(case.plan, _NO_DOWNLOADS, tests=False)
    )
    exports = {"npm_config_ignore_scripts": "true", "YARN_ENABLE_SCRIPTS": "false", "pnpm_config_ignore_scripts": "true"}
    yield Remedy("env:ignore-scripts", "Packages' own scripts do not run.", with_exports(case.plan, exports, tests=False))


def _downloads(case: Case, cause: Cause) -> Iterator[Remedy]:
    yield Remedy("env:no-browser-downloads", "No browser is downloaded.", with_exports(case.plan, _NO_DOWNLOADS, tests=False))
    yield _chromium(with_exports(case.plan, _NO_DOWNLOADS, tests=False))


def _chromium(plan: BuildPlan) -> Remedy:
    """Debian's, without its sandbox, which root cannot have."""
    flags = "--no-sandbox --headless=new --disable-dev-shm-usage --disable-gpu"
    step = (
        f"mkdir -p {TOOLS}/wrap\nprintf '%s\\n' '#!/bin/sh' 'exec /usr/bin/chromium {flags} \"$@\"' > {TOOLS}/wrap/chromium\n"
        f"chmod 755 {TOOLS}/wrap/chromium\n"
    )
    plan = with_exports(with_last_step(with_packages(plan, ("chromium",)), step), _CHROMIUM)
    return Remedy("chromium", "Tests use the distribution's Chromium.", plan)


def _root(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "chromium":
        yield _chromium(case.plan)


def _manager(case: Case, cause: Cause) -> Iterator[Remedy]:
    """The tool that the manifest or the lock file is written for."""
    exports = {
        "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
        "COREPACK_INTEGRITY_KEYS": "0",
        "COREPACK_ENABLE_STRICT": "0",
        "COREPACK_ENABLE_PROJECT_SPEC": "0",
    }
    if cause.subject == "corepack" or cause.subject in ("yarn", "pnpm", "npm"):
        yield Remedy("env:corepack", "Corepack takes what it gets.", with_exports(case.plan, exports))
    manager = cause.subject if cause.subject in ("pnpm", "yarn") else "pnpm" if cause.subject in ("catalog", "workspace") else ""
    if manager and "npm " in "".join(step.run for step in case.plan.steps):
        install = f"npm install -g {manager}@{'9' if manager == 'pnpm' else '1'} && {manager} install --no-frozen-lockfile"
        install = install.replace("--no-frozen-lockfile", "--non-interactive") if manager == "yarn" else install
        plan = _rewritten(case.plan, {r"\bnpm (ci|install)(?= |$|\n)(?! -g)(?: --[\w=-]+)*": f"{{ {install}; }}"})
        yield Remedy(f"manager:{manager}", f"The project is {manager}'s.", plan)


def _module(case: Case, cause: Cause) -> Iterator[Remedy]:
    """What is imported and nothing lists."""
    if case.tool != "node":
        return
    names: dict[str, None] = {}
    for subject in case.subjects("missing_module"):
        language, _, module = subject.partition(" ")
        found = re.match(r"(@[\w.-]+/[\w.-]+|[\w][\w.-]*)", module)
        if language == "node" and found and not module.startswith(("node:", "src/", "lib/", "dist/", "test/", "tests/", "app/")):
            names[found[1]] = None
    if names:
        listed = " ".join(shlex.quote(name) for name in list(names)[:20])
        place = shlex.quote(f"{WORKDIR}/{case.plan.root}".rstrip("/"))
        step = _INSTALL.format(tools=TOOLS, log=INSTALL_LOG, place=place, names=listed)
        yield Remedy(f"npm:{','.join(names)}", f"{', '.join(names)} is imported, and nothing lists it.", with_last_step(case.plan, step))


def _heap(case: Case, cause: Cause) -> Iterator[Remedy]:
    if cause.subject == "node":
        yield Remedy(
            "env:max-old-space-size", "Node gets more memory.", with_exports(case.plan, {"NODE_OPTIONS": "--max-old-space-size=4096"})
        )


def _watchers(case: Case, cause: Cause) -> Iterator[Remedy]:
    exports = {"CHOKIDAR_USEPOLLING": "1", "WATCHPACK_POLLING": "true", "CI": "true"}
    yield Remedy("env:polling", "Files are polled, not watched.", with_exports(case.plan, exports))


def _permission(case: Case, cause: Cause) -> Iterator[Remedy]:
    if case.tool == "node":
        exports = {"npm_config_unsafe_perm": "true", "npm_config_cache": f"{TOOLS}/npm-cache"}
        yield Remedy("env:unsafe-perm", "npm runs scripts as root.", with_exports(case.plan, exports))


JAVASCRIPT: Final[Table] = {
    "legacy_openssl": _openssl,
    "peer_dependencies": _peers,
    "lock_mismatch": _lock,
    "install_script": _scripts,
    "browser_download": _downloads,
    "refuses_root": _root,
    "package_manager": _manager,
    "missing_module": _module,
    "heap_limit": _heap,
    "file_watchers": _watchers,
    "permission": _permission,
}
