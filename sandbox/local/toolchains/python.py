"""A Python interpreter as a toolchain: under every name that the public image has for it, and as bare.

Sandboxes see it as a virtual environment of its own at `/opt/python`: what else is installed for the interpreter on this machine is
not there, nor what its `.pth` files start in every process. Of the installation's packages only those are seen that the public
image has as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podgym.sandbox.local.pythons import Interpreter
from podgym.sandbox.local.toolchains.toolchain import Toolchain, numbers

__all__ = ["describe_python"]

_TOP: Final = "/opt/python"
_BIN: Final = f"{_TOP}/bin"
_PIP: Final = ("pip", "pip-*-info")
_SETUPTOOLS: Final = ("setuptools", "setuptools-*-info", "pkg_resources", "_distutils_hack", "wheel", "wheel-*-info")
"""Images up to Python 3.11 have them, too."""
_PIP_SCRIPT: Final = '#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n'


def describe_python(python: Interpreter) -> Toolchain:
    """As sandboxes see it."""
    program = str(python.executable)
    names = ("python", "python3", f"python{python.version}")
    configs = ((f"{name}-config", Path(f"{program}-config")) for name in names)
    packages = tuple((f"{_TOP}/lib/python{python.version}/site-packages/{path.name}", str(path)) for path in _packages(python))
    pips = ("pip", "pip3") if packages else ()
    return Toolchain(
        tool="python",
        version=python.version,
        identity=program,
        directories=(python.prefix,),
        path=(_BIN,),
        links=(
            *((f"{_BIN}/{name}", program) for name in names),
            *((f"{_BIN}/{name}", str(path)) for name, path in configs if path.exists()),
            *packages,
        ),
        files=(
            (f"{_TOP}/pyvenv.cfg", f"home = {python.executable.parent}\ninclude-system-site-packages = false\n", 0o644),
            *((f"{_BIN}/{name}", _PIP_SCRIPT, 0o755) for name in pips),
        ),
    )


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
