"""What a specification may not say, whichever provider it is for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from podgym.sandbox import ImageRecipe, SandboxSpec

MODELS: list[tuple[type[BaseModel], dict[str, Any]]] = [(SandboxSpec, {"image": "host"}), (ImageRecipe, {"base": "host"})]


@pytest.mark.parametrize(("model", "rest"), MODELS)
@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"A": "x\0"}, {"A": "\ud800"}])
def test_an_environment_that_no_program_takes_is_refused(model: type[BaseModel], rest: dict[str, Any], env: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"environment variable|surrogates|valid string"):
        model.model_validate(rest | {"env": env})


@pytest.mark.parametrize(("model", "rest"), MODELS)
@pytest.mark.parametrize("workdir", ["relative", "", "../up", "/a/../b", "/..", "/a\0b"])
def test_a_workdir_is_absolute_and_leads_nowhere_else(model: type[BaseModel], rest: dict[str, Any], workdir: str) -> None:
    with pytest.raises(ValidationError, match="directory of a sandbox"):
        model.model_validate(rest | {"workdir": workdir})


@pytest.mark.parametrize(("given", "kept"), [("/", "/"), ("//a//b/", "/a/b"), ("/a/./b", "/a/b"), ("/a b/..c", "/a b/..c")])
def test_a_workdir_is_normalised(given: str, kept: str) -> None:
    assert SandboxSpec(image="host", workdir=given).workdir == ImageRecipe(base="host", workdir=given).workdir == kept
    assert SandboxSpec.model_validate_json(SandboxSpec(image="host", workdir=given).model_dump_json()).workdir == kept


async def test_an_environment_that_was_never_checked_ends_its_command_and_not_the_sandbox(local) -> None:
    spec = SandboxSpec(image="host").model_copy(update={"env": {"A=B": "x"}})
    sandbox = await local().create(spec)
    for _ in range(2):
        with pytest.raises(ValueError, match="could not start a command"):
            await sandbox.run("true", timeout_s=5)
    await sandbox.write("file", b"x")
    assert await sandbox.read("file") == b"x"
