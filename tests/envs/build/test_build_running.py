"""Repeated runs of a state: a sandbox each, or one where the run before was slow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podgym.envs.build.running import run_again
from podgym.envs.build.states import Overlay
from podgym.sandbox import SandboxProvider, SandboxSpec
from podgym.sandbox.local import LocalConfig, LocalProvider
from podgym.verifiers import ReportSource, TestCommand
from podgym.verifiers.archive import Write

SCRIPT = """\
mkdir -p {report}
[ -e laid ] && laid=0 || laid=1
[ -e built ] && again=1 || again=0
touch built
printf 'laid\\t%s\\nfirst\\t%s\\n' $laid $again >{report}/programs.txt
exit $((laid + again))
"""
SPEC = SandboxSpec(image="host", workdir="/testbed", network="none")


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[SandboxProvider]:
    opened = LocalProvider(LocalConfig(cache=tmp_path / "images", scratch=tmp_path / "scratch"))
    yield opened
    await opened.close()


@pytest.mark.parametrize(("keep_s", "first"), [(float("inf"), "passed"), (0.0, "failed")])
async def test_a_slow_run_leaves_its_sandbox_to_the_next(provider: SandboxProvider, keep_s: float, first: str) -> None:
    command = TestCommand(framework="program", script=SCRIPT, report=ReportSource(format="exit-code"), timeout_s=30)
    overlay = Overlay((Write("laid", b"", 0o644),))
    reports = await run_again(provider, SPEC, [[command], [command]], overlay, keep_s=keep_s)
    found = [{name.split(" ")[0]: outcome for name, outcome in report.outcomes.items()} for report in reports]
    assert found == [{"laid": "passed", "first": "passed"}, {"laid": "passed", "first": first}]


async def test_nothing_runs_after_a_problem(provider: SandboxProvider) -> None:
    command = TestCommand(framework="program", script="exit 0", report=ReportSource(format="exit-code"), timeout_s=30)
    reports = await run_again(provider, SPEC, [[command]] * 3, Overlay(), keep_s=0.0)
    assert [report.problem is None for report in reports] == [False]
