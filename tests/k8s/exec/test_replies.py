"""However the bytes arrive in pieces, they are the same events and outputs."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from podgym.k8s.exec.replies import Ended, Events, Output


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.binary(max_size=300), st.binary(max_size=300), st.lists(st.integers(0, 900), max_size=12), st.integers(0, 12))
def test_outputs(out: bytes, err: bytes, cuts: list[int], told: int) -> None:
    mark = Ended(0, 0, False).mark("secret")
    if mark in out + b" " + err:
        return
    output = Output(2)
    for number, piece in enumerate(pieces(out + mark + err + mark, cuts)):
        if number == told:
            output.expect(mark)
        output.feed(piece)
    output.expect(mark)
    assert output.whole and output.parts == [out, err]


@given(
    st.lists(st.lists(st.text("abcDLR019", min_size=1, max_size=9), min_size=1, max_size=5), max_size=9),
    st.lists(st.integers(0, 300), max_size=9),
)
def test_events(lines: list[list[str]], cuts: list[int]) -> None:
    events = Events()
    data = "".join(" ".join(line) + "\n" for line in lines).encode()
    assert [words for piece in pieces(data, cuts) for words in events.feed(piece)] == lines


@given(st.lists(st.binary(max_size=2000), max_size=9))
def test_any_bytes_are_events_or_nothing(data: list[bytes]) -> None:
    events = Events()
    for piece in data:
        assert all(words for words in events.feed(piece))
