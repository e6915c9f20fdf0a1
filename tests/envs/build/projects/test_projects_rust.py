"""Rust: tests inside sources beside documentation tests, with a lock file; a workspace without one."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGE = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n'
LIB = """\
/// Adds.
/// ```
/// assert_eq!(calc::add(1, 2), 3);
/// ```
pub fn add(a: i32, b: i32) -> i32 {
    a - b
}

pub fn twice(a: i32) -> i32 {
    2 * a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles() {
        assert_eq!(twice(2), 4);
    }
}
"""
INLINE = LIB.replace(
    "    #[test]\n    fn doubles", "    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n    }\n\n    #[test]\n    fn doubles"
)
OUTSIDE = "#[test]\nfn {}() {{\n    assert_eq!(calc::{}, {});\n}}\n"


async def test_tests_inside_the_source_that_the_fix_changes(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("cargo", "cc")
    base = {
        "Cargo.toml": PACKAGE.format("calc"),
        "Cargo.lock": 'version = 3\n\n[[package]]\nname = "calc"\nversion = "0.1.0"\n',
        "src/lib.rs": LIB,
        "tests/outside.rs": OUTSIDE.format("outside", "twice(3)", 6),
    }
    fix = {"src/lib.rs": INLINE.replace("a - b", "a + b"), "tests/more.rs": OUTSIDE.format("more", "add(2, 2)", 4)}
    report = await build(base, fix)
    # The documentation test is part of the source that a solution rewrites, and counts for nothing.
    turned(
        report,
        {"calc/src/lib.rs::tests::adds", "more/tests/more.rs::more"},
        {"calc/src/lib.rs::tests::doubles", "outside/tests/outside.rs::outside"},
    )


async def test_a_workspace_without_a_lock_file_is_resolved_as_of_its_commit(build: Any, machine: Any, turned: Any) -> None:
    machine.needs("cargo", "cc")
    machine.reaches("crates.io")
    base = {
        ".gitignore": "target/\nCargo.lock\n",
        "Cargo.toml": '[workspace]\nmembers = ["calc", "use"]\nresolver = "2"\n',
        "calc/Cargo.toml": PACKAGE.format("calc") + '[dependencies]\ncfg-if = "1"\n',
        "calc/src/lib.rs": "cfg_if::cfg_if! {\n    if #[cfg(unix)] {\n        pub fn add(a: i32, b: i32) -> i32 {\n"
        "            a - b\n        }\n    }\n}\n",
        "calc/tests/nothing.rs": OUTSIDE.format("nothing", "add(0, 0)", 0),
        "use/Cargo.toml": PACKAGE.format("use-calc") + '[dependencies]\ncalc = { path = "../calc" }\n',
        "use/src/lib.rs": "",
    }
    fix = {
        "calc/src/lib.rs": base["calc/src/lib.rs"].replace("a - b", "a + b"),
        "use/tests/uses.rs": OUTSIDE.format("uses", "add(1, 2)", 3),
    }
    report = await build(base, fix)
    turned(report, {"uses/tests/uses.rs::uses"}, {"nothing/tests/nothing.rs::nothing"})
    assert any(note.startswith("cargo, as of 2023-11-") for note in report.notes), report.notes
