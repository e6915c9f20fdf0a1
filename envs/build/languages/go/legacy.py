"""Repositories from before modules: the path that they were imported under, and the versions that older tools had pinned."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from podgym.envs.build.languages.go.source import imports_of
from podgym.envs.build.tree import Tree

__all__ = ["import_path", "pinned_modules"]

_COMMENT: Final = re.compile(r'^package\s+\w+\s*//\s*import\s+"([^"\s]+)"', re.MULTILINE)
_CI: Final = re.compile(r"go_import_path:\s*[\"']?([\w./~-]+)|/src/((?:[\w-]+\.)+[a-z]+/[\w./~-]+)")
_GET: Final = re.compile(r"go (?:get|install)\s+(?:-\w+\s+)*([\w-]+(?:\.[\w-]+)+/[\w./~-]+)")
_HOST: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+/[\w./~-]+")
_GLIDE: Final = re.compile(r"^- name: (\S+)\n  version: (\S+)", re.MULTILINE)
_MAX_FILES: Final = 400
_MAX_PINS: Final = 300


def import_path(tree: Tree, ci: Iterable[str]) -> tuple[str, str]:
    """The path, and where it was found."""
    sources = [path for path in tree.paths if path.endswith(".go") and not {"vendor", "testdata", "Godeps"} & set(path.split("/"))][
        :_MAX_FILES
    ]
    for path in sources:
        if "/" not in path and (match := _COMMENT.search(tree.read(path) or "")):
            return match[1], f"the import comment of {path}"
    for text in (*ci, tree.read(".travis.yml") or ""):
        if match := _CI.search(text):
            return (match[1] or match[2]).rstrip("./"), "CI"
    if votes := _votes(tree, sources):
        return votes.most_common(1)[0][0], "what the sources import"
    for path in tree.paths:
        if "/" not in path and path.lower().startswith("readme") and (match := _GET.search(tree.read(path) or "")):
            return _above_commands(tree, match[1].removesuffix("/...").rstrip("./")), path
    return "example.org/project", "nothing: no path is named"


def _above_commands(tree: Tree, path: str) -> str:
    """What is left of a path without the directories of the repository that it ends with (`cmd/tool`)."""
    directories = {one.rpartition("/")[0] for one in tree.paths if one.endswith(".go")}
    parts = path.split("/")
    return "/".join(next((parts[:count] for count in range(2, len(parts)) if "/".join(parts[count:]) in directories), parts))


def _votes(tree: Tree, sources: Iterable[str]) -> Counter[str]:
    """For each path how often sources import it, or a package below it that the repository has."""
    sources = list(sources)
    directories = {path.rpartition("/")[0] for path in sources}
    votes: Counter[str] = Counter()
    for path in sources:
        text = tree.read(path) or ""
        package = re.search(r"^package\s+(\w+)", text, re.MULTILINE)
        for imported in imports_of(text):
            if not _HOST.fullmatch(imported):
                continue
            parts = imported.split("/")
            for count in range(1, len(parts)):
                if "/".join(parts[count:]) in directories and count >= 2:
                    votes["/".join(parts[:count])] += 1
            if "/" not in path and package and package[1].endswith("_test") and _named(parts[-1]) == package[1].removesuffix("_test"):
                votes[imported] += 1
    return votes


def _named(part: str) -> str:
    return re.sub(r"^go-|\.v\d+$|[-.]go$", "", part).replace("-", "_")


def pinned_modules(tree: Tree) -> Mapping[str, str]:
    """Versions or revisions by path, as dep, glide, govendor and godep wrote them."""
    found: dict[str, str] = {}
    try:
        projects = tomllib.loads(tree.read("Gopkg.lock") or "").get("projects", [])
    except (ValueError, RecursionError):
        projects = []
    for project in projects if isinstance(projects, list) else []:
        if isinstance(project, dict) and isinstance(project.get("name"), str):
            version = project.get("version") or project.get("revision")
            found[project["name"]] = version if isinstance(version, str) else ""
    found |= dict(_GLIDE.findall(tree.read("glide.lock") or ""))
    for path, key in (("vendor/vendor.json", "path"), ("Godeps/Godeps.json", "ImportPath")):
        for name, revision in re.findall(
            rf'"{key}"\s*:\s*"([^"\s]+)"[^{{}}]*?"(?:revision|Rev)"\s*:\s*"([0-9a-f]{{7,40}})"', tree.read(path) or ""
        ):
            found["/".join(name.split("/")[:3])] = revision
    good = {name: version for name, version in found.items() if _HOST.fullmatch(name) and re.fullmatch(r"[\w.+/-]{1,100}", version)}
    return dict(sorted(good.items())[:_MAX_PINS])
