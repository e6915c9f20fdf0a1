from __future__ import annotations

import socket

import pytest

from podgym.envs.build.github import GitHubMissing, GitHubOptions, GitHubRefused, GitHubUnavailable, MalformedAnswer, RateLimited
from podgym.envs.build.github.client import GitHubClient


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def client(server, clock: Clock, **options) -> GitHubClient:
    return GitHubClient(GitHubOptions(url=server.url, **options), sleep=clock.sleep, clock=lambda: 1000.0)


async def test_the_token_is_sent_and_an_object_comes_back(server, clock, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "good")
    server.objects["/repos/o/n"] = {"full_name": "o/n"}
    async with client(server, clock) as github:
        assert await github.get("/repos/o/n") == {"full_name": "o/n"}
    assert server.asked[0][1]["authorization"] == "Bearer good" and "json" in server.asked[0][1]["accept"]


async def test_pages_are_followed_to_the_end_and_up_to_a_bound(server, clock) -> None:
    server.objects["/list"] = [{"n": number} for number in range(7)]
    server.page = 3
    async with client(server, clock) as github:
        assert [entry["n"] async for entry in github.pages("/list")] == list(range(7))
    async with client(server, clock, pages=2) as github:
        assert [entry["n"] async for entry in github.pages("/list")] == list(range(6))


@pytest.mark.parametrize(
    "limit",
    [
        (403, {"Retry-After": "7"}, "You have exceeded a secondary rate limit", 7.0),
        (429, {"Retry-After": "3"}, "", 3.0),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1040"}, "API rate limit exceeded", 41.0),
        (403, {}, "You have exceeded a secondary rate limit", 60.0),
        (429, {}, "", 60.0),
    ],
)
async def test_limits_are_waited_for(server, clock, limit: tuple[int, dict[str, str], str, float]) -> None:
    status, headers, message, slept = limit
    server.objects["/x"] = {"a": 1}
    server.once(server.json({"message": message}, status, headers))
    async with client(server, clock) as github:
        assert await github.get("/x") == {"a": 1}
    (waited,) = clock.slept
    assert slept <= waited <= slept + 1


async def test_a_limit_that_lasts_too_long_says_when_it_ends(server, clock) -> None:
    server.before.append(lambda _: server.json({"message": "limit"}, 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9000"}))
    async with client(server, clock, budget_s=100) as github:
        with pytest.raises(RateLimited, match="GITHUB_TOKEN") as caught:
            await github.get("/x")
    assert caught.value.reset_s == 9000 and not clock.slept and isinstance(caught.value, TimeoutError)


async def test_secondary_limits_one_after_another_use_the_budget_up(server, clock) -> None:
    server.before.append(lambda _: server.json({"message": "secondary rate limit"}, 403))
    async with client(server, clock, budget_s=500) as github:
        with pytest.raises(RateLimited):
            await github.get("/x")
    assert [round(one, -1) for one in clock.slept] == [60, 120, 240]


async def test_failures_of_the_server_are_tried_again_with_growing_pauses(server, clock) -> None:
    server.objects["/x"] = {"a": 1}
    server.once((502, {}, b"<html>"), (200, {}, b'{"a": '), (500, {}, b""), None)
    async with client(server, clock) as github:
        assert await github.get("/x") == {"a": 1}
    assert len(clock.slept) == 3 and 0.2 <= clock.slept[0] <= 0.8 and 0.9 <= clock.slept[2] <= 3.1


async def test_failures_that_do_not_end(server, clock) -> None:
    server.before.append(lambda target: (503, {}, b"down") if target == "/down" else (200, {}, b"<html>") if target == "/html" else None)
    async with client(server, clock, retries=2) as github:
        with pytest.raises(GitHubUnavailable, match="503"):
            await github.get("/down")
        with pytest.raises(MalformedAnswer, match="no JSON"):
            await github.get("/html")
        with pytest.raises(GitHubMissing, match="private"):
            await github.get("/nowhere")
    assert len(clock.slept) == 4


async def test_nobody_listens(clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with GitHubClient(GitHubOptions(url=f"http://127.0.0.1:{port}", retries=1), sleep=clock.sleep) as github:
        with pytest.raises(GitHubUnavailable, match="cannot be reached"):
            await github.get("/x")
    assert len(clock.slept) == 1


@pytest.mark.parametrize(("status", "message"), [(401, "Bad credentials"), (403, "Resource not accessible by personal access token")])
async def test_tokens_that_are_refused(server, clock, status: int, message: str) -> None:
    server.before.append(lambda _: server.json({"message": message}, status))
    async with client(server, clock) as github:
        with pytest.raises(GitHubRefused, match=message):
            await github.get("/x")
    assert not clock.slept


async def test_redirects_of_moved_repositories_are_followed_and_others_are_not(server, clock, monkeypatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "good")
    server.objects["/repositories/7"] = {"full_name": "new/name"}
    moves = {"/repos/old/name": "/repositories/7", "/away": "http://example.org/x", "/round": "/round"}
    server.before.append(lambda target: (301, {"Location": moves[target]}, b"{}") if target in moves else None)
    async with client(server, clock, retries=0) as github:
        assert await github.get("/repos/old/name") == {"full_name": "new/name"}
        with pytest.raises(MalformedAnswer, match="another server"):
            await github.get("/away")
        with pytest.raises(GitHubUnavailable, match="without an end"):
            await github.get("/round")


async def test_the_next_page_on_another_server_is_refused(server, clock) -> None:
    server.before.append(lambda _: server.json([{"a": 1}], 200, {"Link": '<http://example.org/x?page=2>; rel="next"'}))
    async with client(server, clock) as github:
        with pytest.raises(MalformedAnswer, match="another server"):
            _ = [one async for one in github.pages("/x")]


async def test_answers_that_are_too_large_or_of_another_kind(server, clock) -> None:
    server.objects |= {"/large": {"a": "x" * 5000}, "/list": [1, {"a": 1}], "/object": {}}
    async with client(server, clock, answer_bytes=1000, retries=0) as github:
        with pytest.raises(MalformedAnswer, match="more than 1000 bytes"):
            await github.get("/large")
        with pytest.raises(MalformedAnswer, match="not an object"):
            await github.get("/list?per_page=5")
        with pytest.raises(MalformedAnswer, match="not a list"):
            _ = [one async for one in github.pages("/object")]
        assert [one async for one in github.pages("/list")] == [{"a": 1}]
