"""Base images, trees and manifests: what plans are made from."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from podgym.envs.build.catalogue import Catalogue, version_key
from podgym.envs.build.manifests import write_manifests
from podgym.envs.build.plan import BuildPlan
from podgym.envs.build.tree import MAX_TEXT_BYTES, Tree
from podgym.sandbox import Step
from podgym.verifiers import TestCommand

HERE = frozenset({"golang:1.26-bookworm", "node:20-bookworm", "maven:3-eclipse-temurin-17", "maven:3-eclipse-temurin-25"})


class TestCatalogue:
    def test_a_present_version_that_is_accepted_goes_before_a_better_one(self) -> None:
        catalogue = Catalogue(present=HERE)
        found = catalogue.choose("go", lambda version: version_key(version) >= (1, 21), prefer="1.21")
        assert found is not None and found.name == "golang:1.26-bookworm"
        assert Catalogue().choose("go", lambda version: version_key(version) >= (1, 21), prefer="1.21").version == "1.21"

    def test_where_none_is_present_the_preferred_one_may_be_pulled(self) -> None:
        found = Catalogue(present=HERE).choose("node", lambda version: version == "16", prefer="16.4.1")
        assert found is not None and found.name == "node:16-bookworm"
        assert Catalogue(absent=frozenset({"node:16-bookworm"})).choose("node", lambda version: version == "16") is None

    def test_what_cannot_be_had_adds_up(self) -> None:
        less = Catalogue(present=HERE).without("maven:3-eclipse-temurin-17").without("maven:3-eclipse-temurin-25", "node:20-bookworm")
        assert [image.version for image in less.of("java")] == ["8", "11", "21"] and less.here("java") == ()
        found = less.nearest("java", "17")
        assert found is not None and found.version == "21"

    @pytest.mark.parametrize(("wanted", "nearest"), [("11", "17"), ("17", "17"), ("21", "25"), ("30", "25")])
    def test_nearest(self, wanted: str, nearest: str) -> None:
        found = Catalogue(present=HERE).nearest("java", wanted)
        assert found is not None and found.version == nearest

    def test_newest_by_default(self) -> None:
        found = Catalogue(present=HERE).choose("java", lambda _: True)
        assert found is not None and found.version == "25"

    def test_a_mirror(self) -> None:
        present = frozenset({"mirror.example.org/node:20-bookworm"})
        assert [image.version for image in Catalogue(present=present, mirror="mirror.example.org/").here("node")] == ["20"]


class TestTree:
    def test_reads_once_and_nothing_else(self) -> None:
        asked: list[str] = []

        def read(path: str) -> bytes | None:
            asked.append(path)
            return {"a": b"\xff1", "big": b"x" * (MAX_TEXT_BYTES + 1)}.get(path)

        tree = Tree(["b", "a", "big", "dir/a"], read)
        assert [tree.read("a"), tree.read("a"), tree.read("big"), tree.read("absent"), tree.read("b")] == ["�1", "�1", None, None, None]
        assert asked == ["a", "big", "b"] and "absent" not in tree and "dir/a" in tree

    def test_places(self) -> None:
        tree = Tree(["pom.xml", "a/b/pom.xml", "a/b/src/X.java", "a/pom.xml", "c/Y.java"], lambda _: b"")
        assert tree.named("pom.xml") == ["pom.xml", "a/pom.xml", "a/b/pom.xml"]
        assert [tree.nearest(path, "pom.xml") for path in ("a/b/src/X.java", "c/Y.java", "pom.xml")] == ["a/b", "", ""]
        assert tree.nearest("c/Y.java", "go.mod") is None
        assert tree.below("a/b") == ["pom.xml", "src/X.java"]


def test_equal_manifests_are_equal_archives(tmp_path: Path) -> None:
    tree = Tree(["go.mod", "sub/go.sum"], lambda path: path.encode())
    write_manifests(tmp_path / "one.tar", tree, ["sub/go.sum", "go.mod", "absent"])
    write_manifests(tmp_path / "two.tar", tree, ["go.mod", "sub/go.sum", "go.mod"])
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert [(member.name, member.mtime) for member in tar] == [("go.mod", 0), ("sub/go.sum", 0)]


def test_a_plan_makes_layers_in_order() -> None:
    plan = BuildPlan(
        language="go",
        build_system="go",
        toolchain="1.26",
        framework="go test",
        base="golang:1.26-bookworm",
        mirror="mirror.example.org/",
        ca_bundle=True,
        packages=("libpcap-dev",),
        manifests=("go.mod",),
        dependencies=(Step(run="go mod download"),),
        tests=(TestCommand(framework="unittest"),),
    )
    recipe = plan.recipe
    assert recipe.base == "mirror.example.org/golang:1.26-bookworm" and recipe.packages == ("libpcap-dev",)
    assert [copy.source for copy in (*recipe.before_copies, *recipe.copies)] == ["ca.crt", "manifests.tar", "repo.tar"]
    assert BuildPlan.model_validate_json(plan.model_dump_json()) == plan
    bare = plan.model_copy(update={"dependencies": ()}).recipe
    assert [copy.source for copy in bare.before_copies] == ["manifests.tar"], "nothing is installed that certificates are for"
