from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from podgym.envs.build.languages.python.requirements import Requirements, add_group, add_poetry, poetry_specifier


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("~=1.2", "~=1.2"),
        ("1.2.*", "==1.2.*"),
        ("*", ""),
        (">=1,<3", ">=1,<3"),
        (">= 1.0", ">=1.0"),
        (">=3.8 <4", ">=3.8,<4"),
        ("^1 || ^2", ""),
        ("^what", ""),
    ],
)
def test_poetry_constraints(constraint: str, specifier: str) -> None:
    assert poetry_specifier(constraint) == specifier


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=3), st.sampled_from("^~"))
def test_a_version_fulfils_its_own_constraint(release: list[int], mark: str) -> None:
    version = ".".join(map(str, release))
    assert version in SpecifierSet(poetry_specifier(mark + version))


def test_files_include_each_other_and_drop_what_no_index_has() -> None:
    files = {
        "requirements/test.txt": "-r base.txt\n-r test.txt\npytest >= 7 # runner\n-e .[cli]\n--index-url https://example.org\n",
        "requirements/base.txt": "six==1.16 \\\n    --hash=sha256:00\n-c constraints.txt\nfoo @ git+https://example.org/foo\n./local\n",
        "loose.txt": "git+https://example.org/bar#egg=bar\nhttps://example.org/x.whl\n???\n-r missing.txt\n",
    }
    found = Requirements(project="Own_Name")
    found.add_file("requirements/test.txt", files.get)
    found.add_file("loose.txt", files.get)
    found.add("own-name[extra]")
    assert found.lines == ("six==1.16", "foo", "pytest>=7", "bar")
    assert found.own_extras == ["cli", "extra"]
    assert len(found.notes) == 4


def test_a_folder_is_a_path_and_a_version_that_cannot_be_read_is_any() -> None:
    found = Requirements(project="own")
    found.add_file("r.txt", {"r.txt": "plugins/example\nplugins/other[x]\npytz>dev\nsix == what ever\nhttp//x y\n"}.get)
    assert (found.paths, found.lines) == (["plugins/example", "plugins/other[x]"], ("pytz",))
    assert len(found.notes) == 3


def test_groups_include_groups() -> None:
    groups = {"Test": ["pytest", {"include-group": "more_things"}], "more-things": ["six", {"include-group": "test"}, 3]}
    found = Requirements()
    add_group(found, groups, "test")
    add_group(found, groups, "absent")
    assert found.lines == ("pytest", "six")
    assert any("absent" in note for note in found.notes)


def test_poetry_tables() -> None:
    found = Requirements()
    table = {
        "python": "^3.8",
        "pytest": "^7.0",
        "tomli": {"version": ">=1", "python": "<3.11"},
        "coverage": {"version": "^6", "extras": ["toml"], "markers": "sys_platform == 'linux'"},
        "extra": {"version": "1", "optional": True},
        "near": {"path": "../near"},
        "far": {"git": "https://example.org/far"},
    }
    add_poetry(found, table)
    assert found.lines == (
        "pytest<8,>=7.0",
        'tomli>=1; python_version < "3.11"',
        'coverage[toml]<7,>=6; sys_platform == "linux"',
        "far",
    )


def test_what_conda_has_built_in_its_own_place_is_taken_by_name() -> None:
    found = Requirements(project="calc", root="")
    found.add("numpy @ file:///croot/numpy_1/work")
    found.add("beside @ file:libs/beside")
    assert (found.lines, found.paths) == (("numpy",), ["libs/beside"])
