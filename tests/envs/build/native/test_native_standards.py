"""Standards that want a newer compiler."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from podgym.envs.build.languages.native.standards import newer_compiler
from podgym.envs.build.plan import BuildPlan


@pytest.mark.parametrize(
    ("text", "newest"),
    [
        ("CXXFLAGS += -std=c++23", "C++23"),
        ("CXXFLAGS = -std=gnu++2b -O2", "C++23"),
        ("CXXFLAGS = -std=c++20 -std=c++17", ""),
        ("CFLAGS = -std=c99 -std=gnu11", ""),
        ("CFLAGS = -std=c2x", "C23"),
        ("default_options : ['cpp_std=c++26', 'c_std=c11']", "C++26"),
        ("default_options : ['cpp_std=vc++latest,c++23']", "C++23"),
        ("override_options : 'c_std=gnu23'", "C23"),
        ("AX_CXX_COMPILE_STDCXX([23], [noext])", "C++23"),
        ("AX_CXX_COMPILE_STDCXX_20", ""),
        ("CMAKE_C_STANDARD 23", "C23"),
        ("x PUBLIC c_std_23", "C23"),
        ("x PUBLIC cxx_std_20", ""),
        ("", ""),
    ],
)
def test_the_newest_standard(text: str, newest: str) -> None:
    assert newer_compiler(text) == newest


@pytest.mark.parametrize(
    "files",
    [
        {"Makefile": "CXXFLAGS = -std=c++23\ntest:\n\t./x\n"},
        {"meson.build": "project('calc', 'cpp', default_options : ['cpp_std=c++23'])\ntest('x', x)\n"},
        {"configure.ac": "AC_INIT([calc],[1])\nCXXFLAGS='-std=c++23'\n", "Makefile.am": "TESTS = x\n"},
        {"CMakeLists.txt": "project(calc)\nset(CMAKE_CXX_STANDARD 23)\nadd_test(a b)\n"},
    ],
    ids=["make", "meson", "autotools", "cmake"],
)
def test_every_build_system_gets_the_compiler_of_its_standard(plan: Callable[..., BuildPlan], files: dict[str, str]) -> None:
    made = plan({**files, "src/a.cpp": "", "tests/test_a.cpp": ""})
    assert (made.toolchain, made.why_toolchain) == ("14", "C++23 is asked for")
