"""A Python interpreter as a toolchain: under every name that the public image has for it, and as bare.

Sandboxes see it as a virtual environment of its own at `/opt/python`, which images keep: what else is installed for the interpreter
on this machine cannot be imported, nor do its `.pth` files start in every process, though the files can still be read where they
lie. `pip install --user` fails, as in every virtual environment.

Packages of the installation that the public image has as well lie outside of the environment and last on the path. So pip never
removes them or writes to them: a newer one is installed before them, into the environment.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podgym.sandbox.local.pythons import Interpreter
from podgym.sandbox.local.toolchains.toolchain import Toolchain, numbers

__all__ = ["describe_python"]

_LAYOUT: Final = 2
"""Rises when what images keep changes, so that layers that an older version made are not used."""
_PLACES: Final = ("/opt", "/srv")
_PIP: Final = ("pip", "pip-*-info")
_SETUPTOOLS: Final = ("setuptools", "setuptools-*-info", "pkg_resources", "_distutils_hack", "wheel", "wheel-*-info")
"""Images up to Python 3.11 have them, too."""
_RUN: Final = '#!/bin/sh\nexec "${0%/*}/python" -m MODULE "$@"\n'
_NO_PIP: Final = """#!/bin/sh
"${0%/*}/python" -c 'import pip' 2> /dev/null && exec "${0%/*}/python" -m pip "$@"
echo MESSAGE >&2
exit 1
"""


def describe_python(python: Interpreter) -> Toolchain:
    """As sandboxes see it."""
    program, version = str(python.executable), python.version
    # Where the interpreter is bound over it, the environment would be covered.
    place = next((place for place in _PLACES if not _meet(Path(place, "python"), python.prefix)), _PLACES[-1])
    top, given = f"{place}/python", f"{place}/with-python/site-packages"
    names = ("python", "python3", f"python{version}")
    configs = ((f"{name}-config", Path(f"{program}-config")) for name in names)
    packages = tuple(_packages(python))
    return Toolchain(
        tool="python",
        version=version,
        identity=f"{program} layout {_LAYOUT}",
        directories=(python.prefix,),
        path=(f"{top}/bin",),
        links=(
            *((f"{top}/bin/{name}", program) for name in names),
            *((f"{top}/bin/{name}", str(path)) for name, path in configs if path.exists()),
            *((f"{given}/{path.name}", str(path)) for path in packages),
        ),
        files=(
            (f"{top}/pyvenv.cfg", f"home = {python.executable.parent}\ninclude-system-site-packages = false\n", 0o644),
            # Relative, because without isolation it lies elsewhere.
            (f"{top}/lib/python{version}/site-packages/with-python.pth", "../../../../with-python/site-packages\n", 0o644),
            *((f"{top}/bin/{name}", text, 0o755) for name, text in _scripts(python, {path.name for path in packages})),
        ),
        kept=(top,),
    )


def _meet(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _scripts(python: Interpreter, packages: set[str]) -> Iterator[tuple[str, str]]:
    """The public image's. The installation's own would start it with all that is installed for it."""
    version = python.version
    said = f"pip: Python {version} of this machine ({python.executable}) has no pip. Install it there: {python.executable} -m ensurepip"
    pip = _RUN.replace("MODULE", "pip") if "pip" in packages else _NO_PIP.replace("MESSAGE", shlex.quote(said))
    yield from ((name, pip) for name in ("pip", "pip3", f"pip{version}"))
    for name, module in (("pydoc", "pydoc"), ("idle", "idlelib")):
        yield from ((f"{name}{suffix}", _RUN.replace("MODULE", module)) for suffix in ("", "3", version))
    if numbers(version) < (3, 13):
        yield from ((name, _RUN.replace("MODULE", "lib2to3")) for name in ("2to3", f"2to3-{version}"))
    if "wheel" in packages:
        yield "wheel", _RUN.replace("MODULE", "wheel")


def _packages(python: Interpreter) -> Iterator[Path]:
    """What the public image has, as far as it is here; Debian keeps its own elsewhere."""
    lib = python.prefix / "lib"
    wanted = _PIP if numbers(python.version) >= (3, 12) else _PIP + _SETUPTOOLS
    seen = set()
    for folder in (lib / f"python{python.version}" / "site-packages", lib / "python3" / "dist-packages"):
        for pattern in wanted:
            for path in sorted(folder.glob(pattern)):
                if path.name not in seen:
                    seen.add(path.name)
                    yield path
