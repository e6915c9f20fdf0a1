"""Which settings the tests of a Django project are run with: read from where they are started."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from typing import Final

from podgym.envs.build.languages.python.project import Project

__all__ = ["django_settings"]

_STARTERS: Final = re.compile(r"(?:[\w-]+/)?(?:manage|run_?tests?|quicktest)\.py|tox\.ini|setup\.cfg|[Mm]akefile|noxfile\.py")
"""Files that start tests, at the top or one directory below."""
_NAMED: Final = re.compile(
    r"DJANGO_SETTINGS_MODULE[\"']?\]?\s{0,9}[,=:]\s{0,9}[\"']([A-Za-z_][\w.]*)[\"']"
    r"|DJANGO_SETTINGS_MODULE(?:[ \t]*=[ \t]*|:[ \t]+)([A-Za-z_]\w*(?:\.\w+)+)"
    r"|(?:manage\.py|django-admin|run_?tests?\.py|-m[ \t]+django)\b[^\n]{0,300}?--settings[= ][\"']?([A-Za-z_][\w.]*)"
    r"|DJANGO_SETTINGS_MODULE[ \t]*=[ \t]*([A-Za-z_]\w*)(?=[ \t]+\S|[ \t]*$)",
    re.MULTILINE,
)
"""A text of Python, a setting of an INI file, a shell or YAML, an option, and the environment of one command."""


def django_settings(project: Project, tests: Iterable[ast.Module], commands: Sequence[str]) -> str:
    """The module, where the tests use Django and something says it; a name for tests goes before another. `commands` are CI's."""
    if not any(map(_imports_django, tests)):
        return ""
    starters = sorted((path for path in project.paths if _STARTERS.fullmatch(path)), key=lambda path: (path.count("/"), path))
    texts = [*commands, *(project.read(path) or "" for path in starters)]
    found = [next(filter(None, match.groups())) for text in texts for match in _NAMED.finditer(text)]
    return next((name for name in found if "test" in name), found[0] if found else "")


def _imports_django(tree: ast.Module) -> bool:
    names = (
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    )
    return any(name.split(".")[0] in ("django", "rest_framework") for name in names)
