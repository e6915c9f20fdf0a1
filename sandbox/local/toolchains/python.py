"""A Python interpreter as a toolchain: under every name that the public image has for it."""

from __future__ import annotations

from typing import Final

from podgym.sandbox.local.pythons import Interpreter
from podgym.sandbox.local.toolchains.toolchain import Toolchain

__all__ = ["describe_python"]

_BIN: Final = "/opt/python/bin"


def describe_python(python: Interpreter) -> Toolchain:
    """As sandboxes see it."""
    program = str(python.executable)
    return Toolchain(
        tool="python",
        version=python.version,
        identity=program,
        directories=(python.prefix,),
        path=(_BIN, f"{python.prefix}/bin"),
        links=tuple((f"{_BIN}/{name}", program) for name in ("python", "python3", f"python{python.version}")),
    )
