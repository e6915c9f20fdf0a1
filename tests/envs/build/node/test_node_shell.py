import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.envs.build.languages.node.shell import read_line, word


def test_commands_keep_their_words_as_they_were_written() -> None:
    found = read_line("NODE_ENV=test A='b c' mocha \"test/**/*.js\" -g 'it works' | tap-spec && tsc; echo done || true")
    assert found is not None
    assert [one.before for one in found] == ["", "|", "&&", ";", "||"]
    first = found[0]
    assert [(name, value.raw) for name, value in first.assignments] == [("NODE_ENV", "test"), ("A", "'b c'")]
    assert [one.raw for one in first.words] == ["mocha", '"test/**/*.js"', "-g", "'it works'"]
    assert [one.text for one in first.words] == ["mocha", "test/**/*.js", "-g", "it works"]


def test_redirections_and_comments_are_left_out_and_substitutions_stay_whole() -> None:
    found = read_line("node --test $(find test -name '*.js') > out.txt 2>&1 # later")
    assert found is not None
    assert [one.raw for one in found[0].words] == ["node", "--test", "$(find test -name '*.js')"]
    assert not found[0].words[2].plain


@pytest.mark.parametrize(
    "line", ["for f in *; do node $f; done", "if true; then mocha; fi", "cat <<EOF", "a 'b", '"', "(", "f() { x; }", "$("]
)
def test_what_is_no_list_of_simple_commands_is_not_read(line: str) -> None:
    assert read_line(line) is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_not(text: str) -> None:
    read_line(text)


@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), min_size=1, max_size=40))
def test_a_quoted_word_means_what_it_was_made_of(text: str) -> None:
    assert shlex.split(word(text).raw) == [text]
