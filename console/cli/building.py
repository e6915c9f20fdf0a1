"""Building tasks from the command line: options, plans and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from podgym.console.cli.output import print_facts, print_json, print_text, say, shown_path

if TYPE_CHECKING:
    from podgym.envs.build import BuildOptions, BuildReport
    from podgym.envs.build.github import ResolvedIssue

__all__ = ["build_one", "build_options", "print_build", "print_plan", "read_text", "resolve_reference"]


def read_text(file: Path, hint: str) -> str:
    """A file that an option names. Raises a usage error."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8.", param_hint=hint) from error
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}.", param_hint=hint) from error


def resolve_reference(issue: str) -> ResolvedIssue | None:
    """What `owner/name#123`, or the page of an issue or a pull request, stands for; None where the text is an issue's own."""
    import asyncio

    from podgym.envs.build.github import Unresolved, parse_reference, resolve_issue

    try:
        reference = parse_reference(issue)
    except Unresolved:
        return None
    resolved = asyncio.run(resolve_issue(reference))
    say(f"{reference}: fixed by {resolved.fix[:12]} of {resolved.repository}" + (f", #{resolved.pull}" if resolved.pull else ""))
    for note in resolved.notes:
        say(note)
    return resolved


def build_options(given: dict[str, Any], plan: Path | None) -> BuildOptions:
    """Options of a build from the command line's. Raises a usage error."""
    from pydantic import ValidationError

    from podgym.envs.build import BuildOptions, BuildPlan

    try:
        if plan is not None:
            given["plan"] = BuildPlan.model_validate_json(read_text(plan, "--plan"))
        return BuildOptions(**given)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        allowed = ", ".join(BuildOptions.model_fields)
        hint = "--plan" if plan is not None and first["loc"] and first["loc"][0] not in BuildOptions.model_fields else "--option"
        raise typer.BadParameter(f"{key}: {first['msg']}. Options of a build: {allowed}.", param_hint=hint) from error


def print_plan(
    source: str, commit: str, issue: str | None, *, provider: tuple[str, dict[str, Any]], options: BuildOptions, as_json: bool
) -> int:
    """What would be built; nothing is."""
    import asyncio
    from dataclasses import replace

    from podgym.envs.build import read_plan
    from podgym.sandbox import KnowsBases
    from podgym.sandbox.providers import open_provider

    async def bases() -> frozenset[str] | None:
        opened = open_provider(*provider)
        try:
            return await opened.bases() if isinstance(opened, KnowsBases) else None
        finally:
            await opened.close()

    catalogue = replace(options.catalogue, present=asyncio.run(bases()), mirror=options.mirror)
    prepared = read_plan(source, commit, issue=issue, options=options.model_copy(update={"catalogue": catalogue}))
    plan = prepared.plan
    if as_json:
        print_json(plan)
        return 0
    print_facts(
        {
            "commit": prepared.fix.sha,
            "base": prepared.fix.base,
            "language": plan.language,
            "built by": plan.build_system,
            "toolchain": f"{plan.toolchain} ({plan.why_toolchain})" if plan.why_toolchain else plan.toolchain,
            "tests": f"{plan.framework} in {plan.root or 'the repository'}",
            "changed tests": ", ".join(prepared.changed_tests),
            "hidden": ", ".join(write.path for write in prepared.hidden),
            "solution": ", ".join((*prepared.gold.files, *prepared.gold.deleted)),
            "image": plan.recipe.base,
            "packages": " ".join(plan.packages),
            "notes": "; ".join(plan.notes),
        }
    )
    for step in plan.steps:
        print_text(f"\n{step.run.rstrip()}")
    for command in plan.tests:
        shown = command.script or " ".join((command.framework, *command.args, *command.targets))
        print_text(f"\n{shown.rstrip()}")
    print_text(f"\n{prepared.instruction}")
    return 0


def build_one(
    source: str,
    commit: str,
    out_dir: Path,
    *,
    provider: tuple[str, dict[str, Any]],
    issue: str | None,
    name: str | None,
    options: BuildOptions,
) -> BuildReport:
    """Build one task on a provider, given by name and options."""
    import asyncio

    from podgym.envs.build import build_task
    from podgym.sandbox.providers import open_provider

    target = out_dir.absolute()

    async def build() -> BuildReport:
        opened = open_provider(*provider)
        try:
            return await build_task(source, commit, target, provider=opened, issue=issue, name=name, options=options, progress=say)
        finally:
            await opened.close()

    return asyncio.run(build())


def print_build(report: BuildReport) -> None:
    """For people."""
    if report.status == "failed":
        print_text(f"failed in {report.stage}: {report.reason}")
        say(report.message)
        if report.details:
            say(report.details)
        return
    print_facts(
        {
            "task": report.task,
            "status": report.status,
            "directory": shown_path(Path(report.out)),
            "commit": report.commit,
            "built by": f"{report.build_system}, {report.language} {report.toolchain}, {report.framework}",
            "tests": f"{report.tests.passed} of {report.tests.total} pass with the fix",
            "fail to pass": len(report.fail_to_pass),
            "pass to pass": len(report.pass_to_pass),
            "flaky": len(report.flaky) or "",
            "repairs": "; ".join(report.repairs),
            "seconds": f"{report.seconds:.1f}",
        }
    )
    for note in report.notes:
        say(note)
    say(f"Play its solution with: podgym rollout run {shown_path(Path(report.out))} --gold")
