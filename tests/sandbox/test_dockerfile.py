"""Recipes as Dockerfiles: order, and that no value is read as syntax."""

import json
from typing import Any

import pytest

from podgym.sandbox import CommandResult, Copy, ImageError, ImageRecipe, SandboxSpec, Step
from podgym.sandbox.dockerfile import BuildSettings, dockerfile, packages_script


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
    assert text[-1] == 'RUN ["/bin/sh", "-c", "rm -f /usr/local/share/podgym-ca.pem"]'


def test_directories_to_write_to_are_there_first_and_the_workdir_is_last() -> None:
    lines = dockerfile(
        ImageRecipe(base="debian:12", workdir="/w", writable=("/opt/podgym", "/w", "/srv/x"), packages=("git",), after=(Step(run="true"),))
    ).splitlines()
    assert lines[:4] == ["FROM debian:12", "WORKDIR /opt/podgym", "WORKDIR /srv/x", "WORKDIR /w"]
    assert lines[4].startswith("RUN ") and "git" in lines[4]
    assert len(lines) == 6


def test_recipes_that_are_equal_up_to_before_have_equal_lines_up_to_there() -> None:
    shared = {
        "base": "golang:1.26-bookworm",
        "workdir": "/testbed",
        "packages": ("git", "libssl-dev"),
        "before_copies": (Copy(source="manifests.tar", target="/testbed"),),
        "before": (Step(run="go mod download"), Step(run="true")),
        "writable": ("/opt/podgym",),
    }
    first = ImageRecipe.model_validate(shared | {"copies": (Copy(source="repo.tar", target="/testbed"),), "after": (Step(run="go build"),)})
    other = ImageRecipe.model_validate(
        shared | {"copies": (Copy(source="repo.tar", target="/testbed"),), "after": (Step(run="go vet"), Step(run="true"))}
    )
    settings = BuildSettings(args=("GOPROXY",), ca_bundle="ca.pem")
    one, two = dockerfile(first, settings).splitlines(), dockerfile(other, settings).splitlines()
    count = one.index('ADD ["repo.tar", "/testbed/"]')
    assert one[:count] == two[:count]
    assert sum(line.startswith("RUN ") for line in one[:count]) == 3


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
        ({"writable": ("/a\nRUN id",)}, "path in the image"),
        ({"writable": ("relative",)}, "path in the image"),
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


APT = r"""
mkdir -p /tmp/bin && cd /tmp/bin
cat > apt-get <<'END'
#!/bin/sh
echo "$*" >> /tmp/asked
case " $* " in
  *" update "*) [ ! -e /tmp/offline ] || exit 100;;
  *" -s "*) case " $* " in *" broken "*|*" one-of-two "*" other-of-two "*) exit 100;; esac;;
  *) echo unpacking; [ ! -e /tmp/full ] || exit 100;;
esac
END
cat > apt-cache <<'END'
#!/bin/sh
printf '%s
' git g++ libfoo-dev broken one-of-two other-of-two libfooXbar
END
printf '#!/bin/sh
' > sleep
chmod +x *
export PATH=/tmp/bin:$PATH
"""


class TestPackages:
    """Against a package manager that is made up."""

    async def install(self, local: Any, packages: tuple[str, ...], prepare: str = "") -> tuple[CommandResult, str]:
        ImageRecipe(base="debian:12", packages=packages)
        sandbox = await local().create(SandboxSpec(image="host", env={}))
        result = await sandbox.run(f"{APT}\n{prepare}\n(\n{packages_script(packages)}\n)", timeout_s=20)
        said = await sandbox.run("grep -v -e -s /tmp/asked; cat /opt/podgym/install.log 2> /dev/null; true", timeout_s=10)
        return result, said.stdout.text()

    async def test_all_at_once(self, local: Any) -> None:
        result, said = await self.install(local, ("git", "g++"))
        assert result.exit_code == 0
        assert said == "update -qq\ninstall -y -qq --no-install-recommends -o Acquire::Retries=3 git g++\n"

    async def test_what_is_not_known_is_left_out_and_said(self, local: Any) -> None:
        result, said = await self.install(local, ("nothing", "git", "libfoo.bar"), "mkdir -p /opt/podgym")
        assert result.exit_code == 0
        assert said.endswith("Retries=3 git\nnot installed: nothing\nnot installed: libfoo.bar\n")
        assert "not installed: nothing\n" in result.stdout.text()

    async def test_what_cannot_be_installed_is_left_out(self, local: Any) -> None:
        result, said = await self.install(local, ("one-of-two", "broken", "git", "other-of-two"))
        assert result.exit_code == 0
        assert said.endswith("Retries=3 one-of-two git\n")
        assert "not installed: broken\nnot installed: other-of-two\n" in result.stdout.text()

    @pytest.mark.parametrize("name", ["git-", "Git", "-y", "a b", "x" * 101, ""])
    def test_what_is_no_name(self, name: str) -> None:
        with pytest.raises(ValueError, match="Not the name of a Debian package"):
            ImageRecipe(base="debian:12", packages=(name,))

    async def test_none_that_can_be_installed(self, local: Any) -> None:
        result, said = await self.install(local, ("nothing",))
        assert (result.exit_code, said) == (0, "update -qq\n")

    @pytest.mark.parametrize("trouble", ["offline", "full"])
    async def test_any_other_trouble_is_a_failure(self, local: Any, trouble: str) -> None:
        result, said = await self.install(local, ("git",), f": > /tmp/{trouble}")
        assert result.exit_code == 1
        assert said.count("update") == (2 if trouble == "offline" else 1)
