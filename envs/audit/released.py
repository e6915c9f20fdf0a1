"""Which releases of the project lie in base's history, by its tags: a copy of one of them tells nothing that base does not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from podgym.envs.audit.packages import is_newer
from podgym.envs.repository import RepositoryError
from podgym.envs.repository.git import Git

__all__ = ["Releases", "releases"]

_TAG = re.compile(r"(?:(?P<name>[@A-Za-z][\w.@/+-]*?)[-_/@])?v?(?P<version>\d+(?:\.\d+)+[0-9A-Za-z.+-]*)")
_MOST = 100_000
_SAYS_NOTHING = ("v", "version", "release", "releases", "rel", "tag", "tags")


class Releases:
    """Versions by what stands before them in their tags; most say none."""

    def __init__(self, tags: Iterable[str] = ()) -> None:
        self._versions: dict[str, str] = {}
        for tag in tags:
            if (found := _TAG.fullmatch(tag)) is not None:
                name, version = _plain(found["name"] or ""), found["version"]
                name = "" if name in _SAYS_NOTHING else name
                known = self._versions.get(name)
                if known is None or is_newer(version, known):
                    self._versions[name] = version

    def hold(self, package: str, version: str) -> bool:
        """Whether base's history holds a release of `package` of this version or a later one."""
        newest = self._versions.get(_plain(package)) or self._versions.get("")
        return newest is not None and is_newer(version, newest) is False


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.rpartition("/")[2]).lower()


def releases(git: Git, base: str) -> Releases:
    """Those whose tags base reaches; none where git does not say."""
    try:
        lines = git.run("for-each-ref", "--merged", base, f"--count={_MOST}", "--format=%(refname:strip=2)", "refs/tags/").splitlines()
    except RepositoryError:
        return Releases()
    return Releases(line.decode("utf-8", "replace") for line in lines)
