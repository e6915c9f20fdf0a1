from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.funnel import BadLine, FunnelError, Line, read_lines
from podgym.envs.build.funnel.line import parse_line

GOOD = {"repo": "/srv/calc", "commit": "abc"}


def parsed(value: Any, **defaults: Any) -> Any:
    return parse_line(json.dumps(value).encode(), defaults, number=3)


def test_a_line_says_what_to_build() -> None:
    line = parsed({**GOOD, "issue": "It is broken", "name": "one", "language": "go", "toolchain": "1.22", "options": {"repeats": 2}})
    assert isinstance(line, Line)
    assert (line.number, line.repo, line.commit, line.issue, line.name) == (3, "/srv/calc", "abc", "It is broken", "one")
    assert line.options == {"repeats": 2, "language": "go", "toolchain": "1.22"} and line.unknown == ()


def test_a_line_goes_before_the_defaults() -> None:
    line = parsed({**GOOD, "options": {"repeats": 2}}, repeats=5, split="test")
    assert line.options == {"repeats": 2, "split": "test"}


def test_columns_of_other_lists_are_passed_over_and_named() -> None:
    assert parsed({**GOOD, "stars": 7, "license": "MIT"}).unknown == ("stars", "license")


def test_paths_become_absolute_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parsed({"repo": "calc", "commit": "x"}).repo == str(tmp_path / "calc")
    assert parsed({"repo": "https://example.org/a.git", "commit": "x"}).repo == "https://example.org/a.git"


def test_keys_are_those_of_source_commit_and_options() -> None:
    base = parsed(GOOD)
    assert base.key == parsed({**GOOD, "stars": 7}).key == parsed({**GOOD, "options": {"overwrite": True}}).key
    others = [{"commit": "abd"}, {"repo": "/srv/other"}, {"issue": "x"}, {"name": "x"}, {"toolchain": "3.11"}, {"options": {"repeats": 1}}]
    assert len({base.key, *(parsed({**GOOD, **other}).key for other in others)}) == 1 + len(others)
    with_password = parsed({"repo": "https://me:secret@example.org/a.git", "commit": "x"})
    assert with_password.key == parsed({"repo": "https://example.org/a.git", "commit": "x"}).key


@pytest.mark.parametrize(
    ("line", "say"),
    [
        ("{", "not JSON"),
        ("[1]", "list"),
        ('"text"', "str"),
        ("{}", "repo"),
        ('{"repo": "/a"}', "commit"),
        ('{"repo": "", "commit": "x"}', "repo"),
        ('{"repo": 7, "commit": "x"}', "repo"),
        ('{"repo": "/a", "commit": "x", "options": 7}', "options"),
        ('{"repo": "/a", "commit": "x", "options": {"nonsense": 7}}', "nonsense"),
        ('{"repo": "/a", "commit": "x", "options": {"repeats": 0}}', "repeats"),
        ('{"repo": "/a", "commit": "x", "language": "cobol"}', "language"),
        ('{"repo": "/a", "commit": "x", "options": {"catalogue": {}}}', "catalogue"),
        ('{"repo": "/a\\u0000", "commit": "x"}', "NUL"),
        ("[" * 100_000, "not JSON"),
        ("\xff", "not JSON"),
    ],
)
def test_broken_lines_say_why(tmp_path: Path, line: str, say: str) -> None:
    file = tmp_path / "many.jsonl"
    file.write_bytes(line.encode("latin-1") + b"\n\n" + json.dumps(GOOD).encode())
    bad, good = read_lines(file, {})
    assert isinstance(bad, BadLine) and say in bad.message and bad.number == 1
    assert isinstance(good, Line) and good.number == 3


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgym.envs.build.funnel.line._LINE_BYTES", 100)
    file = tmp_path / "many.jsonl"
    file.write_text("x" * 950 + "\n" + json.dumps(GOOD) + "\n")
    bad, good = read_lines(file, {})
    assert "more than 100 bytes" in bad.message and (bad.number, good.number) == (1, 2)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FunnelError, match="cannot be read"):
        list(read_lines(tmp_path / "none.jsonl", {}))


def test_passwords_are_not_shown() -> None:
    assert parsed({"repo": "https://me:secret@example.org/a", "commit": 7}).repo == "https://example.org/a"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["repo", "commit", "issue", "name", "options", "language", "toolchain", "parent", "plan", "limits", "x"])


@given(st.dictionaries(KEYS, VALUES, max_size=8) | VALUES)
def test_whatever_a_line_holds_is_a_value(value: Any) -> None:
    line = parse_line(json.dumps(value).encode(), {}, number=1)
    assert isinstance(line, (Line, BadLine))
    if isinstance(line, Line):
        assert len(line.key) == 24


@given(st.binary(max_size=60))
def test_whatever_bytes_a_line_holds(data: bytes) -> None:
    assert isinstance(parse_line(data, {}, number=1), (Line, BadLine))
