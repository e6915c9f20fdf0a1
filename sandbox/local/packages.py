"""Debian packages that an image wants and this machine lacks, by its own package database."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

__all__ = ["missing_packages"]

_TIMEOUT_S: Final = 60.0


def missing_packages(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of `wanted` that are neither installed nor provided by what is; all of them where the machine is no Debian."""
    here = _installed() if wanted else frozenset()
    return tuple(name for name in dict.fromkeys(wanted) if name not in here)


def _installed() -> frozenset[str]:
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status}\t${Package}\t${Provides}\n"]
    try:
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    names: set[str] = set()
    for line in said.stdout.decode("utf-8", "replace").splitlines():
        status, _, rest = line.partition("\t")
        if status == "installed":
            package, _, provided = rest.partition("\t")
            # `libfoo-dev (= 1.2)` provides a version of a name.
            names |= {package, *(each.split("(", 1)[0].strip() for each in provided.split(","))}
    return frozenset(names)
