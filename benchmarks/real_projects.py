"""Builds tasks from fix commits of real projects, and proves each on every sandbox provider named.

    python benchmarks/real_projects.py --list pairs.txt --provider local --provider docker --out tasks/ --json
    python benchmarks/real_projects.py https://example.org/project.git 0123abcd

A list has a line `PATH_OR_URL COMMIT` for each fix. A task is built and validated on the first provider. On each provider three
things must then hold: the gold fix is worth 1.0, no change is worth 0.0, and a scripted agent that makes the fix by `bash`,
`str_replace` and `finish` is worth 1.0. The table says what came of each, or the stage and reason that ended its build.

    python benchmarks/real_projects.py --built tasks/ --provider docker --rounds 2 --json

proves tasks that are built already, each as often as is said and in fresh sandboxes, and certifies each anew with its image.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from podgym.console.cli.gold import gold_turns
from podgym.envs.audit import audit
from podgym.envs.build import BuildOptions, BuildReport, build_task
from podgym.envs.code import CodeEnvironment
from podgym.envs.contract import Task
from podgym.envs.harbor import TaskFiles, read_task
from podgym.errors import PodgymError
from podgym.policy.scripted import ScriptedPolicy
from podgym.policy.tokenizer import ByteTokenizer
from podgym.rollout.attempt import run_attempt
from podgym.rollout.dialects import CompactDialect
from podgym.rollout.limits import RolloutLimits
from podgym.sandbox import SandboxProvider
from podgym.sandbox.providers import open_provider
from podgym.traces import Trace
from podgym.traces.events import Created
from podgym.verifiers import BaseTree, Change, GradingPlan, grade, take_change

LIMITS = RolloutLimits(turns=2000, tokens=50_000_000, turn_tokens=10_000_000, output_bytes=4096, rollout_s=1200)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="*", help="PATH_OR_URL COMMIT, any number of times")
    parser.add_argument("--list", type=Path, help="file with a line PATH_OR_URL COMMIT for each fix")
    parser.add_argument("--provider", action="append", help="local (default), docker, or package.module:Class; any number of times")
    parser.add_argument("--provider-options", default="{}", help="JSON object: provider name to its options")
    parser.add_argument("--out", type=Path, default=Path("real-tasks"), help="where the tasks are written")
    parser.add_argument("--built", type=Path, help="prove the tasks of this directory instead")
    parser.add_argument("--rounds", type=int, default=1, help="how often each task is proven")
    parser.add_argument("--without-agent", action="store_true", help="prove by the gold fix and by no change alone")
    parser.add_argument("--repeats", type=int, default=2, help="validating runs of each state with tests")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    arguments = parser.parse_args()
    pairs = list(zip(arguments.pair[::2], arguments.pair[1::2], strict=False))
    if len(arguments.pair) % 2:
        parser.error("give a commit with each PATH_OR_URL")
    if arguments.list:
        lines = (line.split("#")[0].split() for line in arguments.list.read_text().splitlines())
        pairs += [(line[0], line[1]) for line in lines if len(line) >= 2]
    built = sorted(file.parent for file in arguments.built.glob("*/task.toml")) if arguments.built else []
    if not pairs and not built:
        parser.error("name at least one PATH_OR_URL COMMIT, a --list, or a directory of tasks as --built")
    options = json.loads(arguments.provider_options)
    providers = {name: open_provider(name, options.get(name, {})) for name in arguments.provider or ["local"]}
    ways = {"rounds": arguments.rounds, "agent": not arguments.without_agent}
    proofs = [partial(proven, directory, providers, **ways) for directory in built] or [
        partial(prove, source, commit, providers, out=arguments.out, repeats=arguments.repeats, **ways) for source, commit in pairs
    ]
    rows = asyncio.run(run(proofs, providers, as_json=arguments.json))
    if not arguments.json:
        print_table(rows)
    return 0 if all(row["ok"] for row in rows) else 1


async def run(
    proofs: Sequence[Callable[[], Awaitable[dict[str, Any]]]], providers: dict[str, SandboxProvider], *, as_json: bool
) -> list[dict[str, Any]]:
    rows = []
    try:
        for proof in proofs:
            rows.append(await proof())
            if as_json:
                print(json.dumps(rows[-1]), flush=True)
    finally:
        for provider in providers.values():
            await provider.close()
    return rows


async def prove(
    source: str, commit: str, providers: dict[str, SandboxProvider], *, out: Path, repeats: int, rounds: int, agent: bool = True
) -> dict[str, Any]:
    """Build and prove; one row of the table."""

    def say(what: str) -> None:
        print(f"{Path(source).name} {commit[:10]}: {what}", file=sys.stderr, flush=True)

    first = next(iter(providers.values()))
    report = await build_task(
        source, commit, out, provider=first, name=_name(source, commit), options=BuildOptions(overwrite=True, repeats=repeats), progress=say
    )
    row = _row(source, report)
    if report.status == "failed":
        say(f"{report.message}\n{report.details}")
        return row
    return row | await proven(Path(report.out), providers, rounds=rounds, agent=agent)


async def proven(directory: Path, providers: dict[str, SandboxProvider], *, rounds: int, agent: bool = True) -> dict[str, Any]:
    """What a task is worth on each provider, in the worst of its rounds, and whether it is certified anew (on Docker with its image)."""
    task = read_task(directory)
    found: dict[str, Any] = {"task": task.id, "rewards": {}, "certified": {}}
    for name, provider in providers.items():
        started = time.monotonic()
        print(f"{task.id}: proving on {name}", file=sys.stderr, flush=True)
        try:
            all_rounds = [await rewards(task, directory, provider, agent=agent) for _ in range(rounds)]
            found["rewards"][name] = next((one for one in all_rounds if not _holds(one)), all_rounds[0])
        except PodgymError as error:
            found["rewards"][name] = {"error": f"{type(error).__name__}: {error}"}
        audited = await asyncio.to_thread(audit, directory, image=task.sandbox.image if name == "docker" else "")
        found["certified"][name] = audited.ok
        found["rewards"][name] |= {"rounds": rounds, "seconds": round(time.monotonic() - started, 1)}
    found["ok"] = all(map(_holds, found["rewards"].values())) and all(found["certified"].values())
    return found


def _holds(row: dict[str, Any]) -> bool:
    return (row.get("gold"), row.get("none"), row.get("agent", 1.0)) == (1.0, 0.0, 1.0)


def _name(source: str, commit: str) -> str:
    parts = [part.removesuffix(".git") for part in source.replace("\\", "/").rstrip("/").split("/") if part]
    generic = {"repo", "git", "repository", ".git", "checkout", ""}
    stem = next((part for part in reversed(parts) if part not in generic), "project")
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in stem.rpartition("+")[2]).strip("-._") + f"-{commit[:10]}"


def _row(source: str, report: BuildReport) -> dict[str, Any]:
    return {
        "task": report.task or _name(source, report.commit),
        "status": report.status,
        "stage": report.stage,
        "reason": report.reason,
        "build_system": report.build_system,
        "toolchain": f"{report.language} {report.toolchain}",
        "framework": report.framework,
        "tests": report.tests.total,
        "passed": report.tests.passed,
        "fail_to_pass": len(report.fail_to_pass),
        "pass_to_pass": len(report.pass_to_pass),
        "flaky": len(report.flaky),
        "scope": report.scope,
        "notes": list(report.notes),
        "seconds": round(report.seconds, 1),
        "image_bytes": report.image_bytes,
        "rewards": {},
        "certified": {},
        "ok": False,
    }


async def rewards(task: Task, directory: Path, provider: SandboxProvider, *, agent: bool = True) -> dict[str, Any]:
    """What the gold fix, no change and the scripted agent are worth; nothing is taken from a cache."""
    plan = GradingPlan.model_validate(task.grading)
    base = BaseTree.from_tar(directory / plan.base)
    files = TaskFiles(directory)
    gold = await _gold(task, plan, base, files("solution/gold.patch"), provider)
    found: dict[str, Any] = {}
    for name, change in (("gold", gold), ("none", Change(base=base))):
        verdict = await grade(change, plan, spec=task.sandbox, provider=provider, files=files)
        found[name] = verdict.reward
        if verdict.message and name == "gold":
            found["message"] = verdict.message
    if not agent:
        return found
    result = await _agent(task, gold_turns(task), directory, provider)
    found["agent"] = result.verdict.reward
    found["turns"] = result.turns
    if result.verdict.message:
        found["agent_message"] = result.verdict.message
    return found


async def _gold(task: Task, plan: GradingPlan, base: BaseTree, patch: bytes, provider: SandboxProvider) -> Change:
    """The gold patch as git itself applies it in a sandbox."""
    sandbox = await provider.create(task.sandbox)
    try:
        done = await sandbox.run("git apply --whitespace=nowarn -", timeout_s=60, cwd=plan.workdir, stdin=patch)
        if done.exit_code:
            raise PodgymError(f"The gold patch does not apply: {done.stderr.text()}")
        return await take_change(sandbox, base.with_left_over(plan.left_over), workdir=plan.workdir)
    finally:
        await sandbox.close()


async def _agent(task: Task, script: list[str], directory: Path, provider: SandboxProvider) -> Any:
    tokenizer = ByteTokenizer()
    policy = ScriptedPolicy({task.id: script}, tokenizer=tokenizer, end=tokenizer.special["<end>"])
    created = Created(rollout_id="scripted", run_id="real-projects", group_id="scripted", task_id=task.id, environment="code")
    return await run_attempt(
        task=task,
        environment=CodeEnvironment(directory, cache=False),
        provider=provider,
        policy=policy,
        dialect=CompactDialect(tokenizer),
        limits=LIMITS,
        created=created,
        trace=Trace(),
    )


def print_table(rows: list[dict[str, Any]]) -> None:
    head = ("task", "built by", "toolchain", "runner", "tests", "F2P", "P2P", "flaky", "s", "gold / none / agent", "certified")
    facts = ("build_system", "toolchain", "framework", "tests", "fail_to_pass", "pass_to_pass", "flaky", "seconds")
    lines = [head]
    for row in rows:
        outcome = "; ".join(
            f"{name}: {one['error']}" if "error" in one else f"{name}: {one['gold']} / {one['none']} / {one.get('agent', '-')}"
            for name, one in row["rewards"].items()
        )
        certified = "; ".join(f"{name}: {'yes' if ok else 'no'}" for name, ok in row["certified"].items())
        known = (str(row.get(fact, "")) for fact in facts)
        lines.append((row["task"], *known, outcome or f"failed in {row['stage']}: {row['reason']}", certified))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


if __name__ == "__main__":
    sys.exit(main())
