"""Commands that install what tests need, in the words of pip, uv, Poetry, PDM, Pipenv, flit and Conda, as requirements.

Whoever names a file, an extra or a group means all of it; names that stand alone in a command may be any tool's, so they are kept apart.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from packaging.utils import canonicalize_name

from podgym.envs.build.languages.python.conda import ENVIRONMENT_FILE, add_environment
from podgym.envs.build.languages.python.project import Project
from podgym.envs.build.languages.python.requirements import Requirements, add_group, add_poetry

__all__ = ["Installs", "split_words"]

_VALUED: Final = re.compile(
    r"-[ifCtPb]|--(?:(?:extra-|default-)?index(?:-url|-strategy)?|find-links|target|python|prefix|root|src|platform|no-binary|only-binary|"
    r"progress-bar|cache-dir|timeout|retries|trusted-host|config-settings?|log|proxy|cert|client-cert|exclude-newer|resolution|"
    r"upgrade-package|python-version|use-feature|global-option|install-option|upgrade-strategy|build-constraints?|overrides?|"
    r"no-build-isolation-package|no-build-package|no-binary-package|keyring-provider|link-mode|directory|project|package|without|from)"
)
"""Options whose value is another word, and no requirement."""
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w\s,.-]*\])?(?:\s*(?:[=<>!~]=?|===|@)[^;]*)?(?:;.*)?")
_ROOT: Final = r"(?:\{(?:toxinidir|tox_root)\}|\$\{?(?:PWD|GITHUB_WORKSPACE|CI_PROJECT_DIR)\}?)"
_PATH: Final = re.compile(rf"\.{{1,2}}(?:[/\[]|$)|{_ROOT}(?:[/\[]|$)|file:")
_BEFORE: Final = frozenset(("sudo", "-E", "-H", "env", "time", "retry", "travis_retry", "command", "exec", "&&"))
_BESIDE: Final = re.compile(
    r"docs?|documentation|lint(ing|er)?|style|format(ting)?|typing|types?|mypy|release|publish|build|benchmarks?|pre-?commit"
)
"""Extras and groups that no test needs."""
_MODULE: Final = re.compile(r"(?:.*/)?python[\d.]* -m")
_RUNNERS: Final = frozenset(("poetry", "pdm", "pipenv", "hatch"))
_MAX_EXTRAS: Final = 40
_MAX_WORD: Final = 300


class Installs:
    """Fills `whole` with what is installed by file, extra, group or path, and `named` with what is by name, of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.whole = Requirements(project=project.name, root=project.root, notes=[])
        self.named = Requirements(project=project.name, root=project.root, notes=[])

    def command(self, words: Sequence[str], directory: str = "") -> None:
        """Take one command; `directory` is where it runs, relative to the project's."""
        words = list(words)
        while words and (words[0] in _BEFORE or re.match(r"[A-Za-z_]\w*=", words[0])):
            words = words[1:]
        if len(words) > 2 and (_MODULE.fullmatch(" ".join(words[:2])[:_MAX_WORD]) or (words[1] == "run" and words[0] in _RUNNERS)):
            words = words[2:]
        name = words[0].rpartition("/")[2] if len(words) > 1 else ""
        if len(name) <= _MAX_WORD and (found := re.fullmatch(r"(\w+?)[\d.]*", name)):
            self._tool(found[1], words[1:], directory)

    def _tool(self, tool: str, words: list[str], directory: str) -> None:
        verb, rest = words[0], words[1:]
        if tool == "pip" and verb == "install":
            self.arguments(rest, directory)
        elif tool == "uv" and verb == "pip" and rest[:1] == ["install"]:
            self.arguments(rest[1:], directory)
        elif tool == "uv" and verb in ("sync", "run"):
            self._sync(rest)
        elif tool == "poetry" and verb in ("install", "sync"):
            self._poetry(rest)
        elif tool == "pdm" and verb in ("install", "sync"):
            self._pdm(rest)
        elif tool == "pipenv" and verb in ("install", "sync") and {"--dev", "-d"} & set(rest):
            if isinstance(packages := self._project.pipfile.get("dev-packages"), dict):
                add_poetry(self.whole, packages)
        elif tool == "flit" and verb == "install":
            for extras in _values(rest, "--extras"):
                self._extras(re.split(r"[\s,]+", extras))
        elif tool in ("conda", "mamba", "micromamba") and {"create", "update", "install"} & {verb, *rest[:1]}:
            for path in _values(rest, "-f", "--file"):
                self._environment(_joined(directory, path))

    def arguments(self, words: Sequence[str], directory: str = "") -> None:
        """Take what follows `pip install`."""
        place = 0
        while place < len(words):
            word = words[place]
            place += 1
            option, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
            if not word.startswith("-"):
                self._one(word, directory)
                continue
            if option in ("-r", "-c", "-e", "--requirement", "--requirements", "--constraint", "--constraints", "--editable") or option in (
                "--extra",
                "--group",
            ):
                if not value and not equals:
                    value = words[place] if place < len(words) else ""
                    place += 1
                self._option(option.lstrip("-"), value, directory)
            elif option == "--all-extras":
                self._extras(self._project.extras)
            elif _VALUED.fullmatch(option) and not value and not equals:
                place += 1

    def _option(self, option: str, value: str, directory: str) -> None:
        if not value or re.search(r"[$<>*`]|\{(?!toxinidir|tox_root)", value):
            return
        if option in ("r", "requirement", "requirements"):
            path = _joined(directory, value)
            if ENVIRONMENT_FILE.fullmatch(path) is None and not path.endswith(".toml"):
                self.whole.add_file(path, self._project.read)
        elif option in ("c", "constraint", "constraints"):
            self.whole.add_constraints(_joined(directory, value), self._project.read)
        elif option == "extra":
            self._extras([value])
        elif option == "group":
            self._groups([value.rpartition(":")[2]])
        else:
            self._path(value, directory)

    def _one(self, word: str, directory: str) -> None:
        if len(word) > _MAX_WORD:
            return
        if _PATH.match(word) or (re.fullmatch(r"[\w./-]+/[\w./-]*(\[[\w,.-]*\])?", word) and "://" not in word):
            self._path(word, directory)
        elif _NAME.fullmatch(word) and "://" not in word and not word.endswith((".whl", ".gz", ".zip", ".txt", ".toml")):
            self.named.add(word)

    def _path(self, text: str, directory: str) -> None:
        before = len(self.whole.own_extras)
        self.whole.add_path(text, directory)
        self.whole.own_extras[before:] = [extra for extra in self.whole.own_extras[before:] if not _BESIDE.fullmatch(extra.lower())]

    def _extras(self, names: Iterable[str]) -> None:
        wanted = [name for name in names if name and not _BESIDE.fullmatch(name.lower())]
        self.whole.own_extras += wanted[:_MAX_EXTRAS]

    def _groups(self, names: Iterable[str]) -> None:
        """Of PEP 735, Poetry or PDM, whoever has one of that name."""
        groups, poetry = self._project.table("dependency-groups"), self._project.table("tool", "poetry", "group")
        pdm = self._project.table("tool", "pdm", "dev-dependencies")
        for name in names:
            wanted = canonicalize_name(name)
            if _BESIDE.fullmatch(wanted):
                continue
            if wanted in map(canonicalize_name, groups):
                add_group(self.whole, groups, name)
            for table in (value for key, value in poetry.items() if canonicalize_name(key) == wanted):
                if isinstance(table, dict) and isinstance(table.get("dependencies"), dict):
                    add_poetry(self.whole, table["dependencies"])
            for lines in (value for key, value in pdm.items() if canonicalize_name(key) == wanted):
                self.whole.add_all(lines if isinstance(lines, list) else ())

    def _sync(self, words: list[str]) -> None:
        """`uv sync` and `uv run`, whose own options come first."""
        self._extras(self._project.extras if "--all-extras" in words else _values(words, "--extra"))
        self._groups(self._project.table("dependency-groups") if "--all-groups" in words else _values(words, "--group", "--only-group"))
        if not {"--no-dev", "--no-default-groups", "--no-project"} & set(words) and not _named(words, "--only-group"):
            uv = self._project.table("tool", "uv")
            defaults = uv.get("default-groups", ["dev"])
            defaults = list(self._project.table("dependency-groups")) if defaults == "all" else defaults
            left_out = _values(words, "--no-group")
            defaults = [name for name in defaults if isinstance(name, str) and name not in left_out] if isinstance(defaults, list) else []
            self._groups(defaults)
            if "dev" in defaults and isinstance(uv.get("dev-dependencies"), list):
                self.whole.add_all(uv["dev-dependencies"])
        for value in _values(words, "--with"):
            self.arguments(value.split(","))
        for path in _values(words, "--with-requirements"):
            self.whole.add_file(_joined("", path), self._project.read)
        for path in _values(words, "--with-editable"):
            self._path(path, "")

    def _poetry(self, words: list[str]) -> None:
        if "--all-extras" in words:
            self._extras(self._project.extras)
        for value in _values(words, "-E", "--extras"):
            self._extras(re.split(r"[\s,]+", value))
        groups = {**self._project.table("dependency-groups"), **self._project.table("tool", "poetry", "group")}
        named = [name for value in _values(words, "--with", "--only") for name in re.split(r"[\s,]+", value)]
        if "--all-groups" in words:
            named = list(groups)
        elif not {"--no-dev", "--only-root"} & set(words) and not _named(words, "--only"):
            left_out = {canonicalize_name(name) for value in _values(words, "--without") for name in re.split(r"[\s,]+", value)}
            optional = {name for name, group in groups.items() if isinstance(group, dict) and group.get("optional")}
            named += [name for name in groups if name not in optional and canonicalize_name(name) not in left_out]
            if "dev" not in left_out and isinstance(packages := self._project.poetry.get("dev-dependencies"), dict):
                add_poetry(self.whole, packages)
        self._groups(dict.fromkeys(name for name in named if name and name != "main"))

    def _pdm(self, words: list[str]) -> None:
        groups = (*self._project.table("dependency-groups"), *self._project.table("tool", "pdm", "dev-dependencies"))
        known = set(map(canonicalize_name, groups))
        chosen = [name for value in _values(words, "-G", "--group", "--with") for name in re.split(r"[\s,]+", value)]
        if not {"--prod", "--production", "--no-dev"} & set(words) and not known & set(map(canonicalize_name, chosen)):
            left_out = {canonicalize_name(name) for value in _values(words, "--without") for name in re.split(r"[\s,]+", value)}
            self._groups(name for name in groups if canonicalize_name(name) not in left_out)
        for name in chosen:
            if name == ":all":
                self._groups(groups)
                self._extras(self._project.extras)
            elif canonicalize_name(name) in map(canonicalize_name, self._project.extras):
                self._extras([name])
            elif name:
                self._groups([name])

    def _environment(self, path: str) -> None:
        if ENVIRONMENT_FILE.fullmatch(path) and (text := self._project.read(path)) is not None:
            add_environment(self.whole, text, path)


def _values(words: Sequence[str], *options: str) -> list[str]:
    """Of options, as the next word, after `=`, or right after a short one."""
    found: list[str] = []
    for place, word in enumerate(words):
        if word in options:
            found += words[place + 1 : place + 2]
        elif (option := next((one for one in options if word.startswith(f"{one}=")), None)) is not None:
            found.append(word[len(option) + 1 :])
        elif word[:2] in options and not word.startswith("--") and len(word) > 2:
            found.append(word[2:])
    return [value.strip("\"'") for value in found if not value.startswith("-") and "$" not in value]


def _named(words: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _joined(directory: str, path: str) -> str:
    inside = re.sub(rf"^{_ROOT}/*", "", path)
    return posixpath.normpath(inside if inside != path else posixpath.join(directory, path))


def split_words(line: str) -> list[str]:
    """As a shell would; by spaces where it could not."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()
