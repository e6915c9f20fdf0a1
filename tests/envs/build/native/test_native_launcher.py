"""`cases` runs real programs of each test framework, and says what it knows of each."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from podgym.envs.build.languages.native.launcher import install_launchers
from podgym.verifiers.reports import ReportFile, parse_report

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
CMOCKA = """\
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
static void good(void **state) { (void)state; assert_int_equal(1, 1); }
static void bad(void **state) { (void)state; assert_int_equal(1, 2); }
int main(void) {
    const struct CMUnitTest cases[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};
    return cmocka_run_group_tests_name("group", cases, NULL, NULL);
}
"""
CRITERION = """\
#include <criterion/criterion.h>
Test(suite, good) { cr_assert(1); }
Test(suite, bad) { cr_assert(0); }
"""
GTEST = "#include <gtest/gtest.h>\nTEST(Suite, good) { EXPECT_EQ(1, 1); }\nTEST(Suite, bad) { EXPECT_EQ(1, 2); }\n"
DOCTEST = (
    "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n"
    'TEST_CASE("good") { CHECK(1 == 1); }\nTEST_CASE("bad") { CHECK(1 == 2); }\n'
)
CATCH = (
    '#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\nTEST_CASE("good") { CHECK(1 == 1); }\nTEST_CASE("bad") { CHECK(1 == 2); }\n'
)
BOOST = (
    "#define BOOST_TEST_MODULE unit\n#include <boost/test/included/unit_test.hpp>\n"
    "BOOST_AUTO_TEST_CASE(good) { BOOST_TEST(1 == 1); }\nBOOST_AUTO_TEST_CASE(bad) { BOOST_TEST(1 == 2); }\n"
)
CPPUTEST = """\
#include <CppUTest/CommandLineTestRunner.h>
#include <CppUTest/TestHarness.h>
TEST_GROUP(group) {};
TEST(group, good) { LONGS_EQUAL(1, 1); }
TEST(group, bad) { LONGS_EQUAL(1, 2); }
int main(int c, char **v) { return CommandLineTestRunner::RunAllTests(c, v); }
"""
FRAMEWORKS = [
    pytest.param(("check.h", CHECK, "-lcheck -lsubunit -lm -lrt -lpthread", "unit::suite::core::{}"), id="check"),
    pytest.param(("cmocka.h", CMOCKA, "-lcmocka", "unit::group::{}"), id="cmocka"),
    pytest.param(("criterion/criterion.h", CRITERION, "-lcriterion", "suite::{}"), id="criterion"),
    pytest.param(("CppUTest/TestHarness.h", CPPUTEST, "-lCppUTest", "unit.group::{}"), id="cpputest"),
    pytest.param(("gtest/gtest.h", GTEST, "-lgtest -lgtest_main -lpthread", "unit.cpp::Suite::{}"), id="gtest"),
    pytest.param(("doctest/doctest.h", DOCTEST, "", "unit::{}"), id="doctest", marks=pytest.mark.slow),
    pytest.param(("catch2/catch.hpp", CATCH, "", "unit.global::{}"), id="catch2", marks=pytest.mark.slow),
    pytest.param(("boost/test/included/unit_test.hpp", BOOST, "", "unit::{}"), id="boost", marks=pytest.mark.slow),
]


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    script = install_launchers().replace("/opt/podgym", str(tmp_path / "podgym"))
    subprocess.run(["sh", "-euc", script], check=True, timeout=20)
    return tmp_path / "podgym/bin/cases"


def run(cases: Path, *command: str, **env: str) -> tuple[int, str, dict[str, str]]:
    report = cases.parent / "report"
    shutil.rmtree(report, ignore_errors=True)
    done = subprocess.run(
        [str(cases), *command],
        env={"PATH": os.environ["PATH"], "PODGYM_REPORT": str(report), **env},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    files = [ReportFile(path.read_bytes(), str(path.relative_to(report).with_suffix(""))) for path in sorted(report.rglob("*.xml"))]
    return done.returncode, done.stdout, dict(parse_report("mixed", files, root=str(cases.parent)).outcomes)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_each_framework(tmp_path: Path, cases: Path, framework: tuple[str, str, str, str]) -> None:
    header, source, libraries, name = framework
    if not Path("/usr/include", header).exists():
        pytest.skip(f"{header} is not installed")
    cpp = "cpp" if "gtest" in header or "test/" in header or "CppUTest" in header or "catch" in header or "doctest" in header else "c"
    (tmp_path / f"unit.{cpp}").write_text(source)
    compiler = "g++" if cpp == "cpp" else "gcc"
    subprocess.run(
        [compiler, "-O0", "-w", f"unit.{cpp}", "-o", "unit", *libraries.split()], cwd=tmp_path, check=True, timeout=110, capture_output=True
    )
    code, _, outcomes = run(cases, str(tmp_path / "unit"))
    assert code != 0
    assert outcomes == {name.format("good"): "passed", name.format("bad"): "failed"}
    # A program with arguments is left alone, and so is everything where there is no report to write.
    assert run(cases, str(tmp_path / "unit"), "--nothing-that-it-knows")[2] == {}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/usr/include/doctest/doctest.h").exists(), reason="doctest is not installed")
def test_an_assertion_that_only_warns_fails_nothing(tmp_path: Path, cases: Path) -> None:
    warning = DOCTEST.replace("CHECK(1 == 2)", "WARN(1 == 2)")
    (tmp_path / "unit.cpp").write_text(warning)
    subprocess.run(["g++", "-O0", "-w", "unit.cpp", "-o", "unit"], cwd=tmp_path, check=True, timeout=110, capture_output=True)
    code, _, outcomes = run(cases, str(tmp_path / "unit"))
    assert (code, outcomes) == (0, {"unit::good": "passed", "unit::bad": "passed"})


def test_a_program_of_no_framework_runs_as_it_is(tmp_path: Path, cases: Path) -> None:
    script = tmp_path / "own.sh"
    script.write_text('#!/bin/sh\necho "own $*"\nexit 7\n')
    script.chmod(0o755)
    assert run(cases, str(script)) == (7, "own \n", {})
    assert run(cases, str(script), "a b") == (7, "own a b\n", {})
    assert run(cases, "true") == (0, "", {})


def test_an_option_that_a_program_refuses_leaves_its_own_status(tmp_path: Path, cases: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no cc")
    (tmp_path / "odd.c").write_text(
        '#include <stdio.h>\n#include <string.h>\nconst char *mark = "xml-output=FILE";\n'
        "int main(int c, char **v) { if (c > 1) { return 2; } puts(mark); return 5; }\n"
    )
    subprocess.run(["cc", "odd.c", "-o", "odd"], cwd=tmp_path, check=True, timeout=60)
    assert run(cases, str(tmp_path / "odd")) == (5, "xml-output=FILE\n", {})


def test_compilers_forgive_warnings_and_note_errors(tmp_path: Path, cases: Path) -> None:
    compiler = cases.parent.parent / "compilers/cc"
    if not compiler.exists():
        pytest.skip("no cc")
    broken = tmp_path / "broken"
    env = {"PATH": os.environ["PATH"], "PODGYM_BROKEN": str(broken)}
    (tmp_path / "a.c").write_text("int f(void) { int unused; return 0; }\n")
    subprocess.run([compiler, "-Wall", "-Werror", "-c", "a.c"], cwd=tmp_path, env=env, check=True, timeout=60)
    assert not broken.exists()
    (tmp_path / "a.c").write_text("int f(void) { return g; }\n")
    assert subprocess.run([compiler, "-c", "a.c"], cwd=tmp_path, env=env, check=False, capture_output=True, timeout=60).returncode == 1
    assert "-c a.c" in broken.read_text()


@pytest.mark.skipif(shutil.which("prove") is None, reason="prove is not installed")
def test_prove_keeps_what_scripts_print(tmp_path: Path, cases: Path) -> None:
    scripts = {
        "good": "1..2\nok 1 - one\nok 2 - two\n",
        "bad": "ok 1 - one\nnot ok 2\n1..2\n",
        "torn": "1..3\nok 1 - lost\n",
        "dies": "1..1\nok 1 - before\n",
    }
    (tmp_path / "t").mkdir()
    for name, said in scripts.items():
        ending = "exit 3" if name == "dies" else ""
        (tmp_path / f"t/{name}.t").write_text(f"#!/bin/sh\nprintf '{said}'\n{ending}\n")
    report = tmp_path / "report"
    done = subprocess.run(
        [str(cases.parent / "prove"), "-e", "/bin/sh", "t"],
        cwd=tmp_path, env={"PATH": f"{cases.parent}:{os.environ['PATH']}", "PODGYM_REPORT": str(report)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    files = [ReportFile(path.read_bytes(), f"tap/{path.stem}") for path in sorted(report.glob("tap/*.tap"))]
    assert dict(parse_report("mixed", files, root=str(tmp_path)).outcomes) == {
        "t-bad.t::2": "failed",
        "t-bad.t::one": "passed",
        "t-good.t::one": "passed",
        "t-good.t::two": "passed",
    }


def test_a_stand_in_runs_what_it_stands_for_whatever_the_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    for name in ("python3", "prove"):
        (tmp_path / "real" / name).write_text('#!/bin/sh\necho "1..1 $PATH $*"\n')
        (tmp_path / "real" / name).chmod(0o755)
    # A second time it still finds what was there before.
    script = f"PATH={tmp_path}/real:$PATH\n{install_launchers()}PATH=/opt/podgym/bin:$PATH\n{install_launchers()}"
    subprocess.run(["sh", "-euc", script.replace("/opt/podgym", str(tmp_path / "podgym"))], check=True, timeout=20)
    for name, report in (("python3", ""), ("prove", ""), ("prove", str(tmp_path / "report"))):
        done = subprocess.run(
            [tmp_path / "podgym/bin" / name, "a"],
            env={"PATH": "/none", "PODGYM_REPORT": report}, check=False, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"1..1 /none {'-v ' if report else ''}a\n")


@pytest.mark.skipif(shutil.which("python3") is None, reason="python3 is not installed")
@pytest.mark.parametrize(
    ("folder", "script", "told"),
    [
        ("testbed", "tools/gen.py", False),
        ("testbed/sub", "../tools/gen.py", False),
        ("testbed", "tools/check_style.py", True),
        ("testbed", "tests/gen.py", True),
        ("testbed", "{}/testbed/tests/deep/gen.py", True),
        ("elsewhere/tests", "gen.py", False),
        ("elsewhere/tests", "test_gen.py", True),
    ],
)
def test_which_scripts_are_tests(tmp_path: Path, folder: str, script: str, *, told: bool) -> None:
    path = tmp_path / folder / script.format(tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # It knows of nothing that it could write to.
    path.write_text(
        "import os\nassert not {'PODGYM_CALLS', 'PODGYM_REPORT'} & set(os.environ)\n"
        "try:\n    os.write(7, b'mine')\nexcept OSError:\n    raise SystemExit(3)\n"
    )
    install = install_launchers().replace("/opt/podgym", str(tmp_path / "podgym")).replace("/testbed", str(tmp_path / "testbed"))
    subprocess.run(["sh", "-euc", install], check=True, timeout=20)
    done = subprocess.run(
        ["sh", "-c", f"{tmp_path}/podgym/bin/python3 {script.format(tmp_path)} 7>{tmp_path}/told"],
        env={"PATH": os.environ["PATH"], "PODGYM_CALLS": "1", "PODGYM_REPORT": "/x"}, cwd=tmp_path / folder, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode == 3
    assert (tmp_path / "told").read_text() == (f"python3 {script.format(tmp_path)} \t3\n"[-201:] if told else "")
