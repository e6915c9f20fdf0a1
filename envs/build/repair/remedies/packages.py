"""What the distribution has: Debian packages for headers, libraries, programs and modules that a log misses.

All that are missed are added at once, for a compiler with `-k` names more than one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from podgym.envs.build.languages.native import packages as native
from podgym.envs.build.repair.causes import Cause
from podgym.envs.build.repair.edits import with_packages, without_packages
from podgym.envs.build.repair.remedies.remedy import Case, Remedy, Table, another_toolchain

__all__ = ["PACKAGES", "package_for"]

_PROGRAMS: Final[dict[str, tuple[str, ...]]] = {
    "CMAKE_C_COMPILER": ("gcc",), "CMAKE_CXX_COMPILER": ("g++",), "CMAKE_ASM_NASM_COMPILER": ("nasm",),
    "CMAKE_Fortran_COMPILER": ("gfortran",), "cc": ("gcc", "libc6-dev"), "C": ("gcc", "libc6-dev"), "gcc": ("gcc", "libc6-dev"),
    "g++": ("g++",), "c++": ("g++",), "ld": ("binutils",), "Ninja": ("ninja-build",), "Unix Makefiles": ("make",), "make": ("make",),
    "python3": ("python3", "python3-dev", "make", "g++"), "pg_config": ("libpq-dev",),
    "mysql_config": ("default-libmysqlclient-dev", "pkg-config"), "gdal-config": ("libgdal-dev",),
    "xml2-config": ("libxml2-dev", "libxslt1-dev"), "xslt-config": ("libxml2-dev", "libxslt1-dev"),
    "curl-config": ("libcurl4-openssl-dev",), "krb5-config": ("libkrb5-dev",), "nc-config": ("libnetcdf-dev",),
    "llvm-config": ("llvm-dev",), "freetype-config": ("libfreetype-dev",), "cargo": ("cargo", "rustc"), "rustc": ("rustc",),
    "autoconf-archive": ("autoconf-archive",), "autopoint": ("autopoint", "gettext"), "libtool": ("libtool", "automake", "autoconf"),
    "libtoolize": ("libtool",), "aclocal": ("automake",), "autoreconf": ("autoconf", "automake", "libtool"),
    "libclang": ("libclang-dev", "clang"), "protoc": ("protobuf-compiler",), "pkg-config": ("pkg-config",), "chromium": ("chromium",),
    "Chrome": ("chromium",), "Chromium": ("chromium",), "CHROME": ("chromium",), "Firefox": ("firefox-esr",), "git": ("git",),
    "ssh": ("openssh-client",), "xvfb-run": ("xvfb", "xauth"), "Xvfb": ("xvfb", "xauth"), "dbus-launch": ("dbus", "dbus-x11"),
    "dbus-run-session": ("dbus",), "which": ("debianutils",), "hg": ("mercurial",), "svn": ("subversion",), "bzr": ("brz",), "tsc": (),
    "java": ("default-jdk-headless",), "javac": ("default-jdk-headless",), "pip": ("python3-pip",), "pip3": ("python3-pip",),
    "php": ("php-cli",), "ruby": ("ruby",), "Rscript": ("r-base-core",), "perl": ("perl",), "tclsh": ("tcl",), "unshare": ("util-linux",),
    "setpriv": ("util-linux",), "ifconfig": ("net-tools",), "netstat": ("net-tools",), "dig": ("dnsutils",), "nslookup": ("dnsutils",),
    "gpg": ("gnupg",), "man": ("man-db",), "less": ("less",), "tree": ("tree",), "vim": ("vim",), "nano": ("nano",), "sudo": ("sudo",),
    "docker": (), "7z": ("p7zip-full",), "exiftool": ("libimage-exiftool-perl",), "pdftotext": ("poppler-utils",), "gs": ("ghostscript",),
    "latex": ("texlive-latex-base",), "pdflatex": ("texlive-latex-base",), "dot": ("graphviz",), "ffprobe": ("ffmpeg",),
}  # fmt: skip
"""What the table of native packages has not, or where one name wants more than one package."""

_SHARED: Final[dict[str, str]] = {
    "libGL": "libgl1", "libEGL": "libegl1", "libgthread-2.0": "libglib2.0-0", "libglib-2.0": "libglib2.0-0", "libSM": "libsm6",
    "libXext": "libxext6", "libXrender": "libxrender1", "libX11": "libx11-6", "libgomp": "libgomp1", "libsndfile": "libsndfile1",
    "libgeos_c": "libgeos-c1v5", "geos_c": "libgeos-c1v5", "libatomic": "libatomic1", "libnss3": "libnss3", "libatk-1.0": "libatk1.0-0",
    "libatk-bridge-2.0": "libatk-bridge2.0-0", "libgbm": "libgbm1", "libasound": "libasound2", "libcups": "libcups2", "libdrm": "libdrm2",
    "libxkbcommon": "libxkbcommon0", "libgtk-3": "libgtk-3-0", "libpango-1.0": "libpango-1.0-0", "libcairo": "libcairo2",
    "libXcomposite": "libxcomposite1", "libXdamage": "libxdamage1", "libXrandr": "libxrandr2", "libXfixes": "libxfixes3",
    "libpq": "libpq5", "libmariadb": "libmariadb3", "libmagic": "libmagic1", "libzbar": "libzbar0", "libportaudio": "libportaudio2",
    "libusb-1.0": "libusb-1.0-0", "libspatialindex_c": "libspatialindex-c6", "libgdal": "libgdal32", "libcrypt": "libcrypt1",
    "libtinfo": "libtinfo6", "libncurses": "libncurses6", "libreadline": "libreadline8", "libxml2": "libxml2", "libxslt": "libxslt1.1",
    "libffi": "libffi8", "libopenblas": "libopenblas0", "libquadmath": "libquadmath0", "libgfortran": "libgfortran5",
    "libfreetype": "libfreetype6", "libfontconfig": "libfontconfig1", "libturbojpeg": "libturbojpeg0", "libaio": "libaio1",
    "libXi": "libxi6", "libXtst": "libxtst6", "libawt_xawt": "default-jre", "libjvm": "default-jdk", "libhdf5": "libhdf5-103-1",
    "libsodium": "libsodium23", "libzmq": "libzmq5", "libenchant-2": "libenchant-2-2", "libxcb": "libxcb1", "libdbus-1": "libdbus-1-3",
    "libfuse": "libfuse2", "libpulse": "libpulse0", "libodbc": "unixodbc", "libsqlite3": "libsqlite3-0", "libuuid": "libuuid1",
    "libcurl": "libcurl4", "libgssapi_krb5": "libgssapi-krb5-2", "libldap": "libldap-2.5-0", "libpcap": "libpcap0.8",
    "libGLU": "libglu1-mesa", "libosmesa": "libosmesa6", "libOSMesa": "libosmesa6", "libpython3.11": "libpython3.11",
    "libstdc++": "libstdc++6",
}  # fmt: skip
"""Run-time packages of shared libraries, by the name before `.so`."""

_PILLOW: Final = {"jpeg": "libjpeg-dev", "zlib": "zlib1g-dev", "tiff": "libtiff-dev", "freetype": "libfreetype-dev", "webp": "libwebp-dev"}
_MODULES: Final = {
    "_tkinter": "python3-tk", "tkinter": "python3-tk", "apt_pkg": "python3-apt", "gi": "python3-gi", "dbus": "python3-dbus",
    "cairo": "python3-cairo", "_gdbm": "python3-gdbm", "distutils": "python3-distutils", "gdb": "gdb", "lldb": "python3-lldb",
    "selinux": "python3-selinux",
}  # fmt: skip
"""Of the system's own Python."""
_KINDS: Final = (
    "missing_header",
    "missing_library",
    "missing_shared_library",
    "missing_pkgconfig",
    "missing_program",
    "missing_cmake_package",
)


def package_for(kind: str, subject: str) -> tuple[str, ...]:
    """Debian packages that bring what is missed; none where nobody knows."""
    if kind == "missing_header":
        found = native.package_for_header(subject)
    elif kind == "missing_library":
        found = _PILLOW.get(subject) or native.package_for_library(subject) or native.package_for_pkgconfig(subject)
    elif kind == "missing_shared_library":
        stem = re.sub(r"(-?[\d.]*)?\.so[.\d]*$", "", subject)
        whole = subject.partition(".so")[0]
        found = _SHARED.get(whole) or _SHARED.get(stem) or native.package_for_library(whole.removeprefix("lib"))
    elif kind == "missing_pkgconfig":
        if subject == "pkg-config":
            return ("pkg-config",)
        found = native.package_for_pkgconfig(subject) or native.package_for_cmake(subject)
        # A library that lies there is not found either where pkg-config itself is missed.
        return ("pkg-config", found) if found else ()
    elif kind == "missing_cmake_package":
        if subject == "PkgConfig":
            return ("pkg-config",)
        if subject.startswith(("Python", "Threads")):
            return ("python3-dev",) if subject.startswith("Python") else ("libc6-dev",)
        found = native.package_for_cmake(subject) or native.package_for_pkgconfig(subject)
    elif kind == "missing_program":
        name = subject.rpartition("/")[2]
        if name in _PROGRAMS:
            return _PROGRAMS[name]
        found = native.package_for_program(name) or native.package_for_program(re.sub(r"-[\d.]+$", "", name))
    else:
        found = None
    return (found,) if found else ()


def _all_missing(case: Case, cause: Cause) -> Iterator[Remedy]:
    """Everything that the log misses at once, then this alone."""
    together = [name for one in case.causes if one.kind in _KINDS for name in package_for(one.kind, one.subject)]
    alone = list(package_for(cause.kind, cause.subject))
    for names in (together, alone):
        new = sorted({name for name in names if name not in case.plan.packages})
        if new:
            missing = ", ".join(
                dict.fromkeys(one.subject for one in case.causes if one.kind in _KINDS and package_for(one.kind, one.subject))
            )
            yield Remedy(f"packages:{','.join(new)}", f"{missing or cause.subject} is not installed.", with_packages(case.plan, new))


def _module(case: Case, cause: Cause) -> Iterator[Remedy]:
    """A module of the interpreter that is built only with its library."""
    language, _, module = cause.subject.partition(" ")
    if language != "python" or case.tool == "python":
        if language in ("gyp", "python") and module.split(".")[0] == "distutils":
            yield Remedy(
                "packages:python3-setuptools",
                "node-gyp needs distutils, which Python has no longer.",
                with_packages(case.plan, ("python3-setuptools", "python3-distutils")),
            )
        elif language == "python" and module in _MODULES:
            yield Remedy(f"packages:{_MODULES[module]}", f"{module} is not installed.", with_packages(case.plan, (_MODULES[module],)))
        return
    if package := _MODULES.get(module.split(".")[0]) or _debian_python(module):
        yield Remedy(f"packages:{package}", f"Python's module {module} is not installed.", with_packages(case.plan, ("python3", package)))


def _debian_python(module: str) -> str:
    """Debian names most modules after their import name."""
    names = {
        "yaml": "python3-yaml",
        "google": "python3-protobuf",
        "Crypto": "python3-pycryptodome",
        "PIL": "python3-pil",
        "bs4": "python3-bs4",
    }
    top = module.split(".", maxsplit=1)[0]
    return names.get(top, f"python3-{top.lower().replace('_', '-')}")


def _unknown_package(case: Case, cause: Cause) -> Iterator[Remedy]:
    names = [name for name in case.subjects("unknown_package") if name in case.plan.packages]
    if names:
        yield Remedy(
            f"without:{','.join(sorted(names))}", f"The distribution has no package {', '.join(names)}.", without_packages(case.plan, names)
        )


def _conflict(case: Case, cause: Cause) -> Iterator[Remedy]:
    names = [name for name in case.subjects("package_conflict") if name in case.plan.packages]
    if names:
        yield Remedy(
            f"without:{','.join(sorted(names))}",
            f"{', '.join(names)} cannot be installed beside the others.",
            without_packages(case.plan, names),
        )
    if case.plan.packages:
        yield Remedy("without:all", "The packages cannot be installed together.", case.plan.model_copy(update={"packages": ()}))


def _image(case: Case, cause: Cause) -> Iterator[Remedy]:
    image = case.catalogue.without(case.plan.base).nearest(case.tool, case.plan.toolchain)
    if image is not None:
        why = f"{case.plan.base} cannot be had."
        yield replace(another_toolchain(case, image, why), because=why, toolchain="", absent=case.plan.base)


PACKAGES: Final[Table] = {
    **dict.fromkeys(_KINDS, _all_missing),
    "missing_module": _module,
    "unknown_package": _unknown_package,
    "package_conflict": _conflict,
    "image_missing": _image,
}
