"""Projects that others fetch while configuring, and the Debian source packages that hold the same sources.

FetchContent, CPM and submodules name a repository that a closed network does not reach. The source package of a newer Debian, or
else of the image's own, is the same project, whole. It is unpacked below `SOURCES`, and CMake is told to look there. Which package that
is stands in a table, or Debian says it: most packages name the repository that they come from as their home page.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import Fetched
from podgym.envs.build.plan import INSTALL_LOG, TOOLS

__all__ = [
    "CATCH3",
    "PREFIX",
    "SOURCES",
    "Source",
    "Submodule",
    "cmake_arguments",
    "fetch_sources",
    "fill_submodules",
    "read_submodules",
    "source_of",
    "source_package",
    "wanted_sources",
]

SOURCES: Final = f"{TOOLS}/sources"
PREFIX: Final = f"{TOOLS}/prefix"
CATCH3: Final = "catch2"
_NOTHING: Final = f"{TOOLS}/nothing"
"""A project without anything, for what cannot be had and may not be needed."""

_NEWER: Final = "trixie"
_RELEASED: Final = datetime(2023, 6, 10, tzinfo=UTC)
"""Of bookworm: what is older may not build with later versions of its libraries."""
_NAMES: Final = """
abseil=abseil abseilcpp=abseil absl=abseil asio=asio backwardcpp=backward-cpp benchmark=benchmark
brotli=brotli catch2=catch2 catch=catch2 cereal=libcereal check=check cjson=cjson cli11=cli11 cmocka=cmocka
concurrentqueue=concurrentqueue cpphttplib=cpp-httplib curl=curl cxxopts=cxxopts date=howardhinnant-date
doctest=doctest doubleconversion=double-conversion eigen3=eigen3 eigen=eigen3 expected=tl-expected flatbuffers=flatbuffers fmt=fmtlib
fmtlib=fmtlib gflags=gflags glm=glm glog=google-glog gmock=googletest googlebenchmark=benchmark googletest=googletest
gtest=googletest highway=highway httplib=cpp-httplib inih=libinih json=nlohmann-json3 jsoncpp=libjsoncpp libevent=libevent
libsodium=libsodium libuv=libuv1 lz4=lz4 magicenum=magic-enum mbedtls=mbedtls mimalloc=mimalloc
nlohmannjson=nlohmann-json3 onetbb=onetbb pugixml=pugixml pybind11=pybind11 rangev3=range-v3 rapidjson=rapidjson re2=re2
simdjson=simdjson snappy=snappy spdlog=spdlog sqlite3=sqlite3 stb=libstb tbb=onetbb tinyxml2=tinyxml2 tlexpected=tl-expected
tomlplusplus=tomlplusplus trompeloeil=trompeloeil-cpp utf8cpp=utfcpp utfcpp=utfcpp
xsimd=xsimd xtl=xtl xxhash=xxhash yamlcpp=yaml-cpp zlib=zlib zstd=libzstd
"""
_PACKAGES: Final = dict(entry.split("=", 1) for entry in _NAMES.split())
_PARTS: Final = {"unity": ("cjson", "tests/unity")}
"""What is only a directory of another project's package: that one, and the directory."""
_HOME: Final = re.compile(r"(?:github|gitlab)\.com[/:]([\w.-]{1,60}/[\w.-]{1,80}?)(?:\.git)?(?=/|$)", re.I)
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,79}")
_TAG: Final = re.compile(r"[\w][\w./+-]{0,80}")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_USELESS: Final = re.compile(
    r"doxygen|theme|awesome|saniti[sz]er|clang-?format|code-?coverage|lint|cmake-?modules?|website|vcpkg|fuzz", re.I
)
"""What tests do not need, and a distribution has not."""
_PLACE: Final = re.compile(r"(?:[A-Z]+_)??([A-Za-z0-9]{3,40})_(?:PATH|DIR|DIRECTORY|ROOT|HOME|SOURCE|SRC|SOURCE_DIR|SRC_DIR|SOURCE_PATH)")
_MAX: Final = 40
_FILES: Final = 1000
_KIBIBYTES: Final = 16_384
"""Of submodules that are copied into the work tree: more than that is no agent's change, and what is to be told from one has bounds."""


@dataclass(frozen=True, slots=True)
class Source:
    """A project whose sources are wanted."""

    key: str
    """Its directory below `SOURCES`."""
    package: str
    """Debian's source package; empty where it is found by `home`."""
    home: str = ""
    """`owner/name`, where it is developed."""
    part: str = ""
    """The directory of the package that it is."""
    tags: tuple[str, ...] = ()
    """What it is checked out by."""


@dataclass(frozen=True, slots=True)
class Submodule:
    """One of `.gitmodules`."""

    path: str
    url: str
    file: str = ""
    """What other sources of it must have to be of use."""


def read_submodules(text: str) -> list[Submodule]:
    """Those of a `.gitmodules`."""
    found: list[Submodule] = []
    for section in re.split(r"^[ \t]*\[submodule\b", text, flags=re.MULTILINE)[1 : _MAX + 1]:
        path = re.search(r"^[ \t]*path[ \t]*=[ \t]*([\w./+-]{1,200})\s*$", section, re.MULTILINE)
        url = re.search(r"^[ \t]*url[ \t]*=[ \t]*(\S{1,300})\s*$", section, re.MULTILINE)
        if path is not None and not path[1].startswith("/") and ".." not in path[1].split("/"):
            found.append(Submodule(path[1], url[1] if url is not None else ""))
    return found


def home_of(url: str) -> str:
    """`owner/name` of a URL; empty for none that is known."""
    found = _HOME.search(url)
    return found[1] if found is not None else ""


def source_package(name: str) -> str | None:
    """The source package of a project by the name that it is fetched under."""
    return _PACKAGES.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _source(name: str, url: str, tag: str = "") -> Source | None:
    home = home_of(url)
    tags = (tag,) if _TAG.fullmatch(tag) and not _COMMIT.fullmatch(tag) else ()
    for known in (name, posixpath.basename(home)):
        if (package := source_package(known)) is not None:
            return Source(package, package, home, tags=tags)
        if _plain(known) in _PARTS:
            package, part = _PARTS[_plain(known)]
            return Source(_plain(known), package, home, part, tags)
    key = re.sub(r"[^a-z0-9.+-]", "-", name.lower())
    return Source(key, "", home, tags=tags) if home and _KEY.fullmatch(key) and not _USELESS.search(home) else None


def source_of(entry: Fetched | Submodule) -> Source | None:
    """Where sources of this may be had; None where nothing is known of it."""
    if isinstance(entry, Submodule):
        name, repository = re.sub(r"-v?\d[\w.]*$", "", posixpath.basename(entry.path.rstrip("/"))), posixpath.basename(home_of(entry.url))
        # `test/data/json` may be anything.
        return _source(repository if repository and _known(name) not in ("", _known(repository)) else name, entry.url)
    return _source(entry.name, entry.url, entry.tag)


def _known(name: str) -> str:
    return "".join(_PARTS.get(_plain(name), ())) or source_package(name) or ""


def wanted_sources(entries: Iterable[Fetched | Submodule], own: Iterable[str]) -> list[Source]:
    """All of them once, without the project itself, which has these names."""
    names = {_plain(name) for name in own} - {""}
    published = {package for name in names if (package := source_package(name)) is not None}
    found: dict[str, Source] = {}
    for source in (source for entry in entries if (source := source_of(entry)) is not None):
        if source.package in published or _plain(source.key) in names or _plain(posixpath.basename(source.home)) in names:
            continue
        before = found.get(source.key, source)
        found[source.key] = replace(before, home=before.home or source.home, tags=tuple(dict.fromkeys((*before.tags, *source.tags))))
    return list(found.values())[:_MAX]


_FILL: Final = f"""\
files={_FILES} size={_KIBIBYTES}
fill() {{
  count=$(find "$2" ! -type d | wc -l) sum=$(du -sk "$2" | cut -f 1)
  mkdir -p "$1"
  if [ "$count" -le "$files" ] && [ "$sum" -le "$size" ]; then
    files=$((files - count)) size=$((size - sum))
    cp -r "$2"/. "$1"/
  else
    rmdir "$1" && ln -s "$2" "${{1%/}}"
  fi
}}
"""


def fill_submodules(modules: Iterable[Submodule], sources: Sequence[Source]) -> str:
    """Shell that puts sources in place of submodules that are empty; the repository's top is the working directory. Where these are
    many files, a link to them has to do: it leads out of the work tree, and so is never part of a change."""
    keys = {source.key for source in sources}
    lines: list[str] = []
    for module in modules:
        source = source_of(module)
        if source is not None and source.key in keys:
            path, place = shlex.quote(module.path), f"{SOURCES}/{source.key}"
            lines.append(
                f'[ -n "$(ls -A {path} 2>/dev/null)" ] || [ ! -e {place}/{shlex.quote(module.file) if module.file else ""} ] || '
                f"fill {path} {place}\n"
            )
    return f"{_FILL}{''.join(lines)}" if lines else ""


def cmake_arguments(fetched: Iterable[Fetched], sources: Sequence[Source], places: Iterable[str] = ()) -> str:
    """Shell that sets `$fetched` to CMake's arguments for those projects whose sources are there, and `$absent` to those that have
    the others be nothing. `places` are variables of the project that hold directories: one that is called after such a project is where
    its sources are looked for."""
    keys = {source.key for source in sources}
    lines: list[str] = []
    for entry in fetched:
        if not re.fullmatch(r"[\w.+-]{1,80}", entry.name):
            continue
        variable = {
            "fetchcontent": f"FETCHCONTENT_SOURCE_DIR_{entry.name.upper()}", "cpm": f"CPM_{entry.name}_SOURCE",
            "external": f"PODGYM_SOURCE_{entry.name}",
        }[entry.how]  # fmt: skip
        nothing = f'absent="$absent -D{variable}={_NOTHING}"' if entry.how == "fetchcontent" else ":"
        source = source_of(entry)
        if source is not None and source.key in keys:
            place = f"{SOURCES}/{source.key}"
            # What only its home page tells of may be a part, or of another form, that the project's own files cannot add.
            there = f"-f {place}/CMakeLists.txt" if entry.how == "fetchcontent" and not source.package else f"-d {place}"
            lines.append(f'if [ {there} ]; then fetched="$fetched -D{variable}={place}"; else {nothing}; fi\n')
        elif nothing != ":":
            lines.append(f"{nothing}\n")
    for variable in sorted(places):
        named = _PLACE.fullmatch(variable)
        key = next(
            (source.key for source in sources if named and {source.key, _plain(source.key)} & {_known(named[1]), _plain(named[1])}), ""
        )
        if key:
            lines.append(f'[ ! -d {SOURCES}/{key} ] || fetched="$fetched -D{variable}={SOURCES}/{key}"\n')
    empty = f"mkdir -p {_NOTHING} && : >{_NOTHING}/CMakeLists.txt\n" if lines else ""
    return f"fetched= absent=\n{empty}" + "".join(dict.fromkeys(lines))


def fetch_sources(sources: Sequence[Source], *, committed: datetime, catch: int, build_catch: bool) -> str:
    """Shell that unpacks these below `SOURCES`, as far as they can be had; never fails. They are of the Debian whose
    time is the commit's, and Catch2 is of the version that the tests include. `build_catch` also installs Catch2 of version 3, which
    the image's Debian has not, below `PREFIX`."""
    if not sources:
        return ""
    build = f"""
if [ -d {SOURCES}/{CATCH3} ] && [ ! -d {PREFIX} ]; then
  cmake -S {SOURCES}/{CATCH3} -B /tmp/catch2 -DCMAKE_INSTALL_PREFIX={PREFIX} -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O1 \\
    -DBUILD_TESTING=OFF >/dev/null && cmake --build /tmp/catch2 -j "$jobs" >/dev/null && cmake --install /tmp/catch2 >/dev/null &&
    echo "Catch2 of version 3: built from the source package" >>{INSTALL_LOG} || true
  rm -rf /tmp/catch2
fi
"""
    newer, older = f'"{_NEWER} $own"', f'"$own {_NEWER}"'
    suites = newer if committed > _RELEASED else older
    catches = newer if catch > 2 else older
    calls = [f"source_package {' '.join(map(shlex.quote, (one.key, one.package, one.home, one.part)))} || true\n" for one in sources]
    return f"""
own=$(. /etc/os-release && echo "${{VERSION_CODENAME:-}}")
homed() {{
  for list in "$1"/lists/*_Sources*; do /usr/lib/apt/apt-helper cat-file "$list" 2>/dev/null; done | awk -v home="$2" '
    BEGIN {{ home = tolower(home); split(home, part, "/"); page = part[1] ".github.io/" part[2] }}
    $1 == "Package:" {{ name = $2 }}
    $1 == "Homepage:" {{ url = tolower($2); sub(/\\/+$/, "", url); sub(/\\.git$/, "", url); sub(/^.*:\\/\\/(www\\.)?/, "", url)
      if (url == "github.com/" home || url == "gitlab.com/" home || url == page) {{ print name; exit }} }}'
}}
source_package() {{
  package=$2
  suites={suites}
  [ "$1" != {CATCH3} ] || suites={catches}
  [ ! -d {SOURCES}/"$1" ] || return 0
place=$(mktemp -d)
  for suite in $suites; do
private={TOOLS}/apt-$suite
    if [ ! -d "$private" ]; then
      mkdir -p "$private/lists/partial" "$private/cache/archives/partial"
      for uri in $(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE 's/^URIs:[[:space:]]*//p; s/^deb[[:space:]]+(\\[[^]]*\\][[:space:]]+)?([^[:space:]]+).*/\\2/p' |
        grep -v security | sort -u); do
        echo "deb-src $uri $suite main"
      done >"$private/sources.list"
      timeout 120 apt-get -q -o Dir::Etc::SourceList="$private/sources.list" -o Dir::Etc::SourceParts=/dev/null \\
        -o Dir::State::Lists="$private/lists" -o Dir::Cache="$private/cache" update >/dev/null 2>&1 || true
    fi
    [ -n "$2" ] || package=$(homed "$private" "$3")
    [ -n "$package" ] || continue
    if (cd "$place" && timeout 180 apt-get -q -o Dir::Etc::SourceList="$private/sources.list" -o Dir::Etc::SourceParts=/dev/null \\
      -o Dir::State::Lists="$private/lists" -o Dir::Cache="$private/cache" -o APT::Sandbox::User=root \\
      source --download-only "$package") >/dev/null 2>&1; then
      for archive in "$place"/*.orig.tar.* "$place"/*.tar.*; do
        case $archive in *.asc|*.sig|*'*'*|*.debian.tar.*|*.orig-*) continue;; esac
        mkdir -p {SOURCES}/"$1"
        if tar -xf "$archive" -C {SOURCES}/"$1" --strip-components=1; then
          [ -z "$4" ] || {{ mv {SOURCES}/"$1" "$place/whole" && mv "$place/whole/$4" {SOURCES}/"$1"; }} || continue
          echo "$(basename "$archive") of Debian $suite in place of a download" >>{INSTALL_LOG}
          break
        fi
        rm -rf {SOURCES}/"$1"
      done
    fi
    [ ! -d {SOURCES}/"$1" ] || break
  done
  rm -rf "$place"
  [ -d {SOURCES}/"$1" ] || echo "not found: source package ${{2:-of $3}}" >>{INSTALL_LOG}
}}
{"".join(calls)}rm -rf {TOOLS}/apt-*
if [ ! -d {SOURCES}/googletest ] && [ -d /usr/src/googletest ]; then mkdir -p {SOURCES} && cp -r /usr/src/googletest {SOURCES}/; fi
if [ -f {SOURCES}/unity/src/unity.c ] && [ ! -f {SOURCES}/unity/CMakeLists.txt ]; then
  printf '%s\\n' 'cmake_minimum_required(VERSION 3.10)' 'project(unity C)' 'add_library(unity STATIC src/unity.c)' \\
    'target_include_directories(unity PUBLIC src)' 'add_library(unity::framework ALIAS unity)' >{SOURCES}/unity/CMakeLists.txt
fi
{build if build_catch else ""}"""
