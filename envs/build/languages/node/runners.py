"""Which test runner a command starts, and with which of its words.

A runner is known by its name, by the path of its entry in `node_modules`, or by what a file that `node` runs imports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.flags import NODE, OPTIONS, Options, split_words
from podgym.envs.build.languages.node.manifest import normal
from podgym.envs.build.languages.node.shell import Word, word
from podgym.envs.build.tree import Tree

__all__ = ["BROWSERS", "LOADERS", "NODES", "NO_RUN", "Framework", "Run", "recognise", "sniff"]

Framework = Literal[
    "jest", "vitest", "mocha", "node:test", "borp", "ava", "tap", "tape", "jasmine", "lab", "qunit", "uvu", "karma", "bun", "deno", "exit"
]

_NAMED: Final[dict[str, Framework]] = {
    "jest": "jest", "jest-cli": "jest", "umi-test": "jest", "vitest": "vitest", "mocha": "mocha", "_mocha": "mocha", "ts-mocha": "mocha",
    "borp": "borp", "ava": "ava", "tap": "tap", "tape": "tape", "blue-tape": "tape", "tabe": "tape", "supertape": "tape",
    "jasmine": "jasmine", "jasmine-ts": "jasmine", "lab": "lab", "qunit": "qunit", "qunitjs": "qunit", "uvu": "uvu", "karma": "karma",
}  # fmt: skip
_SUBCOMMANDS: Final[dict[str, tuple[tuple[str, Framework], ...]]] = {
    "react-scripts": (("test", "jest"),), "react-app-rewired": (("test", "jest"),), "craco": (("test", "jest"),),
    "tsdx": (("test", "jest"),), "dts": (("test", "jest"),), "kcd-scripts": (("test", "jest"),), "razzle": (("test", "jest"),),
    "vue-cli-service": (("test:unit", "jest"),), "wp-scripts": (("test-unit-js", "jest"), ("test-unit-jest", "jest")),
    "hops": (("test", "jest"),), "father": (("test", "jest"),), "father-test": (("", "jest"),), "bun": (("test", "bun"),),
    "deno": (("test", "deno"),),
    "egg-bin": (("test", "mocha"), ("cov", "mocha")), "vp": (("test", "vitest"),),
    "vite": (("test", "vitest"),), "rc-test": (("", "jest"),),
    "backpack": (("test", "jest"),), "modern": (("test", "jest"),), "preconstruct": (), "aegir": (("test", "mocha"),),
}  # fmt: skip
_COARSE: Final = frozenset({
    "nodeunit", "vows", "expresso", "alsatian", "pta", "best", "baretest", "xv", "teenytest", "intern", "zora", "poku", "ospec", "buster",
    "tsd", "tstyche", "dtslint", "tsd-check",
})  # fmt: skip
"""Runners whose reports are not read; their exit status is."""
_LISTED: Final[dict[Framework, tuple[str, ...]]] = {"vitest": ("run", "watch", "dev"), "karma": ("start", "run")}
LOADERS: Final = r"tsx|ts-node|swc|esbuild|jiti|sucrase|amaro|babel|tsimp"
"""What reads TypeScript."""
NO_RUN: Final = frozenset({"--clearCache", "--showConfig", "--listTests", "--init"})
"""With these a runner runs no test."""
NODES: Final = frozenset({
    "node", "tsx", "ts-node", "ts-node-esm", "babel-node", "esno", "jiti", "swc-node", "tsimp", "esr", "nodejs", "tsm",
})  # fmt: skip
"""Run a file."""
BROWSERS: Final = frozenset({
    "wtr", "web-test-runner", "playwright", "cypress", "testcafe", "wdio", "nightwatch", "electron-mocha", "protractor", "ng",
    "detox", "start-server-and-test", "playwright-test", "test-storybook", "polymer", "wct", "airtap", "zuul", "testem", "saucelabs",
    "vscode-test", "ember", "mochify", "tape-run", "browser-run",
})  # fmt: skip
"""Need a browser, a display or a phone."""
_ENTRY: Final = re.compile(r"(?:^|/)node_modules/(?:\.bin/([\w.-]+)|((?:@[\w.-]+/)?[\w.-]+)/.*)$")
_IMPORTS: Final[tuple[tuple[str, Framework], ...]] = (
    (r"node:test['\"]", "node:test"), (r"['\"](?:tape|blue-tape|tape-catch|supertape)['\"]", "tape"), (r"['\"]ava['\"]", "ava"),
    (r"['\"]uvu['\"]", "exit"), (r"['\"](?:tap|libtap|t-?a-?p)['\"]", "tap"), (r"['\"]@hapi/lab['\"]|['\"]lab['\"]", "lab"),
    (r"['\"]vitest['\"]", "vitest"), (r"['\"](?:@jest/globals)['\"]", "jest"), (r"['\"]bun:test['\"]", "bun"),
    (r"['\"](?:qunit|qunitjs)['\"]", "qunit"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One start of a runner."""

    framework: Framework
    command: Command
    head: tuple[Word, ...]
    """What starts it, up to its own options."""
    flags: tuple[Word, ...] = ()
    files: tuple[Word, ...] = ()
    """What it is told to run; none for what it finds itself."""
    choosing: tuple[Word, ...] = ()
    """Options that choose what it runs."""


def recognise(command: Command, tree: Tree) -> Run | None:
    """The runner that a command starts; None where it starts none."""
    words = command.words
    if not words:
        return None
    texts = [one.text for one in words]
    if command.program in NODES:
        return _of_node(command, tree)
    if command.program in _COARSE:
        return Run("exit", command, words)
    for subcommand, framework in _SUBCOMMANDS.get(command.program, ()):
        if not subcommand or subcommand in texts[1:4]:
            at = texts.index(subcommand) if subcommand else 0
            return _run(framework, command, words[: at + 1], words[at + 1 :])
    entry = _ENTRY.search(texts[0])
    framework_of = _NAMED.get(command.program) or (_NAMED.get(entry[1] or entry[2]) if entry else None)
    if framework_of is None or NO_RUN & set(texts):
        return None
    return _run(framework_of, command, words[:1], words[1:])


def _run(framework: Framework, command: Command, head: tuple[Word, ...], rest: tuple[Word, ...]) -> Run:
    split = split_words(rest, OPTIONS.get(framework, Options()), subcommands=_LISTED.get(framework, ()))
    return Run(framework, command, head, split.flags, split.files, split.choosing)


def _of_node(command: Command, tree: Tree) -> Run | None:
    words = list(command.words)
    at = 1
    testing = False
    while at < len(words) and words[at].text.startswith("-"):
        text = words[at].text
        if text in ("-e", "--eval", "-p", "--print", "-v", "--version"):
            return None
        testing = testing or text == "--test" or text.startswith(("--test-reporter", "--test-concurrency"))
        at += 2 if text in NODE.valued else 1
    if testing:
        split = split_words(words[1:], OPTIONS["node:test"])
        return Run("node:test", command, (words[0], *split.flags), files=split.files)
    if at >= len(words) or words[at].text == "watch":
        return None
    head, rest = tuple(words[: at + 1]), tuple(words[at + 1 :])
    entry = _ENTRY.search(words[at].text)
    return _installed(entry[1] or entry[2], command, head, rest) if entry else _of_file(command, tree, head, rest)


def _installed(name: str, command: Command, head: tuple[Word, ...], rest: tuple[Word, ...]) -> Run | None:
    """The runner of a package of npm whose entry `node` is given."""
    if name in _NAMED:
        return _run(_NAMED[name], command, head, rest)
    if name in _COARSE:
        return Run("exit", command, command.words)
    for subcommand, framework in _SUBCOMMANDS.get(name, ()):
        if rest and rest[0].text == subcommand:
            return _run(framework, command, (*head, rest[0]), rest[1:])
    return None


def _of_file(command: Command, tree: Tree, head: tuple[Word, ...], rest: tuple[Word, ...]) -> Run | None:
    """What a file of the repository runs."""
    path = normal(head[-1].text, command.directory)
    endings = ("", ".js", ".mjs", ".cjs", ".ts", "/index.js", "/index.ts")
    file = next((f"{path}{end}" for end in endings if f"{path}{end}" in tree), None) if path is not None else None
    if file is None:
        return None
    own = _NAMED.get(re.sub(r"\.[cm]?js$", "", file.rpartition("/")[2])) if "bin/" in file else None
    if own is not None:  # a runner that tests itself
        return _run(own, command, head, rest)
    for at, one in enumerate(rest):
        if one.text in _NAMED:  # a file that starts a runner
            return _run(_NAMED[one.text], command, (*head, *rest[: at + 1]), rest[at + 1 :])
    kind = sniff(tree, file)
    if kind == "node:test":
        split = split_words(command.words[1:], OPTIONS["node:test"])
        return Run("node:test", command, (head[0], *split.flags), files=split.files)
    if kind == "tape":
        return Run("tape", command, head[:-1], files=(head[-1], *rest))
    if kind == "tap":
        return Run("tap", command, command.words)
    about_tests = re.search(r"(^|[/._-])(tests?|specs?)([/._-]|$)", file) is not None or (tree.read(file) or "").count("assert") > 2
    return Run("exit", command, command.words) if about_tests else None


def sniff(tree: Tree, path: str, *, follow: bool = True) -> Framework | None:
    """The framework that a test file, or one that it requires, imports."""
    text = tree.read(path)
    if text is None:
        return None
    text = text[:200_000]
    for pattern, framework in _IMPORTS:
        if re.search(rf"(?:require\(\s*|from\s+|import\s*\(?\s*)(?=['\"])(?:{_opened(pattern)})", text):
            return framework
    if follow:
        directory = path.rpartition("/")[0]
        for name in re.findall(r"(?:require\(\s*|import\s+|from\s+)['\"](\.{1,2}/[^'\"]+)['\"]", text)[:20]:
            target = normal(name, directory)
            for end in ("", ".js", ".mjs", ".cjs", ".ts", "/index.js"):
                if target and f"{target}{end}" in tree and (found := sniff(tree, f"{target}{end}", follow=False)):
                    return found
    return None


def _opened(pattern: str) -> str:
    """`node:test` with its first quotation mark, which the other patterns have."""
    return f"['\"]{pattern}" if pattern.startswith("node:") else pattern


def bare(framework: Framework, program: str, command: Command) -> Run:
    """A runner as it finds its tests itself."""
    return Run(framework, command, (word(program),))
