"""C++: cases of each test library and their names, and dependencies that are fetched while configuring or come from a manager."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HEADER = "#pragma once\nint add(int a, int b);\n"
SOURCE = '#include "calc.hpp"\nint add(int a, int b) { return a - b; }\n'
FIXED = SOURCE.replace("a - b", "a + b")
GTEST = """\
#include <gtest/gtest.h>
#include "calc.hpp"
TEST(Calc, Nothing) { EXPECT_EQ(add(0, 0), 0); }
class Many : public testing::TestWithParam<int> {};
TEST_P(Many, AddsItself) { EXPECT_EQ(add(GetParam(), GetParam()), 2 * GetParam()); }
INSTANTIATE_TEST_SUITE_P(All, Many, testing::Values(%s));
"""
DOCTEST = """\
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include "calc.hpp"
TEST_CASE("nothing, at all") { CHECK(add(0, 0) == 0); }
"""
CATCH = """\
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include "calc.hpp"
TEST_CASE("nothing") { CHECK(add(0, 0) == 0); }
"""
ADDS = 'TEST_CASE("adds / one") { CHECK(add(1, 2) == 3); }\n'


def cmake(*lines: str, libraries: str = "", more: str = "") -> str:
    text = f"cmake_minimum_required(VERSION 3.20)\nproject(calc CXX)\nset(CMAKE_CXX_STANDARD 17)\n{more}enable_testing()\n"
    text += "add_executable(unit tests/unit.cpp src/calc.cpp)\ntarget_include_directories(unit PRIVATE src)\n"
    text += f"target_link_libraries(unit {libraries})\n" if libraries else ""
    return text + "\n".join(lines or ("add_test(NAME unit COMMAND unit)",)) + "\n"


def project(lists: str, test: str) -> dict[str, str]:
    return {"CMakeLists.txt": lists, "src/calc.hpp": HEADER, "src/calc.cpp": SOURCE, "tests/unit.cpp": test}


async def test_cases_of_googletest_by_parameter(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("cmake", "c++")
    machine.needs_file("/usr/include/gtest/gtest.h")
    lists = cmake("include(GoogleTest)", "gtest_discover_tests(unit)", libraries="GTest::gtest_main", more="find_package(GTest REQUIRED)\n")
    base = project(lists, GTEST % "0, 0")
    report = await build(base, {"src/calc.cpp": FIXED, "tests/unit.cpp": GTEST % "0, 7"})
    # CMake names cases by their parameters' values: that of the first stays, and at the place of the second is another one.
    turned(report, {"All/Many.AddsItself/7"}, {"Calc.Nothing", "All/Many.AddsItself/0"})


@pytest.mark.parametrize(
    ("header", "test", "cases"),
    [
        pytest.param("doctest/doctest.h", DOCTEST, ("unit::adds / one", "unit::nothing, at all"), id="doctest"),
        pytest.param("catch2/catch.hpp", CATCH, ("unit.global::adds / one", "unit.global::nothing"), id="catch2"),
    ],
)
async def test_cases_of_one_program(build: Any, machine: Any, turned: Any, *, header: str, test: str, cases: tuple[str, str]) -> None:
    machine.needs("cmake", "c++")
    machine.needs_file(f"/usr/include/{header}")
    report = await build(project(cmake(), test), {"src/calc.cpp": FIXED, "tests/unit.cpp": test + ADDS})
    turned(report, {"unit", cases[0]}, {cases[1]})


PLAIN = """\
#include <string>
#include "calc.hpp"
int main(int, char **v) { return v[1] == std::string("adds") ? add(1, 2) != 3 : add(0, 0); }
"""
ONE = "add_test(NAME nothing COMMAND unit nothing)"
TWO = 'add_test(NAME "Adds all/0" COMMAND unit adds)'


async def test_what_is_fetched_while_configuring_is_there_offline(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("cmake", "c++", "git")
    fetch = (
        "include(FetchContent)\nFetchContent_Declare(numbers URL ${CMAKE_CURRENT_SOURCE_DIR}/third/numbers.tar.gz)\n"
        "FetchContent_MakeAvailable(numbers)\n"
    )
    base: dict[str, Any] = project(cmake(ONE, libraries="numbers", more=fetch), PLAIN)
    base["third/numbers.tar.gz"] = _archive(
        {
            "numbers/CMakeLists.txt": "cmake_minimum_required(VERSION 3.14)\nproject(numbers CXX)\nadd_library(numbers INTERFACE)\n"
            "target_include_directories(numbers INTERFACE .)\n",
            "numbers/numbers.hpp": "#pragma once\nconstexpr int zero = 0;\n",
        }
    )
    base["src/calc.cpp"] = SOURCE.replace('"calc.hpp"', '"calc.hpp"\n#include <numbers.hpp>').replace("a - b", "a - b + zero")
    fix = {"src/calc.cpp": base["src/calc.cpp"].replace("a - b", "a + b"), "CMakeLists.txt": base["CMakeLists.txt"] + TWO}
    report = await build(base, {**fix, "tests/unit.cpp": PLAIN + "// both\n"})
    turned(report, {"Adds all/0"}, {"nothing"})


async def test_what_cannot_be_fetched_is_a_failed_installation(build: Any, machine: Any) -> None:
    machine.needs("cmake", "c++", "git")
    fetch = (
        "include(FetchContent)\nFetchContent_Declare(nowhere GIT_REPOSITORY /no/such/repository.git GIT_TAG main)\n"
        "FetchContent_MakeAvailable(nowhere)\n"
    )
    base = project(cmake(ONE, libraries="nowhere", more=fetch), PLAIN)
    report = await build(base, {"src/calc.cpp": FIXED, "CMakeLists.txt": base["CMakeLists.txt"] + TWO, "tests/unit.cpp": PLAIN + "//\n"})
    assert (report.status, report.stage, report.reason) == ("failed", "image", "install_failed"), report
    assert "nowhere" in report.details


@pytest.mark.parametrize("manager", ["conan", "vcpkg"])
async def test_libraries_of_a_manager_are_the_distributions(build: Any, machine: Any, turned: Any, manager: str) -> None:
    machine.needs("cmake", "c++")
    machine.needs_file("/usr/include/zlib.h")
    more = {"conan": "include(${CMAKE_BINARY_DIR}/conanbuildinfo.cmake)\nconan_basic_setup(TARGETS)\n", "vcpkg": ""}[manager]
    base = project(cmake(ONE, libraries="ZLIB::ZLIB", more=f"{more}find_package(ZLIB REQUIRED)\n"), PLAIN)
    base |= {
        "conan": {"conanfile.txt": "[requires]\nzlib/1.2.13\n[generators]\ncmake\n"},
        "vcpkg": {"vcpkg.json": '{"name": "calc", "version": "1.0.0", "dependencies": ["zlib"]}\n'},
    }[manager]
    base["src/calc.cpp"] = SOURCE.replace('"calc.hpp"', '"calc.hpp"\n#include <zlib.h>').replace("a - b", "a - b + Z_OK")
    fix = {"src/calc.cpp": base["src/calc.cpp"].replace("a - b", "a + b"), "CMakeLists.txt": base["CMakeLists.txt"] + TWO}
    turned(await build(base, {**fix, "tests/unit.cpp": PLAIN + "//\n"}), {"Adds all/0"}, {"nothing"})


@pytest.mark.parametrize(("file", "said"), [("MODULE.bazel", "Bazel"), ("SConstruct", "SCons")])
async def test_a_build_system_that_is_not_supported(build: Any, file: str, said: str) -> None:
    base = {file: "", "src/calc.hpp": HEADER, "src/calc.cpp": SOURCE, "tests/unit.cpp": PLAIN}
    report = await build(base, {"src/calc.cpp": FIXED, "tests/unit.cpp": PLAIN + "//\n"})
    assert (report.stage, report.reason) == ("plan", "unsupported_build") and said in report.message


def _archive(files: dict[str, str]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return held.getvalue()
