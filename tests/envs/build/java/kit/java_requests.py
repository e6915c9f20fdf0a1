"""Plan requests over made-up trees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from podgym.envs.build.catalogue import Catalogue
from podgym.envs.build.ci import CiFacts
from podgym.envs.build.languages.contract import PlanRequest
from podgym.envs.build.tree import Tree

TEST = "import org.junit.jupiter.api.Test;\nclass {0} {{\n    @Test\n    void works() {{}}\n}}\n"
HERE = frozenset({"maven:3-eclipse-temurin-17", "maven:3-eclipse-temurin-25"})


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(files, lambda path: files[path].encode() if path in files else None)


def pom(body: str, *, artifact: str = "app", version: str = "1.0") -> str:
    return (
        '<?xml version="1.0"?>\n<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>org.example</groupId><artifactId>{artifact}</artifactId><version>{version}</version>{body}</project>"
    )


def child(artifact: str, body: str = "", *, parent: str = "app") -> str:
    return (
        f"<project><modelVersion>4.0.0</modelVersion><parent><groupId>org.example</groupId><artifactId>{parent}</artifactId><version>1.0</version></parent>"
        f"<artifactId>{artifact}</artifactId>{body}</project>"
    )


def needs(*artifacts: str) -> str:
    one = "<dependency><groupId>${{project.groupId}}</groupId><artifactId>{0}</artifactId><version>1.0</version></dependency>"
    return f"<dependencies>{''.join(one.format(name) for name in artifacts)}</dependencies>"


def request(
    files: Mapping[str, str],
    *,
    source: Sequence[str] = (),
    tests: Sequence[str] = (),
    base: Mapping[str, str] | None = None,
    java: Sequence[str] = (),
    commands: Sequence[str] = (),
    present: frozenset[str] | None = HERE,
    exports: Mapping[str, str] | None = None,
    toolchain: str = "",
) -> PlanRequest:
    return PlanRequest(
        base=tree(files if base is None else base),
        fixed=tree(files),
        changed_source=tuple(source),
        changed_tests=tuple(tests),
        committed=datetime(2024, 5, 1, tzinfo=UTC),
        ci=CiFacts(versions={"java": tuple(java)}, commands=tuple(commands)),
        catalogue=Catalogue(present=present),
        exports=exports or {},
        toolchain=toolchain,
    )
