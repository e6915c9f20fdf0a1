"""Which files of C and C++ are tests, and whose a test id is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.native import CPP, C
from podgym.envs.build.tree import Tree

KINDS = C.test_paths(Tree((), lambda _: None))

RUNNABLE = """tests/a.c test/unit/b.cpp t/001.t tests/run.sh tests/jq.test tests/data/in.json src/test_a.c src/a_test.cc
    src/a_unittest.cc tests.c test.cpp src/FooTest.cpp src/TestFoo.cpp check_list.c Tests/Foo.cpp unittests/x.cpp
    regress/x.c src/tests/y.cxx test/tst_view.cpp lib/tests/cases.hpp unit-tests/a.c json_tests/pass.json
    testsuite/a.exp spec/a.c src/ProjTest/a.cpp src/testBox.cpp testrunner.cpp xmltest.cpp runtests.c tests/1.expected"""
HELPERS = "tests/helpers.h tests/CMakeLists.txt tests/Makefile.am tests/meson.build tests/README.md test/unit/common.hpp tests/.gitignore"
SOURCE = """src/a.c include/proj/a.h src/latest.c src/contest.c CMakeLists.txt Makefile src/attest.h configure.ac src/greatest.cpp
    src/Latest.cpp third_party/googletest/test/gtest_test.cc deps/lua/tests/a.c src/testing.c
    include/proj/testing/fake.h subprojects/x/test/a.c src/protest.cpp examples/demo.c bench/bench.c src/time.h
    contrib/plot.py src/test_driver.c src/fastest.c"""


@pytest.mark.parametrize("path", RUNNABLE.split())
def test_what_decides_an_outcome_is_a_test(path: str) -> None:
    assert (KINDS.is_test(path), KINDS.is_runnable(path)) == (True, True)


@pytest.mark.parametrize("path", HELPERS.split())
def test_helpers_and_build_files_of_tests_have_no_outcome(path: str) -> None:
    assert (KINDS.is_test(path), KINDS.is_runnable(path)) == (True, False)


@pytest.mark.parametrize("path", SOURCE.split())
def test_source_is_no_test(path: str) -> None:
    assert (KINDS.is_test(path), KINDS.is_runnable(path)) == (False, False)


@given(st.text("abT_/.-tesc", max_size=30))
def test_any_path_is_one_or_the_other(path: str) -> None:
    assert KINDS.is_test(path) or not KINDS.is_runnable(path)


@pytest.mark.parametrize(
    ("path", "identity", "owned"),
    [
        ("tests/a_test.cc", "tests/a_test.cc::Suite::case", True),
        ("tests/a_test.cc", "/build/x/a_test.cc::Suite::case", True),
        ("tests/a_test.cc", "tests/b_test.cc::Suite::case", False),
        ("tests/a_test.cc", "Suite.case", True),
        ("tests/a_test.cc", "make test [exit status]", True),
        ("tests/data.json", "tests/b_test.cc::Suite::case", True),
        ("tests/cases.h", "tests/b_test.cc::Suite::case", True),
    ],
)
def test_owners(path: str, identity: str, owned: bool) -> None:
    assert C.owns(path, identity) is owned
    assert CPP.owns(path, identity) is owned
