"""Builds tasks from fix commits of real projects, and proves each on every sandbox provider named.

    python benchmarks/real_projects.py --list pairs.txt --provider local --provider docker --out tasks/ --json
    python benchmarks/real_projects.py https://example.org/project.git 0123abcd

A list has a line `PATH_OR_URL COMMIT` for each fix. A task is built and validated on the first provider. On each provider three
things must then hold: the gold fix is worth 1.0, no change is worth 0.0, and a scripted agent that makes the fix by `bash`,
`str_replace` and `finish` is worth 1.0. The table says what came of each, or the stage and reason that ended its build.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import difflib
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from podgym.envs.build import BuildOptions, BuildReport, build_task
from podgym.envs.code import CodeEnvironment
from podgym.envs.contract import Task
from podgym.envs.harbor import TaskFiles, read_task
from podgym.errors import PodgymError
from podgym.policy.scripted import ScriptedPolicy
from podgym.policy.tokenizer import ByteTokenizer
from podgym.rollout.attempt import run_attempt
from podgym.rollout.dialects import CompactDialect, DialectError, spell_compact
from podgym.rollout.limits import RolloutLimits
from podgym.rollout.tools.calls import ToolCall
from podgym.sandbox import SandboxProvider
from podgym.sandbox.providers import open_provider
from podgym.traces import Trace
from podgym.traces.events import Created
from podgym.verifiers import BaseTree, Change, GradingPlan, grade

LIMITS = RolloutLimits(turns=2000, tokens=50_000_000, turn_tokens=10_000_000, output_bytes=4096, rollout_s=1200)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="*", help="PATH_OR_URL COMMIT, any number of times")
    parser.add_argument("--list", type=Path, help="file with a line PATH_OR_URL COMMIT for each fix")
    parser.add_argument("--provider", action="append", help="local (default), docker, or package.module:Class; any number of times")
    parser.add_argument("--provider-options", default="{}", help="JSON object: provider name to its options")
    parser.add_argument("--out", type=Path, default=Path("real-tasks"), help="where the tasks are written")
    parser.add_argument("--repeats", type=int, default=2, help="validating runs of each state with tests")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    arguments = parser.parse_args()
    pairs = list(zip(arguments.pair[::2], arguments.pair[1::2], strict=False))
    if len(arguments.pair) % 2:
        parser.error("give a commit with each PATH_OR_URL")
    if arguments.list:
        lines = (line.split("#")[0].split() for line in arguments.list.read_text().splitlines())
        pairs += [(line[0], line[1]) for line in lines if len(line) >= 2]
    if not pairs:
        parser.error("name at least one PATH_OR_URL COMMIT, or a --list")
    options = json.loads(arguments.provider_options)
    rows = asyncio.run(
        run(pairs, arguments.provider or ["local"], options, out=arguments.out, repeats=arguments.repeats, as_json=arguments.json)
    )
    if not arguments.json:
        print_table(rows)
    return 0 if all(row["ok"] for row in rows) else 1


async def run(
    pairs: Sequence[tuple[str, str]], names: Sequence[str], options: dict[str, Any], *, out: Path, repeats: int, as_json: bool
) -> list[dict[str, Any]]:
    providers = {name: open_provider(name, options.get(name, {})) for name in names}
    rows = []
    try:
        for source, commit in pairs:
            row = await prove(source, commit, providers, out=out, repeats=repeats)
            rows.append(row)
            if as_json:
                print(json.dumps(row), flush=True)
    finally:
        for provider in providers.values():
            await provider.close()
    return rows


async def prove(source: str, commit: str, providers: dict[str, SandboxProvider], *, out: Path, repeats: int) -> dict[str, Any]:
    """One row of the table."""

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
    task = read_task(Path(report.out))
    for name, provider in providers.items():
        started = time.monotonic()
        say(f"proving on {name}")
        try:
            row["rewards"][name] = await rewards(task, Path(report.out), provider)
        except PodgymError as error:
            row["rewards"][name] = {"error": f"{type(error).__name__}: {error}"}
        row["rewards"][name]["seconds"] = round(time.monotonic() - started, 1)
    row["ok"] = all((one.get("gold"), one.get("none"), one.get("agent")) == (1.0, 0.0, 1.0) for one in row["rewards"].values())
    return row


def _name(source: str, commit: str) -> str:
    parts = [part.removesuffix(".git") for part in source.replace("\\", "/").rstrip("/").split("/") if part]
    generic = {"repo", "git", "repository", ".git", "checkout", ""}
    stem = next((part for part in reversed(parts) if part not in generic), "project")
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in stem.rpartition("+")[2]).strip("-._") + f"-{commit[:10]}"


def _row(source: str, report: BuildReport) -> dict[str, Any]:
    return {
        "project": report.task.rpartition("-")[0] or _name(source, report.commit).rpartition("-")[0],
        "commit": report.commit[:12],
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
        "ok": False,
    }


async def rewards(task: Task, directory: Path, provider: SandboxProvider) -> dict[str, Any]:
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
    result = await _agent(task, turns(base, gold), directory, provider)
    found["agent"] = result.verdict.reward
    found["turns"] = result.turns
    if result.verdict.message:
        found["agent_message"] = result.verdict.message
    return found


async def _gold(task: Task, plan: GradingPlan, base: BaseTree, patch: bytes, provider: SandboxProvider) -> Change:
    """The gold patch as git itself applies it in a sandbox."""
    from podgym.verifiers import take_change

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


def turns(base: BaseTree, gold: Change) -> list[str]:
    """The agent's turns: look, edit each file, look at the change, finish."""
    script = ["bash git log --oneline | head -5 && ls"]
    for path in gold.deleted:
        script.append(f"bash rm -- {shlex.quote(path)}")
    for path, file in gold.files.items():
        before = base.read(path) if path in base.files and path not in base.left_over else None
        edits = None if before is None or file.mode != base.files[path].mode else replacements(before, file.data)
        if edits:
            script.append(f"bash wc -l {shlex.quote(path)}")
            script += [f"str_replace {path}\n{old}\n=>\n{new}" for old, new in edits]
        else:
            script += whole(path, file.data, executable=file.mode & 0o111 != 0)
    return [*script, "bash git status --short", "finish"]


def whole(path: str, data: bytes, *, executable: bool) -> list[str]:
    """Turns that write a file anew."""
    quoted = shlex.quote(path)
    encoded = base64.b64encode(data).decode()
    parts = [encoded[at : at + 60_000] for at in range(0, len(encoded), 60_000)] or [""]
    script = [f"bash mkdir -p -- $(dirname {quoted}) && : > {quoted}.b64"]
    script += [f"bash printf %s {part} >> {quoted}.b64" for part in parts if part]
    script.append(f"bash base64 -d {quoted}.b64 > {quoted} && rm {quoted}.b64" + (f" && chmod +x {quoted}" if executable else ""))
    return script


def replacements(before: bytes, after: bytes) -> list[tuple[str, str]] | None:
    """Replacements that turn one text into the other, each `old` in the file exactly once when its turn comes; None where none do."""
    try:
        current, target = before.decode(), after.decode()
    except UnicodeDecodeError:
        return None
    for context in (1, 3, 8, 20):
        edits = _edits(current, target, context)
        if edits is not None and _applied(current, edits) == target and all(_can_say(old, new) for old, new in edits):
            return edits
    return None


def _edits(current: str, target: str, context: int) -> list[tuple[str, str]] | None:
    old_lines, new_lines = current.split("\n"), target.split("\n")
    matcher = difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False)
    edits = []
    for group in matcher.get_grouped_opcodes(context):
        old = "\n".join(old_lines[group[0][1] : group[-1][2]])
        new = "\n".join(new_lines[group[0][3] : group[-1][4]])
        if not old:
            return None
        edits.append((old, new))
    return edits


def _applied(text: str, edits: list[tuple[str, str]]) -> str | None:
    for old, new in edits:
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def _can_say(old: str, new: str) -> bool:
    try:
        spell_compact(ToolCall("str_replace", {"path": "x", "old": old, "new": new}))
    except DialectError:
        return False
    return "\r" not in old + new


def print_table(rows: list[dict[str, Any]]) -> None:
    head = ("project", "commit", "built by", "py", "runner", "tests", "F2P", "P2P", "flaky", "s", "gold / none / agent")
    lines = [head]
    for row in rows:
        outcome = f"failed in {row['stage']}: {row['reason']}"
        if row["rewards"]:
            outcome = "; ".join(
                f"{name}: {one['error']}" if "error" in one else f"{name}: {one['gold']} / {one['none']} / {one['agent']}"
                for name, one in row["rewards"].items()
            )
        numbers = (row["tests"], row["fail_to_pass"], row["pass_to_pass"], row["flaky"], row["seconds"])
        lines.append((row["project"], row["commit"], row["build_system"], row["toolchain"], row["framework"], *map(str, numbers), outcome))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


if __name__ == "__main__":
    sys.exit(main())
