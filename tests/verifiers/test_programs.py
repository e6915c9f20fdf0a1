from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podgym.sandbox import SandboxSpec, TransportError
from podgym.verifiers import Change, ProgramCheck, run_program
from podgym.verifiers.archive import Write


async def check(script: str, spec: SandboxSpec, provider: Any, change: Change | None = None, **options: Any) -> Any:
    return await run_program(ProgramCheck(script=script, **options), change or Change(), spec=spec, provider=provider)


async def test_the_exit_code_is_the_reward(spec: SandboxSpec, provider: Any) -> None:
    change = Change.of({"answer": b"42\n"}, deleted=["calc.py"])
    verdict = await check('[ "$(cat answer)" = 42 ] && [ ! -e calc.py ]', spec, provider, change)
    assert (verdict.reward, verdict.message) == (1.0, "")
    verdict = await check("echo wrong; exit 3", spec, provider)
    assert (verdict.reward, verdict.message) == (0.0, "Exit code 3: wrong")
    assert [box.closed for box in provider.made] == [True, True]
    assert {made.network for made in provider.specs} == {"none"}


async def test_a_result_file_is_the_reward(spec: SandboxSpec, provider: Any) -> None:
    verdict = await check('echo noise; echo \'{"score": 0.5, "components": {"style": 1}}\' > "$PODGYM_RESULT"; exit 1', spec, provider)
    assert (verdict.reward, dict(verdict.components), verdict.message) == (0.5, {"style": 1.0}, "noise")


@pytest.mark.parametrize(
    "result", ["{", "[]", '{"score": 2}', '{"score": true}', '{"score": "1"}', '{"components": {}}', '{"score": 1, "components": 1}']
)
async def test_results_that_cannot_be_used(spec: SandboxSpec, provider: Any, result: str) -> None:
    verdict = await check(f"echo '{result}' > \"$PODGYM_RESULT\"", spec, provider)
    assert verdict.reward == 0.0
    assert "not usable" in verdict.message


@pytest.mark.parametrize(
    ("ending", "failure", "said"),
    [("kill -9 $$", "killed", "exit code 137"), ("kill -15 $$", "failed", "exit code 143"), ("exit 127", "failed", "exit code 127")],
)
async def test_a_check_that_came_to_no_end_is_not_believed(
    spec: SandboxSpec, provider: Any, *, ending: str, failure: str, said: str
) -> None:
    script = f'sh -c \'echo "{{\\"score\\": 1}}" > "$PODGYM_RESULT"; {ending}\''
    verdict = await check(script, spec, provider)
    assert (verdict.reward, verdict.failure) == (0.0, failure)
    assert said in verdict.message
    assert (await check(script.replace(ending, "exit 1"), spec, provider)).reward == 1.0


async def test_hangs_and_noise(spec: SandboxSpec, provider: Any) -> None:
    verdict = await check("sleep 60", spec, provider, timeout_s=0.2)
    assert (verdict.reward, verdict.message) == (0.0, "The check did not end within 0.2 s.")
    verdict = await check('head -c 300000 /dev/zero > "$PODGYM_RESULT"', spec, provider)
    assert "channel of the result" in verdict.message


async def test_the_checks_files_win(spec: SandboxSpec, provider: Any) -> None:
    change = Change.of({"check.sh": b"exit 0\n", "mine": b"1"})
    files = [Write("check.sh", b"exit 7\n")]
    verdict = await run_program(ProgramCheck(script="sh check.sh", workdir="/testbed"), change, spec=spec, provider=provider, files=files)
    assert verdict.reward == 0.0
    assert "Exit code 7" in verdict.message


async def test_no_sandbox_for_what_is_refused_and_no_verdict_without_one(
    spec: SandboxSpec, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = await check("true", spec, provider, Change(refused="too large"))
    assert (verdict.reward, verdict.message) == (0.0, "too large")
    assert not provider.made

    async def slow(_: SandboxSpec) -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr(provider, "create", slow)
    with pytest.raises(TransportError, match="Build the image"):
        await check("true", spec, provider, create_timeout_s=0.05)
