"""The verdicts that lie beside a task's hidden tests: of no change and of the solution, and of nothing else.

Rollouts are told those without a grading, so they are held against the task itself: what the solution is follows from the gold
patch, laid over base by git in the repository that has just been certified.
"""

from __future__ import annotations

import os
from pathlib import Path

from podgym.envs.audit.rules import Tally
from podgym.envs.code.known import KNOWN, read_known
from podgym.envs.contract import Task
from podgym.envs.harbor import TaskFiles
from podgym.envs.repository.errors import RepositoryError
from podgym.envs.repository.git import Git
from podgym.verifiers import EMPTY_DIGEST, Change, ChangedFile, ChangeLimits

__all__ = ["check_known", "gold_digest"]

_ANEW = "Build the task anew with `podgym env build`."
_GOLD = "solution/gold.patch"
_GONE = "0" * 40


def check_known(task: Task, files: TaskFiles, solution: str, tally: Tally) -> None:
    """Hold the file, where there is one, against the digest of the change that solves the task."""
    tally.look("verdicts")
    try:
        data = files(KNOWN)
    except FileNotFoundError:
        return
    except OSError as error:
        tally.add("verdicts", KNOWN, f"The known verdicts cannot be read: {error}.", _ANEW)
        return
    try:
        known = read_known(data, digest=task.digest)
    except ValueError as error:
        tally.add("verdicts", KNOWN, f"The known verdicts are of no use: {error}", _ANEW)
        return
    expected = {EMPTY_DIGEST: 0.0, solution: 1.0}
    for digest, verdict in known.items():
        if digest not in expected:
            message = f"A verdict is known of a change that is neither none nor the solution: {digest[:16]} is worth {verdict.reward}."
            tally.add("verdicts", f"{KNOWN} {digest[:16]}", message, _ANEW)
        elif verdict.status != "scored" or verdict.reward != expected[digest]:
            what = "no change" if digest == EMPTY_DIGEST else "the solution"
            message = f"The known verdict of {what} is {verdict.reward}, not {expected[digest]:g}."
            tally.add("verdicts", f"{KNOWN} {digest[:16]}", message, _ANEW)


def gold_digest(repository: Path, base: str, patch: bytes, tally: Tally) -> str:
    """`Change.digest` of the solution; empty, with a finding, where the patch is none of `base`. Uses up the repository's index."""
    git = Git(repository / ".git", work_tree=repository)
    bound = ChangeLimits().total_bytes
    try:
        git.run("read-tree", base)
        git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)
        entries = git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--full-index", base).split(b"\0")
        files: dict[str, ChangedFile] = {}
        deleted: list[str] = []
        size = 0
        for meta, name in zip(entries[::2], entries[1::2], strict=False):
            _, mode, _, blob, _ = meta.decode("ascii", "replace").split(" ")
            path = os.fsdecode(name)
            if blob == _GONE:
                deleted.append(path)
                continue
            size += int(git.run("cat-file", "-s", blob))
            if size > bound:
                tally.add("gold", _GOLD, f"The solution writes more than {bound} bytes, which no change may.", _ANEW)
                return ""
            files[path] = ChangedFile(int(mode, 8), git.run("cat-file", "blob", blob))
    except RepositoryError as error:
        tally.add("gold", _GOLD, f"The solution cannot be applied to base: {error.message}", _ANEW)
        return ""
    return Change(files=files, deleted=tuple(deleted)).digest
