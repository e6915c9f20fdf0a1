"""podgym as something to send to a cluster: the wheel's content as folders that Ray puts on the import path of every process.

Ray would install a `.whl` together with everything that it depends on, Ray itself included, over what the cluster has. So the wheel
is unpacked here: one folder `podgym`, and the metadata beside it, without which entry points would not be found.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from podgym.console.jobs.errors import SubmitError

__all__ = ["build_wheel", "ship_podgym"]

_LEFT_OUT = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "node_modules")
_LEFT_OUT_AT_THE_TOP = frozenset({"build", "dist", "play", "runs", "tests", "typelinks", "benchmarks", "docs", "examples"})
_BUILD_S = 300.0
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def ship_podgym(target: Path) -> list[Path]:
    """Folders to name as `py_modules`, made under `target`. Raises `SubmitError`."""
    found = distribution("podgym")
    source = _checkout(found)
    if source is not None:
        _unpack(build_wheel(source, target / "wheel"), target / "podgym-files")
    else:
        _copy(found, target / "podgym-files")
    folders = sorted((target / "podgym-files").iterdir())
    return [folder for folder in folders if folder.name == "podgym" or folder.name.endswith(".dist-info")]


def build_wheel(source: Path, target: Path) -> Path:
    """The wheel of a checkout, which stays as it is: a copy is built. Raises `SubmitError`."""
    copy = target / "source"

    def left_out(folder: str, names: list[str]) -> set[str]:
        top = _LEFT_OUT_AT_THE_TOP.intersection(names) if Path(folder) == source else set()
        return _LEFT_OUT(folder, names) | top

    shutil.copytree(source, copy, ignore=left_out, symlinks=True)
    command = _build_command(copy, target)
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise SubmitError(f"Building podgym's wheel took more than {_BUILD_S:g} s.", remedy="Run it by hand: pip wheel .") from error
    wheels = list(target.glob("podgym-*.whl"))
    if done.returncode or len(wheels) != 1:
        raise SubmitError(
            f"podgym's wheel cannot be built from {source}: {done.stderr.strip()[-2000:]}",
            remedy=f"Install setuptools 77 or newer into {sys.prefix}.",
        )
    return wheels[0]


def _build_command(source: Path, target: Path) -> list[str]:
    """The backend itself where it is installed, which needs no network; else what fetches it."""
    if _has_backend():
        return [sys.executable, "-c", _BUILD, str(target)]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(source)]
    if (uv := shutil.which("uv")) is not None:
        return [uv, "build", "--quiet", "--wheel", "--out-dir", str(target), str(source)]
    raise SubmitError("Nothing here can build podgym's wheel.", remedy=f"Install setuptools 77 or newer into {sys.prefix}.")


def _has_backend() -> bool:
    try:
        return int(version("setuptools").partition(".")[0]) >= 77
    except (PackageNotFoundError, ValueError):
        return False


def _checkout(found: Distribution) -> Path | None:
    """Where an editable installation's files are; None for an ordinary one.

    With the checkout itself on the import path, the metadata that its build left there is found before the installation's.
    """
    text = found.read_text("direct_url.json")
    if text is None:
        root = Path(str(found.locate_file("")))
        return root if (root / "pyproject.toml").is_file() and (root / "setup.py").is_file() else None
    origin = json.loads(text)
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def _copy(found: Distribution, target: Path) -> None:
    """What the installer recorded."""
    for entry in found.files or ():
        if entry.parts[0] == "podgym" or entry.parts[0].endswith(".dist-info"):
            place = Path(str(found.locate_file(entry)))
            if place.suffix == ".pyc" or not place.is_file():
                continue
            copied = target / Path(*entry.parts)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, copied)
    if not (target / "podgym").is_dir():
        raise SubmitError("The installed podgym does not say which files it has.", remedy="Install podgym anew with pip.")
