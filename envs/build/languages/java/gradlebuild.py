"""What a Gradle build says, by its text: projects, wrapper, language levels, toolchain. Its scripts are programs and are not run, so
what they compute stays unknown.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from podgym.envs.build.catalogue import version_key
from podgym.envs.build.languages.java.jdk import major
from podgym.envs.build.tree import Tree

__all__ = ["BUILD_FILES", "SETTINGS", "GradleBuild", "find_build", "runs_on"]

BUILD_FILES: Final = ("build.gradle", "build.gradle.kts")
SETTINGS: Final = ("settings.gradle", "settings.gradle.kts")
_MAX_SCRIPTS: Final = 400
_NEWEST_JDK: Final = (
    ("9.1", 25), ("9.0", 24), ("8.14", 24), ("8.10", 23), ("8.8", 22), ("8.5", 21), ("8.3", 20), ("7.6", 19), ("7.5", 18), ("7.3", 17),
    ("7.0", 16), ("6.7", 15), ("6.3", 14), ("6.0", 13), ("5.4", 12), ("5.0", 11), ("4.7", 10), ("4.3", 9), ("2.0", 8),
)  # fmt: skip
"""The newest JDK that Gradle runs on, by the release that brought it; from Gradle's compatibility matrix."""
_OLDEST_JDK: Final = (("9.0", 17), ("5.0", 8))

_STRING: Final = r"[\"']([^\"'$\n]+)[\"']"
_INCLUDE: Final = re.compile(rf"^\s*include(?:\s*\(|\s)(?P<names>(?:\s*{_STRING}\s*,?\s*)+)", re.MULTILINE)
_LIST: Final = re.compile(rf"\b(?:include|listOf|arrayOf)\s*\(?(?P<names>(?:\s*{_STRING}\s*,?\s*)+)")
_DIRECTORY: Final = re.compile(
    rf"project\s*\(\s*{_STRING}\s*\)\s*\.\s*projectDir\s*=\s*(?:new\s+File|file)\s*\(\s*(?:\w+\s*,\s*)?{_STRING}"
)
_COMMENT: Final = re.compile(r"^\s*(?://|\*|/\*).*$", re.MULTILINE)
_TOOLCHAIN: Final = re.compile(r"(?:JavaLanguageVersion\.of|jvmToolchain)\s*\(\s*(?:JavaLanguageVersion\.of\(\s*)?[\"']?([\w.]+)")
_ANDROID: Final = re.compile(
    r"com\.android\.(?:application|library|test)\b|\bandroid\s*\{|\b(?:id|alias)\s*\(?\s*[\"']?[\w.-]*\bandroid[\w.-]*", re.IGNORECASE
)
_NOT_APPLIED: Final = re.compile(r"^.*\bapply[ (]{1,3}false\b.*$", re.MULTILINE)
_LEVEL: Final = re.compile(
    r"(?:\b(?:source|target)Compatibility\s*(?:=|\.set\(|\s)\s*|\boptions\.release\s*(?:=|\.set\()\s*|\bjvmTarget\s*(?:=|\.set\()\s*)"
    r"(?:JavaVersion\.(?:toVersion\()?|JvmTarget\.JVM_)?[\"']?(?:VERSION_)?([\w.]+)"
)


def runs_on(gradle: str) -> tuple[int, int]:
    """The oldest and the newest JDK that this Gradle runs on; wide open where the version is not known."""
    key = version_key(gradle)[:2]
    if not key:
        return 0, 99
    newest = next((jdk for version, jdk in _NEWEST_JDK if key >= version_key(version)), 8)
    oldest = next((jdk for version, jdk in _OLDEST_JDK if key >= version_key(version)), 7)
    return oldest, newest if key < version_key("9.2") else 99


@dataclass(frozen=True)
class GradleBuild:
    """One build: the directory with its settings, or of the only project."""

    tree: Tree
    root: str

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    @cached_property
    def wrapper(self) -> tuple[str, str]:
        """Version and address of the distribution; empty where there is no wrapper."""
        directory = self.root
        while True:
            path = f"{directory}/gradle/wrapper/gradle-wrapper.properties".lstrip("/")
            match = re.search(r"^\s*distributionUrl\s*[=:]\s*(\S+)", self.tree.read(path) or "", re.MULTILINE)
            if match:
                url = match[1].replace("\\:", ":").replace("\\", "")
                version = re.search(r"gradle-(\d[\w.-]*?)-(?:bin|all)\.zip", url)
                return (version[1] if version else ""), url
            if not directory:
                return "", ""
            directory = posixpath.dirname(directory)

    @property
    def wrapper_root(self) -> str:
        """The directory with `gradlew`, at the build's root or above; empty for the repository's own."""
        directory = self.root
        while directory and f"{directory}/gradlew" not in self.tree:
            directory = posixpath.dirname(directory)
        return directory

    @cached_property
    def projects(self) -> dict[str, str]:
        """Gradle's path of each project by its directory in the repository; the root's is empty."""
        text = "\n".join(_COMMENT.sub("", self.tree.read(self._path(name)) or "") for name in SETTINGS)
        moved = dict(_DIRECTORY.findall(text))
        found = {self.root: ""}
        names = [name for pattern in (_INCLUDE, _LIST) for match in pattern.finditer(text) for name in re.findall(_STRING, match["names"])]
        for name in names:
            path = ":" + name.replace("/", ":").strip(":")
            stated = moved.get(name) or moved.get(path)
            directory = posixpath.normpath(self._path(stated if stated is not None else path[1:].replace(":", "/")))
            if not self.tree.below(directory):
                directory = self._by_name.get(path.rpartition(":")[2], "")
            if directory:
                found[directory] = path
        for path in self.tree.named(*BUILD_FILES):
            # Settings that compute what they include mostly name a project as its directory.
            directory = posixpath.dirname(path)
            below = directory.removeprefix(f"{self.root}/") if self.root else directory
            inside = directory.startswith(f"{self.root}/") if self.root else bool(directory)
            if (
                inside
                and directory not in found
                and below.partition("/")[0] not in ("buildSrc", "build-logic")
                and "/src/" not in f"/{below}/"
            ):
                found[directory] = ":" + below.replace("/", ":")
        return found

    @cached_property
    def _by_name(self) -> dict[str, str]:
        """Directories with a script by name, those of an ambiguous name left out: settings may move projects by code."""
        scripts = (path for path in self.tree.below(self.root) if path.endswith((".gradle", ".gradle.kts")))
        found: dict[str, set[str]] = {}
        for directory in map(posixpath.dirname, scripts):
            found.setdefault(posixpath.basename(directory), set()).add(self._path(directory))
        return {name: places.pop() for name, places in found.items() if name and len(places) == 1}

    def owner(self, path: str) -> str | None:
        """Directory of the project that a file belongs to; None outside of the build."""
        directory = path
        while directory:
            directory = posixpath.dirname(directory)
            if directory in self.projects:
                return directory
        return None

    @cached_property
    def scripts(self) -> dict[str, str]:
        """Build scripts, settings and property files of the build by path, comments left out."""
        ends = (".gradle", ".gradle.kts", "gradle.properties", "libs.versions.toml")
        mine = [path for path in self.tree.below(self.root) if path.endswith(ends) and "/src/test/" not in path]
        mine.sort(key=lambda path: (path.count("/"), path))
        return {self._path(path): _COMMENT.sub("", self.tree.read(self._path(path)) or "") for path in mine[:_MAX_SCRIPTS]}

    def about(self, directories: Iterable[str]) -> str:
        """Text of what configures these projects: their own scripts, and those that all share."""
        others = {directory for directory in self.projects if directory != self.root} - set(directories)
        return "\n".join(text for path, text in self.scripts.items() if posixpath.dirname(path) not in others)

    def android(self, directories: Iterable[str]) -> bool:
        """Whether the scripts in these directories, or the root's, apply a plug-in that needs the Android SDK."""
        wanted = {self.root, *directories}
        mine = (text for path, text in self.scripts.items() if posixpath.dirname(path) in wanted and not path.endswith(".toml"))
        return any(_ANDROID.search(_NOT_APPLIED.sub("", text)) for text in mine)

    @cached_property
    def names(self) -> dict[str, str]:
        """Values by name, of property files, version catalogues and plain assignments."""
        found: dict[str, str] = {}
        for path, text in self.scripts.items():
            if path.endswith(".toml"):
                try:
                    versions = tomllib.loads(self.tree.read(path) or "").get("versions")
                except (ValueError, RecursionError):
                    continue
                entries = versions.items() if isinstance(versions, dict) else ()
                found.update({re.sub(r"[-_]", ".", name): value for name, value in entries if isinstance(value, str)})
            else:
                found.update(
                    re.findall(
                        r"^\s*(?:ext\.|def\s+|val\s+|const\s+val\s+)*([\w.]+)\s*[=:]\s*[\"']?([\w.]+)[\"']?\s*;?\s*$", text, re.MULTILINE
                    )
                )
        return found

    def _number(self, text: str) -> int | None:
        name = re.sub(r"^(?:project\.|rootProject\.|ext\.|libs\.versions\.)+", "", text)
        name = re.sub(r"\.(?:get|toInt|asInt|toInteger|toString)$", "", re.sub(r"\.(?:get|toInt|asInt|toInteger)$", "", name))
        return major(text.replace("_", ".")) or major(self.names.get(name, ""))

    def toolchains(self, directories: Iterable[str]) -> tuple[int, ...]:
        """JDKs that are asked for."""
        return tuple(sorted({number for text in _TOOLCHAIN.findall(self.about(directories)) if (number := self._number(text))}))

    def levels(self, directories: Iterable[str]) -> tuple[int, ...]:
        """Language levels."""
        return tuple(sorted({number for text in _LEVEL.findall(self.about(directories)) if (number := self._number(text))}))


def find_build(tree: Tree, paths: Iterable[str]) -> GradleBuild | None:
    """The build that the first of `paths` belongs to that belongs to any."""
    for path in paths:
        root = tree.nearest(path, *SETTINGS)
        if root is None:
            root = tree.nearest(path, *BUILD_FILES)
        if root is not None:
            return GradleBuild(tree, root)
    return None
