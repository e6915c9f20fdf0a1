"""Literals of a setup.py or a noxfile, however they are put together."""

from __future__ import annotations

import pytest

from podgym.envs.build.languages.python.setupfile import session_commands, setup_arguments


def test_a_sum_is_as_long_as_it_may_be() -> None:
    lists = " + ".join(f"['a{number}']" for number in range(1500))
    text = " + ".join(["'a'"] * 1500)
    found = setup_arguments(f"more = {lists} + unknown\nsetup(install_requires=more, name={text})\n")
    assert (len(found["install_requires"]), found["install_requires"][-1], found["name"]) == (1500, "a1499", "a" * 1500)
    assert setup_arguments("setup(name='a' + unknown, tests_require=['b'] + unknown)\n") == {"tests_require": ["b"]}


@pytest.mark.parametrize("first", ["['six']", "'six'"])
def test_what_doubles_with_each_line_has_an_end(first: str) -> None:
    lines = "".join(f"a{number + 1} = a{number} + a{number}\n" for number in range(60))
    found = setup_arguments(f"a0 = {first}\n{lines}setup(install_requires=a60)\n")
    assert len(found.get("install_requires", ())) <= 2000


@pytest.mark.parametrize("deep", ["a" + "['x']" * 3000, "a" + "[b" * 90 + "]" * 90, "dict(x=" * 90 + "1" + ")" * 90, "-" * 2000 + "1"])
def test_what_is_nested_too_deep_says_nothing(deep: str) -> None:
    setup_arguments(f"setup(name={deep})\n")
    assert all(words[:2] == ["pip", "install"] for words in session_commands(f"def tests(session):\n    session.install({deep})\n"))
