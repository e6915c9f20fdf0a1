from __future__ import annotations

from datetime import UTC, datetime

import pytest
from java_requests import HERE, tree

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.java.jdk import JavaNeeds, choose_jdk, major, pinned_java

WHEN = datetime(2024, 5, 1, tzinfo=UTC)
ALL, SOME = Catalogue(), Catalogue(present=HERE)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.8", 8), ("8", 8), ("17", 17), ("17.0.9-tem", 17), ("temurin-17.0.5+8", 17), ("openjdk64-11.0.2", 11), ("8.0.302-open", 8),
        ("zulu-8.56.0.21", 8), ("21-ea", 21), ("VERSION_17", 17), ("11.0", 11),
        ("", None), ("latest", None), ("1.80", None), ("2024", None),
    ],
)  # fmt: skip
def test_versions_as_they_are_written(text: str, number: int | None) -> None:
    assert major(text) == number


@pytest.mark.parametrize(
    ("needs", "catalogue", "version", "why"),
    [
        (JavaNeeds(levels=(8,)), ALL, 8, "language level"),
        (JavaNeeds(levels=(8,)), SOME, 17, "language level"),
        (JavaNeeds(levels=(8, 17)), ALL, 17, "language level"),
        (JavaNeeds(levels=(8,), ci=(8, 11, 21)), ALL, 8, "CI"),
        (JavaNeeds(levels=(11,), ci=(8, 17, 21)), SOME, 17, "CI"),
        (JavaNeeds(levels=(11,), pinned=21, pinned_by=".sdkmanrc"), ALL, 21, ".sdkmanrc"),
        (JavaNeeds(levels=(21,)), SOME, 25, "language level"),
        (JavaNeeds(levels=(6,)), ALL, 8, "language level"),
        (JavaNeeds(levels=(5,)), SOME, 17, "language level"),
        (JavaNeeds(least=17), ALL, 17, "the least"),
        (JavaNeeds(levels=(8,), most=16), ALL, 8, "language level"),
        (JavaNeeds(), ALL, 21, "say nothing"),
    ],
)
def test_the_oldest_that_does_of_those_that_are_there(needs: JavaNeeds, catalogue: Catalogue, version: int, why: str) -> None:
    choice = choose_jdk(needs, catalogue, committed=WHEN)
    assert choice.version == version
    assert why in choice.why


def test_where_none_fits_the_nearest_is_taken_and_told() -> None:
    here = Catalogue(
        present=frozenset({"maven:3-eclipse-temurin-11"}), absent=frozenset(f"maven:3-eclipse-temurin-{n}" for n in (17, 21, 25))
    )
    choice = choose_jdk(JavaNeeds(levels=(17,)), here, committed=WHEN)
    assert choice.version == 11 and choice.wanted == 17
    assert "no base image with a JDK of 17" in choice.notes[0]


def test_asked_for_goes_before_all() -> None:
    assert choose_jdk(JavaNeeds(levels=(8,), pinned=8), ALL, committed=WHEN, asked="21").version == 21


def test_no_jdk_at_all() -> None:
    with pytest.raises(BuildError, match="JDK"):
        choose_jdk(JavaNeeds(), Catalogue(images=()), committed=WHEN)


def test_files_of_version_managers() -> None:
    files = tree({".sdkmanrc": "# x\njava=17.0.9-tem\n", ".tool-versions": "java temurin-11.0.2\n", "app/.java-version": "21\n"})
    assert pinned_java(files, ["app", ""]) == (21, "app/.java-version")
    assert pinned_java(files, [""]) == (17, ".sdkmanrc")
    assert pinned_java(tree({".java-version": "graalvm\n"}), [""]) is None
