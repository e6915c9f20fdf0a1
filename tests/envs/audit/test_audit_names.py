"""What packages and projects call themselves, and which version is the younger."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgym.envs.audit.packages import Package, is_newer, read_package
from podgym.envs.audit.project import MANIFESTS, project_names


def names(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found = project_names(files, lambda path: files[path].encode())
    return {str(ecosystem): known for ecosystem, known in found.names.items() if known}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"pyproject.toml": '[tool.poetry]\nname = "A.b"\nversion = "1"\n'}, {"python": {"a-b": "1"}}),
        ({"pyproject.toml": '[project]\nname = "a1"\ndynamic = ["version"]\n'}, {"python": {"a1": ""}}),
        ({"setup.cfg": "[metadata]\nname = abc\nversion = attr: abc.v\n[options]\nname = no\n"}, {"python": {"abc": ""}}),
        ({"setup.py": "setup(\n  name='abc', version=\"2.0\")"}, {"python": {"abc": "2.0"}}),
        ({"setup.py": "setup(name='abc')", "pyproject.toml": '[project]\nname="abc"\nversion="3"'}, {"python": {"abc": "3"}}),
        (
            {"package.json": '{"name": "@S/x"}', "packages/y/package.json": '{"name": "yy", "version": "1"}'},
            {"javascript": {"@s/x": "", "yy": "1"}},
        ),
        ({"package.json": "[]", "node_modules/z/package.json": '{"name": "zz"}', "tests/package.json": '{"name": "tt"}'}, {}),
        ({"Cargo.toml": '[workspace.package]\nversion = "4"\n[package]\nname = "a_b"\nversion.workspace = true\n'}, {"rust": {"a-b": "4"}}),
        ({"go.mod": "module example.org/X/y/v2\n\ngo 1.22\n"}, {"go": {"example.org/X/y/v2": ""}}),
        (
            {"pom.xml": "<project><parent><groupId>g</groupId><version>1</version></parent><artifactId>art</artifactId></project>"},
            {"java": {"g:art": "1"}},
        ),
        ({"pom.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><project><groupId>&a;</groupId></project>"}, {}),
        (
            {"build.gradle": "group = 'g.h'\nversion = '1.0'\n", "settings.gradle": "rootProject.name = 'art'\n"},
            {"java": {"g.h:art": "1.0"}},
        ),
        ({"gradle.properties": "GROUP=g\nversion=2\n", "settings.gradle.kts": 'rootProject.name = "art"\n'}, {"java": {"g:art": "2"}}),
        (
            {"CMakeLists.txt": 'project(\n  "Foo" LANGUAGES CXX VERSION 1.2.3)\n', "sub/CMakeLists.txt": "project(core)"},
            {"c": {"foo": "1.2.3"}},
        ),
        ({"configure.ac": "AC_INIT([lib foo], [1.2], [x@example.org])\n"}, {"c": {"lib-foo": "1.2"}}),
        ({"meson.build": "project('libfoo', 'c',\n  version : '0.3',\n)\n"}, {"c": {"foo": "0.3"}}),
        ({"pyproject.toml": "[[[", "package.json": "{", "Cargo.toml": "name", "go.mod": "", "pom.xml": "<"}, {}),
    ],
)
def test_projects(files: Mapping[str, str], expected: dict[str, dict[str, str]]) -> None:
    assert all(MANIFESTS.search(path) for path in files)
    assert names(files) == expected


@settings(deadline=None)
@given(
    st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py", "package.json", "go.mod", "pom.xml", "build.gradle", "meson.build"]),
    st.text(),
)
def test_any_manifest_names_something_or_nothing(path: str, text: str) -> None:
    names({path: text})


@pytest.mark.parametrize(
    ("version", "own", "newer"),
    [
        ("1.3", "1.2", True),
        ("1.2", "1.2", False),
        ("1.2", "1.3.dev0", False),
        ("1.3", "1.3.dev0", True),
        ("1.3rc1", "1.3", False),
        ("v1.10.0", "1.9", True),
        ("1.2-SNAPSHOT", "1.2", False),
        ("2.0.Final", "1.9.Final", True),
        ("1+editable", "1", False),
        ("1.3+editable", "1.2", True),
        ("1.2+5.gabcdef", "1.2+3.gabcdef", True),
        ("", "1", None),
        ("1", "", None),
        ("release", "1.0", None),
    ],
)
def test_versions(version: str, own: str, newer: bool | None) -> None:
    assert is_newer(version, own) is newer


def test_modules_of_other_major_versions_are_the_projects_own() -> None:
    found = project_names(["go.mod"], lambda path: b"module example.org/x\n")
    assert [found.version("go", name) for name in ("example.org/x", "example.org/x/v3", "example.org/xy")] == ["", "", None]


@pytest.mark.parametrize(
    "place", ["a/METADATA", "node_modules/x/lib/package.json", "include/x.txt", "usr/lib/libx.la", "x.crate", "info/about.json"]
)
def test_what_is_no_package(place: str) -> None:
    assert read_package(place, lambda: b"Name: x\nVersion: 1\n") is None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_metadata_is_a_package_or_none(data: bytes) -> None:
    for place in (
        "x.dist-info/METADATA",
        "conda-meta/x.json",
        "node_modules/x/package.json",
        "_cacache/index-v5/x",
        "META-INF/maven/a/b/pom.properties",
    ):
        found = read_package(place, lambda: data)
        assert found is None or isinstance(found, Package)
