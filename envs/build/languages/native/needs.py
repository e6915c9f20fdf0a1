"""Which Debian packages a project needs: from its build files, its sources and its CI files, as far as they are known.

A name that cannot be translated is left out: the build says what is missing. Large libraries that are only looked for, and not
required, are left out as well.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable
from typing import Final

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.native.cmakefacts import CMakeFacts
from podgym.envs.build.languages.native.packages import (
    TEST_LIBRARIES,
    package_for_cmake,
    package_for_header,
    package_for_library,
    package_for_pkgconfig,
    package_for_program,
)
from podgym.envs.build.languages.native.paths import SOURCES, vendored
from podgym.envs.build.languages.native.sources import source_package
from podgym.envs.build.tree import Tree

__all__ = ["autotools_needs", "ci_needs", "cmake_needs", "header_needs", "make_needs", "manager_needs", "meson_needs", "without_published"]

_HEAVY: Final = re.compile(
    r"qt\w+-dev|qt6-.*|libopencv-dev|libgtk.*|libwx.*|llvm-dev|libclang-dev|default-(jdk|jre)-headless|libav\w+-dev|libgdal-dev|libopenmpi-dev"
    r"|doxygen|git|clang.*|cppcheck|ccache|libboost-all-dev|texlive.*|pandoc|docbook.*|libsdl.*|libglfw.*|freeglut.*|libglew.*|swig|nodejs|golang"
    r"|cargo|rustc|gfortran|lcov|gcovr|graphviz|asciidoctor|libgirepository.*|gobject-introspection|valac|gtk-doc-tools|libvirt-dev|extra-cmake.*"
    r"|xvfb|valgrind|asciidoc.*|imagemagick|ffmpeg|bear|shellcheck|python-is-python3|libopenexr-dev|libosg.*|libvtk.*|qtbase5.*"
)
_UNWANTED: Final = re.compile(
    r"gcc.*|g\+\+.*|lib(x32|n32|64)\w+-.*|libtinfo5|bazel.*|lib(32|64|x32)?[alu]?[st]?san\d+|lib32.*|lib\w*tsan\d*|libubsan\d*|build-essential|cpp-.*|clang.*|llvm.*|lld.*|libclang.*|libc\+\+.*|lcov|gcovr|doxygen.*|texlive.*|latexmk|cppcheck|ccache|sudo|curl|wget|docker.*|linux-.*"
    r"|.*(mingw|cross|i386|armhf|arm64|aarch64|riscv|powerpc|s390x).*|wine.*|qemu.*|snapd|apt-.*|software-properties.*|ca-certificates|gnupg.*|git.*"
    r"|valgrind.*|gdb|asciidoc.*|emscripten|musl.*|docbook.*|w3c-.*|libstdc\+\+-.*|lib(asan|tsan|ubsan|lsan|gcc|gomp|itm|atomic|quadmath)\d.*|.*-doc|android.*|retry|lzip|parallel"
    r"|libc\+\+.*|afl.*|include-what-you-use|iwyu|vera.*|astyle|indent|uncrustify|sloccount|global|ctags|python3-(pip|venv|setuptools)|pipx|ubuntu-.*|openssh-server|codespell|pandoc|diffoscope.*|abigail.*|intel-.*|cuda.*|nvidia.*|rocm.*|pvs-studio|awscli|language-pack-.*|qhelpgenerator.*|qtchooser|libreoffice.*|libvirt-(?:clients|daemon).*|rpm|dpkg.*|debhelper|devscripts|fakeroot|lintian|python3-sphinx.*|graphviz|asciidoctor|npm|nodejs"
)
_LARGE: Final = {
    r"lib(qt|kf)\d.*|qt(base|tools)?\w*-.*": r"\bqt",
    r"libgtk.*|libgdk.*": r"gtk|gdk",
    r"libwx.*|wx-.*": r"\bwx",
    r"libopencv.*": r"opencv",
    r"lib(av\w+|sw\w+)-dev|ffmpeg": r"libav|ffmpeg",
    r"lib(vtk|osg|openscenegraph|gdal|openexr)\S*": r"vtk|osg|openscene|gdal|openexr",
    r"libboost-all-dev": r"boost",
    r"(lib)?(openmpi|mpich).*": r"\bmpi",
    r"r-base.*|octave.*|ghc|mono-.*": r"octave|haskell|mono",
}
"""What CI may want for one part of a project or for examples, and takes long to fetch: by what build files name it."""
_MAX_PACKAGES: Final = 80
_BOOST: Final = frozenset(
    {
        "atomic", "chrono", "container", "context", "coroutine", "date-time", "fiber", "filesystem", "graph", "iostreams", "json",
        "locale", "log", "math", "nowide", "program-options", "random", "regex", "serialization", "stacktrace", "system", "thread",
        "timer", "url", "wave",
    }
)  # fmt: skip
"""Parts of Boost that are libraries of their own."""
_MAX_SOURCES: Final = 600
_INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([\w./+-]{1,100})[>"]', re.MULTILINE)


def without_published(packages: Iterable[str], names: Iterable[str], project: str = "") -> list[str]:
    """Without packages that are the project itself, which has these names: tests are to find what is built, not what was published."""
    own = {_plain(name) for name in names} - {""}
    published = {package_for_cmake(project)} if project else set()
    return [package for package in packages if _plain(package) not in own and package not in published]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", re.sub(r"^lib|(-?\d[\d.]*g?)?(-dev)?$", "", name.lower()))


def _known(packages: Iterable[str | None]) -> list[str]:
    return [package for package in packages if package is not None]


def ci_needs(ci: CiFacts, text: str) -> list[str]:
    """What CI installs, without compilers, tools for documents and releases, foreign architectures, and large libraries of which the
    build files, whose text this is, know nothing."""
    low = text.lower()
    large = [names for names, word in _LARGE.items() if re.search(word, low) is None]
    return [name for name in ci.packages if not _UNWANTED.fullmatch(name) and not any(re.fullmatch(names, name) for names in large)][
        :_MAX_PACKAGES
    ]


def cmake_needs(facts: CMakeFacts) -> list[str]:
    """By `find_package`, pkg-config, libraries, headers and programs; of what is downloaded that of which no sources are known."""
    fetched = (package_for_cmake(entry.name) for entry in facts.fetched if source_package(entry.name) is None)
    found: list[str | None] = [package for package in fetched if package is not None and not _HEAVY.fullmatch(package)]
    for name, required in sorted(facts.packages.items()):
        package = package_for_cmake(name)
        if package == "libboost-all-dev":
            components = facts.components.get(name, set()) - {"system"}
            found += ["libboost-dev", *(f"libboost-{part.replace('_', '-')}-dev" for part in sorted(components) if part != "headers")]
            if "unit_test_framework" in components:
                found.append("libboost-test-dev")
        elif package is not None and (required or not _HEAVY.fullmatch(package)):
            found.append(package)
    found += [package_for_pkgconfig(name) for name in sorted(facts.modules)]
    named = (
        *map(package_for_library, sorted(facts.libraries)),
        *map(package_for_header, sorted(facts.headers)),
        *map(package_for_program, sorted(facts.programs)),
    )
    for package in named:
        if package is not None and not _HEAVY.fullmatch(package):
            found.append(package)
    return _known(found)


def manager_needs(tree: Tree, root: str) -> tuple[list[str], list[str]]:
    """What Conan's and vcpkg's files ask for, as packages of Debian, and the names of what is not known there."""
    names: list[str] = []
    for file in ("conanfile.txt", "conanfile.py", "test/conanfile.txt", "tests/conanfile.txt"):
        names += re.findall(
            r"(?<![\w./-])([a-z][\w.+-]{1,40})/(?:\d|v\d|cci\.|system\b|[\[<>=~^])", tree.read(posixpath.join(root, file)) or ""
        )
    try:
        manifest = json.loads(tree.read(posixpath.join(root, "vcpkg.json")) or "{}")
    except (ValueError, RecursionError):
        manifest = {}
    manifest = manifest if isinstance(manifest, dict) else {}
    features = manifest.get("features")
    parts = features if isinstance(features, list) else [*features.values()] if isinstance(features, dict) else []
    for part in (manifest, *(part for part in parts[:_MAX_PACKAGES] if isinstance(part, dict))):
        wanted = part.get("dependencies")
        for entry in wanted if isinstance(wanted, list) else []:
            name = entry.get("name") if isinstance(entry, dict) else entry
            names += [name] if isinstance(name, str) and re.fullmatch(r"[\w.+-]{1,80}", name) else []
    found, unknown = [], []
    for name in list(dict.fromkeys(names))[:_MAX_PACKAGES]:
        if name.startswith("vcpkg-") or name == manifest.get("name"):
            continue
        package = _managed(name)
        if package is None:
            unknown.append(name)
        elif not _HEAVY.fullmatch(package):
            found.append(package)
    return found, unknown


def _managed(name: str) -> str | None:
    """The package of what Conan or vcpkg names: both say `boost-asio`, `nlohmann-json` and `libpng`."""
    if re.fullmatch(r"boost([-_]\w.*)?", name):
        part = name[6:].replace("_", "-")
        return f"libboost-{part}-dev" if part in _BOOST else "libboost-test-dev" if part == "test" else "libboost-dev"
    for spelled in (name, name.replace("-", "_"), name.removeprefix("lib"), re.sub(r"[-_](?:cpp|c|src)$", "", name)):
        package = package_for_cmake(spelled) or package_for_pkgconfig(spelled) or package_for_library(spelled)
        if package is not None:
            return package
    return None


def meson_needs(texts: Iterable[str]) -> list[str]:
    """By `dependency`, `find_library` and `find_program`."""
    found: list[str | None] = []
    for text in texts:
        for name in re.findall(r"\bdependency\(\s*'([^']{1,80})'", text):
            found.append("libboost-dev" if name == "boost" else package_for_pkgconfig(name) or package_for_cmake(name))
            if name == "boost":
                found += [f"libboost-{part.replace('_', '-')}-dev" for part in re.findall(r"modules\s*:\s*\[?\s*'([\w-]+)'", text)]
        found += [package_for_library(name) for name in re.findall(r"\bfind_library\(\s*'([^']{1,80})'", text)]
        for name in re.findall(r"\bfind_program\(\s*'([^']{1,80})'", text):
            package = package_for_program(name)
            found.append(None if package is None or _HEAVY.fullmatch(package) else package)
        if re.search(r"\bimport\(\s*'i18n'", text):
            found.append("gettext")
        if re.search(r"\bimport\(\s*'gnome'", text):
            found += ["libglib2.0-dev-bin", "libglib2.0-dev"]
    return _known(found)


def autotools_needs(text: str) -> list[str]:
    """By the macros of `configure.ac` and of Automake."""
    found: list[str | None] = []
    for modules in re.findall(r"PKG_(?:CHECK_MODULES|CHECK_EXISTS|CHECK_MODULES_STATIC)\(\s*\[?\w*\]?\s*,\s*\[?([^\])]{1,400})", text):
        found += [package_for_pkgconfig(name) for name in re.findall(r"[A-Za-z][\w.+-]*", re.sub(r"[<>=]+\s*[\w.$]+", " ", modules))]
    found += [package_for_library(name) for name in re.findall(r"A[CX]_(?:CHECK_LIB|SEARCH_LIBS)\(\s*\[?([\w.+-]{1,60})", text)]
    for names in re.findall(r"AC_SEARCH_LIBS\(\s*\[?\w+\]?\s*,\s*\[?([\w .+-]{1,200})", text):
        found += [package_for_library(name) for name in names.split()]
    for names in re.findall(r"AC_CHECK_HEADERS?\(\s*\[?([\w ./\n\\+-]{1,2000})", text):
        found += [package_for_header(name) for name in names.split()]
    for names in re.findall(r"A[CM]_(?:CHECK_PROGS?|PATH_PROGS?|CHECK_TOOL|MISSING_PROG)\(\s*\[?\w+\]?\s*,\s*\[?([\w ./+-]{1,200})", text):
        for name in names.split():
            package = package_for_program(name)
            found.append(None if package is None or _HEAVY.fullmatch(package) else package)
    words = {
        "AC_PROG_YACC": "bison", "AC_PROG_LEX": "flex", "AM_PROG_LEX": "flex", "AM_GNU_GETTEXT": "autopoint", "AM_ICONV": "gettext",
        "IT_PROG_INTLTOOL": "intltool", "AC_PROG_INTLTOOL": "intltool", "GTK_DOC_CHECK": "gtk-doc-tools", "LT_INIT": "libtool",
        "AC_PROG_LIBTOOL": "libtool", "AM_PROG_LIBTOOL": "libtool", "AX_": "autoconf-archive",
        "GOBJECT_INTROSPECTION": "gobject-introspection",
        "PKG_CHECK": "pkg-config", "PKG_PROG": "pkg-config", "AM_PATH_CHECK": "check", "AM_PATH_CPPUNIT": "libcppunit-dev",
        "AX_BOOST": "libboost-dev", "AM_PATH_PYTHON": "python3-dev", "AM_PATH_GLIB_2_0": "libglib2.0-dev", "XORG_": "xutils-dev",
        "AM_GNU_GETTEXT_VERSION": "gettext",
    }  # fmt: skip
    found += [package for word, package in words.items() if word in text]
    return _known(found)


def make_needs(text: str) -> list[str]:
    """By the libraries and pkg-config modules that a Makefile names, and the programs that its recipes run."""
    found: list[str | None] = [package_for_library(name) for name in re.findall(r"(?<![\w-])-l([\w.+-]{1,60})", text)]
    for names in re.findall(r"pkg-?conf(?:ig)?\)?\s+((?:--?[\w-]+\s+)*[\w .+-]{1,200})", text, re.IGNORECASE):
        found += [package_for_pkgconfig(name) for name in names.split() if not name.startswith("-")]
    assigned = dict(re.findall(r"^[ \t]*(\w{1,40})[ \t]*[:?]?=[ \t]*([\w./-]{1,60})", text, re.MULTILINE))
    for variable, word in re.findall(r"^\t[@+-]*\s*(?:\$[({](\w{1,40})[)}]|([\w.-]{1,30})\b)", text, re.MULTILINE):
        package = package_for_program(assigned.get(variable, "") if variable else word)
        found.append(None if package is None or _HEAVY.fullmatch(package) else package)
    return _known(found)


def header_needs(tree: Tree, root: str, *, tests_only: bool) -> list[str]:
    """By what the sources include and the repository does not hold itself; `tests_only` looks for test frameworks alone."""
    own = {posixpath.basename(path) for path in tree.paths}
    names: set[str] = set()
    read = 0
    for path in tree.below(root):
        if posixpath.splitext(path)[1].removeprefix(".") not in SOURCES | {"h", "hh", "hpp", "hxx"} or vendored(path):
            continue
        read += 1
        if read > _MAX_SOURCES:
            break
        names.update(_INCLUDE.findall((tree.read(posixpath.join(root, path)) or "")[: 1 << 16]))
    packages = _known(package_for_header(name) for name in sorted(names) if posixpath.basename(name) not in own)
    packages = ["libboost-dev" if package == "libboost-all-dev" else package for package in packages]
    packages += ["libboost-test-dev"] if any(name.startswith("boost/test/") for name in names) else []
    return [package for package in packages if not _HEAVY.fullmatch(package) and (not tests_only or package in TEST_LIBRARIES)]
