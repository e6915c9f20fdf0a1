from __future__ import annotations

import pytest

from podgym.envs.build import BuildError, BuildOptions, read_plan
from podgym.envs.build.languages.python.setupfile import session_commands, setup_arguments
from podgym.envs.repository import SourceRepository

TESTS = "import calc\n\ndef test_x():\n    assert calc.x == {}\n"


def take_apart(history, commit: str):
    return read_plan(history.path, commit, issue="Mend it", options=BuildOptions())


def start(history, **files: str) -> None:
    history.commit("start", {"calc.py": "x = 1\n", "tests/test_calc.py": TESTS.format(1), "pytest.ini": "[pytest]\n", **files})


def test_settings_of_the_runner_belong_to_the_tests(history) -> None:
    pyproject = '[project]\nname = "calc"\nversion = "1"\n'
    start(history, **{"pyproject.toml": pyproject})
    fix = history.commit(
        "fix",
        {
            "calc.py": "x = 2\n",
            "tests/test_calc.py": TESTS.format(2),
            "pyproject.toml": pyproject + "[tool.pytest.ini_options]\nxfail_strict = true\n",
        },
    )
    prepared = take_apart(history, fix)
    assert set(prepared.gold.files) == {"calc.py"}
    assert {write.path for write in prepared.hidden} == {"tests/test_calc.py", "pyproject.toml"}
    assert b"xfail_strict" in prepared.tests_patch and b"xfail_strict" not in prepared.gold_patch


def test_a_build_file_that_the_fix_changes_is_its_own(history) -> None:
    start(history, Makefile="test:\n\tpytest\n", **{"setup.cfg": "[metadata]\nname = calc\n"})
    fix = history.commit(
        "fix",
        {
            "calc.py": "x = 2\n",
            "tests/test_calc.py": TESTS.format(2),
            "Makefile": "test:\n\tpytest -q\n",
            "setup.cfg": "[metadata]\nname = calc\n[tool:pytest]\naddopts = -q\n",
        },
    )
    prepared = take_apart(history, fix)
    assert set(prepared.gold.files) == {"calc.py", "Makefile"}
    assert {write.path for write in prepared.hidden} == {"tests/test_calc.py", "setup.cfg"}
    assert set(prepared.gold_parts) == {"Makefile"}


def test_a_file_of_the_runner_that_is_no_setting_may_not_be_the_fixs(history) -> None:
    start(history)
    (history.path / "conf").symlink_to("calc.py")
    history.commit("more", {"Makefile": "test:\n\tpytest\n"})
    (history.path / "Makefile").unlink()
    (history.path / "Makefile").symlink_to("conf")
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2)})
    with pytest.raises(BuildError, match="which a solution may not") as caught:
        take_apart(history, fix)
    assert caught.value.reason == "gold_fails"


def test_metadata_belongs_to_the_fix(history) -> None:
    pyproject = '[project]\nname = "calc"\nversion = "{}"\n[tool.pytest.ini_options]\naddopts = "-q"\n'
    start(history, **{"pyproject.toml": pyproject.format(1)})
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2), "pyproject.toml": pyproject.format(2)})
    prepared = take_apart(history, fix)
    assert set(prepared.gold.files) == {"calc.py", "pyproject.toml"}
    assert prepared.gold_parts == {}


def test_nothing_but_tests_and_their_settings(history) -> None:
    start(history, **{"setup.cfg": "[tool:pytest]\naddopts = -q\n"})
    fix = history.commit("fix", {"tests/test_calc.py": TESTS.format(2), "setup.cfg": "[tool:pytest]\naddopts = -v\n"})
    with pytest.raises(BuildError) as caught:
        take_apart(history, fix)
    assert caught.value.reason == "only_test_change"


def test_a_ninth_language(history) -> None:
    history.commit("start", {"a.rb": "1", "tests/a.rb": "1"})
    fix = history.commit("fix", {"a.rb": "2", "tests/a.rb": "2"})
    with pytest.raises(BuildError, match="Ruby") as caught:
        take_apart(history, fix)
    assert (caught.value.stage, caught.value.reason) == ("plan", "unsupported_language")


def test_a_project_of_fewer_files_of_the_fix_is_built_where_the_others_have_no_build(history) -> None:
    start(history, **{"setup.py": "from setuptools import setup\nsetup(name='calc')\n", "src/a.c": "int a;\n", "src/b.c": "int b;\n"})
    fix = history.commit("fix", {"src/a.c": "int a = 1;\n", "src/b.c": "int b = 1;\n", "tests/test_calc.py": TESTS.format(2)})
    prepared = take_apart(history, fix)
    assert (prepared.plan.language, prepared.changed_tests) == ("python", ("tests/test_calc.py",))
    with pytest.raises(BuildError) as caught:
        read_plan(history.path, fix, issue="Mend it", options=BuildOptions(language="c"))
    assert caught.value.reason in ("no_build_file", "unsupported_build")


def test_the_first_reason_is_told_where_no_language_has_a_build(history) -> None:
    history.commit("start", {"a.js": "1", "b.js": "1", "c.rs": "", "tests/a.js": "1"})
    fix = history.commit("fix", {"a.js": "2", "b.js": "2", "c.rs": "//", "tests/a.test.js": "2"})
    with pytest.raises(BuildError, match=r"package\.json") as caught:
        take_apart(history, fix)
    assert caught.value.reason == "no_build_file"


@pytest.mark.parametrize("pyproject", ["", "[tool.black]\n"])
def test_scripts_that_test_another_language_are_no_python_project(history, pyproject: str) -> None:
    sources = {
        "src/a.cc": "int a;\n",
        "src/b.cc": "int b;\n",
        "BUILD.bazel": "",
        "tests/run_test.py": "x = 1\n",
        "pyproject.toml": pyproject,
    }
    history.commit("start", sources)
    tests = "def test_x():\n    pass\n"
    fix = history.commit("fix", {"src/a.cc": "int a = 1;\n", "src/b.cc": "int b = 1;\n", "tests/run_test.py": tests})
    with pytest.raises(BuildError) as caught:
        take_apart(history, fix)
    with pytest.raises(BuildError) as alone:
        read_plan(history.path, fix, issue="Mend it", options=BuildOptions(language="cpp"))
    assert (caught.value.reason, caught.value.message) == (alone.value.reason, alone.value.message)


def test_requirements_that_the_fix_adds_are_seen(history) -> None:
    start(history, **{"requirements-test.txt": "six\n"})
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2), "requirements-test.txt": "six\nattrs\n"})
    assert "install_any six attrs pytest\n" in take_apart(history, fix).plan.dependencies[0].run


def test_paths_that_a_task_cannot_carry(history, source: SourceRepository) -> None:
    start(history)
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2), "tests/bad\nname.py": "x"})
    with pytest.raises(BuildError, match="control characters") as caught:
        take_apart(history, fix)
    assert caught.value.reason == "unsupported_file"


def test_arguments_of_setup_are_read_as_far_as_they_can_be() -> None:
    source = """
base = dict(name='calc', zip_safe=False)
extra = {'test': ('pytest',), 'docs': undefined()}
need = ['a'] + [undefined(), 'b'] + undefined()
setuptools.setup(**base, extras_require=extra, install_requires=need, long_description='x' + 'y',
                 tests_require=extra['test'], **undefined())
"""
    found = setup_arguments(source)
    assert found["name"] == "calc" and found["zip_safe"] is False
    assert found["extras_require"] == {"test": ["pytest"]}
    assert found["install_requires"] == ["a", "b"]
    assert found["tests_require"] == ["pytest"] and found["long_description"] == "xy"
    assert setup_arguments("print 'x'") == setup_arguments("setup(") == {}


def test_installs_of_a_noxfile() -> None:
    source = """
@nox.session
def tests(session):
    session.install(".", "-r", "x.txt", "pytest", "coverage[toml]", *more)
def lint(session):
    session.install("ruff")
"""
    assert session_commands(source) == [["pip", "install", ".", "-r", "x.txt", "pytest", "coverage[toml]", "$"]]


def test_certificates_are_trusted_by_every_step(history, tmp_path) -> None:
    start(history, **{"requirements-test.txt": "six\n"})
    fix = history.commit("fix", {"calc.py": "x = 2\n", "tests/test_calc.py": TESTS.format(2)})
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    plan = read_plan(history.path, fix, issue="Mend it", options=BuildOptions(ca_bundle=bundle)).plan
    assert plan.ca_bundle
    for step in plan.steps:
        assert "export PIP_CERT=/opt/podgym/ca.crt\n" in step.run
