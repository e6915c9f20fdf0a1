from __future__ import annotations

from datetime import UTC, datetime

import pytest

from podgym.envs.build.errors import BuildError
from podgym.envs.build.languages.python.pythons import choose_python, claimed_minors, own_python


def choose(*, requires="", pinned="", claimed=(), year=2024, installable=True, available=("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")):
    committed = datetime(year, 7, 1, tzinfo=UTC)
    return choose_python(
        requires=requires, pinned=pinned, claimed=claimed, committed=committed, installable=installable, available=available
    )[0]


def test_the_choice_of_a_version() -> None:
    assert choose(pinned="3.9", claimed=("3.11",)) == "3.9"
    assert choose(claimed=("3.9", "3.10", "3.13")) == "3.10"
    assert choose(claimed=("3.13",)) == "3.13"
    assert choose() == "3.12"
    assert choose(requires=">=3.8,<3.11") == "3.10"
    assert choose(requires=">=3.13") == "3.13"
    assert choose(claimed=("3.4", "3.5"), year=2017) == "3.8"
    assert choose(requires="not a specifier") == "3.12"
    assert choose(pinned="3.14") == "3.12"


def test_plain_files_run_on_the_version_at_hand() -> None:
    assert choose(installable=False, available=("3.8", own_python())) == own_python()


def test_no_version_fits() -> None:
    with pytest.raises(BuildError, match="--toolchain") as caught:
        choose(requires=">=3.14")
    assert (caught.value.stage, caught.value.reason) == ("plan", "no_toolchain")


def test_claims_are_read_from_classifiers_tox_and_ci() -> None:
    assert claimed_minors(["Programming Language :: Python :: 3.9", "Python :: 3", "Python :: 3 :: Only"]) == ("3.9",)
    assert claimed_minors(["py{38,39}, py310-django, pypy3, py3.11"]) == ("3.8", "3.9", "3.10", "3.11")
    assert claimed_minors(["['3.8', \"3.12\", 3.13-dev, pypy-3.9]"]) == ("3.8", "3.9", "3.12", "3.13")
