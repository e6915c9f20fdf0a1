from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from podgym_test_kit.node import plan, tree

from podgym.envs.build.languages.node.command import Command
from podgym.envs.build.languages.node.harness import exact, is_held, kept_files, stand_ins
from podgym.envs.build.languages.node.install import put_back
from podgym.envs.build.languages.node.shell import read_line

FILES = {
    "scripts/ci.js": "require('./lib/run'); require('../tools/set.mjs'); require('../lib/core.js'); spawn('node', ['scripts/b.js'])",
    "scripts/lib/run.js": "", "tools/set.mjs": "", "lib/core.js": "", "scripts/b.js": "", "scripts/other.js": "",
    "tools/verify.sh": '. "$(dirname "$0")/common.sh"\nfor one in a b; do node scripts/b.js $one; done\n', "tools/common.sh": "",
    "test/all.js": "require('./helper')", "test/helper.js": "", "gulpfile.js": "require('./gulp/tasks'); require('./lib/core')",
    "gulp/tasks.js": "", "conf.json": "{}", "setup.js": "", "src/index.js": "",
}  # fmt: skip


def command(line: str, directory: str = "") -> Command:
    (one,) = read_line(line) or ()
    return Command(directory, one.words, one.assignments)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("node scripts/ci.js", {"scripts/ci.js", "scripts/lib/run.js", "tools/set.mjs", "scripts/b.js"}),
        ("node -r ./setup scripts/other --config conf.json src/index.js", {"setup.js", "scripts/other.js", "conf.json"}),
        ("./tools/verify.sh --all", {"tools/verify.sh", "tools/common.sh", "scripts/b.js"}),
        ("bash -e tools/verify.sh", {"tools/verify.sh", "tools/common.sh", "scripts/b.js"}),
        ("gulp test", {"gulp/tasks.js"}),
        ("node test/all.js", set()),
        ("NODE_OPTIONS='--require ./scripts/b.js' node test/all.js", {"scripts/b.js"}),
        ("some-tool lib/core.js", set()),
        ("node -e 'process.exit()'", set()),
    ],
)
def test_files_of_a_program_are_kept(line: str, kept: set[str]) -> None:
    assert set(kept_files([command(line)], tree(FILES), tree(FILES))) == kept


@pytest.mark.parametrize("text", ["x" * 200_000, "x." * 100_000, "x/" * 100_000, "'" * 200_000, "'x" * 100_000])
def test_a_program_of_no_words_is_read_in_no_time(text: str) -> None:
    for name in ("scripts/all", "scripts/all.js"):
        files = {name: text}
        assert kept_files([command(f"./{name}")], tree(files), tree(files)) == (name,)


def test_files_beside_a_program_that_is_started_in_its_directory_are_kept() -> None:
    found = kept_files([command("node ci.js", "scripts")], tree(FILES), tree(FILES))
    assert set(found) == {"scripts/ci.js", "scripts/lib/run.js", "tools/set.mjs"}


def test_what_the_fix_changes_is_not_kept() -> None:
    fixed = {**FILES, "scripts/ci.js": "1", "scripts/new.js": ""}
    assert "scripts/ci.js" not in kept_files([command("node scripts/ci.js")], tree(FILES), tree(fixed))


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("node scripts/ci.js", True), ("node src/index.js", False), ("node scripts/none.js", False), ("node .", False), ("gulp", True),
        ("node dist/test/all.js", True), ("node dist/check.js", False), ("./tools/verify.sh", True), ("./bin/none", False),
        ("bash tools/none.sh", False), ("node -r ./src/index scripts/ci.js", False), ("./node_modules/.bin/x y", True),
        ("node node_modules/x/y.js", True), ("python3 -m unittest", True), ("node -e 'x()'", True), ("some-tool src/index.js", True),
        ('node "$X/ci.js"', False),
    ],
)  # fmt: skip
def test_a_program_is_held_where_no_solution_reaches_it(line: str, held: bool) -> None:
    assert is_held(command(line), tree(FILES), ["src/index.js"]) is held


def test_a_file_without_its_ending_is_named_in_full() -> None:
    def shell(line: str) -> str:
        return exact(command(line), tree({**FILES, "scripts/all/index.js": ""})).shell

    assert shell("node --x -r ./setup scripts/ci scripts/other") == "node --x -r ./setup.js scripts/ci.js scripts/other"
    assert shell("node scripts/all/") == "node scripts/all/index.js"
    assert shell("gulp scripts/ci") == "gulp scripts/ci"


def test_what_would_be_loaded_in_place_of_a_kept_file() -> None:
    files = {"a/b.js": "", "a/c/index.mjs": "", "a/d.sh": "", "a/e.js": "", "a/e": "", "f.js": "", "f/g": ""}
    assert set(stand_ins(["a/b.js", "a/c/index.mjs", "a/d.sh", "a/e.js", "f.js", "conf.json"], tree(files))) == {
        "a/b", "a/c/index", "a/c.js", "a/c.json", "a/c.node"
    }  # fmt: skip


def test_kept_files_are_put_back_before_the_programs_start(tmp_path: Path) -> None:
    package = {"scripts": {"test": "gulp build && node tools/run --all"}}
    made = plan({"package.json": package, "tools/run.js": "require('./it\\'s')"}, "test/a.js")
    assert any(note.startswith("kept") and "tools/run.js" in note for note in made.notes)
    script = made.tests[0].script
    assert script.index("cmp -s") < script.index("exec gulp") and "exec node tools/run.js --all )" in script
    assert "for one in tools/run.js; do mkdir -p" in made.install[-1].run

    kept, top = tmp_path / "kept", tmp_path / "top"
    paths = ["tools/run.js", "tools/it's.sh", "a/gone.js", "b.js", "c.js"]
    for path in paths:
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        (kept / path).write_text("base")
    (top / "tools/run.js").mkdir(parents=True)
    (top / "tools/it's.sh").write_text("bent")
    (top / "b.js").symlink_to("c.js")
    (top / "c.js").write_text("base")
    (top / "run").write_text("bent")
    line = put_back(paths, ["run", "a"]).replace("/opt/podgym/node/kept", str(kept))
    subprocess.run(["sh", "-euc", f"top=$1\n{line}", "sh", str(top)], check=True)
    assert not (top / "run").exists()
    assert all((top / path).read_text() == "base" and not (top / path).is_symlink() for path in paths)
