"""Recipes as Dockerfiles: order, and that no value is read as syntax."""

import json

import pytest

from podgym.sandbox import Copy, ImageError, ImageRecipe, Step
from podgym.sandbox.dockerfile import BuildSettings, dockerfile


def test_order() -> None:
    recipe = ImageRecipe(
        base="python:3.11-bookworm",
        workdir="/testbed",
        env={"LANG": "C.UTF-8"},
        before_copies=(Copy(source="requirements.txt", target="/tmp/requirements.txt"),),
        before=(Step(run="pip install -r /tmp/requirements.txt"), Step(run="true")),
        copies=(Copy(source="repo.tar", target="/testbed"), Copy(source="data", target="/srv/data")),
        after=(Step(run="pip install -e ."),),
    )
    assert dockerfile(recipe).splitlines() == [
        "FROM python:3.11-bookworm",
        'ENV LANG="C.UTF-8"',
        "WORKDIR /testbed",
        'COPY ["requirements.txt", "/tmp/requirements.txt"]',
        'RUN ["/bin/sh", "-c", "pip install -r /tmp/requirements.txt"]',
        'RUN ["/bin/sh", "-c", "true"]',
        'ADD ["repo.tar", "/testbed/"]',
        'COPY ["data", "/srv/data"]',
        'RUN ["/bin/sh", "-c", "pip install -e ."]',
    ]


def test_what_only_the_build_needs() -> None:
    text = dockerfile(ImageRecipe(base="debian:12"), BuildSettings(args=("PIP_INDEX_URL",), ca_bundle="ca.pem")).splitlines()
    assert text[1:4] == [
        "ARG PIP_INDEX_URL",
        'COPY ["ca.pem", "/usr/local/share/podgym-ca.pem"]',
        "ARG CURL_CA_BUNDLE=/usr/local/share/podgym-ca.pem",
    ]
    assert "ARG PIP_CERT=/usr/local/share/podgym-ca.pem" in text
    assert not any(line.startswith("ENV") for line in text)


@pytest.mark.parametrize("script", ["echo 'a\n\"b\" $HOME' \\\n && true", "# comment\nFROM scratch", "printf é\t\x1b", "x \\"])
def test_a_step_is_one_line_and_arrives_whole(script: str) -> None:
    lines = dockerfile(ImageRecipe(base="debian:12", after=(Step(run=script),))).splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2].removeprefix("RUN ")) == ["/bin/sh", "-c", script]


def test_values_of_the_environment() -> None:
    lines = dockerfile(ImageRecipe(base="debian:12", env={"A": "a \"b\" $PATH \\ 'c' # d", "B": ""}, workdir="/w")).splitlines()
    assert lines[1] == 'ENV A="a \\"b\\" \\$PATH \\\\ \'c\' # d"'
    assert lines[2] == 'ENV B=""'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": "debian:12\nRUN id"}, "base image"),
        ({"base": "--platform=x debian"}, "base image"),
        ({"base": "debian:12\n"}, "base image"),
        ({"env": {"A B": "x"}}, "environment variable"),
        ({"env": {"A": "x\nRUN id"}}, "value of A"),
        ({"workdir": "/a\nRUN id"}, "path in the image"),
        ({"copies": (Copy(source="a", target="/a/../b"),)}, "path in the image"),
        ({"workdir": "/$HOME"}, "path in the image"),
        ({"copies": (Copy(source="../x", target="/x"),)}, "source to copy"),
        ({"copies": (Copy(source="/etc/passwd", target="/x"),)}, "source to copy"),
        ({"copies": (Copy(source="http://example.org/x", target="/x"),)}, "source to copy"),
        ({"copies": (Copy(source="a*", target="/x"),)}, "source to copy"),
        ({"copies": (Copy(source="a", target="x"),)}, "path in the image"),
        ({"after": (Step(run="a\0b"),)}, "step"),
        ({"after": (Step(run="x" * 70_000),)}, "does not fit a Dockerfile"),
    ],
)
def test_values_that_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ImageError, match=said) as error:
        dockerfile(ImageRecipe.model_validate({"base": "debian:12"} | changes))
    assert error.value.remedy


def test_a_build_argument_that_is_refused() -> None:
    with pytest.raises(ImageError, match="build argument"):
        dockerfile(ImageRecipe(base="debian:12"), BuildSettings(args=("A=1",)))
