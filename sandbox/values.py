"""Parts of a specification that every provider takes, checked once, where they enter.

A sandbox's first process would otherwise meet them: a name that no environment holds, or a path that leads out of it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Directory", "PackageName", "Variables"]


def _variables(env: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value or not _is_text(name + value):
            raise ValueError(
                f"Not an environment variable: {name!r}={value[:200]!r}. Names are not empty and have no '='; both are Unicode without NUL."
            )
    return env


def _directory(path: str) -> str:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/") or not _is_text(path):
        raise ValueError(f"Not a directory of a sandbox: {path[:200]!r}. It is absolute and has neither '..' nor NUL.")
    return "/" + posixpath.normpath(path).lstrip("/")


def _package(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,98}[a-z0-9.+]", name):
        raise ValueError(
            f"Not the name of a Debian package: {name[:200]!r}. Lower-case letters, digits and + - . are allowed, no - at the end."
        )
    return name


def _is_text(text: str) -> bool:
    """Without the lone surrogates that JSON can hold and no program takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Variables = Annotated[Mapping[str, str], AfterValidator(_variables)]
"""An environment."""
Directory = Annotated[str, AfterValidator(_directory)]
"""An absolute path, without doubled or trailing slashes."""
PackageName = Annotated[str, AfterValidator(_package)]
"""Of Debian, without a version."""
