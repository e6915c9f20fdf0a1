"""Conda's environment files as requirements of PyPI: most of its names are the same there, some are others, and what is no Python
package is not there at all.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from podgym.envs.build.languages.python.requirements import Requirements

__all__ = ["ENVIRONMENT_FILE", "add_environment"]

ENVIRONMENT_FILE: Final = re.compile(r"(?:.*/)?(?:conda[-_])?env(?:ironment)?(?:[-_.][\w.-]+)?\.ya?ml", re.IGNORECASE)
_MAX_BYTES: Final = 1 << 20
_RENAMED: Final = {
    "antlr-python-runtime": "antlr4-python3-runtime", "dask-core": "dask", "matplotlib-base": "matplotlib", "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless", "py-opencv": "opencv-python-headless", "py-xgboost": "xgboost", "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5", "pytables": "tables", "python-blosc": "blosc", "python-build": "build", "python-duckdb": "duckdb",
    "python-eccodes": "eccodes", "python-graphviz": "graphviz", "python-kaleido": "kaleido", "python-lmdb": "lmdb",
    "python-xxhash": "xxhash", "pytorch": "torch", "pytorch-cpu": "torch",
    "seaborn-base": "seaborn", "tensorflow-base": "tensorflow", "tensorflow-gpu": "tensorflow",
}  # fmt: skip
_ELSEWHERE: Final = re.compile(
    r"lib(?!cst$|sass$|tmux$|rosa$|clang$|usb1$).*|_.*|r|r-.*|gcc.*|gxx.*|clang.*|gfortran.*|.*[-_]compilers?|compilers|.*_linux-64|"
    r"cuda.*|cudnn|nccl|mkl|mkl-devel|nomkl|openblas|blas|lapack|hdf5|gdal|geos|proj|proj4|openssl|zlib|bzip2|xz|sqlite|git|git-lfs|curl|"
    r"wget|make|automake|autoconf|pkg-config|pkgconfig|nodejs|yarn|openjdk|maven|graphviz|poppler|ffmpeg|pandoc|imagemagick|tectonic|"
    r"texlive-core|anaconda|conda|conda-.*|mamba|micromamba|boa|boost|boost-cpp|eigen|gsl|fftw|gmp|mpfr|openmpi|mpich|mpi|arrow-cpp|"
    r"ca-certificates|tk|readline|ncurses|qt|qt-main|postgresql|redis-server|mysql|mongodb|go|rust|perl|ruby|pytorch-mutex|cpuonly|"
    r"llvm.*|swig|doxygen|glib|cairo|pango|sysroot.*|binutils.*|nb_conda.*"
)
"""What has no Python in it, or on PyPI is something else of the same name."""
_SPEC: Final = re.compile(r"(?:[\w./-]+::)?([A-Za-z_][\w.-]*)\s*(.*)")


def add_environment(into: Requirements, text: str | None, path: str) -> None:
    """Take what `dependencies` of an environment file lists, and what its `pip` does; `path` is for notes."""
    lines = _dependencies(text)
    if lines is None:
        into.notes.append(f"{path} cannot be read")
        return
    left: list[str] = []
    for line in lines:
        if isinstance(line, dict):
            _add_pip(into, line.get("pip"))
        elif isinstance(line, str) and (match := _SPEC.fullmatch(line.strip())) is not None:
            name, version = match[1].lower(), match[2]
            if name in ("python", "pip"):
                continue
            if _ELSEWHERE.fullmatch(name):
                left.append(name)
            else:
                into.add(f"{_RENAMED.get(name, name)}{_specifier(version)}")
    if left:
        into.notes.append(f"left out of {path}, because PyPI has no such package: {', '.join(left)}")


def _dependencies(text: str | None) -> list[object] | None:
    if text is None or len(text) > _MAX_BYTES:
        return None
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError):  # of odd explicit tags
        return None
    lines = document.get("dependencies") if isinstance(document, dict) else None
    return lines if isinstance(lines, list) else None


def _add_pip(into: Requirements, lines: object) -> None:
    for line in lines if isinstance(lines, list) else ():
        if not isinstance(line, str) or re.match(r"(-r|--requirement)\b", line):
            continue  # such files are read for themselves
        if re.match(r"-(?!e\b|-editable\b)", line) or re.match(r"[\w+]+://|git\+", line):
            into.add_option(line)
        else:
            into.add(line)


def _specifier(version: str) -> str:
    """`=1.2` of Conda is any `1.2.*`, and what comes after another `=` names a build; empty where it cannot be said."""
    text = re.sub(r"\[.*$", "", version).strip()
    if re.match(r"\d", text):
        text = f"={text.replace(' ', '=')}" if "," not in text else text
    if (match := re.fullmatch(r"=(\d+(?:\.\d+)*)(?:\.?\*)?(?:=.*)?", text)) is not None:
        return f"=={match[1]}.*"
    if (match := re.fullmatch(r"==\s*([\w.]+)(?:=.*)?", text)) is not None:
        return f"=={match[1]}"
    parts = [part.strip() for part in text.split(",")]
    return ",".join(parts) if all(re.fullmatch(r"(?:[<>]=?|!=|~=)\s*[\w.]+", part) for part in parts) else ""
