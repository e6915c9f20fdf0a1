"""`podgym env build --mutate`: tasks from small changes of a working project, a line on stderr for each that was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from podgym.console.cli.output import print_json, print_table, say, shown_path

if TYPE_CHECKING:
    from podgym.envs.build import BuildOptions, BuildReport
    from podgym.envs.build.mutation import MutationOptions, Trial
    from podgym.envs.build.repair.model import EndpointConfig

__all__ = ["mutate_command", "mutation_options"]


def mutate_command(
    source: str,
    commit: str,
    out_dir: Path,
    *,
    provider: tuple[str, dict[str, Any]],
    options: BuildOptions,
    mutation: MutationOptions,
    endpoint: EndpointConfig | None = None,
    as_json: bool = False,
) -> int:
    """Make tasks and print them. Exit 1 where none came of it. `endpoint` has a model that writes the issues; by default rules do."""
    tried: list[Trial] = []

    def observe(trial: Trial) -> None:
        tried.append(trial)
        one = trial.mutant
        said = trial.task or trial.why.partition("\n")[0][:160]
        where = f"{one.mutation.operator} in {one.path}:{one.mutation.line}"
        say(f"{trial.outcome:<10} {where} ({trial.seconds:.1f} s){f': {said}' if said else ''}")

    reports = _run(
        {"source": source, "commit": commit, "out_dir": out_dir.absolute(), "options": options, "mutation": mutation},
        provider=provider,
        endpoint=endpoint,
        observe=observe,
    )
    outcomes = dict(Counter(str(trial.outcome) for trial in tried).most_common())
    made = [report for report in reports if report.status != "failed"]
    failed = any(report.status == "failed" for report in reports)
    if as_json:
        failures = [report for report in reports if report.status == "failed"]
        print_json({"tasks": made, "failed": failures, "tried": len(tried), "outcomes": outcomes})
        return int(failed)
    if failed:
        for report in reports:
            say(f"failed in {report.stage}: {report.reason}")
            say(report.message)
            if report.details:
                say(report.details)
    rows = [(one.task, next(iter(one.notes), ""), len(one.fail_to_pass), len(one.pass_to_pass), f"{one.seconds:.1f}") for one in made]
    print_table(("task", "mutation", "must turn", "must hold", "seconds"), rows, empty="No new tasks.")
    say(f"{len(made)} task(s) in {shown_path(out_dir)} from {len(tried)} mutations: {_listed(outcomes) or 'none'}")
    return int(failed)


def mutation_options(given: dict[str, Any]) -> MutationOptions:
    """From the command line's pairs. Raises a usage error."""
    from pydantic import ValidationError

    from podgym.envs.build.mutation import MutationOptions

    try:
        return MutationOptions(**given)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise typer.BadParameter(
            f"{key}: {first['msg']}. Options of mutations: {', '.join(MutationOptions.model_fields)}.", param_hint="--mutate-option"
        ) from error


def _run(
    asked: dict[str, Any], *, provider: tuple[str, dict[str, Any]], endpoint: EndpointConfig | None, observe: Callable[[Trial], None]
) -> list[BuildReport]:
    import asyncio

    from podgym.envs.build.mutation import ChatWriter, synthesise
    from podgym.envs.build.repair.model import ChatEndpoint
    from podgym.sandbox.providers import open_provider

    writer = ChatWriter(ChatEndpoint(endpoint)) if endpoint is not None else None

    async def run() -> list[BuildReport]:
        opened = open_provider(*provider)
        try:
            return await synthesise(**asked, provider=opened, writer=writer, observe=observe, progress=say)
        finally:
            await opened.close()

    return asyncio.run(run())


def _listed(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
