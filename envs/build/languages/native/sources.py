"""Projects that others fetch while configuring, and the Debian source packages that hold the same sources.

FetchContent, CPM and submodules name a repository that a closed network does not reach. The source package of a newer Debian, or
else of the image's own, is the same project, whole. It is unpacked below `SOURCES`, and CMake is told to look there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from podgym.envs.build.languages.native.cmakefacts import Fetched
from podgym.envs.build.plan import INSTALL_LOG, TOOLS

__all__ = ["CATCH3", "PREFIX", "SOURCES", "cmake_arguments", "fetch_sources", "source_package"]

SOURCES: Final = f"{TOOLS}/sources"
PREFIX: Final = f"{TOOLS}/prefix"
CATCH3: Final = "catch2"

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


def source_package(name: str) -> str | None:
    """The source package of a project by the name that it is fetched under."""
    return _PACKAGES.get(re.sub(r"[^a-z0-9]", "", name.lower()))


def cmake_arguments(fetched: Iterable[Fetched]) -> str:
    """Shell that adds to `$fetched` CMake's arguments for those projects whose sources are there."""
    lines: list[str] = []
    for entry in fetched:
        package = source_package(entry.name)
        if package is None or not re.fullmatch(r"[\w.+-]{1,80}", entry.name) or entry.how == "external":
            continue
        variable = f"FETCHCONTENT_SOURCE_DIR_{entry.name.upper()}" if entry.how == "fetchcontent" else f"CPM_{entry.name}_SOURCE"
        lines.append(f'[ ! -d {SOURCES}/{package} ] || fetched="$fetched -D{variable}={SOURCES}/{package}"\n')
    return "fetched=\n" + "".join(dict.fromkeys(lines))


def fetch_sources(packages: Sequence[str], *, committed: datetime, catch: int, build_catch: bool) -> str:
    """Shell that unpacks these source packages below `SOURCES`, as far as they can be had; never fails. They are of the Debian whose
    time is the commit's, and Catch2 is of the version that the tests include. `build_catch` also installs Catch2 of version 3, which
    the image's Debian has not, below `PREFIX`."""
    if not packages:
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
    return f"""
own=$(. /etc/os-release && echo "${{VERSION_CODENAME:-}}")
source_package() {{
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
    if (cd "$place" && timeout 180 apt-get -q -o Dir::Etc::SourceList="$private/sources.list" -o Dir::Etc::SourceParts=/dev/null \\
      -o Dir::State::Lists="$private/lists" -o Dir::Cache="$private/cache" -o APT::Sandbox::User=root \\
      source --download-only "$1") >/dev/null 2>&1; then
      for archive in "$place"/*.orig.tar.* "$place"/*.tar.*; do
        case $archive in *.asc|*.sig|*'*'*|*.debian.tar.*|*.orig-*) continue;; esac
        mkdir -p {SOURCES}/"$1"
        if tar -xf "$archive" -C {SOURCES}/"$1" --strip-components=1; then
          echo "$(basename "$archive") of Debian $suite in place of a download" >>{INSTALL_LOG}
          break
        fi
        rm -rf {SOURCES}/"$1"
      done
    fi
    [ ! -d {SOURCES}/"$1" ] || break
  done
  rm -rf "$place"
  [ -d {SOURCES}/"$1" ] || echo "not found: source package $1" >>{INSTALL_LOG}
}}
for package in {" ".join(packages)}; do source_package "$package" || true; done
rm -rf {TOOLS}/apt-*
if [ ! -d {SOURCES}/googletest ] && [ -d /usr/src/googletest ]; then mkdir -p {SOURCES} && cp -r /usr/src/googletest {SOURCES}/; fi
{build if build_catch else ""}"""
