from __future__ import annotations

from typing import Any

import pytest

from podgym.envs.build.github import GitHubMissing, GitHubOptions, MalformedAnswer, Unresolved, parse_reference, resolve_issue

SHAS = {name: f"{number:x}" * 40 for number, name in enumerate(("base", "one", "two", "merge", "copy1", "copy2", "other"), 1)}


def at(day: int, hour: int = 0) -> str:
    return f"2024-01-{day:02}T{hour:02}:00:00Z"


def commit(name: str, *parents: str, message: str = "", day: int = 5, authored: int | None = None) -> dict[str, Any]:
    return {
        "sha": SHAS[name],
        "commit": {"message": message or name, "author": {"date": at(authored or day)}, "committer": {"date": at(day)}},
        "parents": [{"sha": SHAS[parent]} for parent in parents],
    }


def issue(number: int, title: str, body: str | None, **more: Any) -> dict[str, Any]:
    known = {"number": number, "title": title, "body": body, "state": "closed", "created_at": at(1), "closed_at": at(9)}
    return {**known, "html_url": f"https://github.com/o/n/issues/{number}", "user": {"login": "a", "type": "User"}, **more}


def pull(number: int, body: str, *, merge: str = "merge", **more: Any) -> dict[str, Any]:
    return {
        "number": number, "title": f"Mend it (#{number})", "body": body, "created_at": at(6), "merged_at": at(9),
        "merge_commit_sha": SHAS[merge], "base": {"ref": "main", "sha": SHAS["base"]}, "head": {"ref": "x", "sha": SHAS["two"]}, **more,
    }  # fmt: skip


def reference(number: int, body: str, *, merged: str | None = at(9), repository: str = "o/n") -> dict[str, Any]:
    mark = {"pull_request": {"merged_at": merged}, "repository": {"full_name": repository}}
    return {"event": "cross-referenced", "created_at": at(6), "source": {"type": "issue", "issue": {**issue(number, "PR", body), **mark}}}


@pytest.fixture
def github(server):
    server.objects |= {
        "/repos/o/n": {"full_name": "o/n", "clone_url": "https://github.com/o/n.git", "html_url": "https://github.com/o/n"},
        "/repos/o/n/issues/1": issue(1, "It fails", "It fails when x.\r\n<!-- template -->\r\nSee https://github.com/o/n/pull/2."),
        "/repos/o/n/issues/1/timeline": [
            reference(3, "unrelated, mentions #1", merged=at(4)),
            reference(4, "Fixes #1", merged=None),
            reference(5, "Fixes #1", repository="x/n"),
            reference(2, "This fixes #1"),
            {"event": "labeled", "created_at": at(2), "label": {"name": "bug"}},
            {"event": "closed", "created_at": at(9), "commit_id": None},
        ],
        "/repos/o/n/issues/1/comments": [
            {"id": 1, "body": "I see it too, and think that 3333333 or #2 is to blame", "created_at": at(2), "user": {"login": "b"}},
            {"id": 2, "body": "ci says no", "created_at": at(2), "user": {"login": "ci[bot]", "type": "Bot"}},
            {"id": 3, "body": "first draft", "created_at": at(3), "updated_at": at(8), "user": {"login": "b"}},
            {"id": 4, "body": "The fix is in line 7", "created_at": at(5), "user": {"login": "b"}},
        ],
        "/repos/o/n/pulls/2": pull(2, "This fixes #1"),
        "/repos/o/n/pulls/2/commits": [commit("one", "base", day=5, authored=4), commit("two", "one", day=5)],
        f"/repos/o/n/commits/{SHAS['merge']}": commit("merge", "base", "two", day=9),
    }
    return server


async def resolve(server, name: str = "o/n#1", **options):
    return await resolve_issue(name, options=GitHubOptions(url=server.url, retries=0, **options))


async def test_a_merge_commit(github) -> None:
    found = await resolve(github)
    assert (found.issue, found.pull, found.merged, found.commits) == (1, 2, "merge", 1)
    assert (found.fix, found.base, found.parent) == (SHAS["merge"], SHAS["base"], 1)
    assert found.url == "https://github.com/o/n.git" and found.repository == "o/n"
    assert found.text == "# It fails\n\nIt fails when x.\n\nSee\n\n---\n\nI see it too, and think that  or  is to blame\n"
    assert "line 7" not in found.text and "draft" not in found.text and "ci says" not in found.text
    assert "#2" not in found.text and "/pull/2" not in found.text and "template" not in found.text
    assert found.provenance["known_until"].startswith("2024-01-04") and any("3 comment(s)" in note for note in found.notes)
    assert found.model_copy(update={"text": ""}) != found
    with pytest.raises(ValueError, match="frozen"):
        found.fix = ""


async def test_a_squash(github) -> None:
    github.objects[f"/repos/o/n/commits/{SHAS['merge']}"] = commit("merge", "base", message="Mend it (#2)", day=9)
    found = await resolve(github)
    assert (found.merged, found.fix, found.base, found.parent, found.commits) == ("squash", SHAS["merge"], SHAS["base"], None, 1)


async def test_a_rebase(github) -> None:
    github.objects["/repos/o/n/pulls/2"] = pull(2, "Fixes #1", merge="copy2")
    github.objects[f"/repos/o/n/commits/{SHAS['copy2']}"] = commit("copy2", "copy1", message="two", day=9, authored=5)
    github.objects[f"/repos/o/n/commits/{SHAS['copy1']}"] = commit("copy1", "other", message="one", day=9, authored=4)
    found = await resolve(github)
    assert (found.merged, found.fix, found.base, found.commits) == ("rebase", SHAS["copy2"], SHAS["other"], 2)
    assert any("rebased" in note for note in found.notes)


async def test_a_squash_that_took_the_last_message(github) -> None:
    github.objects["/repos/o/n/pulls/2"] = pull(2, "Fixes #1", merge="copy2")
    github.objects[f"/repos/o/n/commits/{SHAS['copy2']}"] = commit("copy2", "other", message="two", day=9, authored=5)
    github.objects[f"/repos/o/n/commits/{SHAS['other']}"] = commit("other", "base", message="something else", day=3)
    found = await resolve(github)
    assert (found.merged, found.base, found.commits) == ("squash", SHAS["other"], 1)


async def test_a_pull_request_by_its_own_number_takes_the_text_of_its_issue(github) -> None:
    github.objects["/repos/o/n/issues/2"] = issue(2, "Mend it", "This fixes #1", pull_request={"merged_at": at(9)})
    found = await resolve(github, "https://github.com/o/n/pull/2/files")
    assert (found.issue, found.pull, found.fix) == (1, 2, SHAS["merge"]) and found.text.startswith("# It fails")
    github.objects["/repos/o/n/pulls/2"] = pull(2, "No issue, closes #77")
    github.objects["/repos/o/n/issues/2/timeline"] = []
    github.objects["/repos/o/n/issues/2/comments"] = [{"id": 1, "body": "review", "created_at": at(1)}]
    found = await resolve(github, "o/n#2")
    assert found.issue == 2 and found.text == "# Mend it\n\nThis fixes #1\n" and any("closes no issue" in note for note in found.notes)


async def test_an_issue_that_a_commit_closed(github) -> None:
    events = [{"event": "closed", "created_at": at(9), "commit_id": SHAS["other"]}]
    github.objects["/repos/o/n/issues/1/timeline"] = events
    github.objects[f"/repos/o/n/commits/{SHAS['other']}"] = commit("other", "base", day=8)
    found = await resolve(github)
    assert (found.pull, found.merged, found.fix, found.base) == (None, "commit", SHAS["other"], SHAS["base"])
    assert "line 7" in found.text
    # The commit is a pull request's after all.
    github.objects[f"/repos/o/n/commits/{SHAS['other']}/pulls"] = [pull(2, "x")]
    assert (await resolve(github)).pull == 2


async def test_the_last_closing_counts(github) -> None:
    later = issue(1, "It fails", "b", closed_at=at(20))
    github.objects["/repos/o/n/issues/1"] = later
    github.objects["/repos/o/n/issues/1/timeline"] += [
        {"event": "reopened", "created_at": at(12)},
        reference(6, "Fix #1 for good", merged=at(20)),
        {"event": "closed", "created_at": at(20)},
    ]
    github.objects["/repos/o/n/pulls/6"] = pull(6, "Fix #1 for good", merge="other", created_at=at(19), merged_at=at(20))
    github.objects["/repos/o/n/pulls/6/commits"] = [commit("copy1", "base", day=18)]
    github.objects[f"/repos/o/n/commits/{SHAS['other']}"] = commit("other", "base", day=20)
    found = await resolve(github)
    assert (found.pull, found.fix) == (6, SHAS["other"]) and any("#2 may belong" in note for note in found.notes)


async def test_a_title_that_was_changed_later_is_as_it_was(github) -> None:
    github.objects["/repos/o/n/issues/1"]["title"] = "Off by one in f()"
    github.objects["/repos/o/n/issues/1/timeline"] += [
        {"event": "renamed", "created_at": at(8), "rename": {"from": "It fails", "to": "Off"}},
        {"event": "renamed", "created_at": at(9), "rename": {"from": "Off", "to": "Off by one in f()"}},
    ]
    assert (await resolve(github)).text.startswith("# It fails\n")


async def test_many_comments_are_read_page_by_page(github) -> None:
    github.page = 2
    assert "I see it too" in (await resolve(github)).text
    assert sum("/comments" in target for target, _ in github.asked) == 2


async def test_a_moved_repository(github) -> None:
    github.before.append(lambda target: (301, {"Location": "/repos/o/n"}, b"{}") if target == "/repos/old/n" else None)
    found = await resolve(github, "old/n#1")
    assert found.repository == "o/n" and found.pull == 2 and "old/n is o/n now" in found.notes


async def test_private_repositories_need_a_token(github, monkeypatch) -> None:
    github.private = True
    with pytest.raises(GitHubMissing, match="GITHUB_TOKEN"):
        await resolve(github)
    monkeypatch.setenv("MY_TOKEN", "good")
    assert (await resolve(github, token_variable="MY_TOKEN")).pull == 2


async def test_issues_that_nothing_closed(github) -> None:
    github.objects["/repos/o/n/issues/1/timeline"] = [{"event": "closed", "created_at": at(9)}]
    with pytest.raises(Unresolved, match="no merged pull request or commit"):
        await resolve(github)
    github.objects["/repos/o/n/issues/1"] = issue(1, "t", None, state="open", closed_at=None)
    with pytest.raises(Unresolved, match="still open"):
        await resolve(github)
    github.objects["/repos/o/n/issues/2"] = issue(2, "Mend", "", pull_request={"merged_at": None})
    github.objects["/repos/o/n/pulls/2"] = pull(2, "", merged_at=None)
    with pytest.raises(Unresolved, match="not merged"):
        await resolve(github, "o/n#2")
    github.objects["/repos/o/n/issues/1/timeline"] = [{"event": "closed", "created_at": at(9), "commit_id": "9" * 40}]
    with pytest.raises(Unresolved, match="not in o/n"):
        await resolve(github)
    github.objects["/repos/o/n/issues/1/timeline"][0]["commit_id"] = SHAS["base"]
    github.objects[f"/repos/o/n/commits/{SHAS['base']}"] = commit("base")
    with pytest.raises(Unresolved, match="no parent"):
        await resolve(github)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/repos/o/n", "clone_url"),
        ("/repos/o/n/issues/1", "title"),
        ("/repos/o/n/pulls/2", "base"),
        (f"/repos/o/n/commits/{SHAS['merge']}", "sha"),
    ],
)
async def test_fields_that_are_missing(github, path: str, field: str) -> None:
    del github.objects[path][field]
    with pytest.raises(MalformedAnswer, match=field):
        await resolve(github)


async def test_fields_of_another_kind(github) -> None:
    github.objects["/repos/o/n/issues/1/timeline"].append({"event": "closed", "created_at": 7.5e300})
    with pytest.raises(MalformedAnswer):
        await resolve(github)
    github.objects["/repos/o/n/issues/1/timeline"] = [{"event": {}}]
    with pytest.raises(MalformedAnswer, match="event"):
        await resolve(github)


@pytest.mark.parametrize("text", ["", "o/n", "o#1", "o/n#0", "o/n#x", "https://github.com/o/n", "o/..#1", "-o/n#1", "o/n#1 ; rm"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(Unresolved, match="names no issue"):
        parse_reference(text)


def test_names() -> None:
    found = parse_reference(" https://ghe.example.org/a-b/c.d/issues/12#issuecomment-5 ")
    assert (found.repository, found.number, found.web, str(found)) == ("a-b/c.d", 12, "https://ghe.example.org", "a-b/c.d#12")
    assert parse_reference("o/n#1").web == ""
