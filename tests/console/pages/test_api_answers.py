from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from podgym.console.api import ServeError, create_app, serve
from podgym.console.api.pieces import pieces
from podgym.policy.tokenizer import ByteTokenizer
from podgym.traces import Trace
from podgym.traces.events import Created, ToolCalled
from podgym.traces.file import TraceReader, TraceWriter
from podgym.traces.store import RunStore

LOCAL = "http://127.0.0.1"


@pytest.fixture(scope="module")
def client(runs: Any) -> Iterator[TestClient]:
    with TestClient(create_app(runs.root), base_url=LOCAL) as opened:
        yield opened


def get(client: TestClient, path: str, expected: int = 200, /, **params: Any) -> Any:
    response = client.get(f"/api{path}", params=params)
    assert response.status_code == expected, response.text[:500]
    return response.json()


def test_runs_come_newest_first_and_by_cursor(client: TestClient, runs: Any) -> None:
    whole = get(client, "/runs")
    assert [run["id"] for run in whole["runs"]] == [runs.running, runs.hostile, runs.empty, runs.crashed, runs.finished]
    assert [run["status"] for run in whole["runs"]] == ["running", "failed", "unknown", "crashed", "finished"]
    assert len(whole["runs"][-1]["spark"]) == 60 and whole["runs"][0]["rollouts"] == 2
    first = get(client, "/runs", limit=2)
    assert first["cursor"] == runs.hostile
    assert [run["id"] for run in get(client, "/runs", limit=2, cursor=first["cursor"])["runs"]] == [runs.empty, runs.crashed]


def test_one_run(client: TestClient, runs: Any) -> None:
    run = get(client, f"/runs/{runs.finished}")
    assert run["summary"]["solve_rate_after"] == 0.948 and 'name = "demo"' in run["job"]
    assert run["counts"]["statuses"]["scored"] > 9000 and sum(run["counts"]["reasons"].values()) == run["counts"]["statuses"]["unscored"]
    empty = get(client, f"/runs/{runs.empty}")
    assert empty["counts"] is None and empty["index_missing"] and empty["job"] == ""


def test_metrics_are_recorded_or_made_from_rollouts(client: TestClient, runs: Any) -> None:
    series = get(client, f"/runs/{runs.finished}/metrics")["series"]
    assert len(series["solve_rate"]) == 60 and len(series["evaluation.solve_rate"]) == 4
    assert "held-out.solve_rate" in series
    later = get(client, f"/runs/{runs.finished}/metrics", after_step=58)["series"]
    assert [step for step, _ in later["reward"]] == [59, 60]
    assert get(client, f"/runs/{runs.finished}/metrics", name=["turns"])["series"].keys() == {"turns"}
    get(client, f"/runs/{runs.empty}/metrics", 404)


def test_attempts_are_counted_by_what_is_asked(client: TestClient, runs: Any) -> None:
    path = f"/runs/{runs.finished}/hacks"
    rules = {row["key"]: row for row in get(client, path)["hacks"]}
    assert rules["git-all-refs"]["family"] == "history" and rules["git-all-refs"]["title"] == "reads commits that HEAD does not reach"
    assert rules["git-all-refs"]["attempts"] > rules["git-all-refs"]["succeeded"] > 100 and rules["gold-unread"]["family"] == "signal"
    steps = get(client, path, by="step")["hacks"]
    assert [row["key"] for row in steps] == sorted(row["key"] for row in steps) and steps[0]["key"] > 20
    attempts = sum(row["attempts"] for row in steps)
    assert attempts == sum(row["attempts"] for row in get(client, path, by="version")["hacks"])
    assert attempts == sum(row["attempts"] for row in get(client, path, by="family")["hacks"] if row["key"] != "signal")
    tasks = get(client, path, by="task_id", limit=5)["hacks"]
    assert len(tasks) == 5 and tasks[0]["attempts"] >= tasks[4]["attempts"]
    get(client, path, 422, by="policy")
    found = get(client, f"/runs/{runs.finished}/rollouts", hacks=True, limit=1000)["rollouts"]
    others = get(client, f"/runs/{runs.finished}/rollouts", hacks=False, limit=1000)["rollouts"]
    assert found and all(row["hacks"] + row["signals"] for row in found) and not any(row["hacks"] + row["signals"] for row in others)
    shown = get(client, f"/runs/{runs.finished}/rollouts/c0ffee000006")
    assert [(row["turn"], row["rule"]) for row in shown["attempts"]][:2] == [(1, "git-all-refs"), (2, "git-fetch")]
    series = get(client, f"/runs/{runs.crashed}/metrics")["series"]
    assert "hack.attempts" not in series or series["hack.attempts"][0][1] == 0


def test_ten_thousand_rollouts_page_by_page(client: TestClient, runs: Any) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = get(client, f"/runs/{runs.finished}/rollouts", limit=1000, **({} if cursor is None else {"cursor": cursor}))
        seen += [row["rollout_id"] for row in page["rollouts"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 10_008
    newest = get(client, f"/runs/{runs.finished}/rollouts", limit=3)["rollouts"]
    after = get(client, f"/runs/{runs.finished}/rollouts", after=newest[2]["seq"])["rollouts"]
    assert [row["rollout_id"] for row in after] == [row["rollout_id"] for row in newest[1::-1]]


def test_filters_and_groups(client: TestClient, runs: Any) -> None:
    rows = get(client, f"/runs/{runs.finished}/rollouts", task="parser", status="scored", min_reward=1, step=30, split="train")["rollouts"]
    assert rows and all("parser" in row["task_id"] and row["reward"] == 1 and row["step"] == 30 and row["split"] == "train" for row in rows)
    assert all(row["reason"] == "grader" for row in get(client, f"/runs/{runs.finished}/rollouts", reason="grader")["rollouts"])
    groups = get(client, f"/runs/{runs.finished}/groups", limit=1)
    assert groups["groups"][0]["group_id"] == "g-last" and groups["groups"][0]["rollouts"] == 8 and groups["groups"][0]["solved"] == 5
    assert len(get(client, f"/runs/{runs.finished}/groups", step=60, cursor=groups["cursor"])["groups"]) > 10
    assert "limit" in get(client, f"/runs/{runs.finished}/rollouts", 422, limit=5000)["error"]
    assert "colour" in get(client, f"/runs/{runs.finished}/rollouts", 422, colour="red")["error"]


@pytest.mark.parametrize("number", [10**20, -(10**20)])
def test_numbers_of_any_size_are_answered(client: TestClient, runs: Any, number: int) -> None:
    base = f"/runs/{runs.finished}"
    assert get(client, f"{base}/rollouts", step=number)["rollouts"] == []
    get(client, f"{base}/rollouts", cursor=number)
    get(client, f"{base}/rollouts", after=number)
    get(client, f"{base}/rollouts/c0ffee000001/events", 422, after=number)
    get(client, f"{base}/groups", step=number, cursor=number)
    get(client, f"{base}/metrics", after_step=number)
    get(client, f"{base}/rollouts/c0ffee000001/turns/{number}", 404)
    get(client, f"{base}/rollouts/c0ffee000001/turns", 422, first=number)
    get(client, f"{base}/rollouts/c0ffee000001/tokens/{number}", 404)
    assert client.get(f"/api{base}/rollouts/c0ffee000001/arrays/{number}/tokens").status_code == 404
    assert client.get(f"/api{base}/rollouts/c0ffee000001/arrays/4/tokens", params={"stop": number}).status_code == 200


def test_one_rollout(client: TestClient, runs: Any) -> None:
    base = f"/runs/{runs.finished}/rollouts/c0ffee000001"
    detail = get(client, base)
    assert (
        detail["row"]["reward"] == 0
        and len(detail["group"]) == 8
        and detail["trace"]["complete"]
        and detail["verdict"]["tests_total"] == 15
    )
    assert len(detail["turns"]) == 6 and detail["sandbox"]["provider"] == "local" and detail["tokenizer"]
    whole = get(client, f"{base}/events", limit=500)
    assert whole["complete"] and not whole["more"] and [entry["index"] for entry in whole["events"]] == list(range(whole["cursor"]))
    part = get(client, f"{base}/events", after=3, limit=2)
    assert part["events"] == whole["events"][3:5] and part["cursor"] == 5 and part["more"]
    assert [entry["event"]["kind"] for entry in get(client, f"{base}/turns/2")["events"]] == ["sampled", "tool_called", "tool_returned"]
    assert "no turn 99" in get(client, f"{base}/turns/99", 404)["error"]


def test_turns_come_in_parts(client: TestClient, runs: Any) -> None:
    base = f"/runs/{runs.finished}/rollouts/c0ffee000001"
    whole = get(client, f"{base}/events", limit=500)
    part = get(client, f"{base}/turns", first=2, limit=3)
    assert part["events"] == [entry for entry in whole["events"] if entry["event"].get("turn") in (2, 3, 4)]
    assert part["outside"] == [entry for entry in whole["events"] if entry["event"].get("turn") is None]
    assert (part["first"], part["last"], part["cursor"], part["complete"]) == (2, 5, whole["cursor"], True)
    assert get(client, f"{base}/turns", first=9)["events"] == [] and get(client, f"{base}/turns")["last"] == 5
    assert get(client, f"/runs/{runs.hostile}/rollouts/hostile/turns")["last"] == 3
    get(client, f"{base}/turns", 422, limit=1000)


def test_tokens_have_their_text(client: TestClient, runs: Any) -> None:
    base = f"/runs/{runs.finished}/rollouts/c0ffee000001"
    (event,) = (entry for entry in get(client, f"{base}/turns/0")["events"] if entry["event"]["kind"] == "sampled")
    tokens = get(client, f"{base}/tokens/{event['index']}")
    assert "".join(tokens["pieces"]) == event["event"]["text"] and len(tokens["tokens"]) == len(tokens["logprobs"]) == len(
        tokens["versions"]
    )
    assert "no turn of the policy" in get(client, f"{base}/tokens/0", 404)["error"]
    (other,) = (
        entry for entry in get(client, f"/runs/{runs.crashed}/rollouts/cut/turns/0")["events"] if entry["event"]["kind"] == "sampled"
    )
    assert get(client, f"/runs/{runs.crashed}/rollouts/cut/tokens/{other['index']}")["pieces"] is None


def test_pieces_join_to_the_text() -> None:
    tokenizer = ByteTokenizer()
    text = "aé€🙂<end>\ufffd"
    tokens = tokenizer.encode(text)
    found = pieces(tokens, tokenizer)
    assert found is not None and "".join(found) == text and found[:4] == ["a", "", "é", ""]
    assert pieces([0xE2, 0x82], tokenizer) == ["", "\ufffd"] and pieces([], tokenizer) == [] and pieces([9999], tokenizer) is None


def test_arrays_and_the_file_by_range(client: TestClient, runs: Any) -> None:
    base = f"/api/runs/{runs.finished}/rollouts/c0ffee000001"
    with TraceReader(RunStore(runs.root).open(runs.finished).trace_path("c0ffee000001")) as reader:
        logprobs = reader.array("logprobs", 4)
    whole = client.get(f"{base}/arrays/4/logprobs")
    assert np.array_equal(np.frombuffer(whole.content, dtype=whole.headers["x-dtype"]), logprobs)
    part = client.get(f"{base}/arrays/4/logprobs", params={"start": 3, "stop": 5})
    assert part.headers["x-shape"] == "2" and np.array_equal(np.frombuffer(part.content, dtype="<f4"), logprobs[3:5])
    assert client.get(f"{base}/arrays/4/nothing").status_code == 404
    ranged = client.get(f"{base}/trace", headers={"Range": "bytes=0-6"})
    assert ranged.status_code == 206 and ranged.content == b"PODGYMT"
    assert client.get(f"/api/runs/{runs.finished}/rollouts/none/trace").status_code == 404


def test_export(client: TestClient, runs: Any) -> None:
    base = f"/api/runs/{runs.finished}/rollouts/c0ffee000001/export"
    assert client.get(base, params={"format": "atif"}).json()["schema_version"].startswith("ATIF")
    response = client.get(base)
    assert response.json()["format"] == "podgym-trace-1" and "attachment" in response.headers["content-disposition"]
    assert client.get(base, params={"format": "xml"}).status_code == 422


def test_what_is_not_whole(client: TestClient, runs: Any) -> None:
    cut = get(client, f"/runs/{runs.crashed}/rollouts/cut/events")
    assert len(cut["events"]) == 12 and not cut["complete"] and cut["damage"] == ""
    assert not get(client, f"/runs/{runs.crashed}/rollouts/cut")["trace"]["complete"]
    run = RunStore(runs.root).open(runs.empty)
    path = run.trace_path("damaged")
    with TraceWriter(path) as sink:
        trace = Trace(sink=sink)
        trace.append(Created(rollout_id="damaged", run_id=run.id, group_id="g", task_id="t", environment="code"))
        sink.flush()
        trace.append(ToolCalled(turn=0, tool="bash", arguments={"huge": 10**40}))
    data = bytearray(path.read_bytes())
    whole = get(client, f"/runs/{run.id}/rollouts/damaged/events")
    assert whole["events"][1]["event"]["arguments"]["huge"] == 10**40
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    answer = get(client, f"/runs/{run.id}/rollouts/damaged/events")
    assert answer["damage"] and len(answer["events"]) <= 1
    answer = get(client, f"/runs/{run.id}/rollouts/damaged/turns")
    assert answer["damage"] and (answer["last"], answer["events"]) == (-1, []) and len(answer["outside"]) <= 1
    assert "no index" in get(client, f"/runs/{run.id}/rollouts/damaged")["index_error"]
    run.trace_path("nonsense").parent.mkdir(exist_ok=True)
    run.trace_path("nonsense").write_bytes(b"nonsense")
    assert "not a trace" in get(client, f"/runs/{run.id}/rollouts/nonsense/events", 422)["error"]
    with TraceWriter(run.trace_path("void")):
        pass
    get(client, f"/runs/{run.id}/rollouts/void/export", 422)


def test_broken_small_files_and_indexes_hide_nothing_else(tmp_path: Path) -> None:
    run = RunStore(tmp_path).create("broken")
    (run.path / "state.json").write_text("{")
    run.index_path.write_bytes(b"no database" * 100)
    with TestClient(create_app(tmp_path), base_url=LOCAL) as client:
        (row,) = get(client, "/runs")["runs"]
        assert row["status"] == "unknown" and "not JSON" in row["problem"] and "cannot be used" in row["index_problem"]
        assert "cannot be used" in get(client, f"/runs/{run.id}")["index_error"]
        assert "cannot be used" in get(client, f"/runs/{run.id}/rollouts", 503)["error"]


@pytest.mark.parametrize("path", ["/runs/nope", "/runs/..%2f..%2fetc", "/runs/%2e%2e", "/runs/x%00y", "/nothing"])
def test_ids_that_lead_elsewhere_find_nothing(client: TestClient, path: str) -> None:
    assert client.get(f"/api{path}").status_code == 404
    assert client.get("/api/runs/RUN/rollouts/..%2f..%2fjob.toml/trace".replace("RUN", "nope")).status_code == 404


def test_an_index_that_is_replaced_is_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podgym.console.api import library
    from podgym.traces.index import Index

    monkeypatch.setattr(library, "MOST_OPEN", 1)
    store = RunStore(tmp_path)
    first, second = store.create("a"), store.create("b")
    books = library.Library(tmp_path)
    for run in (first, second):
        Index(run.index_url).close()
    opened = books.index(first)
    assert books.index(first) is opened
    for path in first.path.glob("index.sqlite*"):
        path.rename(path.with_name(path.name + ".old"))
    Index(first.index_url).close()
    assert books.index(first) is not opened
    books.index(second)
    books.close()
    (first.path / "tokenizer").mkdir()
    (first.path / "tokenizer" / "podgym_tokenizer.json").write_text("{")
    assert books.tokenizer(first) is None
    ByteTokenizer().save(first.checkpoints_path / "step-1")
    assert books.tokenizer(first) is books.tokenizer(first) is not None


def test_pages_and_their_parts(client: TestClient, runs: Any) -> None:
    for path in ("/", f"/runs/{runs.finished}", f"/runs/{runs.finished}/rollouts/x"):
        response = client.get(path)
        assert response.headers["content-type"].startswith("text/html") and "/static/app.js" in response.text
        assert (
            "script-src 'self'" in response.headers["content-security-policy"] and response.headers["x-content-type-options"] == "nosniff"
        )
    for path in ("app.js", "vendor/preact.js", "vendor/hooks.js", "vendor/htm.js", "vendor/uplot.js"):
        assert client.get(f"/static/{path}").headers["content-type"].startswith("text/javascript")
    assert client.get("/static/../api/app.py").status_code == 404
    assert client.get("/nowhere").status_code == 404 and client.post("/api/runs").status_code == 405
    assert client.get("/api/openapi.json").json()["info"]["title"] == "podgym"


def test_only_loopback_names_are_answered(runs: Any) -> None:
    app = create_app(runs.root)
    for host, status in (
        ("127.0.0.1:8765", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ):
        response = TestClient(app).get("/api/runs", headers={"Host": host})
        assert response.status_code == status, host
        assert "content-security-policy" in response.headers


def test_a_token_is_needed_where_there_is_one(runs: Any) -> None:
    app = create_app(runs.root, token="s3cret/+=")
    client = TestClient(app, base_url="http://pods.example", follow_redirects=False)
    assert client.get("/api/runs").status_code == 401 and client.get("/static/app.js").status_code == 401
    for wrong in ("wrong", "s3cret", "é"):
        assert client.get("/", params={"token": wrong}).status_code == 401
        assert client.get("/api/runs", headers={"Authorization": f"Bearer {wrong}".encode()}).status_code == 401
    assert client.get("/api/runs", headers={"Authorization": "Bearer s3cret/+="}).status_code == 200
    assert client.get("/api/runs", headers={"Cookie": "podgym_token=wrong; a=b"}).status_code == 401
    moved = client.get("/runs/x", params={"token": "s3cret/+=", "status": "scored"})
    assert moved.status_code == 303 and moved.headers["location"] == "/runs/x?status=scored" and "HttpOnly" in moved.headers["set-cookie"]
    assert client.get("/api/runs").status_code == 200


def test_an_empty_token_opens_nothing(runs: Any) -> None:
    client = TestClient(create_app(runs.root, token=""), base_url="http://pods.example", follow_redirects=False)
    assert client.get("/api/runs").status_code == 401
    assert client.get("/", params={"token": ""}).status_code == 401
    assert client.get("/api/runs", headers={"Authorization": "Bearer "}).status_code == 401
    assert client.get("/api/runs", headers={"Cookie": "podgym_token="}).status_code == 401
    for empty in ("", " "):
        with pytest.raises(ServeError, match="token is empty"):
            serve(runs.root, "0.0.0.0", token=empty)


def test_serving(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServeError, match="other machines"):
        serve(runs.root, "0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServeError, match="cannot be served"):
            serve(runs.root, port=taken.getsockname()[1])
    servers: list[uvicorn.Server] = []
    run = uvicorn.Server.run

    def remembered(self: uvicorn.Server, sockets: Any = None) -> None:
        servers.append(self)
        run(self, sockets=sockets)

    monkeypatch.setattr(uvicorn.Server, "run", remembered)
    addresses: list[str] = []
    thread = threading.Thread(target=lambda: serve(runs.root, port=0, token="t", ready=addresses.append))
    thread.start()
    try:
        for _ in range(400):
            if servers and servers[0].started:
                break
            time.sleep(0.01)
        assert addresses[0].endswith("/?token=t")
        assert httpx.get(addresses[0], follow_redirects=True, timeout=5).status_code == 200
    finally:
        servers[0].should_exit = True
        thread.join(10)
