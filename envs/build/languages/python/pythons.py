"""Which Python a project of some date is built with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from podgym.envs.build.errors import BuildError

__all__ = ["PYTHONS", "choose_python", "claimed_minors", "for_old_python", "own_python", "packages_as_of"]

PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
"""Minor versions that base images are taken for, oldest first."""

_RELEASED = {
    "3.8": date(2019, 10, 14),
    "3.9": date(2020, 10, 5),
    "3.10": date(2021, 10, 4),
    "3.11": date(2022, 10, 24),
    "3.12": date(2023, 10, 2),
    "3.13": date(2024, 10, 7),
    "3.14": date(2025, 10, 7),
}
_SETTLING = timedelta(days=180)
"""How long after a release most of the packages that tests need had wheels for it."""


def packages_as_of(python: str, committed: datetime) -> datetime:
    """Until when packages count: the day after the commit, or for an older commit than the Python when most knew that Python."""
    released = _RELEASED.get(python)
    day_after = committed + timedelta(days=1)
    if released is None or released <= day_after.astimezone(UTC).date():
        return day_after
    return datetime.combine(released + _SETTLING, datetime.min.time(), UTC)


def own_python() -> str:
    """The minor version that podgym runs on."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def claimed_minors(texts: Iterable[str]) -> tuple[str, ...]:
    """Every `3.N` that the texts name (classifiers, `py311` of tox, a CI matrix), oldest first."""
    unfolded = (
        re.sub(r"(py3?)\{([^}]*)\}", lambda match: ",".join(match[1] + one.strip() for one in match[2].split(",")), text) for text in texts
    )
    found = {int(minor) for text in unfolded for minor in re.findall(r"(?<![\d.])(?:3\.|py(?:thon)?-?3\.?)(\d{1,2})(?![\d])", text)}
    return tuple(f"3.{minor}" for minor in sorted(found) if 3 <= minor <= 40)


def for_old_python(path: str) -> bool:
    """Whether a path says that a file is for a Python that no image has: `requirements-py27.txt`, `requirements/3.3/test.txt`."""
    return re.search(r"(?:^|[/_.-])(?:py(?:thon)?[-_]?)?(?:2[67]?|2\.[5-7]|3\.?[0-7])(?=[/_.-](?!\d)|$)", path) is not None


def choose_python(
    *,
    requires: str,
    pinned: str,
    claimed: Sequence[str],
    committed: datetime,
    installable: bool,
    available: Sequence[str] = PYTHONS,
    pinned_by: str = ".python-version",
) -> tuple[str, str]:
    """The minor version and why.

    In order: what the project pins; the newest that it claims and that had settled when the commit was made; the newest
    settled one that `requires` allows. A project of plain files with no claim at all runs on podgym's own version.
    Raises `BuildError` (no_toolchain) where nothing available is allowed.
    """
    try:
        specifier = SpecifierSet(requires)
    except InvalidSpecifier:
        specifier, requires = SpecifierSet(), ""
    allowed = [minor for minor in available if specifier.contains(f"{minor}.99") or specifier.contains(f"{minor}.0")]
    if not allowed:
        raise BuildError(
            f"The project asks for Python {requires!r}; there are base images for {', '.join(available)}.",
            stage="plan",
            reason="no_toolchain",
            remedy="Name a base image's version with --toolchain, or choose a later commit.",
        )
    if pinned in allowed:
        return pinned, f"pinned by {pinned_by}"
    if not installable and not requires and not claimed and own_python() in allowed:
        return own_python(), "no version is asked for"
    day = committed.astimezone(UTC).date()
    settled = [minor for minor in allowed if _RELEASED.get(minor, date.max) + _SETTLING <= day] or allowed[:1]
    named = [minor for minor in settled if minor in claimed]
    if named:
        return named[-1], "the newest version that the project names"
    later = [minor for minor in allowed if minor in claimed]
    if later:
        return later[0], "the oldest version that the project names"
    return settled[-1], f"the newest version at the commit's date{f' that {requires!r} allows' if requires else ''}"
