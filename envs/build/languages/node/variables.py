"""The variables that a project is installed and tested under. Of those of its CI the ones that tests may read, and none that tools or
services are set up by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.node.dependencies import legacy_openssl
from podgym.envs.build.languages.node.manager import Manager
from podgym.envs.build.languages.node.manifest import join
from podgym.envs.build.languages.node.suites import HOME
from podgym.envs.build.tree import Tree

__all__ = ["ci_variables", "environment"]

_PATH: Final = f"{HOME}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PNPM: Final = {
    "npm_config_manage_package_manager_versions": "false",
    "npm_config_verify_deps_before_run": "false",
    "pnpm_config_pm_on_fail": "ignore",
    "pnpm_config_verify_deps_before_run": "false",
}
"""Or it would ask a registry for the version that a manifest names, and install again."""
_SECRET: Final = re.compile(r"\$\{(\w{0,60}(?:TOKEN|AUTH|KEY|SECRET|PASS|CRED)\w{0,60})\}", re.ASCII)
_TESTS: Final = re.compile(
    r"\b(?:npm|pnpm|yarn|bun|node|nx|turbo|lerna|make|grunt|gulp)\b[^&|;]{0,200}?\b(?:--)?(?:tests?|coverage|unit|ci)\b|"
    r"\b(?:jest|vitest|mocha|ava|tap|tape|jasmine|uvu|karma)\b"
)
_INSTALLS: Final = re.compile(r"\b(?:npm|pnpm|yarn|bun)\s+(?:ci|i|install)\b")
_PARTS: Final = re.compile(r"&&|\|\||[;\n]")
_OF_OTHERS: Final = re.compile(
    r"(?i)(?:PATH|HOME|PWD|SHELL|USER|CI|NODE|TMP|TEMP|TMPDIR|BROWSER|DISPLAY|"
    r"NODE_(?:PATH|OPTIONS|VERSION\w*|EXTRA_CA_CERTS|AUTH_TOKEN|TLS_\w+)|"
    r"(?:npm|yarn|pnpm|bun|corepack|turbo|nx|lerna|github|gitlab|circle|travis|azure|system|actions|runner|codecov|coveralls|sauce|"
    r"browserstack|playwright|puppeteer|cypress|electron|chrome\w*|sonar|sentry|vercel|netlify|docker|aws|gcp|google|ld|ssl|git|python|ruby|"
    r"java|cargo|rust\w*|cmake|make\w*|husky|podgym)_\w*|CC|CXX|LD|\w*FLAGS|"
    r"COV(?:ERAGE)?(?:_\w*)?|\w*_COV(?:ERAGE)?|"
    r"(?:NO|FORCE)_COLOR|CLICOLOR\w*|COLORTERM|"
    r"\w*(?:TOKEN|SECRET|PASSWORD|PASS|KEY|AUTH|CREDENTIALS?|HOST|HOSTNAME|PORT|URL|URI|DSN|PROXY|CACHE|DATABASE|REGISTRY|REPORTER\w*)|"
    r"(?:PG|MYSQL|POSTGRES\w*|MONGO\w*|REDIS|MARIADB|DB|ELASTIC\w*|RABBIT\w*|KAFKA)_?\w*)"
)
_OPTION: Final = re.compile(r"--[\w=-]+")
_PLACES: Final = ("~", "/__", "/etc/", "/github/", "/home/", "/mnt/", "/opt/", "/root", "/usr/", "/Users/")
"""Of the machine that CI ran on."""
_MAX: Final = 40


def environment(tree: Tree, ci: CiFacts, dependencies: Mapping[str, str], *, node: int, managers: Mapping[str, Manager]) -> dict[str, str]:
    """Under which a project is installed, built and tested."""
    env = {"PATH": _PATH, "HOME": "/root", "HUSKY": "0"}
    options = _node_options(ci)
    if node >= 17 and legacy_openssl(dependencies):
        options.append("--openssl-legacy-provider")
    if node < 17:
        options = [one for one in options if one != "--openssl-legacy-provider"]
    if options:
        env["NODE_OPTIONS"] = " ".join(dict.fromkeys(options))
    for directory in managers:
        for name in (".npmrc", ".yarnrc.yml"):
            for secret in _SECRET.findall(tree.read(join(directory, name)) or ""):
                if secret not in env and not secret[0].isdigit():
                    env[secret] = ""  # or managers refuse to run a script
    if any(one.berry for one in managers.values()):
        env["YARN_NODE_LINKER"] = "node-modules"
    if any(one.name == "pnpm" for one in managers.values()):
        env |= _PNPM
    return env


def ci_variables(ci: CiFacts) -> dict[str, str]:
    """Those that half of the steps set that run tests, as the first one does; where no step is seen to, those of all jobs."""
    return {name: value for name, value in _of_tests(ci).items() if _harmless(name, value)}


def _node_options(ci: CiFacts) -> list[str]:
    """Those options of Node that CI tests with."""
    stated = _of_tests(ci).get("NODE_OPTIONS") or ci.env.get("NODE_OPTIONS", "")
    return [one for one in stated.split() if _OPTION.fullmatch(one)]


def _of_tests(ci: CiFacts) -> Mapping[str, str]:
    steps = [one for one in ci.steps if any(_TESTS.search(part) and not _INSTALLS.search(part) for part in _PARTS.split(one.line[:1000]))]
    named = Counter(name for step in steps for name in step.env)
    found = {name: value for step in reversed(steps) for name, value in step.env.items() if 2 * named[name] >= len(steps)}
    return dict(list((found if steps else ci.env).items())[:_MAX])


def _harmless(name: str, value: str) -> bool:
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", name, re.ASCII) or _OF_OTHERS.fullmatch(name):
        return False
    if name == "NODE_ENV":
        return value == "test"
    return len(value) < 300 and value.isprintable() and "$" not in value and not value.startswith(_PLACES)
