"""Any change becomes turns that make exactly this change."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from podgym.console.cli.gold import replacements, whole_file

LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "=>", "def x():", "    return 1"]), max_size=30)


@given(LINES, LINES)
def test_replacements_make_the_change_or_are_none(before: list[str], after: list[str]) -> None:
    old, new = "\n".join(before), "\n".join(after)
    edits = replacements(old.encode(), new.encode())
    for one, other in edits or []:
        assert old.count(one) == 1
        old = old.replace(one, other)
    assert edits is None or old == new


def test_what_cannot_be_replaced_has_no_replacements() -> None:
    assert replacements(b"\xff", b"a") is None
    assert replacements(b"a\r\nb", b"a\r\nc") is None


def test_a_file_is_written_whole_in_turns_that_a_shell_can_take(tmp_path: Path) -> None:
    data = bytes(range(256)) * 400
    turns = whole_file("'./a b/c.bin'", data)
    assert len(turns) == 5
    for turn in turns:
        subprocess.run(["sh", "-c", turn.removeprefix("bash ")], cwd=tmp_path, check=True)
    assert (tmp_path / "a b" / "c.bin").read_bytes() == data
