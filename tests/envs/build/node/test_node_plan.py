from __future__ import annotations

import subprocess
from typing import Any

import pytest
from podgym_test_kit.node import plan

from podgym.envs.build.ci import CiFacts
from podgym.envs.build.errors import BuildError


def last(script: str) -> str:
    return script.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("scripts", "dependencies", "format", "starts", "targeted"),
    [
        ("eslint . && jest --coverage --watch", "jest", "jest-json", "exec jest --ci --json", "--runTestsByPath"),
        ("vitest --coverage", "vitest", "jest-json", "exec vitest run --reporter=json", '"$@"'),
        ("nyc mocha -R dot --timeout 5000 'test/**/*.js'", "mocha", "mocha-json", "exec mocha --timeout 5000 --reporter /opt", '"$@"'),
        ("c8 node --test test/", "", "jest-json", "exec node --test --test-reporter=", '"$@"'),
        ("tsx --test test/*.js", "tsx", "jest-json", "exec tsx --test", '"$@"'),
        ("xo && ava", "ava", "jest-json", "exec node /opt/podgym/node/printed.js ava ava --tap", '"$@"'),
        ("tap --100 test/*.js", "tap", "tap", "exec tap --reporter=tap", '"$@"'),
        ("tape test/*.js | faucet", "tape", "jest-json", "exec node /opt/podgym/node/printed.js tape tape", '"$@"'),
        ("jasmine", "jasmine", "jest-json", "exec jasmine --helper=", '"$@"'),
        ("lab -a @hapi/code -t 100 -L", "@hapi/lab", "junit", "exec lab -a @hapi/code -l -r junit -o", '"$@"'),
        ("qunit", "qunit", "tap", "exec qunit --reporter tap", '"$@"'),
        ("uvu -r esm test", "uvu", "jest-json", "exec node /opt/podgym/node/printed.js uvu uvu -r esm test", None),
        ("karma start karma.conf.js --single-run", "karma", "jest-json", "exec karma start /opt/podgym/node/karma.js", None),
        ("bun test", "bun", "junit", "exec bun test --reporter=junit", '"$@"'),
        ("react-scripts test --env=jsdom", "react-scripts", "jest-json", "exec react-scripts test --env=jsdom --ci", "--runTestsByPath"),
        (
            "node --experimental-vm-modules node_modules/jest/bin/jest.js",
            "jest",
            "jest-json",
            "exec node --experimental-vm-modules node_m",
            "$@",
        ),
        ("node test/all.js", "", "exit-code", "exit $bad", None),
        ('echo "Error: no test specified" && exit 1', "mocha", "mocha-json", "exec mocha --reporter", '"$@"'),
    ],
)
def test_each_runner_is_started_with_a_report(scripts: str, dependencies: str, *, format: str, starts: str, targeted: str | None) -> None:
    package = {"name": "p", "scripts": {"test": scripts}, "devDependencies": dict.fromkeys(dependencies.split(), "*")}
    made = plan({"package.json": package, "test/all.js": "require('assert')"}, "test/a.test.js")
    (command,) = made.tests
    assert command.report is not None and command.report.format == format
    assert last(command.script).startswith(starts), command.script
    if targeted is None:
        assert made.changed == ()
    else:
        (changed,) = made.changed
        assert changed.targets == ("test/a.test.js",)
        assert targeted in last(changed.script)
    for word in (" --coverage ", "--watch ", "eslint", "--100", "-t 100", "-R dot", "faucet"):
        assert word not in command.script


def test_tests_run_in_their_package_after_what_it_uses_is_built() -> None:
    files = {
        "package.json": {
            "private": True,
            "workspaces": ["packages/*"],
            "scripts": {"test": "turbo run test"},
            "devDependencies": {"turbo": "2"},
        },
        "package-lock.json": {},
        "packages/a/package.json": {
            "name": "a",
            "scripts": {"test": "vitest"},
            "dependencies": {"b": "*"},
            "devDependencies": {"vitest": "3"},
        },
        "packages/b/package.json": {"name": "b", "main": "dist/index.js", "scripts": {"build": "tsc"}},
        "packages/c/package.json": {"name": "c", "main": "dist/index.js", "scripts": {"build": "tsc"}},
    }
    made = plan(files, "packages/a/test/x.test.ts")
    assert (made.root, made.name, made.build_system, made.framework) == ("packages/a", "a", "npm", "vitest")
    script = made.tests[0].script
    assert "build.sh \"$top\" packages/b 'npm run build'" in script and "packages/c" not in script
    assert "\ncd packages/a || exit 96\n" in script
    assert {"packages/a/package.json", "packages/c/package.json", "package-lock.json"} <= set(made.manifests)
    assert "packages/b 'npm run build'" in made.install[-1].run


@pytest.mark.parametrize(
    ("package", "test", "built"),
    [
        ({"main": "dist/i.js"}, "import x from '../dist/i.js'; test('x', x)", True),
        ({"main": "dist/i.js"}, "import x from '../src/i.js'; test('x', x)", False),
        ({"main": "dist/i.js"}, "const x = require('..'); test('x', x)", True),
        ({"main": "dist/i.js"}, "import x from 'p'; test('x', x)", True),
        ({"main": "dist/i.js", "jest": {"moduleNameMapper": {"^p$": "<rootDir>/src"}}}, "import x from 'p'; test('x', x)", False),
        ({"main": "src/i.js"}, "import x from 'p'; test('x', x)", False),
    ],
)
def test_the_package_is_built_where_its_tests_use_the_build(package: dict[str, Any], test: str, built: bool) -> None:
    own = {"name": "p", "scripts": {"test": "jest", "build": "rollup -c"}, "devDependencies": {"jest": "29"}, **package}
    made = plan({"package.json": own, "src/i.js": "", "test/a.test.js": test}, "test/a.test.js")
    assert ("npm run build" in made.tests[0].script) is built


@pytest.mark.parametrize(
    ("package", "files", "test", "kept"),
    [
        ({"main": "dist/i.js"}, ["dist/i.js", "src/i.ts"], "require('..')", "dist"),
        ({"main": "dist/i.js"}, ["dist/i.js", "src/i.ts"], "require('../dist/i.js')", "dist"),
        ({"main": "dist/i.js"}, ["dist/i.js", "src/i.ts"], "require('../dist/i')", "dist"),
        ({"main": "lib"}, ["lib/index.js", "src/index.js"], "require('p')", "lib"),
        ({"main": "lib/i.js", "module": "es/i.js"}, ["lib/i.js", "es/i.js", "src/i.js"], "require('../lib/i.js')", "'es lib'"),
        ({"main": "i.js"}, ["i.js", "dist/i.js"], "require('../dist/i.js')", "dist"),
        ({"main": "i.js"}, ["i.js", "dist/i.js"], "require('..')", ""),
        ({"main": "lib/i.js"}, ["lib/i.js"], "require('..')", ""),
        ({"main": "dist/i.js"}, ["dist/i.js", "src/i.ts"], "require('../src/i')", ""),
    ],
)
def test_a_committed_build_is_made_anew_before_tests_and_not_in_the_image(
    package: dict[str, Any], files: list[str], test: str, kept: str
) -> None:
    own = {"name": "p", "scripts": {"test": "mocha", "build": "rollup -c"}, "devDependencies": {"mocha": "10"}, **package}
    made = plan({"package.json": own, **dict.fromkeys(files, ""), "test/a.js": f"{test}; it('x')"}, "test/a.js")
    call = f"build.sh \"$top\" -k {kept} '' 'npm run build'"
    assert (call in made.tests[0].script) is bool(kept) and ("run build" in made.tests[0].script) is bool(kept)
    assert "run build" not in made.install[-1].run


def test_a_sibling_whose_build_is_committed_is_built_anew() -> None:
    files = {
        "package.json": {"private": True, "workspaces": ["packages/*"]},
        "packages/a/package.json": {
            "name": "a", "scripts": {"test": "vitest"}, "dependencies": {"b": "*"}, "devDependencies": {"vitest": "3"}
        },
        "packages/b/package.json": {"name": "b", "main": "dist/index.js", "scripts": {"build": "tsc"}},
        "packages/b/dist/index.js": "",
    }  # fmt: skip
    made = plan(files, "packages/a/test/x.test.ts")
    assert "build.sh \"$top\" -k dist packages/b 'npm run build'" in made.tests[0].script
    del files["packages/b/package.json"]["scripts"]
    files["package.json"]["scripts"] = {"build": "tsc -b"}
    made = plan(files, "packages/a/test/x.test.ts")
    assert "build.sh \"$top\" -k packages/b/dist '' 'npm run build'" in made.tests[0].script


def test_compiled_tests_are_built_first_and_run_whole() -> None:
    package = {"name": "p", "scripts": {"test": "mocha dist/test/**/*.test.js", "build": "tsc"}, "devDependencies": {"mocha": "10"}}
    made = plan({"package.json": package, "src/test/a.test.ts": ""}, "src/test/a.test.ts")
    assert "'npm run build'" in made.tests[0].script
    assert made.changed == ()


def test_a_chain_keeps_its_build_and_drops_its_checks() -> None:
    checks = ["dependency-check .", "mochify x", "tsc --noEmit", "tsgo --noEmit"]
    scripts = {"test": f"npm run lint && npm run build && {' && '.join(checks)} && mocha", "lint": "eslint .", "build": "rollup -c"}
    made = plan({"package.json": {"scripts": scripts, "devDependencies": {"mocha": "10"}}}, "test/a.js")
    assert "'rollup -c'" in made.tests[0].script
    assert not [one for one in ("eslint", *checks) if one in made.tests[0].script]


@pytest.mark.parametrize(("line", "built"), [("ng build lib", True), ("ember build", True), ("ng lint", False), ("ember test", False)])
def test_what_builds_for_browsers_is_run_before_tests_that_need_none(line: str, built: bool) -> None:
    package = {"scripts": {"test": f"{line} && mocha"}, "devDependencies": {"mocha": "10"}}
    assert (f"'{line}'" in plan({"package.json": package}, "test/a.js").tests[0].script) is built


def test_globs_of_many_alternatives_are_no_list_of_all_of_them() -> None:
    many = "{" + ",".join("abcdefghijklmnopqrstuvwxyz") + "}"
    package = {"workspaces": [f"x/{many * 4}"], "scripts": {"test": f"mocha 'test/{many * 6}.js'"}, "devDependencies": {"mocha": "10"}}
    assert plan({"package.json": package}, "test/a.js").framework == "mocha"


def test_several_runs_keep_those_of_the_changed_tests() -> None:
    scripts = {"test": "run-s test:*", "test:unit": "mocha 'test/unit/*.js'", "test:e2e": "mocha 'test/e2e/*.js'"}
    made = plan({"package.json": {"scripts": scripts, "devDependencies": {"mocha": "10"}}}, "test/unit/a.js")
    assert "test/unit" in made.tests[0].script and "test/e2e" not in made.tests[0].script


def test_the_script_that_runs_the_changed_tests_goes_before_the_first_one() -> None:
    scripts = {"test": "node --test tools/*.test.mjs", "test:release": "node --test release/a.test.mjs"}
    made = plan({"package.json": {"scripts": scripts}}, "release/a.test.mjs")
    assert last(made.tests[0].script).endswith(" release/a.test.mjs")
    made = plan({"package.json": {"scripts": scripts}}, "other/a.test.mjs")
    assert last(made.tests[0].script).endswith(" tools/*.test.mjs")


@pytest.mark.parametrize(("files", "loaded"), [({}, True), ({"test/mocha.opts": "--require ts-node/register"}, False)])
def test_mocha_reads_typescript_where_a_task_runner_compiled_it(files: dict[str, str], loaded: bool) -> None:
    package = {"scripts": {"test": "gulp tests"}, "devDependencies": {"mocha": "5", "gulp": "3", "typescript": "3"}}
    made = plan({"package.json": package, **files}, "test/a.spec.ts")
    assert ("mocha --require ts-node/register/transpile-only" in made.changed[0].script) is loaded
    assert ("'?ts-node@*'" in made.install[0].run) is loaded


@pytest.mark.parametrize(("test", "framework"), [("test/specs/a/b.spec.js", "karma"), ("test/unit/b.js", "mocha")])
def test_tests_that_karma_is_told_of_are_its_own(test: str, framework: str) -> None:
    package = {"scripts": {"test": "grunt test"}, "devDependencies": {"mocha": "9", "karma": "6", "grunt": "1"}}
    settings = "module.exports = c => c.set({files: ['test/specs/__helpers.js', 'test/specs/**/*.spec.js']})"
    assert plan({"package.json": package, "karma.conf.js": settings}, test).framework == framework


@pytest.mark.parametrize(("more", "framework"), [({}, "karma"), ({"nyc": "14"}, "mocha")])
def test_mocha_that_is_there_for_karma_runs_nothing_by_itself(more: dict[str, str], framework: str) -> None:
    package = {"scripts": {"test": "node Make.js"}, "devDependencies": {"mocha": "6", "karma": "4", "karma-mocha": "1", **more}}
    assert plan({"package.json": package}, "tests/a.js").framework == framework


@pytest.mark.parametrize(
    ("line", "files", "test", "named"),
    [
        ("mocha", {}, "tests/lib/rules/no-x.js", " tests/lib/rules/**/*.js"),
        ("mocha --exit", {}, "src/a/b.spec.js", " src/a/**/*.spec.js"),
        ("mocha", {}, "test/unit/a.js", " test/unit/**/*.js"),
        ("mocha", {}, "test/a.js", ""),
        ("mocha", {}, "a.test.js", " a.test.js"),
        ("mocha --recursive", {}, "test/unit/a.js", " --recursive"),
        ("mocha", {"test/mocha.opts": "--recursive"}, "test/unit/a.js", ""),
        ("mocha", {"test/mocha.opts": "--exit\ntests/**/*.js"}, "tests/unit/a.js", ""),
        ("mocha", {".mocharc.json": '{"spec": "tests/**/*.js"}'}, "tests/unit/a.js", ""),
        ("mocha", {".mocharc.json": '{"file": ["tests/all.js"]}'}, "tests/unit/a.js", ""),
        ("mocha --config x.json", {}, "tests/unit/a.js", ""),
    ],
)
def test_mocha_is_told_of_tests_that_it_would_not_find(line: str, files: dict[str, str], test: str, named: str) -> None:
    made = plan({"package.json": {"scripts": {"test": line}, "devDependencies": {"mocha": "10"}}, **files}, test)
    assert last(made.tests[0].script).replace("'", "").partition(" --no-bail")[2] == named
    assert last(made.changed[0].script).endswith(' "$@"')


def test_a_runner_that_clears_its_cache_runs_no_test() -> None:
    scripts = {"test": "npm run clear && jest", "clear": "jest --clearCache"}
    made = plan({"package.json": {"scripts": scripts, "devDependencies": {"jest": "29"}}}, "test/a.js")
    assert made.tests[0].script.count("exec jest") == 1 and "clearCache" not in made.tests[0].script


def test_a_runner_that_the_changed_tests_import_goes_before_one_that_may_run_any_file() -> None:
    scripts = {"test": "mocha --config all.js && npm run test:tape", "test:unit": "mocha", "test:tape": "node test/tape/index.js | faucet"}
    index, test = "require('./a'); require('tape').onFinish(f)", "const test = require('tape'); test('x', f)"
    files = {"package.json": {"scripts": scripts, "devDependencies": {"mocha": "10", "tape": "5"}}, "test/tape/index.js": index}
    made = plan({**files, "test/tape/a.js": test}, "test/tape/a.js")
    assert made.framework == "tape" and last(made.tests[0].script).endswith(" node test/tape/index.js")
    made = plan(files, "test/tape/a.js", fixed={"test/tape/a.js": test})
    assert made.framework == "tape"
    assert plan(files, "test/b.js").framework == "mocha"


@pytest.mark.parametrize(
    ("first", "second", "test"),
    [
        ("borp -p 'test/*.js'", "borp -p 'test/web/*.js'", "test/web/a.js"),
        ("vitest run --dir packages", "vitest run --dir test", "test/a.test.js"),
        ("jest --config=tests/unit/jest.config.js", "jest --config tests/more/jest.config.js", "tests/more/a.js"),
    ],
)
def test_a_script_that_is_confined_to_other_files_is_passed_over(first: str, second: str, test: str) -> None:
    dependencies = dict.fromkeys(("borp", "vitest", "jest"), "*")
    package = {"scripts": {"test": first, "test:more": second}, "devDependencies": dependencies}
    files = dict.fromkeys(("tests/unit/jest.config.js", "tests/more/jest.config.js"), "module.exports = {}")
    script = plan({"package.json": package, **files}, test).tests[0].script
    assert second.rpartition("/jest")[0].rpartition(" ")[2].strip("'") in script and first.partition(" ")[2].strip("'") not in script


def test_a_program_of_a_package_is_not_what_tests_of_a_known_runner_are_for() -> None:
    root = {"workspaces": ["packages/*"], "scripts": {"test": "vitest"}, "devDependencies": {"vitest": "3"}}
    files = {"package.json": root, "packages/a/package.json": {"name": "a", "scripts": {"test:pack": "node ../../scripts/test-pack.js"}}}
    test = "import { test } from 'vitest'\ntest('x', f)"
    made = plan({**files, "scripts/test-pack.js": ""}, "packages/a/test/x.test.ts", fixed={"packages/a/test/x.test.ts": test})
    assert (made.framework, made.root) == ("vitest", "")


@pytest.mark.parametrize(
    ("settings", "built"),
    [
        ("alias: { 'b': r('./packages/b/src') }", False),
        ("alias: [{ find: 'b', replacement: '/src' }]", False),
        ("import { alias } from './alias'", False),
        ("deps: { inline: ['b'] }", True),
    ],
)
def test_a_sibling_that_settings_lead_to_the_source_of_is_not_built(settings: str, built: bool) -> None:
    files = {
        "package.json": {"workspaces": ["packages/*"]},
        "vitest.config.ts": settings,
        "alias.ts": "export const alias = { 'b': r('./packages/b/src/') }",
        "packages/a/package.json": {
            "name": "a",
            "scripts": {"test": "vitest"},
            "dependencies": {"b": "*"},
            "devDependencies": {"vitest": "3"},
        },
        "packages/b/package.json": {"name": "b", "main": "dist/index.js", "scripts": {"build": "tsc"}},
    }
    assert ("packages/b 'npm run build'" in plan(files, "packages/a/test/x.test.ts").tests[0].script) is built


def test_what_the_fix_adds_to_the_manifest_is_installed() -> None:
    before = {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "^10"}}
    after = {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "^10", "sinon": "^17.0.0", "far": "github:a/b"}}
    made = plan({"package.json": before}, "test/a.js", fixed={"package.json": after})
    assert "add.sh 2025-06-02T00:00:00Z '' 'sinon@^17.0.0'" in made.dependencies[-1].run
    assert "far" not in made.dependencies[-1].run


def test_variables_of_ci_and_of_old_bundlers() -> None:
    package = {"scripts": {"test": "jest"}, "devDependencies": {"jest": "26", "webpack": "^4.0.0"}}
    made = plan({"package.json": package}, "a.test.js", ci=CiFacts(env={"NODE_OPTIONS": "--max-old-space-size=4096 $(x)"}))
    assert made.env["NODE_OPTIONS"] == "--max-old-space-size=4096 --openssl-legacy-provider"
    assert made.tests[0].env["NODE_OPTIONS"] == made.env["NODE_OPTIONS"]


_BROWSER = "export default defineConfig({ test: { browser: { provider: 'playwright', instances: [{ a: 1 }], enabled: true } } })"


@pytest.mark.parametrize(
    ("files", "reason", "said"),
    [
        ({"index.js": ""}, "no_build_file", "no package.json"),
        ({"deno.json": "{}", "mod.ts": ""}, "unsupported_build", "one of Deno alone"),
        ({"package.json": {"scripts": {"test": "cypress run"}}}, "unsupported_build", "run by cypress alone"),
        ({"package.json": {"scripts": {"test": "wtr test/**/*.js --node-resolve"}}}, "unsupported_build", "run by wtr alone"),
        (
            {"package.json": {"scripts": {"test": "ng test"}, "devDependencies": {"@angular/cli": "17", "karma": "6"}}},
            "unsupported_build",
            "Angular's `ng test` alone, which needs a browser",
        ),
        (
            {"package.json": {"scripts": {"test": "vitest"}, "devDependencies": {"vitest": "3"}}, "vitest.config.ts": _BROWSER},
            "unsupported_build",
            "Vitest's browser mode alone",
        ),
        ({"package.json": {"scripts": {"test": "vitest --browser=chrome"}}}, "unsupported_build", "Vitest's browser mode alone"),
        ({"package.json": "not json"}, "unsupported_build", "says how its tests are run"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_a_reason(files: dict[str, Any], reason: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as error:
        plan(files, "test/a.js")
    assert (error.value.stage, error.value.reason) == ("plan", reason)


@pytest.mark.parametrize(
    ("script", "config"),
    [
        ("vitest", _BROWSER.replace("test: {", "test: { projects: ['a', 'b'],")),
        ("vitest --browser=false", _BROWSER),
        ("vitest", _BROWSER.replace("enabled: true", "enabled: false")),
        ("vitest", _BROWSER.replace("enabled: true", "\n// enabled: true\n")),
    ],
)
def test_vitest_is_run_where_not_all_is_for_a_browser(script: str, config: str) -> None:
    package = {"scripts": {"test": script}, "devDependencies": {"vitest": "3"}}
    assert plan({"package.json": package, "vitest.config.ts": config}, "test/a.js").framework == "vitest"


@pytest.mark.parametrize(
    ("scripts", "line"),
    [
        ({"test": "xo && ava && del-cli dist && tsc && tsd"}, "exec tsd )"),
        ({"test": "vitest run", "test:types": "vitest run --typecheck.only"}, "exec vitest run --typecheck.only"),
        ({"test": "jest", "types": "tsc --noEmit -p test-d"}, "exec tsc --noEmit -p test-d )"),
        ({"test": "tsc && node --max-old-space-size=6144 ./node_modules/.bin/tsd && node --test"}, "6144 ./node_modules/.bin/tsd )"),
    ],
)
def test_tests_of_types_alone_are_run_by_what_checks_them(scripts: dict[str, str], line: str) -> None:
    tools = dict.fromkeys(["ava", "tsd", "vitest", "jest", "typescript"], "*")
    files = {"package.json": {"scripts": scripts, "devDependencies": tools}, "index.d.ts": ""}
    (command,) = plan(files, "test-d/index.test-d.ts").tests
    assert line in command.script and "exec ava" not in command.script and "exec jest" not in command.script
    (command,) = plan(files, "test-d/index.test-d.ts", "test/a.js").tests
    assert line not in command.script


@pytest.mark.parametrize(("scripts", "framework"), [({"types": "tsd"}, "node"), ({"types": "tsc --noEmit"}, "mocha")])
def test_a_folder_of_types_has_tests_of_types_where_a_program_for_them_is(scripts: dict[str, str], framework: str) -> None:
    package = {"scripts": {"test": "mocha test/*.js", **scripts}, "devDependencies": {"mocha": "10"}}
    assert plan({"package.json": package}, "test/types/a.test.ts").framework == framework


@pytest.mark.parametrize("snapshot", ["test/snapshots/a.js.snap", "tap-snapshots/test/a.js.test.cjs"])
def test_a_fix_of_a_snapshot_alone_runs_the_test_that_it_belongs_to(snapshot: str) -> None:
    files = {"package.json": {"scripts": {"test": "tap test/*.js"}, "devDependencies": {"tap": "16"}}, "test/a.js": "", snapshot: "1"}
    (changed,) = plan(files, snapshot).changed
    assert changed.targets == ("test/a.js",)


def test_programs_of_an_unknown_test_script_count_by_their_exit_status() -> None:
    package = {"scripts": {"test": "eslint . && gulp build && node tools/run.mjs --all", "posttest": "echo done"}}
    made = plan({"package.json": package, "tools/run.mjs": "spawn('x')"}, "test/a.js")
    assert made.framework == "node" and made.changed == () and any("exit status" in note for note in made.notes)
    assert "exec gulp build )" in made.tests[0].script and "exec node tools/run.mjs --all )" in made.tests[0].script
    assert "eslint" not in made.tests[0].script and "echo done" not in made.tests[0].script


@pytest.mark.parametrize(
    "script",
    ["eslint . && prettier -c .", "turbo run test", "gulp build && cypress run", "echo no && exit 1", "gulp build && node src/index.js"],
)
def test_a_test_script_of_checks_or_other_packages_or_browsers_does_not(script: str) -> None:
    with pytest.raises(BuildError) as error:
        plan({"package.json": {"scripts": {"test": script}}}, "test/a.js")
    assert error.value.reason == "unsupported_build"


def test_a_manager_that_is_not_there_in_its_very_version_is_taken_in_another() -> None:
    package = {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "10"}}
    made = plan({"package.json": {**package, "packageManager": "pnpm@9.15.99"}, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "test/a.js")
    first, second = [line for line in made.dependencies[0].run.splitlines() if "--global" in line and "pnpm" in line]
    assert first.endswith(" pnpm@9.15.99 >&2 ||") and second.endswith(" pnpm@9 >&2")
    made = plan({"package.json": package, "bun.lock": "{}"}, "test/a.js")
    assert "its dependencies are installed by npm" in made.dependencies[0].run


def test_steps_and_scripts_are_shell() -> None:
    names = {"name": "it's", "scripts": {"test": "mocha", "build": "tsc", "prepare": "npm run build"}, "devDependencies": {"mocha": "10"}}
    files = {"package.json": {"workspaces": ["packages/*"]}, "packages/it's $(x)/package.json": names}
    made = plan(files, "packages/it's $(x)/a.test.js")
    for script in [step.run for step in made.steps] + [one.script for one in (*made.tests, *made.changed)]:
        done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_an_older_node_gets_its_globs_expanded_and_its_typescript_read() -> None:
    package = {
        "type": "module",
        "scripts": {"test": "node --experimental-strip-types --test 'test/**/*.test.ts'"},
        "engines": {"node": "20"},
    }
    made = plan({"package.json": package}, "test/a.test.ts")
    assert made.toolchain == "20"
    line = last(made.tests[0].script)
    assert line.startswith("exec node /opt/podgym/node/glob.js node --import tsx --test --test-reporter=") and line.endswith(
        "-- 'test/**/*.test.ts'"
    )
    assert "'?tsx@*'" in made.dependencies[-1].run


def test_a_runner_without_a_script_is_started_where_its_settings_are() -> None:
    files = {
        "package.json": {"scripts": {"test": "nx run-many -t test"}, "devDependencies": {"jest": "29", "nx": "19"}},
        "jest.config.ts": "",
        "libs/a/jest.config.ts": "",
        "libs/a/project.json": "{}",
    }
    made = plan(files, "libs/a/src/x.spec.ts", "tools/y.spec.ts")
    assert [line for one in made.tests for line in one.script.splitlines() if line.startswith("cd ")] == ["cd libs/a || exit 96"]
    (command,) = made.tests
    assert command.report is not None and command.report.format == "mixed" and command.script.count("exec jest") == 2


def test_the_root_runs_the_tests_of_packages_without_a_runner() -> None:
    files = {
        "package.json": {"workspaces": ["packages/*"], "scripts": {"test": "vitest"}, "devDependencies": {"vitest": "3"}},
        "packages/a/package.json": {"name": "a"},
        "packages/b/package.json": {"name": "b"},
    }
    made = plan(files, "packages/a/src/x.spec.ts")
    assert made.root == "" and last(made.tests[0].script).endswith(" packages/a/")


def test_names_of_secrets_in_settings_mean_nothing() -> None:
    files = {
        "package.json": {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "1"}},
        ".npmrc": "//x/:_authToken=${NPM_TOKEN}\nc=${HOME}/c\n",
    }
    assert plan(files, "test/a.js").env == {"PATH": plan(files, "test/a.js").env["PATH"], "HOME": "/root", "HUSKY": "0", "NPM_TOKEN": ""}


def test_what_only_authors_need_may_be_left_out() -> None:
    tools = {"eslint": "8", "husky": "9", "evalmd": "1", "tape": "5", "prettier": "3"}
    package = {"name": "prettier-plugin-x", "scripts": {"test": "tape test/*.js"}, "devDependencies": tools}
    made = plan({"package.json": package}, "test/a.js")
    assert "SPARE='eslint husky evalmd' sh /opt/podgym/node/install.sh" in made.dependencies[-1].run
