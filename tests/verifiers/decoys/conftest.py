"""What can be changed in a source, as lines: what is drawn there is an `@` (a literal) or `#` (numbers of an added statement)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from podgym.verifiers.decoys.comparisons import Worth
from podgym.verifiers.decoys.edits import edited
from podgym.verifiers.decoys.survey import survey

Changes = Callable[[str, str], dict[str, list[str]]]


@pytest.fixture
def changes() -> Changes:
    """By the longest name of the test, a program's under none; the best kinds of change first."""

    def read(path: str, source: str) -> dict[str, list[str]]:
        data = source.encode()
        found = survey(path, data)
        assert found is not None and found == survey(path, data), "equal files give equal decoys"
        said: dict[str, list[str]] = {}
        for test in found.tests:
            lines = said.setdefault(test.names[0] if test.names else "", [])
            for site in sorted(test.sites, key=lambda site: -site.worth):
                after = edited(data, [site.edit])
                again = survey(path, after)
                assert again is not None and again.errors <= found.errors, after
                assert [one.names for one in again.tests] == [one.names for one in found.tests], "ids are kept"
                assert after != data
                literal = site.worth >= Worth.NAMED or site.edit.text.isdigit()
                shown = b"@" if literal else site.edit.text
                text = data[: site.edit.start] + shown + data[site.edit.end :]
                start = text.rfind(b"\n", 0, site.edit.start) + 1
                end = text.find(b"\n", site.edit.start + len(shown))
                line = " ".join(text[start : end if end >= 0 else None].decode().split())
                lines.append(re.sub(r"\b\d\d\b", "#", line) if site.worth == Worth.ADDED else line)
        return said

    return read
