from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build.languages.node.command import Command, delegated
from podgym.envs.build.languages.node.manifest import Manifest
from podgym.envs.build.languages.node.scripts import Scripts
from podgym.envs.build.tree import Tree


def expand(scripts: dict[str, str], name: str = "test", files: dict[str, str] | None = None, **raw: Any) -> list[Command]:
    package = Manifest("", {"scripts": scripts, **raw})
    texts = files or {}
    return Scripts(Tree(texts, lambda path: texts[path].encode()), {"": package}).expand(package, name)


def shells(*arguments: Any, **keywords: Any) -> list[str]:
    return [one.shell for one in expand(*arguments, **keywords)]


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [
        (
            {"test": "npm run lint && npm run unit -- --forbid-only", "lint": "eslint .", "unit": "mocha"},
            ["eslint .", "mocha --forbid-only"],
        ),
        ({"test": "nyc --reporter=text -x 'a b' mocha test/"}, ["mocha test/"]),
        ({"test": "c8 --100 node --test"}, ["node --test"]),
        ({"test": "cross-env NODE_ENV=test TZ=UTC jest"}, ["NODE_ENV=test TZ=UTC jest"]),
        ({"test": "NODE_OPTIONS=--experimental-vm-modules npx jest"}, ["NODE_OPTIONS=--experimental-vm-modules jest"]),
        ({"test": "run-s lint test:*", "lint": "xo", "test:a": "ava", "test:b": "tsd"}, ["xo", "ava", "tsd"]),
        ({"test": "concurrently 'npm:unit' \"tsc -w\"", "unit": "vitest run"}, ["vitest run", "tsc -w"]),
        ({"test": "yarn build && yarn jest --ci", "build": "tsc"}, ["tsc", "jest --ci"]),
        ({"test": "pnpm unit | tap-spec", "unit": "tape 'test/*.js'"}, ["tape 'test/*.js'"]),
        ({"test": 'pnpm run "/^test:.*/"', "test:a": "ava", "b": "xo", "test:b": "tsd"}, ["ava", "tsd"]),
        ({"test": 'pnpm run "/(a+)+$/"', "a": "ava"}, ['"/(a+)+$/"']),
        ({"pretest": "tsc", "test": "mocha", "posttest": "eslint ."}, ["tsc", "mocha", "eslint ."]),
        ({"test": "istanbul cover ./node_modules/.bin/_mocha -- -R spec"}, ["./node_modules/.bin/_mocha -R spec"]),
        ({"test": "cd lib && mocha"}, ["mocha"]),
        ({"test": "sh -c 'mocha a'"}, ["mocha a"]),
        ({"test": "X=1 npm run unit", "unit": "Y=2 mocha"}, ["X=1 Y=2 mocha"]),
        ({"test": "node --run unit -- --forbid-only", "unit": "mocha"}, ["mocha --forbid-only"]),
        ({"test": "npm test"}, []),
        ({"test": "for f in *; do node $f; done"}, []),
    ],
)
def test_scripts_come_to_simple_commands(scripts: dict[str, str], expected: list[str]) -> None:
    assert shells(scripts) == expected


def test_wireit_and_shell_files_are_followed() -> None:
    wired = {"test": {"command": "mocha", "dependencies": ["build", {"script": "gen"}]}, "build": {"command": "tsc"}}
    assert shells({"test": "wireit", "build": "wireit", "gen": "node gen.js"}, wireit=wired) == ["tsc", "node gen.js", "mocha"]
    files = {"scripts/test.sh": "#!/bin/sh\nset -e\n# tests\nnpx tsc -p . \\\n  --pretty\nmocha $@\n"}
    assert shells({"test": "./scripts/test.sh"}, files=files) == ["tsc -p . --pretty", "mocha $@"]


def test_a_shell_file_that_works_with_variables_is_run_as_it_is() -> None:
    build = '#!/bin/bash\nROOT=$(pwd)\nrm -rf "$DIR"\nfor one in a b; do\n  tsc -p tsconfig.$one.json\ndone\ncd dist\n'
    files = {"scripts/build.sh": build, "scripts/test.sh": 'cd "$ROOT"\ntsc\nrm -rf "$DIR"\nmocha "$@"\n'}
    assert shells({"test": "./scripts/build.sh && mocha"}, files=files) == ["./scripts/build.sh", "mocha"]
    assert shells({"test": "sh scripts/build.sh"}, files=files) == ["sh scripts/build.sh"]
    assert shells({"test": "./scripts/test.sh"}, files=files) == ["tsc", 'mocha "$@"']


def test_a_shell_file_that_calls_itself_is_read_once() -> None:
    files = {"run.sh": 'cd "$ROOT"\n' + "./run.sh unit\n./more.sh\n" * 20, "more.sh": 'cd "$X"\n' + "./run.sh a\n./more.sh b\n" * 20}
    assert shells({"test": "./run.sh"}, files=files) == ["./run.sh"]


def test_globs_of_scripts_that_are_too_long_are_no_expressions() -> None:
    assert shells({"test": f"pnpm run /{'a' * 300}/", "a" * 300: "ava"}) == [f"/{'a' * 300}/"]


def test_what_coverage_would_have_loaded_is_kept() -> None:
    found = expand({"test": "nyc --require esm mocha"}, nyc={"require": ["ts-node/register"]})
    assert found[0].requires == ("ts-node/register", "esm")
    assert found[0].program == "mocha"


@pytest.mark.parametrize(
    "line", ["turbo run test", "lerna run test", "pnpm -r test", "npm test --workspaces", "yarn workspaces run test", "nx test x"]
)
def test_a_call_of_every_package_is_left_as_it_is(line: str) -> None:
    (found,) = expand({"test": line})
    assert delegated(found)


def test_scripts_that_call_each_other_end() -> None:
    assert expand({"test": "npm run a", "a": "npm run b", "b": "npm run a && npm run test"}) == []


def test_targets_of_make_are_followed() -> None:
    makefile = (
        "MOCHA = ./node_modules/.bin/mocha\nall: lint\nlint:\n\teslint .\n"
        "test: build\n\t@$(MOCHA) --reporter dot \\\n\t  test/*.js\nbuild:\n\ttsc\n"
    )
    assert shells({"test": "make test"}, files={"Makefile": makefile}) == ["tsc", "./node_modules/.bin/mocha --reporter dot test/*.js"]
    assert shells({"test": "make nothing"}, files={"Makefile": makefile}) == ["make nothing"]
    assert shells({"test": "make test"}, files={"Makefile": "test:\n\tnpm test\n"}) == []
    every = "".join(f"t{at}: {' '.join(f't{to}' for to in range(10))}\n\tmocha {at}\n" for at in range(10))
    assert len(shells({"test": "make t0"}, files={"Makefile": every})) == 10
