import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.rust import RUST
from podgym.envs.build.tree import Tree

FILES = {
    "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\n',
    "src/lib.rs": "mod parse;\n",
    "src/parse.rs": "",
    "src/parse/tests.rs": "#[test] fn t() {}",
    "src/testing.rs": "",
    "tests/first.rs": "mod common;\n#[test] fn t() {}",
    "tests/common/mod.rs": "pub fn help() {}",
    "tests/it/main.rs": "mod a; mod b;",
    "tests/it/a.rs": "#[tokio::test] async fn t() {}",
    "tests/it/b.rs": "rgtest!(x, |dir| {});",
    "tests/ui/fail.rs": "fn main() {}",
    "tests/data/x.json": "",
    "benches/b.rs": "",
    "src/snapshots/x.snap": "",
}


def test_tests_are_told_from_sources() -> None:
    kinds = RUST.test_paths(Tree(FILES, lambda path: FILES[path].encode()))
    assert [path for path in FILES if not kinds.is_test(path)] == ["Cargo.toml", "src/lib.rs", "src/parse.rs", "src/testing.rs"]
    runnable = [path for path in FILES if kinds.is_runnable(path)]
    assert runnable == ["src/parse/tests.rs", "tests/first.rs", "tests/it/main.rs", "tests/it/a.rs", "tests/it/b.rs", "tests/ui/fail.rs"]


@pytest.mark.parametrize(
    ("path", "identity", "expected"),
    [
        ("tests/first.rs", "first/tests/first.rs::t", True),
        ("crates/x/tests/first.rs", "first/tests/first.rs::t", True),
        ("tests/first.rs", "second/tests/second.rs::t", False),
        ("tests/it/a.rs", "it/tests/it/main.rs::a::t", True),
        ("tests/it/a.rs", "it/tests/it/main.rs::b::t", False),
        ("tests/regression.rs", "integration/tests/tests.rs::regression::r16", True),
        ("tests/regression.rs", "integration/tests/tests.rs::misc::m", False),
        ("src/parse/tests.rs", "app/src/lib.rs::parse::tests::t", True),
        ("src/parse.rs", "app/src/lib.rs::parse::tests::t", True),
        ("src/parse.rs", "app/src/lib.rs::other::tests::t", False),
        ("src/a/mod.rs", "app/src/lib.rs::a::t", True),
        ("src/lib.rs", "app/src/lib.rs::tests::t", True),
        ("src/lib.rs", "app/src/main.rs::tests::t", False),
        ("src/lib.rs", "app/doc::src/lib.rs - add", True),
        ("src/lib.rs", "app/doc::src/other.rs - add", False),
        ("tests/first.rs", "first/tests/first.rs", True),
    ],
)
def test_ids_are_owned_by_the_files_that_they_may_come_from(path: str, identity: str, expected: bool) -> None:
    assert RUST.owns(path, identity) is expected


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_id_has_an_answer(path: str, identity: str) -> None:
    assert RUST.owns(path, identity) in (True, False)
    assert RUST.owns("src/a.rs", f"a/{identity}") in (True, False)
