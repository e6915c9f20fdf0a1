"""What the readers of all CI files put together: each thing once, in the order of its appearance, and not without bounds."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from podgym.envs.build.ci.debian import is_package, packages_of
from podgym.envs.build.ci.document import DocumentError, load_documents
from podgym.envs.build.ci.facts import CiFacts, CiStep
from podgym.envs.build.ci.images import image_name, versions_of_image
from podgym.envs.build.ci.shell import commands, expand, logical_lines
from podgym.envs.build.tree import Tree

__all__ = ["Gathering", "strings"]

_MAX_STEPS: Final = 2500
_MAX_PACKAGES: Final = 400
_MAX_VERSIONS: Final = 60
_MAX_SCRIPTS: Final = 60
_MAX_LINE: Final = 16 << 10
_DEPTH: Final = 3
"""Scripts that call scripts."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_VERSION: Final = re.compile(r"[\w.*<>=~^|+/, -]{1,60}")
_SECRET: Final = re.compile(
    r"TOKEN|SECRET|PASSWD|CREDENTIAL|API_?KEY|PRIVATE|ACCESS_KEY|SIGNING|AUTH|WEBHOOK|CODECOV|COVERALLS", re.IGNORECASE
)
_SHELL_VERSIONS: Final = (
    ("node", re.compile(r"\bnvm (?:install|use)\s+v?(\d+(?:\.\d+)*)")),
    (
        "rust",
        re.compile(
            r"\brustup (?:default|update|install|toolchain (?:install|add)|override set)\s+(?:-\S+ )*(\d+\.\d+[.\d]*|nightly\S*|stable)"
        ),
    ),
    ("pnpm", re.compile(r"\bpnpm@v?(\d+(?:\.\d+)*)")),
    ("npm", re.compile(r"\bnpm@v?(\d+(?:\.\d+)*)")),
    ("yarn", re.compile(r"\byarn@v?(\d+(?:\.\d+)*)")),
    ("python", re.compile(r"\b(?:pyenv (?:install|global|local|shell)|uv python install)\s+(?:-\S+ )*(\d+\.\d+(?:\.\d+)?)")),
    ("java", re.compile(r"\bsdk install java\s+(\d+)")),
)
_INTERPRETERS: Final = frozenset(("sh", "bash", "dash", "source", ".", "zsh"))
_CHECKOUT: Final = re.compile(r"^(\$\{?(GITHUB_WORKSPACE|CI_PROJECT_DIR|TRAVIS_BUILD_DIR|PWD)\}?|\$\{\{ ?github\.workspace ?\}\})/")
_BEFORE: Final = frozenset(
    ("sudo", "-E", "-H", "env", "time", "retry", "travis_retry", "nice", "if", "then", "do", "else", "!", "exec", "{")
)


_Script: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
"""Text, directory and variables."""


class Gathering:
    """Fills up; `facts` is what came of it."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.aside = False
        """What is read now documents, releases or checks style: its packages count only where nothing else names any."""
        self._packages: dict[str, None] = {}
        self._packages_aside: dict[str, None] = {}
        self._versions: dict[str, dict[str, None]] = {}
        self._env: dict[str, str] = {}
        self._steps: dict[tuple[str, str, str], CiStep] = {}
        self._services: dict[str, None] = {}
        self._images: dict[str, None] = {}
        self._sources: dict[str, None] = {}
        self._notes: dict[str, None] = {}
        self._seen: set[tuple[_Script, str]] = set()
        """With the job: what several do is a step of each."""
        self._searched: set[tuple[_Script, bool]] = set()
        """For packages."""
        self._followed: set[str] = set()

    def facts(self) -> CiFacts:
        """All that was gathered."""
        steps = tuple(self._steps.values())
        return CiFacts(
            packages=tuple(self._packages or self._packages_aside),
            versions={tool: tuple(found) for tool, found in self._versions.items()},
            env=self._env,
            commands=tuple(dict.fromkeys(step.line for step in steps)),
            steps=steps,
            services=tuple(self._services),
            images=tuple(self._images),
            sources=tuple(self._sources),
            notes=tuple(self._notes),
        )

    def document(self, path: str) -> Any:
        """The one document of a YAML file of the tree, or None with a note."""
        text = self.text(path)
        if text is None:
            return None
        try:
            documents = load_documents(text)
        except DocumentError as error:
            self.note(f"{path} was not read: {error}.")
            return None
        found = [one for one in documents if one is not None]
        return found[-1] if found else None

    def text(self, path: str) -> str | None:
        """A file's text, which makes it a source; None with a note where there is none."""
        if path not in self.tree:
            return None
        text = self.tree.read(path)
        if text is None:
            self.note(f"{path} was not read: it is a link, or too large.")
        else:
            self._sources[path] = None
        return text

    def note(self, text: str) -> None:
        """For people."""
        if len(self._notes) < 50:
            self._notes[text] = None

    def version(self, tool: str, value: Any) -> None:
        """One version or several (a list, or lines), as they are written; none that is not known."""
        for item in value if isinstance(value, list) else [value]:
            for line in item.splitlines() if isinstance(item, str) else ():
                one = line.strip().strip("'\"").strip()
                found = self._versions.setdefault(tool, {}) if _VERSION.fullmatch(one) else {}
                if len(found) < _MAX_VERSIONS and _VERSION.fullmatch(one):
                    found[one] = None

    def package(self, name: str) -> None:
        """A Debian package."""
        into = self._packages_aside if self.aside else self._packages
        if len(into) < _MAX_PACKAGES and is_package(name):
            into[name] = None

    def image(self, image: str) -> None:
        """Of a container in which a job runs."""
        if image_name(image):
            self._images[image] = None
            for tool, version in versions_of_image(image):
                self.version(tool, version)

    def service(self, image: str) -> None:
        """Of a container that runs beside a job, or a service's name."""
        if image_name(image):
            self._services[image] = None

    def variables(self, env: Mapping[str, str]) -> None:
        """Of a whole workflow or job."""
        for name, value in env.items():
            if len(self._env) < 200 and re.fullmatch(r"[A-Za-z_]\w*", name) and not _unknown(value) and not _SECRET.search(name):
                self._env.setdefault(name, value)

    def script(self, text: str, *, directory: str = "", env: Mapping[str, str] = _NONE, job: str = "") -> None:
        """A step's shell text."""
        known = {name: value for name, value in env.items() if not _unknown(value)}
        script: _Script = (text, directory, tuple(sorted(known.items())))
        if (script, job) in self._seen or len(self._seen) > _MAX_STEPS:
            return
        self._seen.add((script, job))
        place = _inside(directory)
        shown = {name: value for name, value in known.items() if not _SECRET.search(name)}
        for line in logical_lines(text):
            if len(self._steps) < _MAX_STEPS and len(line) <= _MAX_LINE:
                self._steps.setdefault((line, place, job), CiStep(line=line, directory=place, env=shown, job=job))
            for tool, pattern in _SHELL_VERSIONS:
                if found := pattern.search(line):
                    self.version(tool, found[1])
        if (script, self.aside) not in self._searched:
            self._searched.add((script, self.aside))
            self._install(text, place, dict(known), _DEPTH)

    def _install(self, text: str, directory: str, variables: dict[str, str], depth: int) -> None:
        """Packages that a script, or a script of the repository that it calls, installs."""
        for command in commands(text, variables):
            words = command
            while words and (words[0] in _BEFORE or re.match(r"[A-Za-z_]\w*=", words[0])):
                words = words[1:]
            if not words:
                continue
            if words[0] == "cd" and len(words) > 1:
                directory = _inside(posixpath.join(directory, words[1]))
            if words[0] in _INTERPRETERS and depth > 1 and (inner := _inner(words)):
                self._install(inner, directory, variables, depth - 1)
                continue
            for name in packages_of(command):
                self.package(name)
            if any(word.rpartition("/")[2] in ("apt-get", "apt") for word in words):
                self._listed(text, directory)
            if depth > 1 and (path := self._script_path(words, directory)):
                self._follow(path, directory, variables, depth - 1)

    def _listed(self, text: str, directory: str) -> None:
        """Packages in files that the shell reads into the command line: `$(cat apt.txt)`, `xargs -a apt.txt`, `cat apt.txt | xargs`."""
        for found in re.finditer(
            r"(?:\bcat\s+|\$\(<\s*|xargs\s+(?:-\S+\s+)*?(?:-a|--arg-file=?)\s*|(?<!<)<\s*)([\w./-]+\.(?:txt|list|apt|lst)|[\w./-]*[Aa]ptfile)",
            text,
        ):
            path = _inside(posixpath.join(directory, found[1]))
            listed = self.tree.read(path) if path in self.tree else None
            for line in (listed or "").splitlines()[:500]:
                for word in line.partition("#")[0].split():
                    self.package(re.split(r"[=:]", word)[0])

    def _script_path(self, words: list[str], directory: str) -> str:
        """The script of the repository that a command runs; empty where it runs none."""
        candidates = [word for word in words[1:4] if not word.startswith("-")][:1] if words[0] in _INTERPRETERS else words[:1]
        for candidate in candidates:
            word = _CHECKOUT.sub("", candidate)
            if "/" not in word and words[0] not in _INTERPRETERS:
                continue
            for path in (_inside(posixpath.join(directory, word)), _inside(word)):
                if path in self.tree and path not in self._followed:
                    return path
        return ""

    def _follow(self, path: str, directory: str, variables: dict[str, str], depth: int) -> None:
        if len(self._followed) >= _MAX_SCRIPTS:
            return
        self._followed.add(path)
        text = self.tree.read(path) or ""
        if path.endswith((".sh", ".bash")) or re.match(r"#!\s*\S*(?:/|env\s+)(?:ba|da|z)?sh\b", text):
            self._install(text[: 64 << 10], directory, dict(variables), depth)


def strings(value: Any) -> dict[str, str]:
    """The entries of a mapping that are texts; an empty value is the empty text."""
    if not isinstance(value, dict):
        return {}
    return {name: item or "" for name, item in value.items() if item is None or isinstance(item, str)}


def _inner(words: list[str]) -> str:
    """The text of `sh -c TEXT`."""
    for index, word in enumerate(words[1:-1], start=1):
        if re.fullmatch(r"-\w*c", word):
            return words[index + 1]
    return ""


def _inside(directory: str) -> str:
    """A directory relative to the repository; its root for one that is outside, or not known."""
    path = posixpath.normpath(expand(directory, {}).strip() or ".")
    return "" if path.startswith(("..", "/")) or path == "." or "$" in path or "<<" in path else path


def _unknown(value: str) -> bool:
    return "${{" in value or "<<" in value or len(value) > 4000 or "\0" in value
