"""What Conda's environment files list, as requirements of PyPI."""

from __future__ import annotations

import pytest

from podgym.envs.build.languages.python.conda import add_environment
from podgym.envs.build.languages.python.detect import detect
from podgym.envs.build.languages.python.requirements import Requirements

TEST = "import numpy\n\ndef test_x(): pass\n"


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy", "numpy"),
        ("conda-forge::numpy", "numpy"),
        ("numpy=1.21", "numpy==1.21.*"),
        ("numpy=1.21.*", "numpy==1.21.*"),
        ("numpy=1.21.0=py37_0", "numpy==1.21.0.*"),
        ("numpy==1.21.0", "numpy==1.21.0"),
        ("numpy 1.21", "numpy==1.21.*"),
        ("numpy 1.21 py37_0", "numpy==1.21.*"),
        ("numpy>=1.21,<2", "numpy<2,>=1.21"),
        ("numpy >=1.21", "numpy>=1.21"),
        ("numpy 1.2|1.3", "numpy"),
        ("numpy[version='>=1']", "numpy"),
        ("pytables", "tables"),
        ("matplotlib-base>=3", "matplotlib>=3"),
        ("pytorch=2.1", "torch==2.1.*"),
        ("libcst", "libcst"),
        ("Ruamel.YAML", "ruamel.yaml"),
        ("python=3.11", None),
        ("libnetcdf", None),
        ("gcc_linux-64", None),
        ("r-base", None),
    ],
)
def test_a_line(line: str, requirement: str | None) -> None:
    found = Requirements()
    add_environment(found, f'dependencies:\n  - "{line}"\n', "environment.yml")
    assert found.lines == ((requirement,) if requirement else ())


def test_the_lines_of_pip_and_what_is_left_out() -> None:
    text = """
dependencies:
  - python
  - hdf5
  - six
  - libgdal=3
  - pip:
      - inflection>=0.5
      - git+https://example.org/x.git#egg=wanted
      - -e .
      - -r more.txt
"""
    found = Requirements()
    add_environment(found, text, "environment.yml")
    assert found.lines == ("six", "inflection>=0.5", "wanted")
    assert found.notes == ["left out of environment.yml, because PyPI has no such package: hdf5, libgdal"]


@pytest.mark.parametrize("text", [None, "", "a: [", "dependencies: 3\n", "- x\n", "{% if x %}\n"])
def test_a_file_that_cannot_be_read_is_said(text: str | None) -> None:
    found = Requirements()
    add_environment(found, text, "environment.yml")
    assert found.lines == () and found.notes == ["environment.yml cannot be read"]


LISTS = "dependencies: [numpy, six]\n"
PYPROJECT = '[project]\nname = "calc"\nversion = "1"\ndependencies = []\n[project.optional-dependencies]\ntest = ["pytest"]\n'


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        ({"environment.yml": LISTS}, ("numpy", "six", "pytest")),
        ({"environment.yml": LISTS, "requirements.txt": "attrs\n"}, ("attrs", "numpy", "six", "pytest")),
        ({"ci/environment-test.yml": "dependencies: [mock]\n", "environment.yml": LISTS}, ("numpy", "six", "mock", "pytest")),
        ({"environment-docs.yml": LISTS}, ("pytest",)),
        ({"environment.yml": LISTS, "pyproject.toml": PYPROJECT}, ("numpy", "pytest")),
    ],
    ids=["an application's", "beside another list", "of tests", "of documents", "only what a test imports"],
)
def test_which_files_are_taken(files: dict[str, str], needed: tuple[str, ...]) -> None:
    everything = {"calc.py": "", "tests/test_calc.py": TEST, **files}
    found = detect(sorted(everything), everything.get, changed_source=["calc.py"], changed_tests=["tests/test_calc.py"])
    assert found.test_requirements == needed
