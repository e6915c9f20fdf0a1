"""Which tests turn, where whole states have no report."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from podgym.envs.build.errors import BuildError
from podgym.envs.build.states import Overlay
from podgym.envs.build.validate import validate
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers import ReportSource, TestCommand
from podgym.verifiers.archive import Write

SUITE = """\
[ "$(cat state 2>/dev/null)" != tests ] || exit 2
mkdir -p {report}
for name in test_array test_object test_objects; do printf '%s\\t0\\n' $name; done >{report}/programs.txt
"""
STATES = {
    "base": Overlay((Write("state", b"base", 0o644),)),
    "base+tests": Overlay((Write("state", b"tests", 0o644),)),
    "base+tests+fix": Overlay((Write("state", b"fix", 0o644),)),
}


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("changed", "turned"),
    [
        (["tests/test_object.c"], ["test_object"]),
        (["tests/cases.c"], ["test_array", "test_object", "test_objects"]),
    ],
)
async def test_programs_that_do_not_compile_without_the_fix(provider: SandboxProvider, changed: Sequence[str], turned: list[str]) -> None:
    """Their ids are the same in every state; those turn that a changed file is named after, else all that may be its own."""
    command = TestCommand(framework="program", script=SUITE, report=ReportSource(format="exit-code"), timeout_s=30)
    spec = SandboxSpec(image="host", workdir="/testbed", network="none")
    found = await validate(provider, spec, [command], overlays=STATES, changed_files=changed, owned=lambda _: True)
    assert sorted(one.split(" ")[0] for one in found.fail_to_pass) == turned
    assert len(found.fail_to_pass) + len(found.pass_to_pass) == 3


@pytest.mark.parametrize(("alone", "scope"), [(SUITE.replace("test_array", "own"), "changed"), ("exit 3", "none")])
async def test_a_suite_without_the_changed_tests_gives_way_to_them(provider: SandboxProvider, alone: str, scope: str) -> None:
    suite, changed = (
        TestCommand(framework="program", script=text, report=ReportSource(format="exit-code"), timeout_s=30) for text in (SUITE, alone)
    )
    spec = SandboxSpec(image="host", workdir="/testbed", network="none")
    run = validate(
        provider, spec, [suite], overlays=STATES, changed=[changed], changed_files=["own.c"], owned=lambda one: one.startswith("own")
    )
    if scope == "none":
        with pytest.raises(BuildError, match="shows up in the report"):
            await run
    else:
        found = await run
        assert (found.scope, found.commands) == (scope, (changed,)) and any(one.startswith("own") for one in found.fail_to_pass)
