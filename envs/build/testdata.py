"""Which tests read a file of test data: a fix may change nothing of its tests but what they expect (a golden file, a snapshot, a
fixture), and then the tests that fail without it are those that read it.

Nothing is run, so tests are known by what they say, the surest sign first: a snapshot that names the source it was taken in, a test
file that a snapshot or a folder is named after, the data's own name, its name without endings as a text or a test's name, and last
the folder that it lies in. Of several signs only the surest counts; of a folder's readers those nearest to it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from podgym.envs.build.languages.contract import PathKinds
from podgym.envs.build.tree import Tree

__all__ = ["data_readers", "is_data"]

_CODE: Final = re.compile(r"\.(?:py|pyi|go|rs|java|kts?|groovy|scala|[cm]?[jt]sx?|c|cc|cpp|cxx|h|hh|hpp|hxx|sh|pl|rb)$", re.IGNORECASE)
_BESIDE: Final = re.compile(
    r"(?i)(?:readme|licen[sc]e|changelog|contributing|makefile|cmakelists|meson\.|dockerfile|cargo\.|go\.(?:mod|sum)|package(?:-lock)?\.json|"
    r"tsconfig|pom\.xml|build\.gradle|requirements|tox\.ini|pytest\.ini|\.[^.]+$).*"
)
_FOLDERS: Final = re.compile(
    r"(?i)(?:testdata|test[-_]data|data|fixtures?|__fixtures__|__snapshots__|snapshots?|golden(?:s|files?)?|expected|resources|samples|cases|"
    r"inputs?|outputs?|ui|compile[-_]fail)"
)
_ANY_FOLDER: Final = frozenset({"test", "tests", "src", "resources", "main", "java", "lib", "unit", "integration", "it", "e2e"})
_SOURCE: Final = re.compile(r"^source: [\"']?([\w./+-]{1,300})[\"']?\s*$", re.MULTILINE)
_SNAPSHOT: Final = re.compile(r"\.(?:snap|ambr|snapshot)$")
_LEAST_STEM: Final = 3
_MAX_DATA: Final = 100
_MAX_TESTS: Final = 400
_MAX_READERS: Final = 50

_Sign = Callable[[str, str], bool]
"""Whether a test of this path and text reads the data."""


def is_data(path: str) -> bool:
    """Whether a file that is a test's by its path is what tests read, and no code, build file or page beside them."""
    *folders, name = path.split("/")
    if any(_FOLDERS.fullmatch(folder) for folder in folders):
        return not re.match(r"(?i)readme|licen[sc]e", name)
    return _CODE.search(name) is None and _BESIDE.fullmatch(name) is None and not name.lower().endswith((".md", ".rst"))


def data_readers(tree: Tree, kinds: PathKinds, paths: Iterable[str]) -> tuple[str, ...]:
    """Tests of `tree` that read any of the changed test files `paths`; none where nothing among them is data, or nobody reads it."""
    found: dict[str, None] = {}
    runnable = [path for path in tree.paths if kinds.is_runnable(path)]
    for path in sorted(filter(is_data, paths))[:_MAX_DATA]:
        found.update(dict.fromkeys(_readers(tree, kinds, runnable, path)))
        if len(found) >= _MAX_READERS:
            break
    return tuple(found)[:_MAX_READERS]


def _readers(tree: Tree, kinds: PathKinds, runnable: Sequence[str], data: str) -> Sequence[str]:
    source = _SOURCE.search((tree.read(data) or "")[:2000]) if _SNAPSHOT.search(data) else None
    if source is not None:
        taken = [path for path in _placed(data, source[1]) if path in tree and _holds_tests(tree, kinds, path)]
        if taken:
            return taken[:1]
    near = sorted(runnable, key=lambda path: (_CODE.search(path) is None, -_shared(path, data), path))[:_MAX_TESTS]
    texts = {path: text for path in near if path != data and (text := tree.read(path)) is not None}
    for sign in _signs(data):
        hits = [path for path, text in texts.items() if sign(path, text)]
        if hits:
            return hits
    for folder in reversed(data.split("/")[:-1]):
        if folder.lower() not in _ANY_FOLDER:
            says = re.compile(rf"(?<![\w-]){re.escape(folder)}(?![\w-])")
            hits = [path for path, text in texts.items() if says.search(text)]
            if hits:
                return [path for path in hits if _shared(path, data) == _shared(hits[0], data)]
    return []


def _signs(data: str) -> Iterator[_Sign]:
    """For all kinds of data, the surest first."""
    name = posixpath.basename(data)
    stem = name.partition(".")[0]
    folders = frozenset(data.split("/")[:-1])
    if _SNAPSHOT.search(name):
        yield lambda path, _: posixpath.basename(path) in (f"{stem}.py", _SNAPSHOT.sub("", name))
    yield lambda path, _: posixpath.basename(path).partition(".")[0] in folders - _ANY_FOLDER
    whole = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    yield lambda _, text: whole.search(text) is not None
    if len(stem) >= _LEAST_STEM:
        quoted = re.compile(
            rf"[\"'`/]{re.escape(stem)}(?=[\"'`/.])|\b(?:fn|def|func|void|class)\s+(?:test_?)?{re.escape(stem)}\b", re.IGNORECASE
        )
        yield lambda _, text: quoted.search(text) is not None


def _placed(data: str, stated: str) -> Iterator[str]:
    """Where a path may be that a snapshot states: relative to a package or a workspace around it."""
    folder = posixpath.dirname(data)
    while True:
        yield posixpath.normpath(posixpath.join(folder, stated))
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _holds_tests(tree: Tree, kinds: PathKinds, path: str) -> bool:
    return kinds.is_runnable(path) or "#[cfg(test)]" in (tree.read(path) or "")


def _shared(path: str, other: str) -> int:
    """How many folders two paths have in common, from the top."""
    pairs = zip(path.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((number for number, (one, two) in enumerate(pairs) if one != two), min(path.count("/"), other.count("/")))
