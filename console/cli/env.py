"""`podgym env`: environment types of one's own, and tasks made from repositories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podgym.console.cli.formats import export_tasks, import_tasks
from podgym.console.cli.naming import tasks_directory
from podgym.console.cli.options import AsJson, BuildTimeout, Cluster, Options, Provider, ProviderOptions, Workers, pairs
from podgym.console.cli.output import out, print_facts, print_json, print_table, print_text, say, shown_path

if TYPE_CHECKING:
    from podgym.envs import Task

__all__ = ["app"]

app = typer.Typer(help="Tasks and environment types.", no_args_is_help=True)

app.command("import")(import_tasks)
app.command("export")(export_tasks)

TaskPath = Annotated[Path, typer.Argument(metavar="TASK", help="A task's directory.")]


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Of the environment type: lower-case words with hyphens.")],
    directory: Annotated[Path | None, typer.Option("--directory", "-d", help="By default the name, here.")] = None,
) -> None:
    """Write a package with an environment type that works, to be changed into your own."""
    from podgym.envs.scaffold import init_plugin

    target = directory or Path(name)
    for path in init_plugin(name, target):
        print_text(shown_path(path))
    say(f"Install it with: pip install -e {target}")
    say(f"Then play it with: podgym rollout run {name} --script FILE")


@app.command()
def build(
    source: Annotated[str | None, typer.Argument(metavar="PATH_OR_URL", help="A git repository.")] = None,
    *,
    commit: Annotated[str | None, typer.Option("--commit", help="The commit that fixed something and changed tests.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="The task becomes a directory in it.")] = Path("tasks"),
    many: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Build many: a JSON object a line, with repo, commit and any options.")
    ] = None,
    scan: Annotated[
        int | None, typer.Option("--scan", metavar="N", min=1, help="Build the last N commits (to --commit) that change tests and source.")
    ] = None,
    workers: Workers = 1,
    cluster: Cluster = None,
    build_timeout: BuildTimeout = 7200.0,
    issue_file: Annotated[Path | None, typer.Option("--issue-file", help="The issue's text; by default the commit's message.")] = None,
    issue: Annotated[
        str | None, typer.Option("--issue", help="The issue's text, or owner/name#123 to take text and fix from GitHub.")
    ] = None,
    mutate: Annotated[
        int | None, typer.Option("--mutate", metavar="N", min=1, help="Make N tasks from small changes of the project at --commit.")
    ] = None,
    mutate_options: Annotated[
        list[str] | None, typer.Option("--mutate-option", metavar="k=v", help="Any option of mutations; see its documentation.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The task's id; by default repository and commit.")] = None,
    provider: Provider = "auto",
    provider_options: ProviderOptions = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="k=v", help="Any option of a build; see its documentation.")
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="An edited plan, as --dry-run --json prints it.")] = None,
    language: Annotated[str | None, typer.Option("--language", help="In place of the one that the changed files suggest.")] = None,
    toolchain: Annotated[str | None, typer.Option("--toolchain", help="Its version, such as 3.11 or 17.")] = None,
    parent: Annotated[
        int | None, typer.Option("--parent", help="Of a merge commit: the parent before the fix, from 1 (the default).")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="train, test, or any name.")] = None,
    no_validate: Annotated[bool, typer.Option("--no-validate", help="Run no tests: a task to look at, not to grade.")] = False,
    audit: Annotated[bool, typer.Option("--audit", help="Read the whole Docker image, as `env check --image` does.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a task of the same name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and build nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Make a task from the commit that fixed an issue. Exit 1 where no task comes of it; the report says why.

    With --from or --scan many, each in a process of its own, into one directory; exit 0 where all were tried. The same command goes on
    where it was stopped.
    """
    if issue is not None and issue_file is not None:
        raise typer.BadParameter("Give the issue once.", param_hint="--issue-file")
    from podgym.console.cli.building import build_one, build_options, print_build, print_plan, read_text, resolve_reference

    text = read_text(issue_file, "--issue-file") if issue_file is not None else issue
    given = pairs(options, "--option")
    if issue is not None and (resolved := resolve_reference(issue)) is not None:
        source, commit, text = source or resolved.url, commit or resolved.fix, resolved.text
        given = {"base": resolved.base, **given}
    chosen = {"language": language, "toolchain": toolchain, "parent": parent, "split": split}
    given |= {key: value for key, value in chosen.items() if value is not None}
    given |= {"overwrite": overwrite} if overwrite else {}
    given |= {"audit": audit} if audit else {}
    given |= {"run_tests": False} if no_validate else {}
    built = build_options(given, plan)
    where = (provider, pairs(provider_options, "--provider-option"))
    if many is not None or scan is not None:
        from podgym.console.cli.funnel import build_many

        single = {"issue": issue, "issue_file": issue_file, "name": name, "plan": plan, "dry_run": dry_run}
        how = {"provider": where, "workers": workers, "cluster": cluster, "timeout_s": build_timeout}
        return build_many(
            source, commit, out_dir, file=many, count=scan, given=given, options=built, single=single, how=how, as_json=as_json
        )
    if source is not None and mutate is not None:
        from podgym.console.cli.mutation import mutate_command, mutation_options

        mutation = mutation_options({**pairs(mutate_options, "--mutate-option"), "count": mutate})
        return mutate_command(
            source, commit or "HEAD", out_dir, provider=where, options=built, mutation=mutation, endpoint=built.endpoint, as_json=as_json
        )
    if source is None or commit is None:
        raise typer.BadParameter("Give a repository and --commit, or --from FILE.", param_hint="PATH_OR_URL")
    if dry_run:
        return print_plan(source, commit, text, provider=where, options=built, as_json=as_json)
    report = build_one(source, commit, out_dir, provider=where, issue=text, name=name, options=built)
    if as_json:
        print_json(report)
    else:
        print_build(report)
    return int(report.status == "failed")


@app.command()
def check(
    tasks: Annotated[
        list[Path] | None, typer.Argument(metavar="TASK", help="A task's directory, or a data set's row as JSON; any number of them.")
    ] = None,
    *,
    image: Annotated[
        str, typer.Option("--image", help="What the agent works in: a saved image, a name that Docker knows, or 'local'.")
    ] = "",
    base: Annotated[str, typer.Option("--base", metavar="SHA", help="The commit that the agent starts from; by default the task's.")] = "",
    workdir: Annotated[str, typer.Option("--workdir", help="The project's directory in the image; by default it is found.")] = "",
    instance: Annotated[str, typer.Option("--instance", help="Of several rows the one with this instance_id.")] = "",
    certificate: Annotated[Path | None, typer.Option("--certificate", metavar="FILE", help="Write what was proven here.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and check nothing.")] = False,
    as_json: AsJson = False,
) -> int:
    """Prove a task and its image, layer by layer: nothing of the fix is in them. Exit 1 where something is found.

    Tasks of other origin work too: Harbor directories, rows of SWE-bench and its kin, or an image alone.
    """
    from podgym.console.cli.checking import print_reports, print_rules, write_certificate

    if rules:
        print_rules(as_json=as_json)
        return 0
    targets: list[Path | None] = [*(tasks or ())]
    if not targets and not image:
        raise typer.BadParameter("Give a task, or an image with --image.", param_hint="TASK")
    if len(targets) > 1 and (image or certificate or instance):
        raise typer.BadParameter("--image, --instance and --certificate are for one task.", param_hint="TASK")
    if base and not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", base):
        raise typer.BadParameter(f"{base!r} is not the full id of a commit.", param_hint="--base")
    if workdir and not workdir.startswith("/"):
        raise typer.BadParameter(f"{workdir!r} is not an absolute directory.", param_hint="--workdir")
    from podgym.envs.audit import audit

    found = [audit(target, image=image, base=base, workdir=workdir, instance=instance) for target in targets or [None]]
    if certificate is not None:
        write_certificate(found[0], certificate)
    return print_reports(found, as_json=as_json)


@app.command()
def attack(
    task: TaskPath,
    *,
    provider: Provider = "local",
    provider_options: ProviderOptions = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="A1,D3", help="Rows of the list or their cases; any number of times.")
    ] = None,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="Attacks tried at once.")] = 2,
    as_json: AsJson = False,
) -> int:
    """Try every known way to cheat on a task: on a plain grader, and on podgym's. Exit 1 where an attack is worth anything."""
    from podgym.console.cli.attacking import attack_task, print_matrix

    matrix = attack_task(
        task,
        provider=(provider, pairs(provider_options, "--provider-option")),
        only=only or (),
        concurrency=concurrency,
        progress=lambda row: say(f"{row.id}: {row.plain}" + (f", worth {row.reward:g}" if row.reward is not None else "")),
    )
    return print_matrix(matrix, as_json=as_json)


@app.command("list")
def list_tasks(
    tasks: Annotated[str, typer.Argument(metavar="TASKS", help="A directory of tasks, or an environment type.")],
    options: Options = None,
    limit: Annotated[int, typer.Option("--limit", min=1)] = 200,
    as_json: AsJson = False,
) -> None:
    """Tasks of a directory or a type."""
    found, more = _tasks(tasks, pairs(options, "--option"), limit)
    if as_json:
        print_json([_brief(task) for task in found])
    else:
        print_table(
            ("task", "type", "split", "tags", "must pass", "instruction"),
            [
                (task.id, task.environment, task.split, " ".join(task.tags), _required(task), _first_line(task.instruction))
                for task in found
            ],
            empty="No tasks.",
        )  # fmt: skip
    if more:
        say(f"There are more than {limit}; --limit shows more.")


@app.command()
def show(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task's directory, or with --type a task's id.")],
    kind: Annotated[str | None, typer.Option("--type", help="The environment type that the id is of.")] = None,
    options: Options = None,
    as_json: AsJson = False,
) -> None:
    """One task: what the agent is told, where it works, what decides."""
    found = _one(task, kind, pairs(options, "--option"))
    if as_json:
        print_json(found)
        return
    out().print(found.id, style="bold", markup=False)
    recipe = found.sandbox.recipe
    print_facts(
        {
            "type": found.environment,
            "split": found.split,
            "tags": ", ".join(found.tags),
            "image": found.sandbox.image if recipe is None else f"{recipe.base} with {len(recipe.before) + len(recipe.after)} steps",
            "directory": found.sandbox.workdir,
            "network": found.sandbox.network,
            "must pass": _required(found),
            "digest": found.digest,
            **{name: value for name, value in found.provenance.items() if value},
        }
    )
    print_text(f"\n{found.instruction}")
    fail_to_pass = found.grading.get("fail_to_pass", ())
    if fail_to_pass:
        print_text("\nfails before, passes after:\n" + "\n".join(f"  {test}" for test in fail_to_pass))


def _tasks(tasks: str, options: dict[str, Any], limit: int) -> tuple[list[Task], bool]:
    import itertools

    from podgym.envs.harbor import iter_tasks
    from podgym.envs.registry import open_environment

    path = tasks_directory(tasks)
    every = iter_tasks(path) if path is not None else open_environment(tasks, options).tasks()
    found = list(itertools.islice(every, limit + 1))
    return found[:limit], len(found) > limit


def _one(task: str, kind: str | None, options: dict[str, Any]) -> Task:
    from podgym.envs.harbor import read_task
    from podgym.envs.registry import open_environment

    if kind is None:
        return read_task(Path(task))
    for one in open_environment(kind, options).tasks():
        if one.id == task:
            return one
    raise typer.BadParameter(f"The environment type {kind!r} has no task {task!r}.", param_hint="TASK")


def _brief(task: Task) -> dict[str, Any]:
    kept = {"id", "environment", "split", "tags", "provenance", "digest"}
    return task.model_dump(mode="json", include=kept) | {"instruction": _first_line(task.instruction)}


def _required(task: Task) -> str:
    counts = [len(task.grading.get(name, ())) for name in ("fail_to_pass", "pass_to_pass")]
    return f"{counts[0]} + {counts[1]}" if any(counts) else ""


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 80 else f"{line[:79]}…"
