"""An XML file as a small tree of elements: a POM, a toolchain list. Read by the bounded, entity-free reader of test reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from podgym.verifiers.errors import ReportError
from podgym.verifiers.reports.xml import XmlReader

__all__ = ["Element", "read_elements"]


@dataclass(slots=True, eq=False)
class Element:
    """One element; `text` is stripped, names are without a namespace."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, *path: str) -> list[Element]:
        """Every element at `path` below this one."""
        found = [self]
        for name in path:
            found = [child for element in found for child in element.children if child.name == name]
        return found

    def first(self, *path: str) -> Element | None:
        """The first element at `path`."""
        return next(iter(self.all(*path)), None)

    def value(self, *path: str) -> str:
        """Text of the first element at `path`; empty where there is none."""
        element = self.first(*path)
        return element.text if element is not None else ""

    def walk(self) -> Iterator[Element]:
        """This element and all below it."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))


class _Reader(XmlReader):
    keeps_text = True

    def __init__(self, root: str) -> None:
        super().__init__()
        self.roots = frozenset({root})
        self.top = Element("")
        self._open = [self.top]
        self._texts: list[list[str]] = [[]]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Attributes decide nothing here."""
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, name: str) -> None:
        """The element is complete."""
        self._open.pop().text = "".join(self._texts.pop()).strip()

    def text(self, data: str) -> None:
        """Text of the innermost element."""
        self._texts[-1].append(data)


def read_elements(text: str, root: str) -> Element | None:
    """The root element; None for what is not well-formed, has another root or declares entities."""
    reader = _Reader(root)
    try:
        reader.read(text.lstrip("\ufeff").encode())
    except ReportError:
        return None
    return reader.top.first(root)
