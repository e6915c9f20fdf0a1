"""Which Debian package a file of an image belongs to, and its version, as the package manager's own files say.

A shared library tells its interface's number and not its release; the distribution knows the release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from urllib.parse import unquote

from podgym.envs.audit.image import ImageLayer
from podgym.envs.audit.layers import LayerError

__all__ = ["Debian", "upstream_version"]

_LIST = re.compile(r"^var/lib/dpkg/info/(?P<name>[^/:]+)(?::[^/]+)?\.list$")
_STATUS = "var/lib/dpkg/status"
_ARCHIVE = re.compile(r"(?:^|/)[^/_]+_(?P<version>[^_/]+)_[a-z0-9-]+\.deb!/")
_MOST_BYTES = 64 << 20


class Debian:
    """Of one image; nothing is read before something is asked."""

    def __init__(self, layers: Sequence[ImageLayer]) -> None:
        self._layers = layers

    def version(self, place: str) -> str:
        """Of the upstream release that a file or directory is of, `place` without a leading slash; empty where it is nobody's."""
        if (archive := _ARCHIVE.search(place)) is not None:
            return upstream_version(unquote(archive["version"]))
        lists, versions = self._database
        # Systems with a merged /usr have files in one place and names of another.
        names = {f"/{place}", f"/{place.removeprefix('usr/')}", f"/usr/{place}"}
        lines = [f"\n{name}\n".encode() for name in names]
        for package, text in lists.items():
            if any(line in text for line in lines):
                return upstream_version(versions.get(package, ""))
        return ""

    @cached_property
    def _database(self) -> tuple[dict[str, bytes], dict[str, str]]:
        """Files of each package, and versions; a later layer's go before an earlier one's."""
        lists: dict[str, bytes] = {}
        status = b""
        for one in self._layers:
            try:
                for entry in one.layer.entries():
                    match = _LIST.match(entry.path)
                    if entry.kind != "file" or entry.size > _MOST_BYTES or (match is None and entry.path != _STATUS):
                        continue
                    with one.layer.open(entry) as file:
                        data = file.read(_MOST_BYTES)
                    if match is None:
                        status = data
                    else:
                        lists[match["name"]] = b"\n" + data
            except LayerError:
                continue  # told where its content is searched
        return lists, _versions(status.decode("utf-8", "replace"))


def upstream_version(version: str) -> str:
    """Debian's version without epoch, revision, and what a repacked source has after it."""
    plain = re.sub(r"^\d+:", "", version)
    plain = plain.rpartition("-")[0] or plain
    return re.sub(r"[+~](?:dfsg|ds|repack|really|git|svn|deb).*$", "", plain)


def _versions(status: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for paragraph in status.split("\n\n"):
        name, version = (re.search(rf"(?m)^{key}: (\S+)$", paragraph) for key in ("Package", "Version"))
        if name is not None and version is not None:
            found[name[1]] = version[1]
    return found
