"""Python packages that the tests of a C or C++ project use, as CI installs them with pip, and well-known ones that its scripts import;
kept below `PLACE`, away from the system's."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Final

from podgym.envs.build.languages.native.paths import vendored
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = ["PLACE", "python_needs"]

PLACE: Final = f"{TOOLS}/pythonlib"
_INSTALL: Final = re.compile(r"(?:^|[\s;&])(?:python3?(?:\.\d+)? -m )?pip3?(?:\.\d+)? install\s+(.*)$")
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,60}(?:\[[\w,-]+\])?(?:[<>=!~]=?[\w.*,<>=!~]{1,40})?")
_UNWANTED: Final = re.compile(
    r"cmake|ninja|meson|conan|gcovr|cpplint|codecov|pre-commit|clang-\w+|cmake-?\w+|sphinx.*|breathe|pip|setuptools|wheel|twine|build|cibuildwheel"
    r"|codespell|black|flake8|ruff|mypy|pylint|lizard|cpp-coveralls|coveralls|scons|fprettify|mkdocs.*|virtualenv|pipenv|poxy|pipx|platformio|west|reuse"
    r"|yamllint|git-cliff|compiledb|typos|zizmor"
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
_MODULES: Final = {
    "cffi": "cffi", "elftools": "pyelftools", "google.protobuf": "protobuf", "jinja2": "jinja2", "jsonschema": "jsonschema",
    "kconfiglib": "kconfiglib", "lxml": "lxml", "mako": "mako", "pcpp": "pcpp", "pexpect": "pexpect", "ply": "ply", "psutil": "psutil",
    "pycparser": "pycparser", "serial": "pyserial", "sortedcontainers": "sortedcontainers", "toml": "toml", "tomli": "tomli",
    "yaml": "pyyaml",
}  # fmt: skip
"""By what scripts import, the packages that build steps and tests of such projects are written with."""
_IMPORT: Final = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w.]{2,60})", re.MULTILINE)
_ASIDE: Final = re.compile(r"(?:^|/)(?:docs?|website|examples?|bindings|benchmarks?|\.\w+)/")
_MAX_SCRIPTS: Final = 200
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
                found += [f"-r {shlex.quote(file)}"] if file in tree and _ASIDE.search(file) is None else []
            elif before not in _VALUED and _NAME.fullmatch(bare) and not bare.endswith((".txt", ".whl")):
                name = re.split(r"[\[<>=!~]", bare, maxsplit=1)[0]
                found += [] if _UNWANTED.fullmatch(name.lower()) else [shlex.quote(bare)]
            before = word
    return list(dict.fromkeys((*found, *_imported(tree))))[:_MAX]


def _imported(tree: Tree) -> list[str]:
    """Packages of the modules that the repository's scripts import, unless it has a module of that name itself."""
    scripts = [path for path in tree.paths if path.endswith(".py") and not vendored(path) and _ASIDE.search(path) is None]
    own = {part for path in scripts for part in (posixpath.basename(path).removesuffix(".py"), posixpath.basename(posixpath.dirname(path)))}
    names = {name for path in scripts[:_MAX_SCRIPTS] for name in _IMPORT.findall((tree.read(path) or "")[: 1 << 16])}
    wanted = {name for name in _MODULES if any(other == name or other.startswith(f"{name}.") for other in names)}
    return [_MODULES[name] for name in sorted(wanted) if name.partition(".")[0] not in own]
