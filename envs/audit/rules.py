"""The rules of an audit: what is proven of a task and of every layer of its image, in one table.

A finding names its rule, so that a list of findings can be read, counted and tested; a rule that is not in the table cannot be
broken. The first group is judged for the project's own git directory by `podgym.envs.repository`; the others here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from podgym.envs.repository import Finding

__all__ = ["GIT_RULES", "GONE", "RULES", "Tally"]

GONE = "A later layer changes or deletes it, which does not take it out of the image."
"""Ends the message of a finding that the image's last state does not have."""

GIT_RULES: Mapping[str, str] = MappingProxyType(
    {
        "git-directory": "The project has one git directory of its own, and not a link or a gitfile to one elsewhere.",
        "closure": "Everything that is reachable from base is there.",
        "objects": "Nothing else is there: the set of objects is the closure of base, in every layer.",
        "ids": "No file of the git directory names an object outside of that set.",
        "refs": "One branch at base, and tags inside its history.",
        "head": "HEAD is that branch.",
        "index": "The index is of the plain kind, so that no id hides in it.",
        "config": "The configuration has no key but those that git needs.",
        "remote": "There is no remote and no remote's branch.",
        "promisor": "No object is promised by another repository, which git would ask.",
        "alternates": "No other repository's objects are visible.",
        "commit-graph": "No commit graph, which git believes unseen.",
        "pseudo-ref": "No ORIG_HEAD, FETCH_HEAD or other memory of an earlier operation.",
        "reflog": "No reflog.",
        "stash": "No stash.",
        "notes": "No notes.",
        "replace": "No replacement refs.",
        "worktree": "No linked work trees.",
        "submodule": "No submodule comes with more than the history of its pinned commit.",
        "shallow": "History is not cut off unless the certificate says so.",
        "hooks": "No hooks.",
        "leftover": "Nothing else is in the git directory.",
        "nested-repository": "No repository but the pinned submodules is inside the work tree.",
        "too-large": "No file is larger than what can be searched.",
    }
)

_IMAGE_RULES = {
    "image": "The image is whole: each layer is readable and is the one that its configuration names.",
    "unsearched": "Nothing had to be left unsearched because of its size, depth or number.",
    "other-repository": "No other git directory shares objects with the project or holds lines of the solution.",
    "repository": "Each repository can be read to its end, within bounds of time, size and number.",
    "pack": "No pack, index, bundle or loose object lies outside of a git directory.",
    "installed-copy": "No copy of the project is installed whose version is not the work tree's own or an earlier one.",
    "package-cache": "No package cache holds such a copy.",
    "gold-line": "No file outside of base's history has lines that only the solution adds, packed and compiled files included.",
    "hidden-test": "No hidden test, nor its content, is in the image.",
    "fix-id": "No file outside of history names the commit of the fix.",
    "residue": "No patch, and nothing that applying one leaves, is in the image.",
    "stale-build": "Nothing in the work tree was built from other sources than base's.",
    "environment": "No environment variable names the fix or leads git elsewhere.",
    "label": "No label or annotation of the image names the fix.",
    "entrypoint": "Neither the entry point nor the command names the fix.",
    "build-history": "No command of the image's history names the fix, or copies or applies a patch.",
}

_PROMPT_RULES = {
    "prompt-commit": "The instruction names no commit outside of base's history.",
    "prompt-link": "The instruction has no link to a commit, a pull request or a comparison.",
    "prompt-test": "The instruction names no hidden test.",
    "prompt-solution": "The instruction has no line of the solution or of the hidden tests.",
}

_TASK_RULES = {
    "grading": "The grading data is complete.",
    "archive": "The archive of the repository can be unpacked.",
    "certificate": "The certificate in the task is of the repository that is there.",
    "provenance": "The task names the digest of that certificate.",
    "gold": "The solution is there, so that it can be searched for.",
    "hidden-file": "The hidden files, and those that no solution passes, are those that the task was validated with.",
    "verdicts": "The verdicts that are known beforehand are 0 for no change and 1 for the solution, and no more.",
    "digest": "Image, sandbox and grading data are those that the task was validated with.",
}

RULES: Mapping[str, str] = MappingProxyType({**GIT_RULES, **_IMAGE_RULES, **_PROMPT_RULES, **_TASK_RULES})
"""Rule to what must be true."""


class Tally:
    """Collects findings without duplicates, and how many things each rule was held against."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Finding] = {}
        self.checked: Counter[str] = Counter()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """In the order in which they were found."""
        return tuple(self._found.values())

    def look(self, rule: str, count: int = 1) -> None:
        """`count` more things were held against `rule`."""
        self.checked[_known(rule)] += count

    def add(self, rule: str, place: str, message: str, remedy: str) -> None:
        """The rule is broken at `place`; the first finding of a rule at a place stays."""
        self._found.setdefault((_known(rule), place), Finding(rule=rule, place=place, message=message, remedy=remedy))

    def amend(self, finding: Finding, more: str) -> None:
        """Say more about a finding that is there."""
        key = (finding.rule, finding.place)
        self._found[key] = self._found[key].model_copy(update={"message": f"{finding.message} {more}"})

    def extend(self, findings: Iterable[Finding]) -> None:
        """Findings that others made."""
        for finding in findings:
            self.add(finding.rule, finding.place, finding.message, finding.remedy)


def _known(rule: str) -> str:
    if rule not in RULES:
        raise ValueError(f"{rule!r} is not a rule of the audit.")
    return rule
