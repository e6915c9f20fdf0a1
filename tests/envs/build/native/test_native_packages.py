"""Names of build files and sources as Debian packages."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from podgym.envs.build.languages.native import (
    package_for_cmake,
    package_for_header,
    package_for_library,
    package_for_pkgconfig,
    package_for_program,
)
from podgym.envs.build.languages.native.debian import CMAKE, HEADERS, LIBRARIES, PKGCONFIG, PROGRAMS
from podgym.envs.build.languages.native.needs import without_published
from podgym.envs.build.languages.native.sources import source_package


def test_each_kind_of_name() -> None:
    assert [package_for_pkgconfig(name) for name in ("glib-2.0 >= 2.50", "LibXML-2.0", "libjansson", "none")] == [
        "libglib2.0-dev",
        "libxml2-dev",
        "libjansson-dev",
        None,
    ]
    assert [package_for_cmake(name) for name in ("ZLIB", "Qt5Xml", "GTest", "libuv", "None")] == [
        "zlib1g-dev",
        "qtbase5-dev",
        "libgtest-dev",
        "libuv1-dev",
        None,
    ]
    assert [package_for_header(name) for name in ("<zlib.h>", "boost/asio/ip/tcp.hpp", "gtest/gtest.h", "own/none.h", "")] == [
        "zlib1g-dev",
        "libboost-all-dev",
        "libgtest-dev",
        None,
        None,
    ]
    assert [package_for_library(name) for name in ("-lz", "libcheck.a", "libssl.so.3", "m")] == ["zlib1g-dev", "check", "libssl-dev", None]
    assert [package_for_program(name) for name in ("/usr/bin/bison", "autoreconf", "none")] == ["bison", "autoconf", None]
    assert [source_package(name) for name in ("googletest", "Catch2", "nlohmann_json", "range-v3", "none")] == [
        "googletest",
        "catch2",
        "nlohmann-json3",
        "range-v3",
        None,
    ]


def test_a_project_is_not_its_own_package() -> None:
    packages = ["libcjson-dev", "libjson-c-dev", "libyaml-cpp-dev", "libsqlite3-dev", "libssl-dev"]
    assert without_published(packages, ["cJSON", "json-c", "YAML_CPP", "SQLite3"]) == ["libssl-dev"]


def test_the_tables_are_wide_and_well_formed() -> None:
    tables = (PKGCONFIG, CMAKE, HEADERS, LIBRARIES, PROGRAMS)
    packages = {package for table in tables for package in table.values()}
    assert len(packages) > 400
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package) for package in packages)
    assert all(name == name.lower() for name in CMAKE)


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="no apt-cache")
def test_every_package_is_in_bookworm() -> None:
    packages = sorted({package for table in (PKGCONFIG, CMAKE, HEADERS, LIBRARIES, PROGRAMS) for package in table.values()})
    said = subprocess.run(["apt-cache", "show", "--no-all-versions", *packages], capture_output=True, text=True, check=False, timeout=60)
    known = set(re.findall(r"^Package: (\S+)", said.stdout, re.MULTILINE))
    if len(known) < len(packages) // 2:
        pytest.skip("apt's lists are not here")
    assert set(packages) - known == set()
