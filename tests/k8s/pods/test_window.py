"""The window keeps its bounds, and finds what servers of any speed can take."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgym.k8s.pods.window import Window

ANSWERS = st.lists(st.tuples(st.booleans(), st.floats(0.0001, 10), st.none() | st.floats(0, 5)), max_size=200)


@given(ANSWERS)
def test_it_stays_within_its_bounds(answers: list[tuple[bool, float, float | None]]) -> None:
    window, now = Window(least=1, most=32), 0.0
    for good, took_s, after_s in answers:
        now += took_s
        if good:
            window.answered(now, took_s)
        else:
            window.refused(now, sent_at=now - took_s, retry_after_s=after_s)
        assert 1 <= window.size <= 32
        wait_s = window.wait_s(now, 0)
        assert wait_s is not None and wait_s <= 5
        assert window.wait_s(now + 6, window.size) is None


def test_a_storm_of_refusals_counts_once() -> None:
    window = Window(first=64)
    for number in range(40):
        window.refused(10.0 + number / 1000, sent_at=9.0)
    assert window.size == 32
    window.refused(20.0, sent_at=11.0, retry_after_s=3)
    assert window.size == 16 and window.wait_s(21.0, 0) == 2.0 and window.wait_s(23.5, 0) == 0.0


def play(work_s: float, workers: int, limit: int, requests: int) -> tuple[float, int]:
    """A server of so many workers that take `work_s` each, and refuses what would wait behind `limit` others. Seconds, and refusals."""
    window, now, refusals, left, on_the_way = Window(), 0.0, 0, requests, 0
    free = [0.0] * workers
    events: list[tuple[float, int, float, bool]] = []
    number = 0
    while left or events:
        while left and window.wait_s(now, on_the_way) == 0.0:
            number += 1
            on_the_way += 1
            if sum(end > now for end, _, _, good in events if good) >= workers + limit:
                heapq.heappush(events, (now + 0.001, number, now, False))
            else:
                begin = max(now, heapq.heappop(free))
                heapq.heappush(free, begin + work_s)
                heapq.heappush(events, (begin + work_s, number, now, True))
            left -= 1
        if not events:
            now += window.wait_s(now, on_the_way) or 0.001
            continue
        now, _, sent, good = heapq.heappop(events)
        on_the_way -= 1
        if good:
            window.answered(now, now - sent)
        else:
            refusals += 1
            left += 1
            window.refused(now, sent_at=sent, retry_after_s=None)
    return now, refusals


@pytest.mark.parametrize(("work_s", "workers", "limit"), [(0.004, 1, 20), (0.03, 8, 50), (0.2, 40, 10), (1.0, 4, 4)])
def test_it_finds_what_a_server_can_take(work_s: float, workers: int, limit: int) -> None:
    requests = 3000
    seconds, refusals = play(work_s, workers, limit, requests)
    assert seconds < 1.15 * requests * work_s / workers + 60 * work_s, "nearly as fast as the server can"
    assert refusals < requests * 0.12
