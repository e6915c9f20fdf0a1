from __future__ import annotations

from podgym_test_kit.node import plan

from podgym.envs.build.ci import CiFacts, CiStep
from podgym.envs.build.languages.node.variables import ci_variables

PACKAGE = {"package.json": {"scripts": {"test": "mocha"}, "devDependencies": {"mocha": "10"}}}


def test_tests_run_under_the_variables_of_the_step_that_runs_them_in_ci() -> None:
    steps = (
        CiStep(line="npm ci; npm install", env={"TZ": "Asia/Tokyo", "NODE_ENV": "production"}),
        CiStep(line="npm run test:unit -- --ci", env={"TZ": "Europe/Oslo", "LANG": "de_DE.UTF-8", "MYLIB_STRICT": "1"}),
        CiStep(line="npm ci && npx mocha", env={"TZ": "UTC", "RETRIES": "0", "NODE_ENV": "test"}),
        CiStep(line="npm test", env={"TZ": "UTC", "LANG": "C", "RETRIES": "0", "NODE_ENV": "test", "MYLIB_STRICT": "2", "ODD": "1"}),
    )
    made = plan(PACKAGE, "test/a.js", ci=CiFacts(steps=steps, env={"STAGE": "deploy"}))
    wanted = {"TZ": "Europe/Oslo", "LANG": "de_DE.UTF-8", "MYLIB_STRICT": "1", "RETRIES": "0", "NODE_ENV": "test"}
    assert wanted.items() <= made.tests[0].env.items() and not {"STAGE", "ODD"} & made.tests[0].env.keys()
    assert not wanted.keys() & made.env.keys() and "Oslo" not in "".join(step.run for step in made.steps)


def test_what_sets_up_tools_and_services_is_left_out() -> None:
    left = {
        "PATH": "/x", "HOME": "/x", "NODE_ENV": "production", "NODE_OPTIONS": "--x", "npm_config_cache": "/x", "YARN_CACHE_FOLDER": "/x",
        "DATABASE_URL": "pg://x", "REDIS_HOST": "x", "PGUSER": "x", "API_KEY": "x", "TURBO_TEAM": "x", "PLAYWRIGHT_BROWSERS_PATH": "0",
        "CFLAGS": "-O", "FAR": "$X", "LINES": "a\nb", "CI": "false", "GITHUB_SHA": "x", "NODE_VERSION_USED": "18",
        "COVERAGE": "true", "NODE_COV": "20", "NO_COLOR": "1", "FORCE_COLOR": "1", "CLICOLOR": "1", "CLICOLOR_FORCE": "1", "COLORTERM": "x",
        "NODE": "18", "TMPDIR": "x", "XDG_CONFIG_DIRS": "/etc/xdg", "WORK": "~/work",
    }  # fmt: skip
    assert ci_variables(CiFacts(env={**left, "TZ": "UTC", "BASE": "/a/"})) == {"TZ": "UTC", "BASE": "/a/"}


def test_options_of_node_are_those_of_the_tests() -> None:
    step = CiStep(line="yarn jest", env={"NODE_OPTIONS": "--experimental-vm-modules `x` --max-old-space-size=100"})
    ci = CiFacts(steps=(step,), env={"NODE_OPTIONS": "--no"})
    assert plan(PACKAGE, "test/a.js", ci=ci).env["NODE_OPTIONS"] == "--experimental-vm-modules --max-old-space-size=100"
    assert plan(PACKAGE, "test/a.js", ci=CiFacts(env={"NODE_OPTIONS": "--no"})).env["NODE_OPTIONS"] == "--no"
