"""A task's gold solution as an agent's turns: `str_replace` where that can say it, a file written anew elsewhere.

The patch is applied by git in an empty folder that holds nothing but the files that it touches, so nothing of the task's own
repository takes part.
"""

from __future__ import annotations

import base64
import difflib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from podgym.envs import Task
from podgym.envs.harbor import TaskFiles, task_directory
from podgym.errors import PodgymError
from podgym.rollout.dialects import DialectError, spell_compact
from podgym.rollout.tools.calls import ToolCall
from podgym.verifiers import BaseTree, GradingPlan

__all__ = ["GoldError", "gold_turns", "replacements", "whole_file"]

_PATCH = "solution/gold.patch"
_PART = 60_000
"""Characters of base64 in one turn; a shell takes 128 KiB in one argument."""
_CONTEXTS = (1, 3, 8, 20)


class GoldError(PodgymError, ValueError):
    """The task has no solution that can be played."""


def gold_turns(task: Task) -> list[str]:
    """Turns of the compact dialect that make the gold change and finish. Raises `GoldError`."""
    try:
        directory = task_directory(task)
        patch = TaskFiles(directory)(_PATCH)
        base = BaseTree.from_tar(directory / GradingPlan.model_validate(task.grading).base)
    except (LookupError, OSError, ValueError) as error:
        raise GoldError(
            f"The task {task.id} has no gold solution to play: {' '.join(str(error).split())}",
            remedy="Use a task that `podgym env build` made, or --script.",
        ) from error
    turns: list[str] = []
    for path, (before, after, executable) in _applied(task, patch, base).items():
        quoted = shlex.quote(f"./{path}")
        if after is None:
            turns.append(f"bash rm -- {quoted}")
            continue
        edits = replacements(before, after) if before is not None else None
        turns += [f"str_replace {path}\n{old}\n=>\n{new}" for old, new in edits] if edits is not None else whole_file(quoted, after)
        if executable:
            turns.append(f"bash chmod +x {quoted}")
    return [*turns, "finish"]


def _applied(task: Task, patch: bytes, base: BaseTree) -> dict[str, tuple[bytes | None, bytes | None, bool]]:
    """Path to content before and after (None: no such file), and whether it becomes executable."""
    with tempfile.TemporaryDirectory(prefix="podgym-gold-") as scratch:
        root = Path(scratch)
        listed = _git(task, ["apply", "--numstat", "-z", "-"], patch, root)
        paths = [os.fsdecode(line.split(b"\t", 2)[2]) for line in listed.split(b"\0") if line.count(b"\t") >= 2]
        before = {path: base.reader(path) if path in base.files else None for path in paths}
        for path, data in before.items():
            if data is not None:
                place = root / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                place.chmod(base.files[path].mode & 0o777)
        _git(task, ["apply", "--whitespace=nowarn", "-"], patch, root)
        found: dict[str, tuple[bytes | None, bytes | None, bool]] = {}
        for path in paths:
            place = root / path
            if place.is_symlink():
                raise GoldError(f"The gold solution of task {task.id} makes a link, {path}.", remedy="Play it with --script.")
            after = place.read_bytes() if place.is_file() else None
            was = path in base.files and base.files[path].mode & 0o111 != 0
            found[path] = (before[path], after, after is not None and place.stat().st_mode & 0o111 != 0 and not was)
        return found


def _git(task: Task, arguments: list[str], stdin: bytes, root: Path) -> bytes:
    """Outside of any repository, without anybody's settings."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(root), "GIT_CEILING_DIRECTORIES": str(root.parent)}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *arguments], input=stdin, capture_output=True, cwd=root, env=env, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise GoldError(f"git cannot apply the gold solution of task {task.id}: {error}.", remedy="Install git.") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise GoldError(f"The gold solution of task {task.id} does not apply: {said}.", remedy="Build the task anew.")
    return done.stdout


def whole_file(quoted: str, data: bytes) -> list[str]:
    """Turns that write a file anew, its path quoted for a shell."""
    encoded = base64.b64encode(data).decode()
    turns = [f'bash mkdir -p -- "$(dirname {quoted})" && : > {quoted}.b64']
    turns += [f"bash printf %s {encoded[at : at + _PART]} >> {quoted}.b64" for at in range(0, len(encoded), _PART)]
    return [*turns, f"bash base64 -d {quoted}.b64 > {quoted} && rm {quoted}.b64"]


def replacements(before: bytes, after: bytes) -> list[tuple[str, str]] | None:
    """Edits that turn one text into the other, each `old` there exactly once when its turn comes; None where none do."""
    try:
        current, target = before.decode(), after.decode()
    except UnicodeDecodeError:
        return None
    if "\r" in current + target:
        return None
    for context in _CONTEXTS:
        edits = _edits(current.split("\n"), target.split("\n"), context)
        if _outcome(current, edits) == target and all(_can_say(old, new) for old, new in edits):
            return edits
    return None


def _edits(old: list[str], new: list[str], context: int) -> list[tuple[str, str]]:
    groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context)
    return [("\n".join(old[group[0][1] : group[-1][2]]), "\n".join(new[group[0][3] : group[-1][4]])) for group in groups]


def _outcome(text: str, edits: list[tuple[str, str]]) -> str | None:
    for old, new in edits:
        if not old or text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def _can_say(old: str, new: str) -> bool:
    try:
        spell_compact(ToolCall("str_replace", {"path": "x", "old": old, "new": new}))
    except DialectError:
        return False
    return True
