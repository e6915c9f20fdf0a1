"""Which Python a project pins: in a file of pyenv, asdf, mise, Heroku, Pipenv or Conda, its own or one of the repository above it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any, Final

from podgym.envs.build.languages.python.project import Reader

__all__ = ["pinned_python"]

_MAX_CHARACTERS: Final = 1 << 18


def pinned_python(root: str, read: Reader, *, weakly: bool = False) -> tuple[str, str]:
    """Minor version and the file that says so, the nearest to `root`; both empty where none does. `weakly`: also by files
    that are seldom kept up to date where metadata or CI say the same."""
    directory = root
    while True:
        for names, version in (*_PLACES, *(_WEAK if weakly else ())):
            for name in names:
                path = f"{directory}/{name}" if directory else name
                text = read(path)
                if text is not None and (found := version(text[:_MAX_CHARACTERS])):
                    return found, path
        if not directory:
            return "", ""
        directory = directory.rpartition("/")[0]


def _minor(value: object) -> str:
    match = re.match(r"\s*(?:c?python[- ]?)?v?(3\.\d{1,2})(?![\w])", value) if isinstance(value, str) else None
    return match[1] if match else ""


def _first_line(text: str) -> str:
    """The first version of several, which is the one that `python` is."""
    return next((found for line in text.splitlines()[:20] for word in line.partition("#")[0].split() if (found := _minor(word))), "")


def _tool_versions(text: str) -> str:
    for line in text.splitlines()[:500]:
        words = line.partition("#")[0].split()
        if words[:1] == ["python"]:
            return next((found for word in words[1:] if (found := _minor(word))), "")
    return ""


def _mise(text: str) -> str:
    python: Any = _table(text, "tools").get("python")
    python = python[0] if isinstance(python, list) and python else python
    return _minor(python.get("version") if isinstance(python, dict) else python)


def _pipfile(text: str) -> str:
    requires = _table(text, "requires")
    return _minor(requires.get("python_version")) or _minor(requires.get("python_full_version"))


def _table(text: str, key: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text).get(key)
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def _conda(text: str) -> str:
    match = re.search(r"(?m)^[ \t]{0,20}-[ \t]{0,9}[\"']?python[ \t]{0,9}={1,2}[ \t]{0,9}(3\.\d{1,2})\b", text)
    return match[1] if match else ""


_PLACES: Final[tuple[tuple[tuple[str, ...], Callable[[str], str]], ...]] = (
    ((".python-version",), _first_line),
    ((".tool-versions",), _tool_versions),
    (("mise.toml", ".mise.toml", ".config/mise.toml"), _mise),
)
_WEAK: Final[tuple[tuple[tuple[str, ...], Callable[[str], str]], ...]] = (
    (("runtime.txt",), _first_line),
    (("Pipfile",), _pipfile),
    (("environment.yml", "environment.yaml"), _conda),
)
