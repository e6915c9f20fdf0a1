"""`podgym env import` and `podgym env export`: tasks of other origin built and proven anew, and podgym's own as others write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podgym.console.cli.options import AsJson, BuildTimeout, Cluster, Provider, ProviderOptions, Workers, pairs
from podgym.console.cli.output import print_json, print_table, print_text, say, shown_path

if TYPE_CHECKING:
    from podgym.envs.formats import Format
    from podgym.envs.formats.importing import Imported

__all__ = ["export_tasks", "import_tasks"]


def import_tasks(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Rows as JSON or JSONL, or a directory of Harbor tasks.")],
    *,
    kind: Annotated[str, typer.Option("--format", help="auto, or the data set's: swe-bench, swe-rebench, multi-swe-bench, …")] = "auto",
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="PATH_OR_URL", help="Where repositories are; {repo}, {owner}, {name} stand for the row's."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Fetch a repository from the URL that a row names.")] = False,
    instance: Annotated[list[str] | None, typer.Option("--instance", help="Only this instance_id; any number of times.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first so many.")] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Tasks become directories in it.")] = Path("tasks"),
    provider: Provider = "auto",
    provider_options: ProviderOptions = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="k=v", help="Any option of a build; see its documentation.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace tasks of the same names.")] = False,
    workers: Workers = 1,
    cluster: Cluster = None,
    build_timeout: BuildTimeout = 7200.0,
    as_json: AsJson = False,
) -> int:
    """Build tasks anew from rows of data sets: base, fix and tests of the row, everything else by podgym. Exit 0 where all were tried.

    The report says what was wrong with each row. Nothing that a row holds is run, and no image of its is used.
    """
    from podgym.console.cli.building import build_options
    from podgym.console.cli.funnel import run_lines
    from podgym.envs.build.funnel import Journal
    from podgym.envs.formats.importing import finish, prepare_rows

    given = pairs(options, "--option") | ({"overwrite": True} if overwrite else {})
    build_options(dict(given), None)
    out_dir = out_dir.absolute()
    where = (provider, pairs(provider_options, "--provider-option"))
    with Journal(out_dir):  # nobody else works in it
        rows = prepare_rows(
            file, kind=_format(kind), repo=repo, follow=follow, folder=out_dir, given=given, chosen=tuple(instance or ()), limit=limit
        )
        prepared = list(rows)
    lines = [one.line for one in prepared]
    made = run_lines(lines, out_dir, provider=where, workers=workers, cluster=cluster, timeout_s=build_timeout)
    _print(finish(prepared, made, out_dir), out_dir, as_json=as_json)
    return 0


def export_tasks(
    tasks: Annotated[list[Path], typer.Argument(metavar="TASK", help="Task directories, or directories of them.")],
    *,
    kind: Annotated[str, typer.Option("--format", help="swe-bench: a row each, one a line; harbor: a directory each.")],
    out: Annotated[Path, typer.Option("--out", help="The file, or the directory.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> int:
    """Write tasks for other tools."""
    from podgym.envs.formats.exporting import export_harbor, export_rows
    from podgym.envs.harbor import TaskError, task_directories

    directories = [directory for path in tasks for directory in task_directories(path)]
    if kind == "swe-bench":
        if out.exists() and not overwrite:
            raise TaskError("It is in use.", file=out, remedy="Choose another --out, or say --overwrite.")
        say(f"{export_rows(directories, out)} rows")
        print_text(shown_path(out))
    elif kind == "harbor":
        for place in export_harbor(directories, out, overwrite=overwrite):
            print_text(shown_path(place))
    else:
        raise typer.BadParameter(f"{kind!r} is none; swe-bench and harbor are.", param_hint="--format")
    return 0


def _format(name: str) -> Format | None:
    from podgym.envs.formats import FORMATS

    if name == "auto":
        return None
    aliases = {"swe-bench-multilingual": "swe-bench", "swe-bench-verified": "swe-bench", "swe-rebench-v2": "swe-rebench"}
    for known in FORMATS:
        if aliases.get(name, name) == known:
            return known
    raise typer.BadParameter(f"{name!r} is none; auto, {', '.join(FORMATS)} are.", param_hint="--format")


def _print(rows: Sequence[Imported], out_dir: Path, *, as_json: bool) -> None:
    from podgym.console.cli.funnel import print_summary
    from podgym.envs.build.funnel import summarise

    summary = summarise(rows)
    kinds = Counter[str](one.kind for row in rows for one in row.problems)
    if as_json:
        document: dict[str, Any] = {"rows": list(rows), "summary": summary, "problems": dict(kinds.most_common())}
        print_json(document)
        return
    print_summary(summary)
    found = [
        (row.instance or f"row {row.line}", one.kind, one.count, _cut(one.message, one.examples)) for row in rows for one in row.problems
    ]
    if found:
        print_text("\n")
        print_table(("row", "what is wrong", "times", "how"), found)
    say(f"{sum(not row.problems for row in rows)} of {len(rows)} rows have nothing wrong. Tasks are in {shown_path(out_dir)}.")


def _cut(message: str, examples: Sequence[str]) -> str:
    first = message.partition("\n")[0]
    return f"{first} Such as {examples[0][:120]}" if examples else first[:240]
