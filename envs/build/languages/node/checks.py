"""Commands that only check: linters, type checks, reports of coverage. No test run needs them."""

from __future__ import annotations

import re
from typing import Final

from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.manifest import join, normal
from podgym.envs.build.languages.node.runners import NO_RUN
from podgym.envs.build.tree import Tree

__all__ = ["is_check"]

_CHECKS: Final = frozenset({
    "eslint", "standard", "xo", "prettier", "tslint", "jshint", "jscs", "jslint", "biome", "oxlint", "rome", "dprint", "flow",
    "semistandard", "stylelint", "publint", "attw", "size-limit", "bundlesize", "bundlewatch", "commitlint", "depcheck", "knip",
    "madge", "cspell", "markdownlint", "markdownlint-cli2", "remark", "ls-lint", "lockfile-lint", "license-checker", "npmlint",
    "pkglint", "standardx", "coveralls", "codecov", "echo", "printf", "snyk", "nsp", "audit-ci", "syncpack", "manypkg", "sherif",
    "api-extractor", "typedoc", "documentation", "eslint-ts", "healthier", "neostandard", "ts-standard", "prettierx", "alex",
    "sort-package-json", "type-coverage", "typesync", "agadoo", "es-check", "are-the-types-wrong", "eclint", "editorconfig-checker",
    "evergreen", "aud", "npx-aud", "safe-publish-latest", "not-in-publish", "in-publish", "only-allow", "husky", "is-ci", "git",
    "open", "open-cli", "coverage", "true", "exit", "vue-tsc", "dependency-cruiser", "depcruise", "dpdm", "installed-check", "ncu",
    "npm-check", "zizmor", "hereby-check", "ec", "eslint_d", "test-exclude", "evalmd", "ls", "cat", "which", "node-version",
    "check-node-version", "check-dts", "expect-type", "date", "[", "test", "sleep", "npmPkgJsonLint", "npm-package-json-lint",
    "dependency-check", "bundle-phobia", "release-it", "np",
})  # fmt: skip
_CHECK_SCRIPTS: Final = re.compile(
    r"(.*[:_-])?(lint|format|fmt|prettier|eslint|type-?check|check-?types?|tslint|standard|xo|audit|depcheck|size|bundlesize|spell(check)?|"
    r"attw|publint|coverage-report|check-coverage|docs?|licen[cs]es?|flow|style|codestyle|tsc:check)([:_-].*)?"
)


def is_check(command: Command, tree: Tree) -> bool:
    """Whether a command only checks: a linter, a type check, a report of coverage."""
    if command.program in _CHECKS or any(_CHECK_SCRIPTS.fullmatch(name.partition(":")[2]) for name in command.via[1:]):
        return True
    texts = [one.text for one in command.words]
    if command.program in ("jest", "vitest") and NO_RUN & set(texts):
        return True
    if command.program in ("tsc", "tsgo"):
        return "--noEmit" in texts or "-v" in texts or "--version" in texts or _emits_nothing(command, texts, tree)
    if command.program == "node" and len(texts) == 3 and texts[1] in ("-e", "-p", "--eval", "--print"):
        return re.fullmatch(r"\s*require\([^()]*\.json['\"]\);?\s*", texts[2]) is not None
    return command.program in ("rimraf", "del", "rm", "shx", "mkdir", "mkdirp", "del-cli") and any(
        "coverage" in text or ".nyc" in text for text in texts
    )


def _emits_nothing(command: Command, texts: list[str], tree: Tree) -> bool:
    """Whether the settings that a compiler is given say so."""
    named = next((texts[at + 1] for at, text in enumerate(texts[:-1]) if text in ("-p", "--project", "-b", "--build")), ".")
    path = normal(named, command.directory)
    if path is None:
        return False
    text = tree.read(path) if path.endswith(".json") else tree.read(join(path, "tsconfig.json"))
    return text is not None and re.search(r"^[^/\n]*\"noEmit\"\s*:\s*true", text, re.MULTILINE) is not None
