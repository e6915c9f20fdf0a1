"""The part of a Maven POM that decides how tests are run: all of it but coordinates, versions and plain dependencies."""

from __future__ import annotations

import json
import re
from typing import Final

from podgym.verifiers.reports.xml import XmlReader

__all__ = ["pom_part"]

_FREE: Final = frozenset(
    {
        "version", "name", "description", "url", "licenses", "developers", "contributors", "scm", "issueManagement", "ciManagement",
        "inceptionYear",
    }
)  # fmt: skip
_TEST_GROUPS: Final = re.compile(
    r"junit|org\.junit.*|org\.testng|org\.hamcrest|org\.assertj|org\.mockito|org\.spockframework|org\.apache\.maven.*"
)
_DECIDING: Final = re.compile(r"(?i)surefire.*|failsafe.*|maven\.test.*|skip.*|test.*|argline|.*jvm.*|.*junit.*|project\..*")


class _Pom(XmlReader):
    roots = frozenset({"project"})
    keeps_text = True

    def __init__(self) -> None:
        super().__init__()
        self.tree: list[object] = []
        self._open: list[list[object]] = [self.tree]
        self._texts: list[list[str]] = [[]]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element is its name, its attributes, its text, its children."""
        element: list[object] = [name, sorted(attributes.items()), ""]
        self._open[-1].append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, name: str) -> None:
        """The element is complete."""
        self._open.pop()[2] = "".join(self._texts.pop()).strip()

    def text(self, data: str) -> None:
        """Text of the innermost element."""
        self._texts[-1].append(data)


def pom_part(text: str) -> str:
    """Canonical text. Raises `ReportError` for what is no POM."""
    reader = _Pom()
    reader.read(text.encode())
    project = reader.tree[0]
    assert isinstance(project, list)
    kept: list[object] = []
    for element in project[3:]:
        name = element[0]
        if name in _FREE:
            continue
        if name in ("dependencies", "dependencyManagement"):
            kept += [entry for entry in _dependencies(element) if _decides(entry)]
        elif name == "properties":
            kept += [entry for entry in element[3:] if _DECIDING.fullmatch(entry[0])]
        else:
            kept.append(element)
    return json.dumps(kept)


def _dependencies(element: list[object]) -> list[list[object]]:
    found: list[list[object]] = []
    for child in element[3:]:
        assert isinstance(child, list)
        found += [child] if child[0] == "dependency" else _dependencies(child)
    return found


def _decides(dependency: list[object]) -> bool:
    """A dependency that tests are written with, or one that is a file of the tree."""
    fields = {str(child[0]): str(child[2]) for child in dependency[3:] if isinstance(child, list)}
    return "systemPath" in fields or fields.get("scope") in ("system", "import") or bool(_TEST_GROUPS.fullmatch(fields.get("groupId", "")))
