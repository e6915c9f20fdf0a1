"""Plans carried out: small projects of each build system are built, changed, broken and mended, with the tools of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.native.shell import ending
from podgym.envs.build.plan import BuildPlan
from podgym.verifiers.reports import ReportFile, parse_report

Planner = Callable[..., BuildPlan]


class Machine:
    """A directory that stands for the image: the plan's places are moved into it."""

    def __init__(self, folder: Path, plan: BuildPlan) -> None:
        self.folder, self.plan = folder, plan
        self.log = ""

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.folder / "testbed" / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "testbed" / path).write_text(text)

    def install(self, files: Mapping[str, str]) -> None:
        self.write(files)
        # As in an archive, whose files are older than what is built from them.
        for path in (self.folder / "testbed").rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        for step in self.plan.steps:
            assert self._run(step.run) == 0, self.log[-4000:]

    def test(self) -> tuple[int, dict[str, str]]:
        """The exit code, and outcomes by id; none where there is no report."""
        report = self.folder / "report"
        shutil.rmtree(report, ignore_errors=True)
        (command,) = self.plan.tests
        code = self._run(command.script.replace("{report}", str(report)), **command.env)
        files = [
            ReportFile(path.read_bytes(), str(path.relative_to(report).with_suffix("")))
            for path in sorted(report.rglob("*"))
            if path.is_file()
        ]
        if not files:
            return code, {}
        found = parse_report("mixed", files, root=str(self.folder / "testbed"))
        assert found.disagreement == ""
        return code, dict(found.outcomes)

    def _run(self, script: str, **env: str) -> int:
        moved = script.replace("/testbed", str(self.folder / "testbed")).replace("/opt/podgym", str(self.folder / "podgym"))
        done = subprocess.run(
            ["sh", "-c", moved],
            env={**os.environ, **env},
            capture_output=True, text=True, check=False, timeout=110, cwd=self.folder, errors="replace",
        )  # fmt: skip
        self.log = done.stdout + done.stderr
        return done.returncode


HEADER = "#ifndef CALC_H\n#define CALC_H\n#define TWICE 2\nint add(int a, int b);\n#endif\n"
SOURCE = '#include "calc.h"\nint add(int a, int b) { return a - b; }\n'
FIX = {"src/calc.c": SOURCE.replace("a - b", "a + b")}
TEST = '#include "calc.h"\nint main(void) { return %s ? 0 : 1; }\n'
BASE = {"src/calc.h": HEADER, "src/calc.c": SOURCE, "tests/test_twice.c": TEST % "TWICE == 2"}
HIDDEN = {"tests/test_add.c": TEST % "add(1, 2) == 3"}
BROKEN = {"tests/test_add.c": TEST % "add(1, 2, 3) == 3"}
CMAKE = """\
cmake_minimum_required(VERSION 3.10)
project(calc C)
option(CALC_TESTS "Build the tests" OFF)
add_compile_options(-Wall -Werror)
add_library(calc src/calc.c)
target_include_directories(calc PUBLIC src)
if(CALC_TESTS)
  enable_testing()
  add_subdirectory(tests)
endif()
"""
CMAKE_TESTS = """\
file(GLOB tests *.c)
foreach(file ${tests})
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} ${file})
  target_link_libraries(${name} calc)
  add_test(NAME ${name} COMMAND ${name})
endforeach()
"""
MESON = """\
project('calc', 'c', default_options : ['werror=true'])
lib = library('calc', 'src/calc.c')
subdir('tests')
"""
MESON_TESTS = """\
foreach name : %s
  test(name, executable(name, name + '.c', link_with : lib, include_directories : '../src'))
endforeach
"""
CONFIGURE = """\
AC_INIT([calc],[1.0])
AM_INIT_AUTOMAKE([foreign subdir-objects])
AC_PROG_CC
AM_PROG_AR
AC_PROG_RANLIB
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
"""
AUTOMAKE = """\
AM_CPPFLAGS = -I$(srcdir)/src
AM_CFLAGS = -Wall -Werror
noinst_LIBRARIES = libcalc.a
libcalc_a_SOURCES = src/calc.c
LDADD = libcalc.a
check_PROGRAMS = %s
TESTS = $(check_PROGRAMS)
"""
SYSTEMS: dict[str, tuple[tuple[str, ...], dict[str, str], dict[str, str], str]] = {
    "cmake": (("cmake", "cc"), {"CMakeLists.txt": CMAKE, "tests/CMakeLists.txt": CMAKE_TESTS}, {}, "test_{}"),
    "meson": (
        ("meson", "ninja", "cc"),
        {"meson.build": MESON, "tests/meson.build": MESON_TESTS % "['test_twice']"},
        {"tests/meson.build": MESON_TESTS % "['test_add', 'test_twice']"},
        "calc::test_{}",
    ),
    "autotools": (
        ("autoreconf", "automake", "make", "cc"),
        {"configure.ac": CONFIGURE, "Makefile.am": AUTOMAKE % "tests/test_twice"},
        {"Makefile.am": AUTOMAKE % "tests/test_twice tests/test_add"},
        "tests/test_{}",
    ),
}
CHECK = """\
#include <check.h>
START_TEST(good) { ck_assert_int_eq(1, 1); } END_TEST
START_TEST(bad) { ck_assert_int_eq(1, 2); } END_TEST
int main(void) {
    Suite *suite = suite_create("suite"); TCase *tcase = tcase_create("core"); SRunner *runner = srunner_create(suite);
    tcase_add_test(tcase, good); tcase_add_test(tcase, bad); suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV); return srunner_ntests_failed(runner) != 0;
}
"""
MAKEFILE = """\
TESTS = $(patsubst tests/%.c,build/%,$(wildcard tests/test_*.c))
all: build/calc.o
build/calc.o: src/calc.c
	mkdir -p build && $(CC) -Wall -Werror -Isrc -c -o $@ $<
build/%: tests/%.c build/calc.o
	$(CC) -Wall -Werror -Isrc -o $@ $^
test: $(TESTS)
	for t in $(TESTS); do ./$$t || exit 1; done
"""


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_project_through_all_its_states(tmp_path: Path, plan: Planner, system: str) -> None:
    programs, files, changed, name = SYSTEMS[system]
    needs(*programs)
    made = plan({**files, **BASE})
    assert made.build_system == system
    machine = Machine(tmp_path, made)
    machine.install({**files, **BASE})
    add, twice = name.format("add"), name.format("twice")
    assert machine.test() == (0, {twice: "passed"}), machine.log
    machine.write({**HIDDEN, **changed})
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {add: "failed", twice: "passed"}, machine.log
    machine.write(FIX)
    assert machine.test() == (0, {add: "passed", twice: "passed"}), machine.log
    machine.write({"src/calc.h": HEADER.replace("TWICE 2", "TWICE 3")})
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {add: "passed", twice: "failed"}, machine.log
    machine.write({"src/calc.h": HEADER, **BROKEN})
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {}, machine.log


def test_a_part_that_never_builds_does_not_hide_the_tests(tmp_path: Path, plan: Planner) -> None:
    needs("cmake", "cc")
    files = {
        "CMakeLists.txt": f"{CMAKE}add_executable(gui src/gui.c)\n",
        "tests/CMakeLists.txt": CMAKE_TESTS,
        "src/gui.c": "#include <no/such/header.h>\n",
        **BASE,
        **HIDDEN,
    }
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {"test_add": "failed", "test_twice": "passed"}, machine.log
    machine.write(FIX)
    assert machine.test() == (0, {"test_add": "passed", "test_twice": "passed"}), machine.log
    # What no longer compiles must not run as it was built before.
    machine.write(BROKEN)
    code, outcomes = machine.test()
    assert code != 0 and outcomes.get("test_add") != "passed" and outcomes["test_twice"] == "passed", machine.log


@pytest.mark.parametrize("declared", ["add_test(unit unit)", 'add_test(NAME "the unit" COMMAND unit)', "add_test(unit unit --all)"])
def test_cases_of_a_program_that_ctest_takes_for_one_test(tmp_path: Path, plan: Planner, declared: str) -> None:
    needs("cmake", "cc")
    if not Path("/usr/include/check.h").exists():
        pytest.skip("not installed: check")
    files = {
        "CMakeLists.txt": "cmake_minimum_required(VERSION 3.20)\nproject(calc C)\nenable_testing()\n"
        f"add_executable(unit tests/unit.c)\n{declared}\n"
        "target_link_libraries(unit check subunit m rt pthread)\n",
        "tests/unit.c": CHECK,
    }
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    code, outcomes = machine.test()
    name = "the unit" if "the unit" in declared else "unit"
    cases = {} if "--all" in declared else {"unit::suite::core::good": "passed", "unit::suite::core::bad": "failed"}
    assert code != 0 and outcomes == {name: "failed", **cases}, machine.log


def test_tests_of_changed_files_alone(tmp_path: Path, plan: Planner) -> None:
    needs("cmake", "cc")
    files = {"CMakeLists.txt": CMAKE, "tests/CMakeLists.txt": CMAKE_TESTS, **BASE, **HIDDEN}
    made = plan(files, changed=("src/calc.c", "tests/test_add.c"))
    machine = Machine(tmp_path, made.model_copy(update={"tests": made.changed}))
    machine.install(files)
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {"test_add": "failed"}, machine.log
    # All of them where none can be told from the files.
    made = plan(files, changed=("src/calc.c", "tests/data/odd.json"))
    machine.plan = made.model_copy(update={"tests": made.changed})
    assert set(machine.test()[1]) == {"test_add", "test_twice"}, machine.log


def test_switches_of_ci_that_do_not_build_here_are_left_out(tmp_path: Path, plan: Planner) -> None:
    needs("cmake", "cc")
    text = CMAKE + 'option(CALC_EXTRA "x" OFF)\nif(CALC_EXTRA)\n  add_executable(extra src/extra.c)\nendif()\n'
    files = {"CMakeLists.txt": text, "tests/CMakeLists.txt": CMAKE_TESTS, "src/extra.c": "#include <no/such.h>\n", **BASE}
    machine = Machine(tmp_path, plan(files, ci=CiFacts(commands=("cmake -B build -DCALC_EXTRA=ON",))))
    machine.install(files)
    assert machine.test() == (0, {"test_twice": "passed"}), machine.log
    assert not (tmp_path / "podgym/partial").exists()


def test_flags_of_ci_that_do_not_build_here_are_left_out(tmp_path: Path, plan: Planner) -> None:
    needs("autoreconf", "automake", "make", "cc")
    configure = CONFIGURE.replace("AC_CONFIG", "AC_ARG_WITH([extra])\nAM_CONDITIONAL([EXTRA], [test x$with_extra = xbuiltin])\nAC_CONFIG")
    extra = "if EXTRA\nlibcalc_a_SOURCES += src/none.c\nendif\n"
    files = {"configure.ac": configure, "Makefile.am": AUTOMAKE % "tests/test_twice" + extra, **BASE}
    machine = Machine(tmp_path, plan(files, ci=CiFacts(commands=("./configure --with-extra=builtin",))))
    machine.install(files)
    assert machine.test() == (0, {"tests/test_twice": "passed"}), machine.log


def test_what_tests_print_is_no_result(tmp_path: Path, plan: Planner) -> None:
    needs("cmake", "cc")
    printing = '#include <stdio.h>\nint main(void) { puts("<failure> result=\\"failed\\" status=\\"fail\\""); return 0; }\n'
    files = {"CMakeLists.txt": CMAKE, "tests/CMakeLists.txt": CMAKE_TESTS, **BASE, "tests/test_twice.c": printing}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    assert machine.test() == (0, {"test_twice": "passed"}), machine.log


def test_lines_of_a_makefile_that_run_test_programs(tmp_path: Path, plan: Planner) -> None:
    needs("make", "cc")
    every = MAKEFILE.replace("\tfor t in $(TESTS); do ./$$t || exit 1; done\n", "").replace("test: $(TESTS)", "test: $(TESTS:=.run)")
    files = {"Makefile": f"{every}%.run: %\n\t@./$<  --quiet\n", **BASE, **HIDDEN}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {
        "./build/test_add --quiet [exit status]": "failed",
        "./build/test_twice --quiet [exit status]": "passed",
        "make test [exit status]": "failed",
    }, machine.log
    machine.write(FIX)
    assert set(machine.test()[1].values()) == {"passed"}, machine.log


def test_python_scripts_of_a_makefile_count_one_by_one(tmp_path: Path, plan: Planner) -> None:
    needs("make", "cc", "python3")
    files = {**BASE, "Makefile": "test:\n\t-python3 tests/test_a.py\n\tpython3 tests/test_b.py x\n\tpython3 -c pass\n"}
    files |= {"tests/test_a.py": "raise SystemExit(3)\n", "tests/test_b.py": ""}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    assert machine.test()[1] == {
        "python3 tests/test_a.py [exit status]": "failed",
        "python3 tests/test_b.py x [exit status]": "passed",
        "make test [exit status]": "passed",
    }, machine.log


def test_a_makefile_without_a_target_for_tests(tmp_path: Path, plan: Planner) -> None:
    needs("make", "cc")
    bare = MAKEFILE[: MAKEFILE.index("test: ")].replace("all: build/calc.o", "all: $(TESTS)")
    files = {"Makefile": bare, **BASE, **HIDDEN}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {"test_add [exit status]": "failed", "test_twice [exit status]": "passed"}, machine.log
    files = {**files, "run_tests.sh": "#!/bin/sh\nfor t in build/test_*; do ./$t || exit 1; done\n"}
    machine = Machine(tmp_path / "script", plan(files))
    machine.install(files)
    assert machine.test()[1] == {"sh run_tests.sh [exit status]": "failed"}, machine.log
    machine.write(FIX)
    assert machine.test() == (0, {"sh run_tests.sh [exit status]": "passed"}), machine.log


def test_a_script_that_compiles_by_itself(tmp_path: Path, plan: Planner) -> None:
    needs("cc")
    script = "#!/bin/sh\nset -e\nfor t in test_*.c; do cc -I../src -o ./a.out $t ../src/calc.c && ./a.out; done\n"
    files = {**BASE, **HIDDEN, "tests/unittest.sh": script}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    name = f"cd {tmp_path}/testbed/tests && sh {tmp_path}/testbed/tests/unittest.sh [exit status]"
    assert machine.test()[1] == {name: "failed"}, machine.log
    machine.write(FIX)
    assert machine.test() == (0, {name: "passed"}), machine.log


def test_a_makefile_through_all_its_states(tmp_path: Path, plan: Planner) -> None:
    needs("make", "cc")
    files = {"Makefile": MAKEFILE, **BASE}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    passed = (0, {"make test [exit status]": "passed"})
    assert machine.test() == passed, machine.log
    machine.write(HIDDEN)
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {"make test [exit status]": "failed"}, machine.log
    machine.write(FIX)
    assert machine.test() == passed, machine.log
    machine.write({"src/calc.h": HEADER.replace("TWICE 2", "TWICE 3")})
    assert machine.test()[0] != 0, machine.log
    machine.write({"src/calc.h": HEADER, **BROKEN})
    code, outcomes = machine.test()
    assert code != 0 and outcomes == {}, machine.log


ASIDE = """\
PROGS = test1 test2
$(PROGS): ../src/main.h
\t$(CC) -I../src -o $@ $(@).c
run_tests: $(PROGS)
\tfor t in $(PROGS); do ./$$t || exit 1; done
"""


def test_a_makefile_that_knows_neither_its_sources_nor_a_header_elsewhere(tmp_path: Path, plan: Planner) -> None:
    needs("make", "cc")
    passing = '#include "main.h"\n#include "list.h"\nint main(void) { return 0; }\n'
    files = {"src/main.h": "", "src/list.h": "#define FOUND 0\n", "tests/Makefile": ASIDE}
    files |= {"tests/test1.c": passing, "tests/test2.c": passing}
    machine = Machine(tmp_path, plan(files, changed=("tests/test1.c", "src/list.h")))
    machine.install(files)
    passed = (0, {"make run_tests [exit status]": "passed"})
    assert machine.test() == passed, machine.log
    machine.write({"tests/test1.c": passing.replace("return 0", "return !FOUND")})
    assert machine.test()[0] != 0, machine.log
    machine.write({"src/list.h": "#define FOUND 1\n"})
    assert machine.test() == passed, machine.log


CHECKER = """\
use=${USE_VALGRIND-1}
command -v valgrind >/dev/null || use=0
if [ "$use" -eq 1 ]; then valgrind ./test_twice; else ./test_twice; fi
"""


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("cc") is None, reason="make or cc is not installed")
def test_a_checker_of_this_machine_is_not_used(plan: Planner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not work in a sandbox, and the image has none."""
    bad = tmp_path / "bin" / "valgrind"
    bad.parent.mkdir()
    bad.write_text("#!/bin/sh\necho 'no debugging symbols' >&2\nexit 1\n")
    bad.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bad.parent}:{os.environ['PATH']}")
    make = "test: test_twice\n\tsh tests/run.sh\n\ntest_twice: tests/test_twice.c\n\t$(CC) -Isrc -o $@ $<\n"
    files = {**BASE, "Makefile": make, "tests/run.sh": CHECKER}
    machine = Machine(tmp_path, plan(files))
    machine.install(files)
    code, outcomes = machine.test()
    assert (code, set(outcomes.values())) == (0, {"passed"}), machine.log


def test_an_assertion_that_only_warns_leaves_its_report(tmp_path: Path) -> None:
    report = tmp_path / "gtest-xml" / "unit.xml"
    report.parent.mkdir()
    sums = '<doctest>\n<Expression success="false" type="WARN"/>\n<OverallResultsTestCases successes="{}" failures="{}"/>\n</doctest>\n'
    for successes, failures in ((2, 0), (1, 1)):
        report.write_text(sums.format(successes, failures))
        done = subprocess.run(["sh", "-c", f"out={tmp_path}\ncode=0\n{ending()}"], check=False, timeout=20)
        assert (done.returncode, report.exists()) == (0, failures == 0)
