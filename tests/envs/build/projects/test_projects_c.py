"""C: each build system, changes that a build could miss, and checks that stop at the first failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HEADER = "#ifndef CALC_H\n#define CALC_H\n#define TWICE(a) (3 * (a))\nint add(int a, int b);\n#endif\n"
SOURCE = '#include "calc.h"\nint add(int a, int b) { return a - b; }\n'
USE = '#include "calc.h"\nint use(int a) { return TWICE(a); }\n'
TEST = '#include "calc.h"\nint use(int a);\nint main(void) { return %s ? 0 : 1; }\n'
BASE = {
    "src/calc.h": HEADER,
    "src/calc.c": SOURCE,
    "src/use.c": USE,
    "tests/test_nothing.c": TEST % "add(0, 0) == 0",
}
FIX = {
    # `use.c` stays as it is: only what it includes changes.
    "src/calc.h": HEADER.replace("3 *", "2 *"),
    "src/calc.c": SOURCE.replace("a - b", "a + b"),
    "tests/test_add.c": TEST % "add(1, 2) == 3",
    "tests/test_use.c": TEST % "use(2) == 4",
}
CMAKE = """\
cmake_minimum_required(VERSION 3.10)
project(calc C)
enable_testing()
add_library(calc src/calc.c src/use.c)
target_include_directories(calc PUBLIC src)
file(GLOB tests tests/*.c)
foreach(file ${tests})
  get_filename_component(name ${file} NAME_WE)
  add_executable(${name} ${file})
  target_link_libraries(${name} calc)
  add_test(NAME ${name} COMMAND ${name})
endforeach()
"""
MESON = """\
project('calc', 'c', meson_version : '%s')
calc = static_library('calc', 'src/calc.c', 'src/use.c')
foreach name : %s
  test(name, executable(name, 'tests' / name + '.c', link_with : calc, include_directories : 'src'))
endforeach
"""
AUTOMAKE = """\
AM_CPPFLAGS = -I$(srcdir)/src
noinst_LIBRARIES = libcalc.a
libcalc_a_SOURCES = src/calc.c src/use.c
LDADD = libcalc.a
check_PROGRAMS = %s
TESTS = $(check_PROGRAMS)
"""
AUTOCONF = """\
AC_INIT([calc],[1.0])
AM_INIT_AUTOMAKE([foreign subdir-objects])
AC_PROG_CC
AM_PROG_AR
AC_PROG_RANLIB
AC_CONFIG_FILES([Makefile])
AC_OUTPUT
"""
CONFIGURE = "#!/bin/sh\nset -e\nsed 's|@CC@|cc|' Makefile.in >Makefile\n"
DRIVEN = """\
CC = @CC@
TESTS = $(patsubst tests/%.c,%,$(wildcard tests/*.c))
all: calc.o use.o
%.o: src/%.c
	$(CC) -Isrc -c -o $@ $<
check: $(TESTS:=.trs)
%.trs: %
	sh run $<
test_%: tests/test_%.c calc.o use.o
	$(CC) -Isrc -o $@ $^
"""
DRIVER = """\
#!/bin/sh
if ./"$1" >"$1.log" 2>&1; then said=PASS; else said=FAIL; fi
printf ':test-result: %s\\n:global-test-result: %s\\n' $said $said >"$1.trs"
[ $said = PASS ]
"""
MAKE = """\
OBJECTS = build/calc.o build/use.o
TESTS = $(patsubst tests/%.c,build/%,$(wildcard tests/*.c))
all: $(OBJECTS)
build/%.o: src/%.c
	mkdir -p build && $(CC) -Isrc -c -o $@ $<
build/test_%: tests/test_%.c $(OBJECTS)
	$(CC) -Isrc -o $@ $^
check: $(TESTS:=.run)
%.run: %
	./$<
"""


async def test_cmake_and_a_header_that_changes(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("cmake", "cc")
    turned(await build({"CMakeLists.txt": CMAKE, **BASE}, FIX), {"test_add", "test_use"}, {"test_nothing"})


@pytest.mark.parametrize("version", [">= 0.60", ">= 1.3.0"])
async def test_meson(build: Any, machine: Any, version: str) -> None:
    machine.needs("ninja", "cc")
    if version == ">= 0.60":
        machine.needs("meson")
    else:  # newer than the distribution's, so that it comes from PyPI
        machine.needs_file("/usr/lib/python3/dist-packages/pip")
        machine.reaches("PyPI")
    base = {"meson.build": MESON % (version, "['test_nothing']"), **BASE}
    fix = {"meson.build": MESON % (version, "['test_add', 'test_nothing', 'test_use']"), **FIX}
    report = await build(base, fix)
    assert report.status == "validated", f"{report.stage}/{report.reason}: {report.message}\n{report.details}"
    # Newer versions put the project before each test's own name.
    found = [{name.rpartition(":")[2] for name in names} for names in (report.fail_to_pass, report.pass_to_pass)]
    assert found == [{"test_add", "test_use"}, {"test_nothing"}]


async def test_automake(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("autoreconf", "automake", "make", "cc")
    base = {"configure.ac": AUTOCONF, "Makefile.am": AUTOMAKE % "tests/test_nothing", **BASE}
    fix = {"Makefile.am": AUTOMAKE % "tests/test_add tests/test_nothing tests/test_use", **FIX}
    turned(await build(base, fix), {"tests/test_add", "tests/test_use"}, {"tests/test_nothing"})


async def test_a_configure_script_and_results_in_trs_files(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("make", "cc")
    base = {"configure": CONFIGURE, "Makefile.in": DRIVEN, "run": DRIVER, **BASE}
    turned(await build(base, FIX), {"test_add", "test_use"}, {"test_nothing"})


async def test_a_check_that_stops_early_and_knows_no_headers(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("make", "cc")
    report = await build({"Makefile": MAKE, ".gitignore": "build/\n", **BASE}, FIX)
    turned(
        report,
        {*(f"./build/test_{name} [exit status]" for name in ("add", "use")), "make check [exit status]"},
        {"./build/test_nothing [exit status]"},
    )


CHECK = """\
#include <check.h>
#include "calc.h"
START_TEST(nothing) { ck_assert_int_eq(add(0, 0), 0); } END_TEST
START_TEST(adds) { ck_assert_int_eq(add(1, 2), 3); } END_TEST
int main(void) {
    Suite *suite = suite_create("suite"); TCase *tcase = tcase_create("core"); SRunner *runner = srunner_create(suite);
    tcase_add_test(tcase, nothing); %s suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV); return srunner_ntests_failed(runner) != 0;
}
"""
CMOCKA = """\
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "calc.h"
static void nothing(void **state) { (void)state; assert_int_equal(add(0, 0), 0); }
static void __attribute__((unused)) adds(void **state) { (void)state; assert_int_equal(add(1, 2), 3); }
int main(void) {
    const struct CMUnitTest cases[] = {cmocka_unit_test(nothing), %s};
    return cmocka_run_group_tests_name("group", cases, NULL, NULL);
}
"""


@pytest.mark.parametrize(
    ("header", "test", "added", "libraries", "name"),
    [
        pytest.param("check.h", CHECK, "tcase_add_test(tcase, adds);", "check subunit m rt pthread", "unit::suite::core::{}", id="check"),
        pytest.param("cmocka.h", CMOCKA, "cmocka_unit_test(adds)", "cmocka", "unit::group::{}", id="cmocka"),
    ],
)
async def test_cases_in_xml(
    build: Any, machine: Any, turned: Any, *, header: str, test: str, added: str, libraries: str, name: str
) -> None:
    machine.needs("cmake", "cc")
    machine.needs_file(str(Path("/usr/include", header)))
    lists = (
        "cmake_minimum_required(VERSION 3.10)\nproject(calc C)\nenable_testing()\nadd_executable(unit tests/unit.c src/calc.c)\n"
        f"target_include_directories(unit PRIVATE src)\ntarget_link_libraries(unit {libraries})\nadd_test(NAME unit COMMAND unit)\n"
    )
    base = {"CMakeLists.txt": lists, "src/calc.h": HEADER, "src/calc.c": SOURCE, "tests/unit.c": test % ""}
    report = await build(base, {"src/calc.c": FIX["src/calc.c"], "tests/unit.c": test % added})
    turned(report, {"unit", name.format("adds")}, {name.format("nothing")})
