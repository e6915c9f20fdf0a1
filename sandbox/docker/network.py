"""Which network images are built on: the engine's default one, or the host's where the default one leads nowhere.

In closed networks containers often cannot resolve names, or cannot reach a proxy that listens on the host alone, while the host itself
can. That is tried, not guessed: a container of the base image on the default network, and only where that reaches nothing, one
on the host's network. What they try to reach is what the steps will: the proxies and indexes of the build's arguments, the
package sources that the image itself names, and what the log of a failed step could not reach. Once per provider.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from podgym.sandbox.docker.config import DockerConfig
from podgym.sandbox.docker.engine import Engine
from podgym.sandbox.errors import ImageError, SandboxError

__all__ = ["BuildNetwork", "targets_in_args", "targets_in_log"]

_log = logging.getLogger("podgym.sandbox.docker")

_TARGETS: Final = 6
_PROBE_TIMEOUT_S: Final = 30.0
_REACHED, _NOTHING_TO_TRY = 0, 3

PROBE: Final = """[ "$#" -gt 0 ] || set -- $(cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apk/repositories 2> /dev/null |
  sed -n 's,^[^#]*https://\\([^/: ]*\\)/.*,\\1:443,p; s,^[^#]*http://\\([^/: ]*\\)/.*,\\1:80,p' | sort -u | head -n 4)
[ "$#" -gt 0 ] || exit 3
reach() {
  if command -v bash && command -v timeout; then timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"' "$1" "$2"
  elif command -v nc; then nc -z -w 5 "$1" "$2"
  else getent hosts "$1"; fi
}
for each; do
  { reach "${each%:*}" "${each##*:}" && : > /.podgym-reached; } > /dev/null 2>&1 &
done
wait
[ -e /.podgym-reached ]
"""
"""Arguments are `host:port`; exit code 0 where one of them was reached."""

_UNREACHED = re.compile(
    r"could ?n[o']t (resolve|connect)|cannot resolve|failed to (resolve|connect|lookup)|temporary failure (in name resolution|resolving)"
    r"|name or service not known|eai_again|enotfound|no such host|unknown ?host|network (is )?unreachable|no route to host"
    r"|connection (refused|timed out)|econnrefused|etimedout|enetunreach|i/o timeout|connect timed out|name resolution",
    re.IGNORECASE,
)
_HOST = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<host>(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,24}|\d{1,3}))(?::(?P<port>\d{2,5}))?",
    re.IGNORECASE,
)


class BuildNetwork:
    """The decision of one provider: the name that builds are told, None for the engine's default."""

    def __init__(self, engine: Engine, config: DockerConfig) -> None:
        self._engine = engine
        self._targets = targets_in_args(config.build_args)
        self._deciding = asyncio.Lock()
        self._name = config.build_network
        self._decided = config.build_network is not None

    async def before(self, base: str) -> str | None:
        """The network to build on. It is tried if the engine has the base image already; else after a failure."""
        async with self._deciding:
            if not self._decided and await self._engine.call(self._engine.has_image, base):
                await self._decide(base, self._targets)
        return self._name

    async def after(self, used: str | None, base: str, failure: ImageError) -> str | None:
        """The network to build on after a build on `used` failed: another one only where it failed for want of a network."""
        said = failure.log or failure.message
        if not _UNREACHED.search(said):
            return used
        async with self._deciding:
            if not self._decided and await self._engine.call(self._engine.has_image, base):
                await self._decide(base, (*targets_in_log(said), *self._targets))
                self._decided = True
        return self._name

    async def _decide(self, base: str, targets: Iterable[str]) -> None:
        wanted = tuple(dict.fromkeys(targets))[:_TARGETS]
        try:
            code = await self._try("default", base, wanted)
            self._decided = code != _NOTHING_TO_TRY
            if code not in (_REACHED, _NOTHING_TO_TRY) and await self._try("host", base, wanted) == _REACHED:
                self._name = "host"
                _log.info("Images are built on the host's network, because the engine's default network reaches nothing.")
        except SandboxError as error:
            self._decided = True
            _log.info("Which network images are built on could not be tried: %s", error)

    async def _try(self, network: str, base: str, targets: tuple[str, ...]) -> int:
        return await self._engine.call(self._engine.try_out, base, PROBE, targets, network, _PROBE_TIMEOUT_S)


def targets_in_args(args: Mapping[str, str]) -> tuple[str, ...]:
    """`host:port` of the proxies in a build's arguments; without proxies, of all URLs in them."""
    proxies = [value for name, value in args.items() if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")]
    found = []
    for value in proxies or args.values():
        try:
            url = urlsplit(value if "://" in value else f"http://{value}" if proxies else value)
            if url.hostname and url.scheme:
                found.append(f"{url.hostname}:{url.port or (443 if url.scheme == 'https' else 80)}")
        except ValueError:
            continue
    return tuple(dict.fromkeys(target for target in found if re.fullmatch(r"[\w.-]+:\d+", target)))


def targets_in_log(log: str) -> tuple[str, ...]:
    """`host:port` of what the lines that tell of a failed connection name, the last first."""
    found: dict[str, None] = {}
    for line in reversed(log[-65_536:].splitlines()[-400:]):
        if _UNREACHED.search(line[:4000]):
            for match in _HOST.finditer(line[:4000]):
                port = match["port"] or ("80" if match["scheme"] == "http" else "443")
                found.setdefault(f"{match['host'].lower()}:{port}")
    return tuple(found)[:_TARGETS]
