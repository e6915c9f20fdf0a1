"""What would be downloaded while configuring: where its sources come from, and what stands in for it in a real CMake."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from podgym_test_kit.plans import tree

from podgym.envs.build.languages.native.cmakefacts import CMakeFacts, read_cmake
from podgym.envs.build.languages.native.meson import meson_wraps, wrapped
from podgym.envs.build.languages.native.sources import (
    Source,
    Submodule,
    cmake_arguments,
    fetch_sources,
    fill_submodules,
    read_submodules,
    wanted_sources,
)
from podgym.envs.build.languages.native.standins import git_mirrors, stand_ins
from podgym.envs.build.plan import BuildPlan
from podgym.verifiers.paths import link_escapes

Planner = Callable[..., BuildPlan]

MODULES = """\
[submodule "a"]
\tpath = libs/unity
\turl = https://github.com/ThrowTheSwitch/Unity.git
[submodule "b"]
\turl = git@github.com:someone/odd-name
\tpath = libs/odd
[submodule "c"]
\tpath = ../out
\turl = https://github.com/x/y
[submodule "d"]
\tpath = data
\turl = ../data
"""
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


def facts_of(files: Mapping[str, str]) -> CMakeFacts:
    return read_cmake(tree(files), "")


def test_sources_are_told_by_table_by_part_and_by_home() -> None:
    found = wanted_sources(read_submodules(MODULES), ["calc"])
    assert found == [
        Source("unity", "cjson", "ThrowTheSwitch/Unity", "tests/unity"),
        Source("odd", "", "someone/odd-name"),
    ]
    # Nothing of the project itself.
    assert [source.key for source in wanted_sources(read_submodules(MODULES), ["cJSON", "odd_name"])] == []


def test_each_way_to_name_a_download() -> None:
    text = """
FetchContent_Declare(My_Lib GIT_REPOSITORY https://github.com/o/my-lib.git GIT_TAG v1.2)
FetchContent_Declare(zip URL https://github.com/o/zip/archive/refs/tags/v1.zip)
CPMAddPackage("gh:fmtlib/fmt#9.1.0")
CPMAddPackage(NAME Catch2 GITHUB_REPOSITORY catchorg/Catch2 GIT_TAG v3.4.0)
CPMAddPackage(URI "gl:o/p@1" OPTIONS "A ON")
"""
    template = "ExternalProject_Add(googletest GIT_REPOSITORY https://github.com/google/googletest.git GIT_TAG release-1.8.0)\n"
    found = facts_of({"CMakeLists.txt": text, "cmake/CMakeLists.txt.in": template})
    assert sorted((one.name, one.how, one.url, one.tag) for one in found.fetched) == [
        ("Catch2", "cpm", "https://github.com/catchorg/Catch2", "v3.4.0"),
        ("My_Lib", "fetchcontent", "https://github.com/o/my-lib.git", "v1.2"),
        ("fmt", "cpm", "https://github.com/fmtlib/fmt", "9.1.0"),
        ("googletest", "external", "https://github.com/google/googletest.git", "release-1.8.0"),
        ("p", "cpm", "https://gitlab.com/o/p", "1"),
        ("zip", "fetchcontent", "https://github.com/o/zip/archive/refs/tags/v1.zip", ""),
    ]
    assert {(source.key, source.package, source.home) for source in wanted_sources(found.fetched, [])} >= {
        ("my_lib".replace("_", "-"), "", "o/my-lib"),
        ("catch2", "catch2", "catchorg/Catch2"),
        ("fmtlib", "fmtlib", "fmtlib/fmt"),
        ("zip", "", "o/zip"),
    }


def test_a_debian_package_is_found_by_its_home_page(tmp_path: Path) -> None:
    script = fetch_sources([Source("x", "", "O/My-Lib")], committed=datetime(2024, 1, 1, tzinfo=UTC), catch=2, build_catch=False)
    function = script[script.index("homed()") : script.index("source_package()")].replace("/usr/lib/apt/apt-helper cat-file", "cat")
    (tmp_path / "lists").mkdir()
    for page in ("https://github.com/o/my-lib", "http://www.GitHub.com/O/my-lib.git/", "https://o.github.io/my-lib"):
        entries = f"Package: other\nHomepage: https://github.com/o/my-library\n\nPackage: mylib\nBinary: b\nHomepage: {page}\n\n"
        (tmp_path / "lists/a_Sources").write_text(entries)
        done = subprocess.run(["sh", "-c", f"{function}homed {tmp_path} O/My-Lib"], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == "mylib\n"


def test_what_cannot_be_had_may_not_be_needed(tmp_path: Path) -> None:
    text = "FetchContent_Declare(googletest GIT_REPOSITORY x)\nFetchContent_Declare(theme GIT_REPOSITORY https://example.org/theme)\n"
    found = facts_of({"CMakeLists.txt": text})
    script = cmake_arguments(found.fetched, wanted_sources(found.fetched, [])).replace("/opt/podgym", str(tmp_path))
    (tmp_path / "sources/googletest").mkdir(parents=True)
    done = subprocess.run(["sh", "-euc", f'{script}echo "$fetched|$absent"'], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout == (
        f" -DFETCHCONTENT_SOURCE_DIR_GOOGLETEST={tmp_path}/sources/googletest| -DFETCHCONTENT_SOURCE_DIR_THEME={tmp_path}/nothing\n"
    )


def test_submodules_are_filled_whatever_builds_the_project(plan: Planner) -> None:
    files = {".gitmodules": MODULES, "src/a.c": "", "tests/test_a.c": ""}
    for build in ({"Makefile": "test:\n\t./x\n"}, {"meson.build": "project('calc', 'c')\ntest('a', x)\n"}):
        made = plan({**files, **build})
        assert "source_package unity cjson ThrowTheSwitch/Unity tests/unity" in made.dependencies[0].run
        assert "fill libs/unity /opt/podgym/sources/unity\n" in made.install[0].run


def test_wraps_of_meson(plan: Planner) -> None:
    wraps = {
        "subprojects/thing.wrap": "[wrap-git]\nurl = https://github.com/o/thing\ndirectory = thing-1\n"
        "[provide]\ndependency_names = zlib, none\n",
        "subprojects/gtest.wrap": "[wrap-file]\ndirectory = gtest-1\nsource_url = https://github.com/google/googletest/archive/1.zip\n",
    }
    made = plan({"meson.build": "project('calc', 'c')\ntest('a', x)\n", "tests/test_a.c": "", "src/a.c": "", **wraps})
    assert {"zlib1g-dev", "libgtest-dev"} <= set(made.packages)
    assert "[ ! -e /opt/podgym/sources/thing/meson.build ] || fill subprojects/thing-1 " in made.install[0].run


def test_an_empty_submodule_is_filled_and_a_full_one_is_left(tmp_path: Path) -> None:
    (tmp_path / "sources/unity/src").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/own").write_text("")
    modules = [Submodule("empty", "https://github.com/x/unity"), Submodule("full", "https://github.com/x/unity")]
    script = fill_submodules(modules, wanted_sources(modules, [])).replace("/opt/podgym", str(tmp_path))
    subprocess.run(["sh", "-euc", script], check=True, cwd=tmp_path, timeout=20)
    assert (tmp_path / "empty/src").is_dir() and not (tmp_path / "full/src").exists()


def test_many_files_in_place_of_a_submodule_are_a_link(tmp_path: Path) -> None:
    for name, count in (("small", 600), ("again", 600), ("big", 1)):
        (tmp_path / "sources" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "sources" / name / f"f{number}").write_text("x" * (20 << 20 if name == "big" else 1))
    modules = [Submodule(f"{name}/", f"https://github.com/x/{name}") for name in ("small", "again", "big")]
    script = fill_submodules(modules, wanted_sources(modules, [])).replace("/opt/podgym", str(tmp_path))
    subprocess.run(["sh", "-euc", script], check=True, cwd=tmp_path, timeout=20)
    assert [(tmp_path / name).is_symlink() for name in ("small", "again", "big")] == [False, True, True]
    assert all((tmp_path / name / "f0").exists() for name in ("small", "again", "big"))
    # So that no change ever has it.
    assert link_escapes("again", str((tmp_path / "again").readlink()))


def test_a_directory_name_counts_where_its_home_agrees() -> None:
    modules = [
        Submodule("test/data/json", "https://github.com/x/json-test-data"),
        Submodule("deps/json", "https://github.com/nlohmann/json"),
        Submodule("deps/gtest", "https://github.com/google/googletest.git"),
        Submodule("deps/zlib", "https://example.org/zlib"),
        Submodule("tests/unity", "https://github.com/x/unity-game"),
    ]
    assert [(source.key, source.package) for source in wanted_sources(modules, [])] == [
        ("json-test-data", ""),
        ("nlohmann-json3", "nlohmann-json3"),
        ("googletest", "googletest"),
        ("zlib", "zlib"),
        ("unity-game", ""),
    ]


def test_sources_of_a_home_page_are_those_that_cmake_can_add(tmp_path: Path) -> None:
    found = facts_of({"CMakeLists.txt": "FetchContent_Declare(thing GIT_REPOSITORY https://github.com/o/thing GIT_TAG v1)\n"})
    script = cmake_arguments(found.fetched, wanted_sources(found.fetched, [])).replace("/opt/podgym", str(tmp_path)) + 'echo "$fetched"'
    (tmp_path / "sources/thing").mkdir(parents=True)
    for said in ("\n", f" -DFETCHCONTENT_SOURCE_DIR_THING={tmp_path}/sources/thing\n"):
        done = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True, timeout=20)
        assert done.stdout == said
        (tmp_path / "sources/thing/CMakeLists.txt").write_text("")


CPM = """\
cmake_minimum_required(VERSION 3.14)
project(calc NONE)
include(cmake/get_cpm.cmake)
CPMAddPackage("gh:o/alpha@1.0")
CPMAddPackage(NAME beta GITHUB_REPOSITORY o/beta GIT_TAG v1 OPTIONS "BETA_WORD two words" DOWNLOAD_ONLY YES)
CPMAddPackage("gh:o/alpha@1.0")
if(alpha_ADDED OR NOT beta_ADDED)
  message(FATAL_ERROR "added ${alpha_ADDED} ${beta_ADDED}")
endif()
get_property(seen GLOBAL PROPERTY ALPHA)
include(cmake/own.cmake)
include(cmake/CPMDependencies.cmake)
include("${CMAKE_BINARY_DIR}/more/any-cpm.cmake")
message(STATUS "found ${seen} ${BETA_WORD} ${beta_SOURCE_DIR} ${own}")
"""
FAILING = 'message(FATAL_ERROR "downloads")\n'


def configured(folder: Path, files: Mapping[str, str], *arguments: str) -> str:
    """What CMake says of a project with the stand-ins; the sources are below `sources`."""
    for path, text in files.items():
        (folder / "project" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / path).write_text(text)
    facts = facts_of(files)
    setup = stand_ins(facts) + cmake_arguments(facts.fetched, wanted_sources(facts.fetched, facts.projects))
    script = f"{setup}cmake -S project -B build $stand $fetched {' '.join(arguments)} && cmake --build build\n"
    done = subprocess.run(
        ["sh", "-euc", script.replace("/opt/podgym", str(folder))], capture_output=True, text=True, check=False, cwd=folder, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_cmake
def test_cpm_is_stood_in_for(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        (tmp_path / "sources" / name).mkdir(parents=True)
    (tmp_path / "sources/alpha/CMakeLists.txt").write_text("set_property(GLOBAL PROPERTY ALPHA yes)\n")
    (tmp_path / "sources/beta/CMakeLists.txt").write_text(FAILING)
    said = configured(tmp_path, {"CMakeLists.txt": CPM, "cmake/get_cpm.cmake": FAILING, "cmake/own.cmake": "set(own mine)\n",
                                "cmake/CPMDependencies.cmake": "string(APPEND own '-too')\n"})  # fmt: skip
    assert f"found yes two words {tmp_path}/sources/beta mine'-too'" in said
    # A project that has all of CPM uses its own.
    assert stand_ins(facts_of({"CMakeLists.txt": CPM, "cmake/CPM.cmake": "function(CPMAddPackage)\nendfunction()\n"})) == "stand=\n"


@needs_cmake
def test_what_cpm_misses_ends_configuring(tmp_path: Path) -> None:
    files = {"CMakeLists.txt": 'cmake_minimum_required(VERSION 3.14)\nproject(calc NONE)\nCPMAddPackage("gh:o/no-such-thing@1.0")\n'}
    with pytest.raises(AssertionError, match=r"The image has no no-such-thing[.]"):
        configured(tmp_path, files)
    configured(tmp_path, files, "-DPODGYM_ABSENT=ON")


@needs_cmake
def test_external_projects_that_download_nothing_are_left(tmp_path: Path) -> None:
    (tmp_path / "sources/zlib").mkdir(parents=True)
    (tmp_path / "sources/zlib/mark").write_text("")
    text = """\
cmake_minimum_required(VERSION 3.14)
project(calc NONE)
include(ExternalProject)
set(URL "file://${CMAKE_SOURCE_DIR}/local.tar")
ExternalProject_Add(zlib SOURCE_DIR ${CMAKE_SOURCE_DIR}/third_party/zlib DOWNLOAD_COMMAND ""
  CONFIGURE_COMMAND "" BUILD_COMMAND "" INSTALL_COMMAND "")
"""
    assert facts_of({"CMakeLists.txt": text}).fetched == []
    assert facts_of({"CMakeLists.txt": "ExternalProject_Add(zlib URL ${CMAKE_SOURCE_DIR}/zlib.tar.gz)\n"}).fetched == []
    # One that has its sources, and one whose address turns out to be a file.
    text = text.replace("DOWNLOAD_COMMAND", "URL https://127.0.0.1:1/zlib.tar.gz DOWNLOAD_COMMAND")
    text += 'ExternalProject_Add(gtest PREFIX local URL ${URL} CONFIGURE_COMMAND "" BUILD_COMMAND "" INSTALL_COMMAND "")\n'
    (tmp_path / "sources/googletest").mkdir()
    (tmp_path / "project").mkdir()
    subprocess.run(["tar", "-cf", "project/local.tar", "-C", "sources", "zlib"], check=True, cwd=tmp_path, timeout=20)
    configured(tmp_path, {"CMakeLists.txt": text, "third_party/zlib/own": ""})
    assert [path.name for path in (tmp_path / "project/third_party/zlib").iterdir()] == ["own"]
    assert (tmp_path / "build/local/src/gtest/mark").exists()


@needs_cmake
def test_external_projects_are_copied(tmp_path: Path) -> None:
    (tmp_path / "sources/googletest").mkdir(parents=True)
    (tmp_path / "sources/googletest/mark").write_text("")
    text = """\
cmake_minimum_required(VERSION 3.14)
project(calc NONE)
include(ExternalProject)
ExternalProject_Add(googletest GIT_REPOSITORY https://127.0.0.1:1/x GIT_TAG main PATCH_COMMAND false
  SOURCE_DIR "${CMAKE_BINARY_DIR}/inside" CONFIGURE_COMMAND "" BUILD_COMMAND "" INSTALL_COMMAND "" TEST_COMMAND "")
"""
    configured(tmp_path, {"CMakeLists.txt": text})
    assert (tmp_path / "build/inside/mark").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_takes_repositories_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "sources/googletest").mkdir(parents=True)
    (tmp_path / "sources/googletest/mark").write_text("")
    script = git_mirrors([Source("googletest", "googletest", "google/googletest", tags=("release-1.8.0",)), Source("x", "x")])
    script += "export GIT_CONFIG_SYSTEM=/opt/podgym/gitconfig\ngit clone -q https://github.com/google/googletest.git clone\n"
    script += "cd clone && git checkout -q release-1.8.0 -- && git checkout -q master\n"
    subprocess.run(["sh", "-euc", script.replace("/opt/podgym", str(tmp_path))], check=True, cwd=tmp_path, timeout=60)
    assert (tmp_path / "clone/mark").exists()


@needs_cmake
def test_conan_does_nothing(tmp_path: Path) -> None:
    text = """\
cmake_minimum_required(VERSION 3.14)
project(calc NONE)
include(${CMAKE_BINARY_DIR}/conan.cmake)
conan_cmake_run(REQUIRES fmt/9.1.0 BASIC_SETUP)
message(STATUS "went on")
"""
    assert "went on" in configured(tmp_path, {"CMakeLists.txt": text})


@pytest.mark.timeout(20)
def test_files_of_empty_lines_cost_little() -> None:
    many = "\n" * 100_000
    assert read_submodules(f'[submodule "a"]{many}path = libs/a\r\n{many}url = x\n{many}') == [Submodule("libs/a", "x")]
    wraps = tree({"subprojects/a.wrap": f"[wrap-git]{many}url = u\n{many}directory = d\n{many}[provide]{many}b = b_dep\n{many}"})
    assert meson_wraps(wraps, "") == [Submodule("subprojects/d", "u", "meson.build")]
    assert wrapped(wraps, "") == "dependency('a')\ndependency('b')"
    assert facts_of({"CMakeLists.txt": "", "sub/CMakeLists.txt": f"{many}x"}).tests == 0
