from __future__ import annotations

import pytest
from podgym_test_kit.history import History

from podgym.envs.build.errors import BuildError
from podgym.envs.build.history import merged_messages, read_fix
from podgym.envs.build.instruction import instruction_from_issue, instruction_from_message
from podgym.envs.repository import SourceRepository


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Fix off-by-one in chunked (#123)\n\nCloses #12, #13\n", "Fix off-by-one in chunked\n"),
        ("Fix #356: Improve the cache.\n", "Improve the cache.\n"),
        ("fix: keep newline (cherry picked)\n\n(cherry picked from commit 0123456789abcdef0123)\n", "fix: keep newline (cherry picked)\n"),
        ("Merge pull request #3 from a/b\n\nTables break\n", "Tables break\n"),
        ("Handle x\n\nSigned-off-by: A <a@b.c>\nCo-authored-by: B <b@c.d>\n", "Handle x\n"),
        ("Handle x\n\nSee https://github.com/a/b/pull/12 for more\n", "Handle x\n\nSee for more\n"),
        ("Handle x since 1a2b3c4d, as in deadbeef1\n", "Handle x since , as in\n"),
        ("Handle x\n\nExample:\n    a  = 1\n", "Handle x\n\nExample:\n    a  = 1\n"),
    ],
)
def test_messages_lose_what_points_to_the_fix(message: str, expected: str) -> None:
    assert instruction_from_message(message) == expected


@pytest.mark.parametrize("message", ["", "#12", "Fix psf/black#12 and GH-34", "Closes: #3\n", "Signed-off-by: A <a@b.c>"])
def test_a_message_that_says_nothing_is_refused(message: str) -> None:
    with pytest.raises(BuildError, match="--issue") as caught:
        instruction_from_message(message)
    assert caught.value.reason == "no_instruction"


def test_an_issue_is_kept_as_it_is() -> None:
    assert instruction_from_issue("\r\nIt breaks, see #3\r\n") == "It breaks, see #3\n"
    with pytest.raises(BuildError):
        instruction_from_issue(" \n")


def test_a_merge_that_says_nothing_is_told_by_what_it_brought_in(history: History, source: SourceRepository) -> None:
    history.commit("start", {"a": "1\n"})
    history.git("checkout", "-q", "-b", "side")
    history.commit("#12", {"b": "1\n"})
    history.commit("Say what is wrong", {"b": "2\n"})
    history.git("checkout", "-q", "main")
    history.commit("meanwhile", {"a": "2\n"})
    history.git("merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side")
    fix = read_fix(source, "main", parent=1)
    assert merged_messages(source, fix) == ["#12\n", "Say what is wrong\n"]
    assert merged_messages(source, read_fix(source, "main~1")) == []
