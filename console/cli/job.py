"""`podgym job`: submit, watch, stop and resume runs, on this machine or on a Ray cluster."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podgym.console.cli.options import Address, AsJson, Directory, Sets
from podgym.console.cli.output import ago, out, print_facts, print_json, print_table, print_text, say

if TYPE_CHECKING:
    from podgym.console.jobs import RunFacts, Submission
    from podgym.console.jobs.cluster import ClusterJob, ClusterJobs
    from podgym.rollout.report import HackTotals
    from podgym.traces.store import RunDir

__all__ = ["app"]

app = typer.Typer(help="Runs of job files.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="A run's id, the beginning or the end of it, or `latest`.")]
Foreground = Annotated[bool, typer.Option("--foreground", "-f", help="Run in this process, with progress; Ctrl-C stops it in order.")]
Modules = Annotated[
    list[Path] | None, typer.Option("--py-module", help="With --address: folder of a package that the job needs; any number of times.")
]
Python = Annotated[str, typer.Option("--python", help="With --address: the interpreter on the cluster.")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="The job, as TOML.")],
    *,
    sets: Sets = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved job and do nothing.")] = False,
    foreground: Foreground = False,
    address: Address = None,
    modules: Modules = None,
    python: Python = "python",
    as_json: AsJson = False,
) -> int:
    """Start a job. Its driver goes on when the terminal is closed."""
    from podgym.console.jobs import Submission
    from podgym.rollout.job import dump_job, load_job

    job = load_job(file, sets or ())
    submission = Submission.new(job, address=address or "")
    if dry_run:
        resolved = submission.job
        assert resolved is not None
        print_json(resolved) if as_json else print_text(dump_job(resolved))
        return 0
    return _start(submission, foreground=foreground, modules=modules, python=python, as_json=as_json)


@app.command()
def resume(
    run_id: Id,
    *,
    directory: Directory = Path("runs"),
    foreground: Foreground = False,
    address: Address = None,
    modules: Modules = None,
    python: Python = "python",
    as_json: AsJson = False,
) -> int:
    """Go on with a run that was stopped, failed, or lost its driver."""
    from podgym.console.jobs import Submission

    if address is not None:
        cluster = _cluster(address)
        job = cluster.find(run_id)
        cluster.check_resumable(job)
        submission = Submission(run_id=job.run_id, directory=Path(job.directory), cwd=job.cwd, address=address)
    else:
        run = _find(directory, run_id)
        _check_resumable(run)
        submission = Submission.again(run).model_copy(update={"address": ""})
    return _start(submission, foreground=foreground, modules=modules, python=python, as_json=as_json)


@app.command("list")
def list_jobs(
    directory: Directory = Path("runs"),
    address: Address = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only the newest so many.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Runs, the newest first."""
    if address is not None:
        jobs = _cluster(address).jobs()[:limit]
        if as_json:
            print_json(jobs)
        else:
            print_table(
                ("run", "status", "started", "directory", "message"),
                [(job.run_id, job.status, ago(job.started_s), job.directory, job.message) for job in jobs],
                empty=f"No jobs of podgym on {address}.",
            )
        return
    from podgym.console.jobs import run_facts
    from podgym.traces.store import RunStore

    found = [run_facts(run) for run in RunStore(directory).runs()[:limit]]
    if as_json:
        print_json(found)
    else:
        print_table(
            ("run", "status", "step", "rollouts", "solved", "started"),
            [(one.run_id, one.status, _step(one), one.rollouts or "", _solved(one), ago(one.started_s)) for one in found],
            empty=f"No runs in {directory}. `podgym job submit FILE` starts one.",
        )


@app.command()
def show(run_id: Id, directory: Directory = Path("runs"), address: Address = None, as_json: AsJson = False) -> None:
    """One run: how far it is, what it lost, how it ended."""
    if address is not None:
        job = _cluster(address).find(run_id)
        if as_json:
            print_json(job)
        else:
            _print_job(job)
        return
    from podgym.console.jobs import run_facts

    facts = run_facts(_find(directory, run_id))
    if as_json:
        print_json(facts)
    else:
        _print_run(facts)


@app.command()
def logs(
    run_id: Id,
    directory: Directory = Path("runs"),
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    address: Address = None,
) -> None:
    """What the run's processes said."""
    if address is not None:
        cluster = _cluster(address)
        for part in cluster.logs(cluster.find(run_id), follow=follow):
            typer.echo(part, nl=False)
        return
    from podgym.console.jobs.log import log_parts

    for data in log_parts(_find(directory, run_id), follow=follow):
        typer.echo(data, nl=False)


@app.command()
def stop(
    run_id: Id,
    directory: Directory = Path("runs"),
    timeout_s: Annotated[float, typer.Option("--timeout-s", min=0, help="How long the driver may take to end in order.")] = 60.0,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Stop a run and leave nothing of it behind: no process, container, mount or directory of a sandbox."""
    if address is not None:
        cluster = _cluster(address)
        job = cluster.stop(cluster.find(run_id), timeout_s=timeout_s + 30)
        if as_json:
            print_json(job)
        else:
            _print_job(job)
        return
    from podgym.rollout.stop import stop_run

    run = _find(directory, run_id)
    report = stop_run(run, timeout_s=timeout_s)
    if as_json:
        print_json({"run_id": run.id, **asdict(report)})
        return
    told = "was told to stop" if report.signalled else "was not running"
    print_text(f"{run.id}: {report.status}. Its driver {told}; {report.killed} processes and {report.sandboxes} sandboxes were swept.")
    if report.status in ("stopped", "failed"):
        say(f"Go on with: podgym job resume {run.id}{_where(run.path.parent)}")


def _start(submission: Submission, *, foreground: bool, modules: list[Path] | None, python: str, as_json: bool) -> int:
    if submission.address:
        if foreground:
            raise typer.BadParameter("A job on a cluster runs there; follow it with `podgym job logs -f`.", param_hint="--foreground")
        job = _cluster(submission.address).submit(submission, modules=modules or (), python=python)
        print_json(job) if as_json else print_text(job.run_id)
        say(f"Follow it with: podgym job logs -f {job.run_id} --address {submission.address}")
        return 0
    if modules:
        raise typer.BadParameter("It is for --address: on this machine packages are installed.", param_hint="--py-module")
    if foreground:
        from podgym.console.cli.foreground import run_here

        return run_here(submission, as_json=as_json)
    from podgym.console.jobs import launch, run_facts

    run = launch(submission)
    print_json(run_facts(run)) if as_json else print_text(run.id)
    where = _where(submission.directory)
    say(f"Follow it with: podgym job logs -f {run.id}{where}")
    say(f"Look at it with: podgym job show {run.id}{where} or podgym view{where}")
    return 0


def _check_resumable(run: RunDir) -> None:
    from podgym.console.jobs import SubmitError

    status = run.status()
    if status in ("running", "finished"):
        raise SubmitError(f"Run {run.id} is {status}.", remedy="Stop it first." if status == "running" else "Submit a new job.")


def _find(directory: Path, run_id: str) -> RunDir:
    from podgym.traces.store import RunStore

    return RunStore(directory).find(run_id)


def _cluster(address: str) -> ClusterJobs:
    from podgym.console.jobs.cluster import ClusterJobs

    return ClusterJobs(address)


def _where(directory: Path) -> str:
    return "" if directory.absolute() == Path("runs").absolute() else f" --directory {directory}"


def _step(facts: RunFacts) -> str:
    return f"{facts.step}/{facts.steps}" if facts.steps else ""


def _solved(facts: RunFacts) -> str:
    from podgym.console.jobs.steps import rate

    if "after" in facts.evaluations:
        return f"{rate(facts.evaluations.get('before'))} -> {rate(facts.evaluations['after'])}"
    return rate(facts.solve_rate if facts.solve_rate is not None else (facts.summary or {}).get("solve_rate"))


def _print_run(facts: RunFacts) -> None:
    from podgym.console.jobs.steps import rate, reasons

    style = {"finished": "green", "running": "cyan", "failed": "red", "crashed": "red", "stopped": "yellow"}.get(facts.status, "")
    out().print(facts.run_id, facts.status, style=style, markup=False)
    print_facts(
        {
            "status": facts.note or facts.status,
            "environment": facts.environment,
            "policy": facts.policy,
            "sandboxes": facts.provider,
            "step": _step(facts),
            "rollouts": f"{facts.rollouts}, {facts.scored} scored" if facts.rollouts else "",
            "unscored": reasons(facts.unscored),
            "lost": f"{facts.lost} ended with a process that died" if facts.lost else "",
            "in flight": _named(facts.in_flight),
            "solved": _solved(facts),
            "evaluations": ", ".join(f"{name} {rate(value)}" for name, value in facts.evaluations.items()),
            "attempts to cheat": _hacks(facts.hacks),
            "sudden rises": "; ".join(facts.alerts[-3:]),
            "resumed": facts.resumed or "",
            "started": ago(facts.started_s),
            "took": f"{facts.seconds:.0f} s" if facts.seconds is not None else "",
            "driver": f"process {facts.pid} on {facts.host}" if facts.status == "running" else "",
            "error": facts.error,
            "folder": facts.path,
        }
    )
    for problem in facts.problems:
        say(problem)


def _hacks(hacks: HackTotals) -> str:
    if not (hacks.attempts or hacks.signals):
        return ""
    families = ", ".join(f"{count} {name}" for name, count in sorted(hacks.families.items(), key=lambda item: -item[1]))
    parts: list[str] = []
    if hacks.attempts:
        rollouts = f"{hacks.rollouts} rollout{'' if hacks.rollouts == 1 else 's'}"
        parts.append(f"{hacks.attempts} in {rollouts}, {hacks.succeeded} seem to have worked ({families})")
    if hacks.signals:
        parts.append(f"{hacks.signals} outcome{'' if hacks.signals == 1 else 's'} that no honest rollout has")
    return "; ".join(parts)


def _named(names: tuple[str, ...], most: int = 8) -> str:
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} when last saved: {', '.join(names[:most])}{more}"


def _print_job(job: ClusterJob) -> None:
    out().print(job.run_id, job.status, markup=False)
    print_facts({"submission": job.submission_id, "message": job.message, "started": ago(job.started_s), "folder": job.directory})
