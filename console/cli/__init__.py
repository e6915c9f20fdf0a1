"""The command line. Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted; a failure that podgym foresees is a message, never a traceback.

Modules here import nothing heavy at their top: what a command needs is imported when it runs, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from typing import cast

import typer

from podgym.console.cli.config import app as config
from podgym.console.cli.demo import demo
from podgym.console.cli.doctor import doctor
from podgym.console.cli.env import app as env
from podgym.console.cli.job import app as job
from podgym.console.cli.output import err, say
from podgym.console.cli.plugin import app as plugin
from podgym.console.cli.rollout import app as rollout
from podgym.console.cli.view import view
from podgym.console.remedies import explained, missing_package
from podgym.errors import PodgymError

__all__ = ["app", "main"]

# Typer has its own copy of click under a private name; the classes are reached through what it exports.
_Usage = cast("type[typer.BadParameter]", typer.BadParameter.__bases__[0])
_Click = cast("type[typer.BadParameter]", _Usage.__bases__[0])

app = typer.Typer(
    name="podgym",
    help="Agentic RL: verifiable environments from git history, rollouts in sandboxes, training through the sampled experts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(job, name="job")
app.add_typer(env, name="env")
app.add_typer(rollout, name="rollout")
app.add_typer(plugin, name="plugin")
app.add_typer(config, name="config")
app.command()(doctor)
app.command()(view)
app.command()(demo)


def main() -> None:
    """Entry point of `podgym`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """One command line in this process; returns its exit code."""
    try:
        code = app(arguments, prog_name="podgym", standalone_mode=False)
    except _Usage as error:
        error.show()
        return 2
    except (typer.Abort, KeyboardInterrupt):
        say("Stopped.")
        return 130
    except _Click as error:
        error.show()
        return 1
    except PodgymError as error:
        _explain(error.message, error.remedy)
        return 1
    except BrokenPipeError:
        _mute()
        return 0
    except OSError as error:
        _explain(*explained(error))
        return 1
    except ModuleNotFoundError as error:
        if (missing := missing_package(error)) is None:
            raise
        _explain(missing.message, missing.remedy)
        return 1
    return code if isinstance(code, int) else 0


def _explain(message: str, remedy: str) -> None:
    console = err()
    console.print("error: ", style="bold red", end="")
    console.print(message, markup=False)
    if remedy:
        console.print(remedy, markup=False, style="dim")


def _mute() -> None:
    """Whoever read the output has gone; the interpreter must not try to flush into it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
