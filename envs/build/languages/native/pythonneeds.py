"""Python packages that the tests of a C or C++ project use, as CI installs them with pip; kept below `PLACE`, away from the system's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["PLACE", "python_needs"]

PLACE: Final = f"{TOOLS}/pythonlib"
_INSTALL: Final = re.compile(r"(?:^|[\s;&])(?:python3?(?:\.\d+)? -m )?pip3?(?:\.\d+)? install\s+(.*)$")
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,60}(?:\[[\w,-]+\])?(?:[<>=!~]=?[\w.*,<>=!~]{1,40})?")
_UNWANTED: Final = re.compile(
    r"cmake|ninja|meson|conan|gcovr|cpplint|codecov|pre-commit|clang-\w+|cmake-?\w+|sphinx.*|breathe|pip|setuptools|wheel|twine|build|cibuildwheel"
    r"|codespell|black|flake8|ruff|mypy|pylint|lizard|cpp-coveralls|coveralls|scons|fprettify|mkdocs.*|virtualenv|pipenv|poxy|pipx|platformio|west|reuse"
    r"|yamllint|git-cliff|compiledb"
)
_VALUED: Final = frozenset(
    {
        "-c",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-t",
        "--target",
        "--prefix",
        "-e",
        "--editable",
        "--root",
    }
)
_MAX: Final = 40


def python_needs(tree: Tree, ci: Sequence[str]) -> list[str]:
    """Arguments for pip: names, and `-r` with files of the repository."""
    found: list[str] = []
    for command in ci:
        line = _INSTALL.search(command)
        if line is None:
            continue
        before = ""
        for word in re.split(r"&&|\|\||[;|#]", line[1])[0].split():
            bare = word.strip("'\"")
            file = bare.removeprefix("./")
            if before in ("-r", "--requirement"):
                found += [f"-r {shlex.quote(file)}"] if file in tree else []
            elif before not in _VALUED and _NAME.fullmatch(bare) and not bare.endswith((".txt", ".whl")):
                name = re.split(r"[\[<>=!~]", bare, maxsplit=1)[0]
                found += [] if _UNWANTED.fullmatch(name.lower()) else [shlex.quote(bare)]
            before = word
    return list(dict.fromkeys(found))[:_MAX]
