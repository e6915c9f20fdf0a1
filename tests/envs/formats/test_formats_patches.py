from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podgym.envs.formats.ids import Ids
from podgym.envs.formats.patches import reversed_patch, text_patch

LINES = st.lists(
    st.sampled_from(["a", "b", "", "-x", "+y", "@@ -1 +1 @@", "diff --git a/x b/x", "\\ No", "--- a/f", "+++ b/f"]), max_size=8
)
CONTENT = st.builds(lambda lines, end: ("\n".join(lines) + ("\n" if end else "")).encode(), LINES, st.booleans())


def applied(tmp_path: Path, before: bytes | None, patch: bytes, *arguments: str) -> bytes | None:
    folder = tmp_path / "apply"
    folder.mkdir(exist_ok=True)
    file = folder / "f.txt"
    file.unlink(missing_ok=True)
    if before is not None:
        file.write_bytes(before)
    if patch:
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", *arguments], cwd=folder, input=patch, capture_output=True, check=False
        )
        assert done.returncode == 0, (done.stderr, patch)
    return file.read_bytes() if file.exists() else None


@pytest.mark.timeout(300)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(before=st.none() | CONTENT, after=st.none() | CONTENT)
def test_a_text_patch_and_its_reverse_are_what_git_takes_them_for(tmp_path: Path, before: bytes | None, after: bytes | None) -> None:
    if before is None and after is None:
        return
    patch = text_patch("f.txt", before, after)
    assert applied(tmp_path, before, patch) == after
    assert applied(tmp_path, after, reversed_patch(patch)) == before


def test_reversed_heads() -> None:
    patch = b"diff --git a/x b/x\nold mode 100644\nnew mode 100755\nindex 12ab..34cd 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@ f\n a\n-b\n"
    back = reversed_patch(patch)
    assert b"new mode 100644\nold mode 100755\nindex 34cd..12ab 100644\n--- a/x\n+++ b/x\n@@ -1 +1,2 @@ f\n a\n+b\n" in back
    assert b"deleted file mode 100644" in reversed_patch(b"diff --git a/x b/x\nnew file mode 100644\n")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tests/test_a.py::Case::test_x", {"tests/test_a.py::Case::test_x"}),
        ("test_x (tests.test_a.Case)", {"tests/test_a.py::Case::test_x"}),
        ("tests.test_a.Case.test_x", {"tests/test_a.py::Case::test_x"}),
        ("test_x", {"tests/test_a.py::Case::test_x", "tests/test_b.py::Case::test_x"}),
        ("Case.test_x", {"tests/test_a.py::Case::test_x", "tests/test_b.py::Case::test_x"}),
        ("tests/test_a.py::Case::test_y", set()),
        ("test_p[1-a b]", {"tests/test_a.py::test_p[1-a b]"}),
        ("test_p[2]", set()),
        ("app/com.example.CaseTest:testZ", {"app/src/test/com.example.CaseTest#testZ"}),
        ("TestSum/negative", {"example.org/calc::TestSum/negative"}),
        ("Calc > adds numbers", {"test/calc.test.js > Calc > adds numbers"}),
        ("", set()),
    ],
)
def test_ids_of_other_builders_are_found(name: str, found: set[str]) -> None:
    ours = Ids(
        [
            "tests/test_a.py::Case::test_x",
            "tests/test_b.py::Case::test_x",
            "tests/test_a.py::test_p[1-a b]",
            "app/src/test/com.example.CaseTest#testZ",
            "example.org/calc::TestSum/negative",
            "test/calc.test.js > Calc > adds numbers",
        ]
    )
    assert ours.find(name) == found


@given(st.lists(st.text(max_size=30), max_size=6), st.text(max_size=30))
def test_every_id_finds_itself(ids: list[str], other: str) -> None:
    ours = Ids(ids)
    assert all(one in ours.find(one) for one in ids)
    assert ours.find(other) <= set(ids)
