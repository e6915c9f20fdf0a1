"""What is installed besides what the manifests of the base say, and the files that an installation needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from podgym.envs.build.languages.node.layout import LOCKS, Layout, Workspace, read_yaml
from podgym.envs.build.languages.node.manifest import Manifest, join, normal, table
from podgym.envs.build.languages.node.runners import Run
from podgym.envs.build.languages.node.semver import accepts_major
from podgym.envs.build.tree import Tree

__all__ = ["added_packages", "legacy_openssl", "manifest_files", "missing_loader", "missing_runner", "spare_packages"]

_SETTINGS: Final = (
    *LOCKS,
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    "pnpm-workspace.yaml",
    "lerna.json",
    "bunfig.toml",
)
_PACKAGES: Final = {
    "jest": "jest", "vitest": "vitest", "mocha": "mocha", "_mocha": "mocha", "ava": "ava", "tap": "tap", "tape": "tape", "uvu": "uvu",
    "jasmine": "jasmine", "qunit": "qunit", "borp": "borp", "lab": "@hapi/lab", "tsx": "tsx", "ts-node": "ts-node",
    "bun": "bun", "deno": "deno", "ts-mocha": "ts-mocha",
}  # fmt: skip
_FROM_ELSEWHERE: Final = re.compile(
    r"^(workspace|file|link|portal|patch|git|github|gitlab|bitbucket|gist|https?|ssh|jsr|catalog)[+:]|^[\w.-]+/[\w.-]+(#|$)"
)
_OLD_BUNDLERS: Final = (("webpack", 4), ("react-scripts", 4), ("@vue/cli-service", 4), ("nuxt", 2), ("@angular-devkit/build-angular", 12),
                        ("gatsby", 2), ("@storybook/core", 6), ("next", 10), ("webpack-dev-server", 3), ("laravel-mix", 5))  # fmt: skip
_AUTHORS: Final = re.compile(
    r"@?eslint|@ljharb/eslint|@typescript-eslint|prettier|@?stylelint|tslint|husky|lint-staged|@?commitlint|@?semantic-release|release-it|"
    r"auto-changelog|@?changesets|conventional-|standard-version|evalmd|npmignore|in-publish|safe-publish-latest|@?markdownlint|typedoc|"
    r"jsdoc|documentation|@?docusaurus|@?vuepress|@?vitepress|@?size-limit|bundlesize|codecov|coveralls|doctoc|all-contributors|xo$|standard$|"
    r"@?lerna-lite|np$|aud$|publint|@?arethetypeswrong|@?storybook|@?cspell|simple-git-hooks|lefthook|@?biomejs|oxlint|git-"
)
_MAX_ADDED: Final = 30


def spare_packages(workspace: Workspace, commands: str) -> tuple[str, ...]:
    """Development dependencies that serve authors, not tests: linters, hooks, changelogs; none that `commands`, or what the packages are
    about, names."""
    about = " ".join(one.name for one in workspace.packages)
    found: dict[str, None] = {}
    for package in workspace.packages:
        elsewhere = package.dependencies("dependencies", "peerDependencies", "optionalDependencies")
        for name in package.dependencies("devDependencies"):
            kind = _AUTHORS.match(name)
            if kind and name not in elsewhere and kind[0].strip("@") not in about and not re.search(rf"\b{re.escape(name)}\b", commands):
                found[name] = None
    return tuple(name for name in found if re.fullmatch(r"(@[\w.~-]+/)?[\w.~-]+", name))


def added_packages(base: Layout, fixed: Layout, directory: str) -> list[str]:
    """`name@range` of what the fix adds to a package's dependencies or asks in another version."""
    after = fixed.manifest(directory)
    if after is None:
        return []
    before = _ranges(base, directory)
    found = []
    for name, wanted in _ranges(fixed, directory).items():
        plain = re.fullmatch(r"(@[\w.~-]+/)?[\w.~-]+", name) is not None and len(wanted) < 200 and wanted.isprintable()
        if before.get(name) != wanted and plain and not _FROM_ELSEWHERE.search(wanted):
            found.append(f"{name}@{wanted or '*'}")
    return found[:_MAX_ADDED]


def _ranges(layout: Layout, directory: str) -> dict[str, str]:
    manifest = layout.manifest(directory)
    if manifest is None:
        return {}
    found = manifest.dependencies("dependencies", "devDependencies", "optionalDependencies")
    catalogs = _catalogs(layout, directory)
    for name, wanted in found.items():
        if wanted.startswith("catalog:"):
            found[name] = catalogs.get(wanted.removeprefix("catalog:") or "default", {}).get(name, wanted)
    return found


def _catalogs(layout: Layout, directory: str) -> dict[str, dict[str, str]]:
    root = layout.workspace_of(directory).directory
    settings = table(read_yaml(layout.tree.read(join(root, "pnpm-workspace.yaml"))))
    named = {str(key): value for key, value in table(settings.get("catalogs")).items()}
    pools = {"default": settings.get("catalog"), **named}
    return {key: {str(name): text for name, text in table(value).items() if isinstance(text, str)} for key, value in pools.items()}


def missing_loader(run: Run, node: int, *, typescript: bool) -> str:
    """What reads TypeScript for a Node that does not, to be added where it is not there."""
    if any(one.startswith("ts-node/") for one in run.command.requires):
        return "?ts-node@*"
    plain = run.framework == "node:test" and run.head[0].text in ("node", "nodejs")
    return "?tsx@*" if plain and typescript and node < 22 else ""


def missing_runner(run: Run, workspace: Workspace, package: Manifest) -> str:
    """A runner that no manifest names, to be added where it is not there; empty where there is none."""
    if run.framework == "karma":
        return "?karma-chrome-launcher@^3"
    wanted = _PACKAGES.get(run.head[0].text)
    if wanted is None or wanted in package.dependencies() or wanted in workspace.root.dependencies():
        return ""
    return f"?{wanted}@*"


def legacy_openssl(dependencies: Mapping[str, str]) -> bool:
    """Whether a bundler asks OpenSSL for a digest that OpenSSL 3 has no more."""
    for name, last in _OLD_BUNDLERS:
        wanted = dependencies.get(name, "")
        if wanted.strip(" ^~>=v")[:1].isdigit() and not any(accepts_major(wanted, major) for major in range(last + 1, last + 20)):
            return True
    return False


def manifest_files(tree: Tree, workspace: Workspace) -> list[str]:
    """The files of a workspace that its installation reads."""
    directory = workspace.directory
    found = [path for name in _SETTINGS if (path := join(directory, name)) in tree]
    for package in workspace.packages:
        found += [path for name in ("package.json", ".npmrc") if (path := join(package.directory, name)) in tree]
        for wanted in package.dependencies().values():
            match = re.match(r"(?:file|link|portal):(.*)", wanted)
            local = normal(match[1], package.directory) if match else None
            if local:
                found += [local] if local in tree else [path] if (path := join(local, "package.json")) in tree else []
    prefixes = [join(directory, name) for name in ("patches", ".yarn/patches", ".yarn/plugins", ".yarn/releases")]
    for prefix in prefixes:
        found += [join(prefix, path) for path in tree.below(prefix)]
    patched = table(table(workspace.root.raw.get("pnpm")).get("patchedDependencies"))
    patched |= table(table(read_yaml(tree.read(join(directory, "pnpm-workspace.yaml")))).get("patchedDependencies"))
    for path in patched.values():
        local = normal(path, directory) if isinstance(path, str) else None
        if local and local in tree:
            found.append(local)
    return list(dict.fromkeys(found))
