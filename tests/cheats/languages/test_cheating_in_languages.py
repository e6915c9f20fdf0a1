"""Attacks on the tests of seven languages, whose reports are made by their real runners in isolated sandboxes.

Each is shown to get full marks where the agent worked and the exit code is believed, is worth nothing here, and leaves the
fix worth 1.0. Those that come from the process that holds the code under test are told by decoys, made as for a built task.
"""

from __future__ import annotations

from typing import Any

import pytest
from language_cheats import c, cpp, ctest, golang, java, javascript, rust, typescript

CHEATS = {
    "go": golang.CHEATS,
    "rust": rust.CHEATS,
    "java": java.CHEATS,
    "javascript": javascript.CHEATS,
    "typescript": typescript.CHEATS,
    "c": c.CHEATS,
    "c-ctest": ctest.CHEATS,
    "cpp": cpp.CHEATS,
}
SLOW = {"go", "rust", "java", "typescript", "c-ctest", "cpp"}
"""Their compilers need more than ten seconds for all of their tests."""

pytestmark = pytest.mark.timeout(600)


def languages() -> list[Any]:
    return [pytest.param(language, marks=[pytest.mark.slow] * (language in SLOW)) for language in CHEATS]


def cheats() -> list[Any]:
    return [
        pytest.param(language, cheat.name, marks=[pytest.mark.slow] * (language in SLOW), id=f"{language}: {cheat.name}")
        for language, known in CHEATS.items()
        for cheat in known
    ]


@pytest.mark.parametrize("language", languages())
def test_both_graders_tell_the_bug_from_the_fix(arenas: Any, language: str) -> None:
    arena = arenas(language)
    assert arenas.run(arena.plain(None))[0] != 0
    assert arenas.run(arena.plain(None, arena.project.fix))[0] == 0
    bug, fix = arenas.run(arena.ours(None)), arenas.run(arena.ours(None, arena.project.fix))
    assert (bug.reward, bug.tests[arena.plan.fail_to_pass[0]]) == (0.0, "failed"), bug.message
    assert bug.tests[arena.plan.pass_to_pass[0]] == "passed"
    assert (fix.reward, fix.message, fix.dropped) == (1.0, "", ())


@pytest.mark.parametrize(("language", "cheat"), cheats())
def test_a_plain_grader_is_fooled_and_the_fix_still_counts(arenas: Any, language: str, cheat: str) -> None:
    outcome = arenas.outcome(language, cheat)
    assert outcome.plain == 0, outcome.log[-2000:]
    assert (outcome.fix.reward, outcome.fix.message) == (1.0, "")


@pytest.mark.parametrize(("language", "cheat"), cheats())
def test_it_is_worth_nothing(arenas: Any, language: str, cheat: str) -> None:
    verdict = arenas.outcome(language, cheat).verdict
    assert verdict.reward in (0.0, None)
    assert verdict.message


@pytest.mark.parametrize("language", languages())
def test_decoys_are_of_the_test_that_the_fix_turns(arenas: Any, language: str) -> None:
    arena = arenas(language)
    decoys = arena.plan.decoys
    assert (decoys.fails, decoys.holds) == (arena.plan.fail_to_pass, arena.plan.pass_to_pass)
    for file in decoys.files:
        true, other = arena.files[file.path], arena.files[file.source]
        assert len(true) == len(other)
        assert sum(one != another for one, another in zip(true, other, strict=True)) == 1


@pytest.mark.parametrize("language", languages())
def test_what_only_decoys_tell_is_told_by_them(arenas: Any, language: str) -> None:
    found = [arenas.outcome(language, cheat.name).verdict.failure for cheat in CHEATS[language]]
    assert "bent" in found


def test_every_language_has_at_least_four() -> None:
    assert all(len(known) >= 4 for known in CHEATS.values())
