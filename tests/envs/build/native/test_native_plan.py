"""Which build system is chosen, and what its plan says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.languages.native import C
from podgym.envs.build.languages.native.cmake import switches
from podgym.envs.build.languages.native.cmakefacts import read_cmake
from podgym.envs.build.languages.native.cmakefile import commands
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import Tree

Planner = Callable[..., BuildPlan]

CMAKE = """\
cmake_minimum_required(VERSION 3.5)
project(calc C)
option(CALC_BUILD_TESTS "Build the tests" OFF)
option(CALC_BUILD_EXAMPLES "Build the examples" ON)
find_package(ZLIB REQUIRED)
find_package(Qt5 COMPONENTS Widgets)
add_library(calc src/calc.c)
if(CALC_BUILD_TESTS)
  enable_testing()
  add_subdirectory(tests)
endif()
"""
SOURCES = {"src/calc.c": "#include <zlib.h>\n", "tests/test_calc.c": '#include "calc.h"\n'}
REPOSITORIES = {
    "cmake": {"CMakeLists.txt": CMAKE, "tests/CMakeLists.txt": "add_test(NAME calc COMMAND test_calc)", "Makefile": "all:\n\tcmake .\n"},
    "meson": {
        "meson.build": "project('calc', 'c', meson_version : '>= 0.55')\nglib = dependency('glib-2.0')\nsubdir('tests')\n",
        "tests/meson.build": "test('calc', executable('test_calc', 'test_calc.c'))",
        "meson_options.txt": "option('tests', type : 'boolean', value : false)\noption('docs', type : 'feature', value : 'auto')\n",
    },
    "autotools": {
        "configure.ac": "AC_INIT([calc],[1.0])\nAM_INIT_AUTOMAKE\nPKG_CHECK_MODULES([CHECK],[check >= 0.9])\nAC_CHECK_LIB([expat],[x])\n"
        "AC_ARG_ENABLE([unit-tests],[AS_HELP_STRING([--enable-unit-tests],[x])])\n",
        "Makefile.am": "SUBDIRS = tests\n",
        "tests/Makefile.am": "check_PROGRAMS = test_calc\nTESTS = test_calc\n",
    },
    "make": {"Makefile": "all: calc\n\ntest: test_calc\n\t./test_calc\n\ntest_calc: tests/test_calc.c\n\t$(CC) -o $@ $< -lcheck\n"},
}  # fmt: skip


CHECKED = {
    "tests/defs.sh": 'use=${USE_VALGRIND-1}\n[ "${LIB_WITH_MEMCHECK:-"yes"}" = no ] || use=1\n',
    "tests/run-all": ": ${TEST_VALGRIND:=ON}\n${VALGRIND_OPTS:-x} $VALGRIND\n",
    "tests/checks.mk": "MEMCHECK ?= true\nOTHER ?= 1\nVALGRIND_TOOL = 1\n",
    "third_party/x/test.sh": "${OTHER_VALGRIND-1}\n",
}


@pytest.mark.parametrize("system", REPOSITORIES)
def test_tests_run_without_checkers_that_no_image_has(plan: Planner, system: str) -> None:
    files = {**SOURCES, **REPOSITORIES[system]}
    assert not plan(files).tests[0].env
    (command,) = plan({**files, **CHECKED}, changed=tuple(files), ci=CiFacts(env={"USE_VALGRIND": "1", "OTHER": "2"})).tests
    assert command.env == {"LIB_WITH_MEMCHECK": "no", "MEMCHECK": "false", "TEST_VALGRIND": "OFF", "USE_VALGRIND": "0"}
    assert "USE_VALGRIND" not in command.script


@pytest.mark.parametrize("system", REPOSITORIES)
def test_each_build_system(plan: Planner, system: str) -> None:
    made = plan({**REPOSITORIES[system], **SOURCES})
    assert (made.build_system, made.base, made.root) == (system, "gcc:12-bookworm", "")
    assert 'QT_QPA_PLATFORM="${QT_QPA_PLATFORM:-offscreen}"' in made.tests[0].script
    assert made.tests[0].report is not None and made.tests[0].report.format == "mixed"
    assert {"cmake": "zlib1g-dev", "meson": "libglib2.0-dev", "autotools": "libexpat1-dev", "make": "check"}[system] in made.packages
    script = made.install[0].run + made.tests[0].script
    for word in {
        "cmake": ["-DCALC_BUILD_TESTS=ON", "-DCALC_BUILD_EXAMPLES=OFF", "ctest", "--output-junit"],
        "meson": ["-Dtests=true", "-Ddocs=disabled", "meson test"],
        "autotools": ["--enable-unit-tests", "autoreconf", ".trs"],
        "make": ["make -k test"],
    }[system]:
        assert word in script


@pytest.mark.parametrize("system", REPOSITORIES)
def test_every_script_is_shell(plan: Planner, system: str) -> None:
    made = plan({**REPOSITORIES[system], **SOURCES}, exports={"PIP_INDEX_URL": "https://example.org/'x y'"})
    for script in (*(step.run for step in made.steps), made.tests[0].script.replace("{report}", "/tmp/report")):
        for shell in ("dash", "bash"):
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=20)


def test_large_libraries_that_are_not_required_are_left_out(plan: Planner) -> None:
    assert "qtbase5-dev" not in plan({**REPOSITORIES["cmake"], **SOURCES}).packages


def test_a_published_copy_of_the_project_is_left_out(plan: Planner) -> None:
    made = plan({"CMakeLists.txt": CMAKE.replace("calc C", "zlib C"), **SOURCES})
    assert "zlib1g-dev" not in made.packages


def test_what_declares_tests_goes_first(plan: Planner) -> None:
    quiet = {"CMakeLists.txt": "cmake_minimum_required(VERSION 3.5)\nproject(calc C)\nadd_library(calc src/calc.c)\n"}
    made = plan({**quiet, **REPOSITORIES["make"], **SOURCES})
    assert made.build_system == "make"
    made = plan({**REPOSITORIES["meson"], **REPOSITORIES["cmake"], **SOURCES})
    assert made.build_system == "cmake"
    assert any("there is also meson" in note for note in made.notes)
    ci = CiFacts(commands=("meson setup build", "meson test -C build"))
    assert plan({**REPOSITORIES["meson"], **REPOSITORIES["cmake"], **SOURCES}, ci=ci).build_system == "meson"


def test_a_build_system_that_would_not_do_is_left_for_another(plan: Planner) -> None:
    files = {**REPOSITORIES["meson"], **REPOSITORIES["cmake"], **SOURCES}
    assert plan(files, without=frozenset({"cmake"})).build_system == "meson"
    with pytest.raises(BuildError, match="built with cmake or meson or make and nothing else"):
        plan(files, without=frozenset({"cmake", "meson", "make"}))


def test_a_makefile_beside_autotools_is_the_other_way(plan: Planner) -> None:
    files = {**REPOSITORIES["autotools"], **SOURCES, "Makefile": "test:\n\t./run\n"}
    assert plan(files).build_system == "autotools"
    assert plan(files, without=frozenset({"autotools"})).build_system == "make"


@pytest.mark.timeout(60)
def test_blank_lines_cost_nothing(plan: Planner) -> None:
    assert plan({**REPOSITORIES["cmake"], **SOURCES, **{f"tests/{number}.in": "\n" * 250_000 for number in range(20)}})


def test_tests_that_are_a_project_of_their_own(plan: Planner) -> None:
    own = "project(utf8_tests)\nenable_testing()\nadd_test(NAME all COMMAND utf8_test)\n"
    made = plan({"utf8.h": "", "test/CMakeLists.txt": own, "test/main.c": ""})
    assert (made.build_system, made.root, made.tests[0].cwd) == ("cmake", "test", ".")
    assert "cd /testbed/test" in made.tests[0].script
    root = {"CMakeLists.txt": "project(utf8)\nadd_library(utf8 INTERFACE)\n"}
    assert plan({**root, "utf8.h": "", "test/CMakeLists.txt": own, "test/main.c": ""}).root == "test"
    added = {"CMakeLists.txt": root["CMakeLists.txt"] + "add_subdirectory(${CMAKE_CURRENT_SOURCE_DIR}/test)\n"}
    assert plan({**added, "utf8.h": "", "test/CMakeLists.txt": own, "test/main.c": ""}).root == ""
    assert plan({"x.h": "", "tests/Makefile": "check: a\n\t./a\n", "tests/a.c": ""}).root == "tests"


def test_the_part_that_changed_is_built(plan: Planner) -> None:
    files = {"a/CMakeLists.txt": "project(a)\nenable_testing()\n", "a/tests/test_a.c": ""}
    files |= {"b/Makefile": "test:\n\t./x\n", "b/tests/test_b.c": ""}
    assert plan(files, changed=("b/tests/test_b.c", "b/b.c")).root == "b"
    assert plan(files, changed=("a/tests/test_a.c", "a/a.c")).root == "a"


@pytest.mark.parametrize(
    ("files", "reason", "said"),
    [
        ({"MODULE.bazel": "", "src/a.cc": "", "tests/a_test.cc": ""}, "unsupported_build", "Bazel"),
        ({"xmake.lua": "", "tests/a.c": ""}, "unsupported_build", "xmake"),
        ({"SConstruct": "", "tests/a.c": ""}, "unsupported_build", "SCons"),
        ({"src/a.c": "", "tests/a.c": ""}, "no_build_file", "no build file"),
    ],
)
def test_refusals_are_typed(plan: Planner, files: dict[str, str], reason: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        plan(files)
    assert (caught.value.stage, caught.value.reason) == ("plan", reason)


def test_old_and_new_tools(plan: Planner) -> None:
    new = CMAKE.replace("VERSION 3.5", "VERSION 3.28...3.30") + "set(CMAKE_CXX_STANDARD 23)\n"
    made = plan({"CMakeLists.txt": new, **SOURCES})
    assert "python3-pip" in made.packages
    assert "cmake>=3.28,<4" in made.dependencies[0].run
    assert made.toolchain == "14"
    assert plan({"CMakeLists.txt": new, **SOURCES}, toolchain="13").toolchain == "13"
    made = plan({"CMakeLists.txt": CMAKE.replace("VERSION 3.5", "VERSION 2.8"), **SOURCES})
    assert "-DCMAKE_POLICY_VERSION_MINIMUM=3.5" in made.install[0].run and made.dependencies == ()
    meson = REPOSITORIES["meson"]["meson.build"].replace("0.55", "1.3.0")
    assert "meson>=1.3.0" in plan({**REPOSITORIES["meson"], "meson.build": meson, **SOURCES}).dependencies[0].run


def test_what_would_be_downloaded_comes_from_source_packages(plan: Planner) -> None:
    fetching = (
        CMAKE + "include(FetchContent)\nFetchContent_Declare(googletest GIT_REPOSITORY x GIT_TAG y)\nFetchContent_Declare(own URL z)\n"
    )
    made = plan({"CMakeLists.txt": fetching, ".gitmodules": '[submodule "f"]\n\tpath = extern/fmt\n\turl = x\n', **SOURCES})
    for call in ("source_package googletest googletest ", "source_package fmtlib fmtlib "):
        assert call in made.dependencies[0].run
    assert "-DFETCHCONTENT_SOURCE_DIR_GOOGLETEST=/opt/podgym/sources/googletest" in made.install[0].run
    assert "fill extern/fmt /opt/podgym/sources/fmtlib\n" in made.install[0].run
    modern = plan({"CMakeLists.txt": CMAKE + "find_package(Catch2 3 REQUIRED)\n", **SOURCES})
    assert "cmake --install /tmp/catch2" in modern.dependencies[0].run
    assert '[ "$1" != catch2 ] || suites="trixie $own"' in modern.dependencies[0].run
    catch = {"CMakeLists.txt": CMAKE + "FetchContent_Declare(Catch2 GIT_REPOSITORY x)\n", "tests/a.cpp": "#include <catch2/catch.hpp>\n"}
    assert '[ "$1" != catch2 ] || suites="$own trixie"' in plan(catch).dependencies[0].run


def test_a_variable_that_holds_where_downloaded_sources_are(plan: Planner) -> None:
    text = CMAKE + 'set(GOOGLETEST_PATH "${CMAKE_CURRENT_SOURCE_DIR}/x" CACHE PATH "")\nset(CALC_FMT_SOURCE_DIR "" CACHE PATH "")\n'
    text += 'set(DATA_DIR "" CACHE PATH "")\n'
    files = {"CMakeLists.txt": text, "cmake/gtest.cmake.in": "ExternalProject_Add(googletest GIT_REPOSITORY https://a/b)\n", **SOURCES}
    script = plan(files).install[0].run
    assert "-DGOOGLETEST_PATH=/opt/podgym/sources/googletest" in script and "FMT_SOURCE_DIR" not in script and "DATA_DIR" not in script


def test_what_other_package_managers_would_bring(plan: Planner) -> None:
    files = {
        "CMakeLists.txt": CMAKE + "include(${CMAKE_BINARY_DIR}/conanbuildinfo.cmake)\nconan_basic_setup()\n",
        "conanfile.txt": "[requires]\nfmt/9.1.0\nnone/1.0\n",
        "vcpkg.json": '{"name": "calc", "dependencies": ["cjson", {"name": "gtest"}, 3, "boost-filesystem", "vcpkg-cmake", "odd-one"],'
        ' "features": {"more": {"dependencies": ["nlohmann-json", "calc"]}, "odd": 3}}',
        **SOURCES,
    }
    made = plan(files)
    assert {"libfmt-dev", "libcjson-dev", "libgtest-dev", "libboost-filesystem-dev", "nlohmann-json3-dev"} <= set(made.packages)
    assert any(note.endswith("Conan or vcpkg would bring: none, odd-one") for note in made.notes)
    assert "conan_basic_setup" in made.install[0].run
    assert "libgtest-dev" not in plan({**files, "vcpkg.json": "[[["}).packages


def test_what_ci_installs_with_pip(plan: Planner) -> None:
    commands = (
        "sudo pip3 install -r scripts/requirements.txt -r none.txt",
        'python3 -m pip install "pytest>=7" cmake codecov ./own .[test] && echo done',
        "pip install --user toml",
    )
    files = {**REPOSITORIES["make"], **SOURCES, "scripts/requirements.txt": "toml\n"}
    made = plan(files, ci=CiFacts(commands=commands))
    assert "pip_install -r scripts/requirements.txt 'pytest>=7' toml" in made.install[0].run
    assert not any(word in made.install[0].run for word in ("codecov", "none.txt", "own"))
    assert {"python3", "python3-pip"} <= set(made.packages)
    assert len(plan(files).install) == 1


def test_of_the_targets_that_ci_runs_the_usual_one(plan: Planner) -> None:
    files = {"Makefile": "all:\n\tcc x.c\ntest-all:\n\t./a\ntest:\n\t./b\ncheck:\n\t./c\n", **SOURCES}
    assert plan(files, ci=CiFacts(commands=("make test-all", "make test"))).framework == "make test"
    assert plan(files, ci=CiFacts(commands=("make test-all",))).framework == "make test-all"
    assert plan(files).framework == "make check"


def test_headers_that_a_macro_looks_for(plan: Planner) -> None:
    text = CMAKE + "find_path(GMP_INCLUDE NAMES gmp.h PATHS x)\nfind_required_library_and_header(MPFR_PATH mpfr.h MPFR_LIB mpfr)\n"
    assert {"libgmp-dev", "libmpfr-dev"} <= set(plan({"CMakeLists.txt": text, **SOURCES}).packages)


def test_what_scripts_import(plan: Planner) -> None:
    files = {
        "CMakeLists.txt": CMAKE,
        **SOURCES,
        "tools/make.py": "import os\nfrom google.protobuf.text_format import x\n  import yaml, re\n",
    }
    files |= {"docs/a.py": "import jinja2\n", "tests/run.py": "import psutil\n", "tests/psutil.py": "", "third_party/b.py": "import lxml\n"}
    assert "pip_install protobuf pyyaml ||" in plan(files).install[0].run


def test_large_packages_of_ci_that_no_build_file_knows(plan: Planner) -> None:
    ci = CiFacts(packages=("libgtk-3-dev", "qtbase5-dev", "diffoscope", "doxygen-latex", "libopencv-dev", "file"))
    made = plan({"CMakeLists.txt": CMAKE, **SOURCES}, ci=ci)
    assert {"libgtk-3-dev", "diffoscope", "doxygen-latex", "libopencv-dev"}.isdisjoint(made.packages)
    assert {"qtbase5-dev", "file"} <= set(made.packages)


def test_what_a_makefile_calls_by_a_variable(plan: Planner) -> None:
    files = {"Makefile": "RAKE ?= rake\nall:\n\t@$(RAKE) all\ncheck: lint\n\tprek run\ntest:\n\t$(RAKE) test\n", **SOURCES}
    made = plan(files)
    assert "rake" in made.packages and "make -k test" in made.tests[0].script


def test_variables_of_ci_hold_while_building_and_those_of_its_compilers_do_not(plan: Planner) -> None:
    ci = CiFacts(env={"CONFIG": "ci/gcc-clang", "MODE": "debug", "ARMOUR": "x"})
    made = plan(REPOSITORIES["make"] | SOURCES, ci=ci)
    for script in (made.install[0].run, made.tests[0].script):
        assert "export MODE=debug" in script and "export ARMOUR=x" in script and "CONFIG" not in script


def test_some_files_of_a_script_that_can_be_asked_for_them(plan: Planner) -> None:
    files = {"Makefile": "all:\n\tcc x.c\n", "src/x.c": "", "runtest": "#!/bin/sh\ntclsh tests/helper.tcl $@\n", "tests/unit/a.tcl": ""}
    ci, changed = CiFacts(commands=("./runtest --verbose",)), ("tests/unit/a.tcl", "src/x.c")
    files["tests/helper.tcl"] = 'puts "--single <unit>  Just execute the specified unit."\n'
    made = plan(files, ci=ci, changed=changed)
    assert "(export PODGYM_CALLS=1; ./runtest --verbose --single unit/a)" in made.changed[0].script
    assert "--single" not in made.tests[0].script
    files["tests/helper.tcl"] = ""
    assert not plan(files, ci=ci, changed=changed).changed


def test_switches_of_ci_and_their_limits(plan: Planner) -> None:
    text = CMAKE + 'option(CALC_EXTRA "x" OFF)\noption(CALC_SANITIZE "x" OFF)\n'
    ci = CiFacts(commands=("cmake -B build -DCALC_EXTRA=ON -DCALC_SANITIZE=ON -DCMAKE_BUILD_TYPE=Release -DFOREIGN=ON",))
    script = plan({"CMakeLists.txt": text, **SOURCES}, ci=ci).install[0].run
    assert "-DCALC_EXTRA=ON" in script
    assert not any(word in script for word in ("SANITIZE", "FOREIGN", "Release"))


@pytest.mark.parametrize(
    ("name", "default", "value"),
    [
        ("BUILD_TESTS", "OFF", "ON"),
        ("ENABLE_TESTING", "OFF", "ON"),
        ("FOO_BUILD_UNIT_TESTS", "OFF", "ON"),
        ("JSON_BuildTests", "OFF", "ON"),
        ("FOO_DISABLE_TESTS", "ON", "OFF"),
        ("WITHOUT_TESTS", "ON", "OFF"),
        ("FOO_TESTS_COVERAGE", "OFF", None),
        ("FOO_INSTALL_TESTS", "OFF", None),
        ("USE_SYSTEM_GTEST", "OFF", "ON"),
        ("FOO_BUILD_EXAMPLES", "ON", "OFF"),
        ("FOO_BUILD_EXAMPLES", "OFF", None),
        ("FOO_LATEST", "OFF", None),
        ("MQTT_BUILD_TESTS", "OFF", "ON"),
        ("FOO_QT_TESTS", "OFF", None),
        ("FOO_RUN_TESTS", "ON", "OFF"),
    ],
)
def test_options_that_are_switches_of_tests(name: str, default: str, value: str | None) -> None:
    text = f'option({name} "x" {default})'
    facts = read_cmake(Tree(["CMakeLists.txt"], lambda _: text.encode()), "")
    assert switches(facts, ()).get(name) == value


@pytest.mark.parametrize(
    ("project", "text", "changed", "values"),
    [
        ("benchmark", 'option(BENCHMARK_ENABLE_TESTING "x" ON)', (), {"BENCHMARK_ENABLE_TESTING": "ON"}),
        ("benchmark", 'option(BENCHMARK_ENABLE_EXCEPTIONS "x" ON)', (), {}),
        ("rapidfuzz", 'option(RAPIDFUZZ_BUILD_TESTING "x" OFF)', (), {"RAPIDFUZZ_BUILD_TESTING": "ON"}),
        ("Catch2", 'option(CATCH_BUILD_EXAMPLES "x" OFF)\noption(CATCH_BUILD_EXTRA_TESTS "x" OFF)', (), {}),
        ("Catch2", 'option(CATCH_BUILD_EXTRA_TESTS "x" OFF)', ("tests/ExtraTests/a.cpp",), {"CATCH_BUILD_EXTRA_TESTS": "ON"}),
        (
            "Catch2",
            'option(DEV "x" OFF)\ncmake_dependent_option(CATCH_BUILD_TESTING "x" ON "DEV;NOT OLD" OFF)',
            (),
            {"DEV": "ON", "CATCH_BUILD_TESTING": "ON"},
        ),
        ("any", 'option(CONFIG_TEST_${name} "x" OFF)', (), {}),
    ],
)
def test_a_projects_name_before_a_switch_means_nothing(project: str, text: str, changed: tuple[str, ...], values: dict[str, str]) -> None:
    whole = f"project({project})\n{text}\n"
    facts = read_cmake(Tree(["CMakeLists.txt"], lambda _: whole.encode()), "")
    assert switches(facts, changed) == {"BUILD_TESTING": "ON", **values}


def test_what_ci_leaves_out_of_the_tests_is_left_out(plan: Planner) -> None:
    text = CMAKE + 'option(SKIP_PORTABILITY_TEST "x" OFF)\noption(CALC_QEMU "x" OFF)\noption(CALC_CI "x" OFF)\n'
    command = "cmake -S . -DSKIP_PORTABILITY_TEST=ON -DCALC_QEMU=ON -DCALC_CI=ON"
    script = plan({"CMakeLists.txt": text, **SOURCES}, ci=CiFacts(commands=(command,))).install[0].run
    assert "-DSKIP_PORTABILITY_TEST=ON" in script and "CALC_QEMU" not in script and "CALC_CI" not in script
    assert "-DSKIP_PORTABILITY_TEST=OFF" in plan({"CMakeLists.txt": text, **SOURCES}).install[0].run


def test_tests_that_an_included_file_declares(plan: Planner) -> None:
    files = {"CMakeLists.txt": "project(calc C)\ninclude(cmake/calc_test.cmake)\n", **SOURCES}
    files["cmake/calc_test.cmake"] = files["cmake/unused.cmake"] = "add_test(NAME a COMMAND a)\n"
    files["meson.build"] = "project('calc', 'c')\ntest('a', a)\n"
    assert plan(files).build_system == "cmake"
    del files["cmake/calc_test.cmake"]
    assert plan(files).build_system == "meson"


def test_projects_of_their_own_declare_no_tests(plan: Planner) -> None:
    files = {"meson.build": "project('calc', 'c')\nsubdir('src')\n", "src/meson.build": "library('calc', 'calc.c')\n", **SOURCES}
    files["examples/one/meson.build"] = "project('one', 'c')\ntest('a', a)\n"
    files["tests/Makefile"] = "test:\n\t./a\n"
    made = plan(files)
    assert (made.build_system, made.root) == ("make", "tests")
    assert plan({**files, "src/meson.build": "subdir('../examples/one')\n"}).build_system == "meson"


def test_files_that_are_listed_by_a_pattern_need_not_be_named(plan: Planner) -> None:
    files = {"CMakeLists.txt": CMAKE + "file(GLOB tests tests/*.c)\nadd_test(NAME a COMMAND a)\n", **SOURCES}
    files["Makefile"] = "test: tests/test_calc.c\n\t./a\n"
    assert plan(files).build_system == "cmake"


def test_examples_stay_where_the_change_is_in_them() -> None:
    facts = read_cmake(Tree(["CMakeLists.txt"], lambda _: b'option(FOO_BUILD_EXAMPLES "x" ON)'), "")
    assert "FOO_BUILD_EXAMPLES" not in switches(facts, ["examples/a.c"])


def test_commands_of_cmake() -> None:
    text = """\
# comment(a)
SET( x "a b;\\"c" d) #[[ long (
comment ]] if(NOT (A AND "B"))
add_test(NAME [=[one two]=] COMMAND ${x}/y)
open(
"""
    assert [(command.name, command.arguments) for command in commands(text)] == [
        ("set", ("x", 'a b;\\"c', "d")),
        ("if", ("NOT", "(", "A", "AND", "B", ")")),
        ("add_test", ("NAME", "one two", "COMMAND", "${x}/y")),
    ]


BROKEN = st.text(st.sampled_from("abT_ ()\"#[]=\\\n$'{},:"), max_size=200)


@given(BROKEN)
def test_broken_cmake_files_are_read_all_the_same(text: str) -> None:
    found = read_cmake(Tree(["CMakeLists.txt"], lambda _: text.encode()), "")
    assert switches(found, ())["BUILD_TESTING"] == "ON"


@given(
    BROKEN,
    st.sampled_from(["CMakeLists.txt", "meson.build", "meson_options.txt", "configure.ac", "Makefile", "Makefile.am", ".gitmodules"]),
)
def test_broken_build_files_are_a_plan_or_a_refusal(text: str, name: str) -> None:
    files = {
        **REPOSITORIES["autotools"],
        **SOURCES,
        "CMakeLists.txt": CMAKE,
        "meson.build": "project('a')",
        "Makefile": "test:\n",
        name: text,
    }
    data = {path: content.encode() for path, content in files.items()}
    tree = Tree(data, data.get)
    changed = ("src/calc.c",), ("tests/test_calc.c",)
    C.plan(PlanRequest(tree, tree, *changed, datetime(2024, 5, 1, tzinfo=UTC), CiFacts(), Catalogue()))


def test_commands_are_bounded() -> None:
    assert len(commands("a()\n" * 30_000)) <= 20_000
    assert all(first.name == second.name for first, second in pairwise(commands("a(" * 1000 + ")" * 1000)))
