"""Meson: set up out of the work tree, built with Ninja, tested with `meson test`, whose JUnit file has GoogleTest's and TAP's cases."""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Final

from podgym.envs.build.languages.native.launcher import BIN, install_launchers
from podgym.envs.build.languages.native.paths import vendored
from podgym.envs.build.languages.native.shell import BUILD, PARTIAL, STAMP, ending, exports, install_prelude, test_prelude
from podgym.envs.build.languages.native.sources import Submodule
from podgym.envs.build.languages.native.testscript import TestScript, run_undeclared
from podgym.envs.build.plan import TOOLS
from podgym.envs.build.tree import Tree

__all__ = [
    "DEBIAN_MESON",
    "meson_dependencies",
    "meson_install",
    "meson_options",
    "meson_packages",
    "meson_test",
    "meson_texts",
    "meson_wraps",
    "wrapped",
]

DEBIAN_MESON: Final = (1, 0, 1)
_OPTION: Final = re.compile(r"\boption\s*\(\s*'([\w.-]{1,80})'(.{0,600}?)(?=\boption\s*\(|\Z)", re.DOTALL)
_TEST: Final = re.compile(r"(?:^|[-_])(?:build|enable|with)?[-_]?(?:unit)?[-_]?(?:tests?|testing|unittests?|test[-_]suite)(?:[-_]|$)")
_NO_TEST: Final = re.compile(
    r"install|coverage|fuzz|bench|perf|sanit|valgrind|download|network|slow|docker|(?:^|[-_])(?:a|ub|m|t|l)san(?:[-_]|$)|dir$|path$|args$|timeout|dbus"
)
_IDLE: Final = re.compile(
    r"(?:^|[-_])(?:examples?|samples?|demos?|benchmarks?|docs?|documentation|doxygen|gtk[-_]?doc|man|manpages?|man[-_]pages|introspection|fuzz(?:ing|ers?)?"
    r"|vapi|vala|api[-_]docs?)(?:[-_]|$)"
)
_MAX_FILES: Final = 300


def meson_texts(tree: Tree, root: str) -> dict[str, str]:
    """Texts of the project's `meson.build` files by their path below `root`."""
    paths = [path for path in tree.below(root) if posixpath.basename(path) == "meson.build" and not vendored(path)]
    texts = {path: text for path in paths[:_MAX_FILES] if (text := tree.read(posixpath.join(root, path))) is not None}
    reached, waiting = set[str](), ["meson.build"]
    while waiting:
        path = waiting.pop()
        if path in reached or path not in texts:
            continue
        reached.add(path)
        calls = re.findall(r"\bsubdir\s*\(\s*([^)\n]{1,200})", texts[path])
        if any(not re.match(r"'[\w./+-]+'", call) for call in calls):
            return texts
        waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(path), call.split("'")[1], "meson.build")) for call in calls]
    # The rest is a project of its own, as examples are.
    return {path: text for path, text in texts.items() if path in reached}


def _wraps(tree: Tree, root: str) -> dict[str, str]:
    """Texts of the files that say what a missing dependency is downloaded from, by the dependency's name."""
    folder = posixpath.join(root, "subprojects")
    names = [path for path in tree.below(folder) if path.endswith(".wrap") and "/" not in path]
    return {path.removesuffix(".wrap"): tree.read(posixpath.join(folder, path)) or "" for path in names[:60]}


def meson_wraps(tree: Tree, root: str) -> list[Submodule]:
    """What Meson would download, as directories that sources may be put in."""
    found: list[Submodule] = []
    for name, text in _wraps(tree, root).items():
        url = re.search(r"^[ \t]*(?:url|source_url)[ \t]*=[ \t]*(\S{1,300})\s*$", text, re.MULTILINE)
        folder = re.search(r"^[ \t]*directory[ \t]*=[ \t]*([\w.+-]{1,80})\s*$", text, re.MULTILINE)
        path = posixpath.join(root, "subprojects", folder[1] if folder is not None else name)
        if re.fullmatch(r"[\w./+-]+", path) and ".." not in path.split("/"):
            found.append(Submodule(path, url[1] if url is not None else "", "meson.build"))
    return found


def wrapped(tree: Tree, root: str) -> str:
    """The dependencies that those files provide, as calls of a build file."""
    names: list[str] = []
    for name, text in _wraps(tree, root).items():
        provided = text.partition("[provide]")[2]
        listed = re.findall(r"^[ \t]*dependency_names[ \t]*=[ \t]*([\w., +-]{1,400})$", provided, re.MULTILINE)
        names += [name, *(word for line in listed for word in re.split(r"[\s,]+", line) if word)]
        names += re.findall(r"^[ \t]*([\w.+-]{1,80})[ \t]*=[ \t]*\w{1,80}_dep[ \t]*$", provided, re.MULTILINE)
    return "\n".join(f"dependency('{name}')" for name in dict.fromkeys(names) if re.fullmatch(r"[\w.+-]{1,80}", name))


def meson_minimum(texts: dict[str, str]) -> tuple[int, ...]:
    """The version of Meson that the project asks for."""
    found = re.search(r"meson_version\s*:\s*'[\s>=]*(\d[\d.]*)", texts.get("meson.build", ""))
    return tuple(int(part) for part in found[1].split(".") if part)[:3] if found is not None else ()


def meson_options(tree: Tree, root: str) -> dict[str, str]:
    """Options that turn tests on, and documents, examples and the like off."""
    text = next((text for name in ("meson.options", "meson_options.txt") if (text := tree.read(posixpath.join(root, name)))), "")
    found: dict[str, str] = {}
    for name, rest in _OPTION.findall(text):
        kind = re.search(r"type\s*:\s*'(\w+)'", rest)
        words = {"boolean": ("true", "false"), "feature": ("enabled", "disabled")}.get(kind[1] if kind is not None else "")
        if words is None:
            continue
        if _TEST.search(name) and not _NO_TEST.search(name):
            found[name] = words[0]
        elif _IDLE.search(name):
            found[name] = words[1]
    return found


def meson_packages(texts: dict[str, str]) -> list[str]:
    """What building with Meson itself needs."""
    return ["meson", "ninja-build", "pkg-config", *(["python3-pip"] if meson_minimum(texts) > DEBIAN_MESON else [])]


def meson_dependencies(texts: dict[str, str], variables: dict[str, str]) -> str:
    """A step before the repository is there: a newer Meson, where the project asks for one."""
    minimum = meson_minimum(texts)
    if minimum <= DEBIAN_MESON:
        return ""
    wanted = ".".join(map(str, minimum))
    return f"""{install_prelude(variables, "")}mkdir -p {BIN}
if python3 -m pip install -q --no-cache-dir --target {TOOLS}/python 'meson>={wanted}'; then
  # Ninja runs it again by the name that it was started by, in an environment of its own.
  printf '%s\\n' '#!/usr/bin/env python3' 'import sys' 'sys.path.insert(0, "{TOOLS}/python")' \\
    'from mesonbuild.mesonmain import main' 'sys.exit(main())' >{BIN}/meson
  chmod 755 {BIN}/meson
  say "meson {wanted} or newer: $(meson --version)"
else say "not installed: meson {wanted}"; fi
"""


def meson_install(options: dict[str, str], root: str, *, variables: dict[str, str]) -> str:
    """The step that sets up and builds."""
    own = " ".join(shlex.quote(f"-D{name}={value}") for name, value in options.items())
    return f"""{install_prelude(variables, root)}{install_launchers()}attempt() {{
  said=$1; shift
  rm -rf {BUILD}
  if timeout 900 meson setup {BUILD} . -Dwerror=false --buildtype=plain "$@"; then say "meson: set up $said: $*"; else
    say "meson: not set up $said"; return 1; fi
}}
attempt "with the project's tests" -Dc_args=-O1 -Dcpp_args=-O0 {own} || attempt "with the project's tests alone" {own} ||
  attempt "without downloads" --wrap-mode=nodownload {own} || attempt "as it is" ||
  attempt "without optional parts" -Dauto_features=disabled --wrap-mode=nodownload
if ! ninja -C {BUILD} -j "$jobs"; then
  ninja -C {BUILD} -k 0 -j 1 || {{ : >{PARTIAL}; say "meson: not everything could be built"; }}
fi
: >{STAMP}
"""


def meson_test(root: str, variables: dict[str, str], *, declared: bool, script: TestScript | None) -> str:
    """The script that builds what changed and tests; `script` runs the tests where none is declared."""
    run = (
        'meson test -C "$build" --no-rebuild --num-processes 1 --timeout-multiplier 4 --print-errorlogs '
        f"--wrapper {BIN}/cases >&2\ncode=$?\n"
    )
    run = run if declared else run_undeclared(script)
    return f"""{test_prelude(root)}{exports(variables)}build={BUILD}
if [ -e {PARTIAL} ]; then
  find "$build" -type f -perm -u+x ! -name '*.so*' ! -path '*.p/*' -exec rm -f {{}} +
  ninja -C "$build" -j 2 -k 0 >&2
else
  ninja -C "$build" -j 2 >&2 || {{ rm -rf "$out"; echo "podgym: the build failed" >&2; exit 2; }}
fi
mkdir -p "$out/junit"
export PODGYM_REPORT="$out"
rm -f "$build"/meson-logs/testlog*
{run}for file in "$build"/meson-logs/testlog*.junit.xml; do
  [ ! -s "$file" ] || cp "$file" "$out/junit/meson.xml"
done
{ending()}"""
