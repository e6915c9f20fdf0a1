from __future__ import annotations

import pytest

from podgym.envs.build.ci.debian import packages_of
from podgym.envs.build.ci.images import versions_of_image
from podgym.envs.build.ci.shell import commands, logical_lines


def _packages(script: str, **variables: str) -> list[str]:
    return [name for command in commands(script, variables) for name in packages_of(command)]


@pytest.mark.parametrize(
    ("script", "packages"),
    [
        ("sudo apt-get -qq update && sudo apt-get -qq install -y libfoo-dev", ["libfoo-dev"]),
        ("sudo -E DEBIAN_FRONTEND=noninteractive apt install -y --no-install-recommends foo bar=1.2-3 baz/focal", ["foo", "bar", "baz"]),
        ("retry 3 apt-get -o Acquire::Retries=3 install -t bookworm-backports -y g++-13 libstdc++6", ["g++-13", "libstdc++6"]),
        ("aptitude install -y 'libquoted-dev' \"other-dev\"", ["libquoted-dev", "other-dev"]),
        ("apt-get install -y ./local.deb /tmp/x.deb real", ["real"]),
        ("if true; then apt-get install -y inside; fi", ["inside"]),
        ("(apt-get install -y one || apt-get install -y two) > /dev/null 2>&1", ["one", "two"]),
        ("echo apt-get install no; apk add no; yum install no; apt-get remove no; apt-get build-dep no", []),
        ("apt-get install -y nodejs npm python3.8-dev openjdk-11-jdk docker.io python3-dev", ["python3-dev"]),
        ("apt-get install -y a-pkg # not-this", ["a-pkg"]),
        ("X='a-dev b-dev'\napt-get install $X ${Y:-c-dev} $UNKNOWN", ["a-dev", "b-dev", "c-dev"]),
        ('pkgs=(\n one-dev # why\n two-dev\n)\npkgs+=(three-dev)\napt-get install "${pkgs[@]}"', ["one-dev", "two-dev", "three-dev"]),
        ("apt-get install -y gcc-$V", ["gcc-12"]),
        ("cat <<EOF\napt-get install no\nEOF\napt-get install yes-dev", ["yes-dev"]),
        ("apt-get install 'unclosed", []),
        ("echo 'apt-get install -y no'", []),
    ],
)
def test_packages_of_shell_text(script: str, packages: list[str]) -> None:
    assert _packages(script, V="12") == packages


def test_lines_are_joined_as_the_shell_joins_them() -> None:
    script = "make \\\n  check  \n\n# comment\npython -c '\nprint(1)\n'\nlast \\"
    assert logical_lines(script) == ["make check", "python -c '\nprint(1)\n'", "last"]


@pytest.mark.parametrize(
    ("image", "versions"),
    [
        ("python:3.11-slim@sha256:abc", [("python", "3.11")]),
        ("docker.io/library/golang:1.22.3-bookworm", [("go", "1.22.3")]),
        ("registry:5000/cimg/go:1.20", [("go", "1.20")]),
        ("eclipse-temurin:21-jdk", [("java", "21")]),
        ("gradle:7.6-jdk17", [("gradle", "7.6"), ("java", "17")]),
        ("circleci/openjdk:8-jdk", [("java", "8")]),
        ("mcr.microsoft.com/devcontainers/typescript-node:1-20-bookworm", [("node", "20")]),
        ("python:${V}", []),
        ("ubuntu:22.04", []),
        ("node:lts", []),
    ],
)
def test_versions_of_images(image: str, versions: list[tuple[str, str]]) -> None:
    assert list(versions_of_image(image)) == versions
