"""GCC, and the machine's own distribution.

A compiler that is the machine's `gcc` needs nothing; one beside it (`gcc-13`) gets its plain names in a directory of its own, as in
the image of that version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from podgym.sandbox.local.toolchains.places import Places, ask
from podgym.sandbox.local.toolchains.toolchain import Toolchain

__all__ = ["compilers", "describe_compiler", "read_release", "system"]

_BIN: Final = "/opt/gcc/bin"
_NAMES: Final = ("gcc", "g++", "cpp", "gcov", "gfortran", "gcc-ar", "gcc-nm", "gcc-ranlib")
_OTHER_NAMES: Final = (("cc", "gcc"), ("c++", "g++"))


def compilers(places: Places) -> Iterator[Path]:
    """Candidates, by program; of those that go by their version only such as lie where programs of the distribution do."""
    yield from (folder / "gcc" for folder in places.below_top("usr/bin"))
    for folder in places.below_top("usr/bin"):
        yield from sorted(folder.glob("gcc-[0-9]*"), reverse=True)


def describe_compiler(program: Path) -> Toolchain | None:
    """None also where there is no C++ compiler beside it."""
    prefix, suffix = program.parent, program.name.removeprefix("gcc")
    if not program.is_file() or not (prefix / f"g++{suffix}").is_file():
        return None
    found = re.match(r"\d+(?:\.\d+)*", ask(program, "-dumpfullversion", "-dumpversion"))
    if found is None:
        return None
    if not suffix:
        return Toolchain("gcc", found[0], f"gcc {found[0]}", env={"GCC_VERSION": found[0]})
    links = [(f"{_BIN}/{name}", f"{prefix}/{name}{suffix}") for name in _NAMES if (prefix / f"{name}{suffix}").is_file()]
    links += [(f"{_BIN}/{name}", f"{prefix}/{known}{suffix}") for name, known in _OTHER_NAMES]
    return Toolchain(
        "gcc",
        found[0],
        f"gcc {found[0]} {suffix}",
        path=(_BIN,),
        env={"GCC_VERSION": found[0]},
        links=tuple(links),
        public=("/usr/local/bin",),
    )


def read_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The distribution's own words about itself."""
    try:
        text = path.read_text(errors="replace")[:65_536]
    except OSError:
        return {}
    return {name: value.strip().strip("\"'") for name, _, value in (line.partition("=") for line in text.splitlines()) if name}


def system() -> Toolchain:
    """The machine's own programs, for images that are a distribution and no more."""
    release = read_release()
    version = release.get("VERSION_ID", "")
    return Toolchain("system", version, f"system {release.get('ID', '')} {version}")
