"""A Rust source that holds its tests: they are split from the fix by syntax."""

from __future__ import annotations

from pathlib import Path

from podgym.envs.build import BuildOptions, read_plan

SOURCE = """\
pub fn add(a: i32, b: i32) -> i32 {{ a {sign} b }}

#[cfg(test)]
mod tests {{
    use super::*;
    #[test]
    fn adds() {{ assert_eq!(add({one}), {sum}); }}
}}
"""
BEFORE = SOURCE.format(sign="-", one="0, 0", sum="0")
AFTER = SOURCE.format(sign="+", one="1, 2", sum="3")


def test_the_halves_of_one_file(history, tmp_path: Path) -> None:
    history.commit("start", {"Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": BEFORE})
    fix = history.commit("Mend addition", {"src/lib.rs": AFTER})
    prepared = read_plan(history.path, fix, issue=None, options=BuildOptions())
    assert prepared.inline == {"src/lib.rs"} and prepared.changed_tests == ("src/lib.rs",)
    states = prepared.overlays
    (spliced,) = states["base+tests"].writes
    assert b"a - b" in spliced.data and b"add(1, 2), 3" in spliced.data
    (whole,) = states["base+tests+fix"].writes
    assert whole.data == AFTER.encode()
    assert prepared.plan.language == "rust"


def test_a_source_whose_tests_stay_is_the_fix_alone(history) -> None:
    history.commit(
        "start",
        {"Cargo.toml": '[package]\nname = "calc"\nversion = "0.1.0"\nedition = "2021"\n', "src/lib.rs": BEFORE, "tests/it.rs": "// 1\n"},
    )
    fix = history.commit("Mend addition", {"src/lib.rs": BEFORE.replace("a - b", "a + b"), "tests/it.rs": "// 2\n"})
    prepared = read_plan(history.path, fix, issue=None, options=BuildOptions())
    assert not prepared.inline and [write.path for write in prepared.hidden] == ["tests/it.rs"]
