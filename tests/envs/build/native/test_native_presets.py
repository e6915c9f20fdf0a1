"""CMake's presets, and what CI gives CMake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podgym_test_kit.plans import tree

from podgym.envs.build.languages.native.cmake import ci_switches
from podgym.envs.build.languages.native.cmakefacts import CMakeFacts, read_cmake
from podgym.envs.build.languages.native.presets import read_presets

PRESETS = {
    "version": 4,
    "include": ["cmake/more.json", "${macro}.json", 3],
    "configurePresets": [
        {"name": "base", "hidden": True, "cacheVariables": {"CALC_KIND": "plain", "CALC_FAST": {"type": "BOOL", "value": True}}},
        {"name": "dev", "inherits": ["base", "more"], "cacheVariables": {"CALC_TESTS": "ON", "CALC_PATH": "${sourceDir}/x"}},
        {"name": "loop", "inherits": "loop2"},
        {"name": "loop2", "inherits": ["loop", "loop2", 7]},
        "odd",
    ],
}
MORE = {"configurePresets": [{"name": "more", "cacheVariables": {"CALC_KIND": "other", "CALC_MORE": False, "CALC_NONE": None}}]}
TEXT = """\
option(CALC_TESTS "x" OFF)
option(CALC_FAST "x" OFF)
option(CALC_MORE "x" ON)
set(CALC_KIND "simple" CACHE STRING "x")
"""


def facts(text: str = TEXT) -> CMakeFacts:
    return read_cmake(tree({"CMakeLists.txt": text}), "")


def test_presets_inherit_and_include() -> None:
    files = {"CMakePresets.json": json.dumps(PRESETS), "cmake/more.json": json.dumps(MORE)}
    found = read_presets(tree(files), "")
    assert found["dev"] == {"CALC_KIND": "plain", "CALC_FAST": "ON", "CALC_MORE": "OFF", "CALC_TESTS": "ON"}
    assert set(found) == {"dev", "loop", "loop2", "more"}


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
                    | st.dictionaries(st.sampled_from(["configurePresets", "include", "name", "inherits", "cacheVariables", "hidden"]),
                                      inner, max_size=4), max_leaves=12)  # fmt: skip


@given(JSON)
def test_odd_presets_are_read_all_the_same(document: Any) -> None:
    assert isinstance(read_presets(tree({"CMakePresets.json": json.dumps(document)}), ""), dict)


def test_a_preset_that_ci_names_counts_as_its_switches() -> None:
    presets = {"dev": {"CALC_FAST": "ON", "CALC_KIND": "plain"}, "ci": {"CALC_TESTS": "ON", "CMAKE_BUILD_TYPE": "Release"}}
    assert ci_switches(facts(), ["cmake --preset=dev -DCALC_MORE=off"], presets) == {
        "CALC_FAST": "ON",
        "CALC_KIND": "plain",
        "CALC_MORE": "OFF",
    }
    assert ci_switches(facts(), ["make"], presets) == {"CALC_TESTS": "ON"}
    assert ci_switches(facts(), [], {"dev": presets["dev"]}) == {}


@pytest.mark.parametrize(
    ("text", "commands", "standard"),
    [
        ("", ["cmake -DCMAKE_CXX_STANDARD=20 ."], "20"),
        ("", ["cmake -DCMAKE_CXX_STANDARD=20 .", "cmake -DCMAKE_CXX_STANDARD=23 ."], "20"),
        ("", ["cmake -DCMAKE_CXX_STANDARD=11 .", "cmake -DCMAKE_CXX_STANDARD=23 ."], None),
        ("set(CMAKE_CXX_STANDARD 14)\n", ["cmake -DCMAKE_CXX_STANDARD=20 ."], None),
    ],
)
def test_a_standard_that_only_ci_tells(text: str, commands: list[str], standard: str | None) -> None:
    assert ci_switches(facts(text), commands, {}).get("CMAKE_CXX_STANDARD") == standard


def test_words_that_ci_sets() -> None:
    commands = ['cmake -B build -DCALC_KIND="double" -DCALC_DIR=/tmp -DOTHER=word -DCALC_FAST=maybe']
    assert ci_switches(facts(), commands, {}) == {"CALC_KIND": "double"}


@pytest.mark.timeout(20)
def test_long_and_wide_inheritance_is_read_whole() -> None:
    chain: list[dict[str, Any]] = [{"name": "p0", "cacheVariables": {"CALC_FAST": "ON"}}]
    chain += [{"name": f"p{number}", "inherits": [f"p{number - 1}"] + [f"p{other}" for other in range(number)]} for number in range(1, 150)]
    found = read_presets(tree({"CMakePresets.json": json.dumps({"configurePresets": chain})}), "")
    assert found["p149"] == {"CALC_FAST": "ON"}
