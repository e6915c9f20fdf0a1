import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podgym.envs.build.languages.rust.manifest import Cargo
from podgym.envs.build.languages.rust.modules import modules_of
from podgym.envs.build.tree import Tree


def tree(files: dict[str, str]) -> Tree:
    return Tree(files, lambda path: files[path].encode())


def package(name: str, rest: str = "") -> str:
    return f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n{rest}'


WORKSPACE = tree(
    {
        "Cargo.toml": '[workspace]\nmembers = ["crates/*", "tools/one"]\nexclude = ["crates/old"]\n',
        "crates/core/Cargo.toml": package("core-lib", '[dependencies]\nhelp = { path = "../../extra/help" }\n'),
        "crates/core/src/lib.rs": "",
        "crates/core/tests/it/main.rs": "mod deep;\n",
        "crates/core/tests/it/deep/mod.rs": "mod more;",
        "crates/core/tests/it/deep/more.rs": "",
        "crates/old/Cargo.toml": package("old"),
        "crates/old/src/main.rs": "",
        "tools/one/Cargo.toml": package("one"),
        "tools/one/src/main.rs": "",
        "extra/help/Cargo.toml": package("help"),
        "extra/help/src/lib.rs": "",
        "broken/Cargo.toml": "[package",
    }
)


def test_a_file_belongs_to_the_package_of_the_nearest_manifest() -> None:
    cargo = Cargo(WORKSPACE)
    assert cargo.package_of("crates/core/tests/it/deep/more.rs").directory == "crates/core"
    assert cargo.package_of("README.md") is None
    assert cargo.notes == ["broken/Cargo.toml is no TOML"]


def test_members_are_those_listed_and_those_depended_on_by_path_but_none_excluded() -> None:
    cargo = Cargo(WORKSPACE)
    assert [one.name for one in cargo.members("")] == ["core-lib", "help", "one"]
    assert cargo.root_of("crates/old") == "crates/old"
    assert cargo.root_of("crates/core") == ""


def test_targets_are_found_as_cargo_finds_them() -> None:
    (found,) = Cargo(WORKSPACE).packages["crates/core"].kind("test")
    assert (found.name, found.path) == ("it", "crates/core/tests/it/main.rs")
    assert Cargo(WORKSPACE).packages["crates/core"].kind("lib")[0].name == "core_lib"
    files = {
        "Cargo.toml": package(
            "app", 'autotests = false\nbuild = false\n[[test]]\nname = "all"\npath = "tests/tests.rs"\nharness = false\n'
        ),
        "src/main.rs": "",
        "src/bin/tool.rs": "",
        "build.rs": "",
        "tests/tests.rs": "",
        "tests/other.rs": "",
    }
    app = Cargo(tree(files)).packages[""]
    assert [(one.name, one.harness) for one in app.kind("test")] == [("all", False)]
    assert [one.name for one in app.kind("bin")] == ["app", "tool"]
    assert app.build_script == ""


def test_modules_of_a_program_are_found_through_its_mod_items() -> None:
    files = {
        "tests/tests.rs": '#[macro_use]\nmod util;\npub(crate) mod a;\n#[path = "../shared/b.rs"] mod b;\nmod gone;\nmod inline { }\n',
        "tests/util.rs": "",
        "tests/a/mod.rs": "mod c;",
        "tests/a/c.rs": "mod d;",
        "tests/a/c/d.rs": "",
        "shared/b.rs": "",
        "tests/unused.rs": "",
    }
    assert modules_of(tree(files), "tests/tests.rs") == set(files) - {"tests/unused.rs"}


def test_modules_that_name_each_other_end() -> None:
    files = {"a.rs": '#[path = "b.rs"]\nmod b;', "b.rs": '#[path = "a.rs"]\nmod a;'}
    assert modules_of(tree(files), "a.rs") == set(files)


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_is_too_odd(manifest: str, source: str) -> None:
    files = {"Cargo.toml": manifest, "a/Cargo.toml": package("a", manifest), "a/src/lib.rs": source}
    cargo = Cargo(tree(files))
    for directory in cargo.packages:
        cargo.members(cargo.root_of(directory))
    modules_of(tree(files), "a/src/lib.rs")


VALUES = st.recursive(
    st.sampled_from(["true", '"x"', '"../a"', "1", '["*", "a"]', "[]"]),
    lambda inner: st.lists(st.tuples(st.sampled_from(["path", "members", "name", "package", "workspace"]), inner), max_size=3).map(
        lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in dict(pairs).items()) + "}"
    ),
    max_leaves=6,
)


@example({"package": '{name = "x", workspace = "../a"}'})
@given(st.dictionaries(st.sampled_from(["package", "workspace", "dependencies", "lib", "bin", "test", "features", "target"]), VALUES))
def test_no_manifest_is_too_odd(entries: dict[str, str]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in entries.items())
    cargo = Cargo(tree({"Cargo.toml": text, "a/Cargo.toml": text, "src/lib.rs": "", "a/src/main.rs": ""}))
    for directory, found in cargo.packages.items():
        assert cargo.root_of(directory) in ("", "a", "x", "a/x")
        assert found.features is not None
        cargo.members("")


@pytest.mark.skipif(shutil.which("cargo") is None, reason="needs cargo")
@pytest.mark.parametrize("edition", ["2015", "2018", "2021"])
@pytest.mark.parametrize(
    "rest",
    [
        "",
        '[[test]]\nname = "url_wpt"\npath = "tests/wpt.rs"\nharness = false\n',
        'autotests = true\n[[test]]\nname = "deep"\n[[test]]\nname = "unit"\npath = "tests/wpt.rs"\n',
        'autobins = false\nautobenches = false\n[[bin]]\nname = "tool"\n',
        '[[bin]]\nname = "program"\npath = "src/main.rs"\n[[example]]\nname = "shown"\npath = "examples/one.rs"\n',
        '[lib]\nname = "other"\n[[bench]]\nname = "fast"\nharness = false\n',
    ],
)
def test_the_targets_are_those_that_cargo_itself_tells(tmp_path: Path, edition: str, rest: str) -> None:
    manifest = f'[package]\nname = "an-app"\nversion = "0.1.0"\nedition = "{edition}"\n{rest}'
    sources = ("src/lib.rs", "src/main.rs", "src/bin/tool.rs", "tests/wpt.rs", "tests/unit.rs", "tests/deep/main.rs")
    files = {"Cargo.toml": manifest} | dict.fromkeys((*sources, "benches/fast.rs", "examples/one.rs"), "fn main() {}\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version=1"]
    told = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout)["packages"][0]["targets"]
    kinds = {"rlib": "lib", "custom-build": "build"}
    expected = {(kinds.get(one["kind"][0], one["kind"][0]), one["name"], one["src_path"].removeprefix(f"{tmp_path}/")) for one in told}
    found = Cargo(tree(files)).packages[""].targets
    assert {(one.kind, one.name, one.path) for one in found} == expected
    assert len(found) == len(expected)
