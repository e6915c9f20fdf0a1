"""The pages in a real Chromium against a real server."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from podgym.console.api import create_app
from podgym.traces import Trace
from podgym.traces.events import Closed, Created, Prompt, Sampled, ToolCalled, ToolReturned, Verified
from podgym.traces.file import TraceWriter
from podgym.traces.index import Index, IndexWriter
from podgym.traces.store import RunState, RunStore

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
WIDE = {"width": 1360, "height": 900}


@pytest.fixture(scope="module")
def address(runs: Any) -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(create_app(runs.root), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    opened = chromium.new_page(viewport=WIDE)
    opened.set_default_timeout(20_000)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type in {"error", "warning"} and "404" not in said.text else None)
    yield opened
    opened.close()
    assert wrong == []


def wait_for(condition: Any, what: str) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"never: {what}")


def test_from_the_runs_to_one_rollout(page: Any, address: str, runs: Any) -> None:
    page.goto(address)
    page.get_by_role("link", name="demo").click()
    assert page.url == f"{address}/runs/{runs.finished}"
    page.locator(".tile", has_text="Held-out solve rate").get_by_text("94.8 %").wait_for()
    expect(page.locator(".chart canvas")).to_have_count(6)
    page.locator("tbody a.row-link", has_text="c0ffee000001").click()
    page.locator("#turn-5").wait_for()
    expect(page.locator(".turn")).to_have_count(6)
    assert page.locator("h1").inner_text() == "c0ffee000001"
    assert page.locator(".reward.big").inner_text() == "reward 0.0"
    expect(page.locator(".mate")).to_have_count(8)
    assert page.locator("#turn-0 .command").inner_text() == "ls -la && cat stats/rolling.py"
    assert (
        "ZeroDivisionError" in page.locator("#turn-1 .output").inner_text()
        and "exit 1" in page.locator("#turn-1 .return-facts").inner_text()
    )
    expect(page.locator("#turn-3 .line.add")).to_have_count(5)
    expect(page.locator("#turn-3 .line.del")).to_have_count(2)
    expect(page.locator(".outcome .file")).to_have_count(2)
    assert "+4 \u22121" in page.locator(".outcome .file h4").first.inner_text()
    assert page.locator(".tests li").first.inner_text().split()[-1] == "failed"
    expect(page.locator(".tests .passed")).to_have_count(13)
    expect(page.locator(".parts li")).to_have_count(3)
    expect(page.locator(".waterfall .lane")).to_have_count(5)
    page.go_back()
    page.locator(".rollouts tbody tr").first.wait_for()
    page.go_back()
    page.get_by_role("heading", name="Runs").wait_for()


def test_tokens_are_coloured_by_probability(page: Any, address: str, runs: Any) -> None:
    page.goto(f"{address}/runs/{runs.finished}/rollouts/c0ffee000001")
    page.locator("#turn-0").wait_for()
    assert page.locator(".legend").evaluate("node => getComputedStyle(node).visibility") == "hidden"
    page.keyboard.press("t")
    page.locator("#turn-0 .token").first.wait_for()
    assert (
        "".join(page.locator("#turn-0 .token").all_text_contents())
        == "I will look at the code first.\nbash ls -la && cat stats/rolling.py<end>"
    )
    assert len(set(page.locator("#turn-0 .token").evaluate_all("nodes => nodes.map((node) => node.className)"))) > 1
    assert "logprob" in page.locator("#turn-0 .token").first.get_attribute("title")
    assert page.locator(".legend").is_visible()
    page.goto(f"{address}/runs/{runs.crashed}/rollouts/cut")
    page.locator("#turn-0").wait_for()
    page.keyboard.press("t")
    page.get_by_text("keeps no tokenizer").first.wait_for()


def test_filters_and_pages_of_ten_thousand(page: Any, address: str, runs: Any) -> None:
    page.goto(f"{address}/runs/{runs.finished}")
    page.locator(".rollouts tbody tr").nth(49).wait_for()
    first = page.locator(".rollouts tbody a").first.inner_text()
    top = page.locator(".rollouts table").evaluate("node => node.offsetTop")
    page.get_by_role("button", name="Older").click()
    page.get_by_text("page 2").wait_for()
    wait_for(lambda: page.locator(".rollouts tbody a").first.inner_text() != first, "another page")
    expect(page.locator(".rollouts tbody tr")).to_have_count(50)
    assert page.locator(".rollouts table").evaluate("node => node.offsetTop") == top
    page.get_by_role("button", name="Newer").click()
    wait_for(lambda: page.locator(".rollouts tbody a").first.inner_text() == first, "the first page")
    page.keyboard.press("/")
    page.keyboard.type("parser")
    page.get_by_role("combobox", name="Reward").select_option("solved")
    page.get_by_role("spinbutton", name="Step").fill("30")
    wait_for(lambda: all("parser" in text for text in page.locator(".rollouts td.wide").all_inner_texts()), "only parser")
    wait_for(lambda: set(page.locator(".rollouts .reward").all_inner_texts()) == {"1.0"}, "only solved")
    assert "task=parser" in page.url and "reward=solved" in page.url
    page.reload()
    wait_for(lambda: set(page.locator(".rollouts .reward").all_inner_texts()) == {"1.0"}, "the same after reload")
    page.get_by_role("searchbox", name="Task").fill("nothing-like-it")
    page.get_by_text("No rollout fits").wait_for()
    page.get_by_role("button", name="Clear").click()
    wait_for(lambda: page.locator(".rollouts tbody tr").count() == 50, "all again")


def test_attempts_to_cheat_are_shown_where_they_happened(page: Any, address: str, runs: Any) -> None:
    page.goto(f"{address}/runs/{runs.finished}")
    page.locator(".tile", has_text="Attempts to cheat").get_by_text("seem to have worked").wait_for()
    expect(page.locator(".chart", has_text="Attempts to cheat").locator("canvas")).to_have_count(1)
    page.locator(".hacks li", has_text="git-all-refs").get_by_text("worked").wait_for()
    page.locator(".hacks").get_by_text("A sudden rise at 1 step: 38").wait_for()
    page.get_by_role("combobox", name="Cheating").select_option("true")
    wait_for(lambda: page.locator(".rollouts tbody tr").count() == page.locator(".rollouts tbody .hack").count() > 20, "only cheaters")
    assert "hacks=true" in page.url
    page.locator("tbody a.row-link", has_text="c0ffee000006").click()
    page.locator("#turn-4").wait_for()
    expect(page.locator(".turn .hack")).to_have_count(3)
    assert page.locator("#turn-0 .hack").count() == 0
    assert "git-all-refs" in page.locator("#turn-1 .flag").inner_text()
    assert "it failed" in page.locator("#turn-2 .flag").inner_text() and "fatal:" in page.locator("#turn-2 .flag").inner_text()
    assert page.locator("#turn-3 header .hack").inner_text() == "cheated"
    assert "gold-unread" in page.locator(".outcome .flag").inner_text()
    page.locator(".head .hack").click()
    assert page.url.endswith("#turn-1")


def test_rows_are_reached_by_keyboard(page: Any, address: str, runs: Any) -> None:
    page.goto(f"{address}/runs/{runs.finished}")
    page.locator(".rollouts tbody tr").nth(5).wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    second = page.locator(".rollouts tbody a").nth(1)
    assert second.evaluate("node => node === document.activeElement")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    wait_for(lambda: page.get_by_role("dialog").count() == 0, "no dialog")
    second.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/rollouts/**")
    page.locator("#turn-1").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("e")
    expect(page.locator(".turn button.more")).to_have_count(0)


def test_nothing_from_a_trace_becomes_markup(page: Any, address: str, runs: Any) -> None:
    for path in ("", f"/runs/{runs.hostile}", f"/runs/{runs.hostile}/rollouts/hostile"):
        page.goto(address + path)
        page.get_by_text("window.hacked").first.wait_for()
        if "rollouts" in path:
            page.locator("#outcome").wait_for()
            page.keyboard.press("t")
            page.locator("#turn-0 .token").first.wait_for()
        elif path:
            page.locator(".rollouts tbody tr").first.wait_for()
            page.locator(".more-charts summary").click()
        page.wait_for_timeout(200)
        assert page.evaluate("window.hacked") is None
        expect(page.locator("img")).to_have_count(1)
        expect(page.locator("script")).to_have_count(1)


def test_runs_that_are_empty_crashed_or_not_there(page: Any, address: str, runs: Any) -> None:
    page.goto(f"{address}/runs/{runs.empty}")
    page.get_by_text("recorded nothing yet").wait_for()
    page.goto(f"{address}/runs/{runs.crashed}")
    page.get_by_text("driver's process is gone").wait_for()
    page.locator(".rollouts").get_by_text("lost").wait_for()
    page.goto(f"{address}/runs/{runs.crashed}/rollouts/cut")
    page.get_by_text("was not closed").wait_for()
    for path in ("/runs/nope", "/runs/nope/rollouts/x"):
        page.goto(address + path)
        page.get_by_text("There is no run nope").wait_for()


def test_a_root_without_runs(page: Any, tmp_path: Path) -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(create_app(tmp_path / "none", token="k"), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/?token=k")
        page.get_by_role("heading", name="No runs yet").wait_for()
        assert "token" not in page.url
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def test_a_running_rollout_and_its_run_are_followed(page: Any, chromium: Any, address: str, runs: Any) -> None:
    run = RunStore(runs.root).create("followed")
    run.write_state(RunState.of_this_process(name="followed"))
    with Index(run.index_url) as index, IndexWriter(index, run.id, flush_s=0.05) as writer, TraceWriter(run.trace_path("live")) as sink:
        trace = Trace(sink=sink)
        trace.append(Created(rollout_id="live", run_id=run.id, group_id="g", task_id="t", environment="code", instruction="Do it"))
        trace.append(Prompt(tokens=2, text="Do it"))
        sink.flush()
        writer.add(trace)
        writer.flush()
        page.goto(f"{address}/runs/{run.id}/rollouts/live")
        page.get_by_text("This page follows the rollout").wait_for()
        trace.append(Sampled(turn=0, start=2, tokens=1, text="bash true<end>", finish_reason="stop"))
        trace.append(ToolCalled(turn=0, tool="bash", arguments={"command": "true"}))
        trace.append(ToolReturned(turn=0, tool="bash", ok=True, exit_code=0, output="done now"))
        sink.flush()
        page.locator("#turn-0").get_by_text("done now").wait_for()
        page.goto(f"{address}/runs/{run.id}")
        page.locator(".rollouts tbody tr").first.wait_for()
        writer.add(trace)
        other = Trace()
        other.append(Created(rollout_id="other", run_id=run.id, group_id="g", task_id="t", environment="code"))
        writer.add(other)
        writer.metrics(1, {"solve_rate": 0.25})
        writer.flush()
        page.get_by_role("button", name="1 new").wait_for()
        expect(page.locator(".rollouts tbody tr")).to_have_count(1)
        page.get_by_text("25.0 %").first.wait_for()
        page.get_by_role("button", name="1 new").click()
        wait_for(lambda: page.locator(".rollouts tbody tr").count() == 2, "the new row")
    run.write_state(RunState(status="stopped", name="followed"))


def test_a_rollout_that_is_opened_in_the_middle_is_shown_once_and_to_its_end(page: Any, address: str, runs: Any) -> None:
    run = RunStore(runs.root).create("middle")
    run.write_state(RunState.of_this_process(name="middle"))
    with Index(run.index_url) as index, IndexWriter(index, run.id, flush_s=0.05) as writer, TraceWriter(run.trace_path("half")) as sink:
        trace = Trace(sink=sink)
        trace.append(Created(rollout_id="half", run_id=run.id, group_id="g", task_id="t", environment="code", instruction="Do it"))
        trace.append(Prompt(tokens=2, text="Do it"))
        add_turn(trace, 0, "true")
        sink.flush()
        writer.add(trace)
        writer.flush()
        page.goto(f"{address}/runs/{run.id}/rollouts/half")
        page.get_by_text("This page follows the rollout").wait_for()
        add_turn(trace, 1, "false")
        sink.flush()
        page.locator("#turn-1 .command").wait_for()
        assert page.locator(".command").all_inner_texts() == ["true", "false"]
        expect(page.locator(".outline li")).to_have_count(3)
        assert page.locator(".head .status").inner_text() == "running"
        trace.append(Verified(status="scored", reward=1.0))
        trace.append(Closed(stop="finished", turns=2, sampled_tokens=2, seconds=1.0))
        sink.flush()
        page.locator(".head .status", has_text="scored").wait_for()
        assert page.locator(".reward.big").inner_text() == "reward 1.0"
        expect(page.get_by_text("This page follows the rollout")).to_have_count(0)
        expect(page.locator("#turn-0 .command")).to_have_count(1)
        expect(page.locator(".turn")).to_have_count(2)
    run.write_state(RunState(status="stopped", name="middle"))


def add_turn(trace: Trace, turn: int, command: str) -> None:
    trace.append(Sampled(turn=turn, start=2 + turn, tokens=1, text=f"bash {command}<end>", finish_reason="stop", seconds=0.1))
    trace.append(ToolCalled(turn=turn, tool="bash", arguments={"command": command}))
    trace.append(ToolReturned(turn=turn, tool="bash", ok=True, exit_code=0, output=f"said {turn}", seconds=0.1))


def test_a_rollout_of_thousands_of_turns_is_shown_page_by_page(page: Any, address: str, runs: Any) -> None:
    """What the page holds does not grow with the trace: neither elements nor bytes that it asked for."""
    run = RunStore(runs.root).create("long")
    run.write_state(RunState(status="finished", name="long"))
    with Index(run.index_url) as index, IndexWriter(index, run.id) as writer, TraceWriter(run.trace_path("endless")) as sink:
        trace = Trace(sink=sink)
        trace.append(Created(rollout_id="endless", run_id=run.id, group_id="g", task_id="t", environment="code", instruction="Go on"))
        trace.append(Prompt(tokens=2, text="Go on"))
        for turn in range(4000):
            add_turn(trace, turn, f"echo {turn}")
        trace.append(Verified(status="scored", reward=0.5))
        trace.append(Closed(stop="max_turns", turns=4000, sampled_tokens=4000, seconds=1.0))
        writer.add(trace)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    base = f"{address}/runs/{run.id}/rollouts/endless"
    page.goto(base)
    page.locator("#turn-49 .command").wait_for()
    page.locator("#outcome").wait_for()
    expect(page.locator(".turn")).to_have_count(50)
    assert page.locator(".reward.big").inner_text() == "reward 0.50"
    assert page.evaluate("document.querySelectorAll('*').length") < 3000
    assert len(asked) < 6
    page.locator(".pager").first.get_by_text("Turns 0 to 49 of 4000").wait_for()
    page.locator(".pager").first.get_by_role("link", name="Later").click()
    page.locator("#turn-50").wait_for()
    page.locator(".pager").last.get_by_role("link", name="Last").click()
    page.locator("#turn-3999").wait_for()
    expect(page.locator(".turn")).to_have_count(50)
    page.goto(f"{base}#turn-1234")
    page.locator("#turn-1234").wait_for()
    wait_for(lambda: 0 < page.locator("#turn-1234").bounding_box()["y"] < 900, "the turn in the window")
    assert page.locator("#turn-1234 .command").inner_text() == "echo 1234"
    page.goto(f"{base}#turn-999999")
    page.locator("#turn-3999").wait_for()
    assert page.evaluate("document.querySelectorAll('*').length") < 3000


def test_curves_of_a_running_run_grow_and_are_not_read_again(page: Any, address: str, runs: Any) -> None:
    run = RunStore(runs.root).create("growing")
    run.write_state(RunState.of_this_process(name="growing"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/metrics")[2]) if "/metrics" in request.url else None)
    with Index(run.index_url) as index, IndexWriter(index, run.id, flush_s=0.05) as writer:
        for step in range(1, 101):
            writer.metrics(step, {"solve_rate": step / 1000, "turns": 3.0, "hack.alerts": float(step == 7)})
        writer.flush()
        page.goto(f"{address}/runs/{run.id}")
        tile = page.locator(".tile", has=page.get_by_text("Solve rate", exact=True))
        tile.get_by_text("10.0 %").wait_for()
        page.wait_for_event("request", lambda request: request.url.endswith("/metrics?after_step=90"))
        writer.metrics(100, {"solve_rate": 0.5, "turns": 3.0})
        writer.metrics(101, {"solve_rate": 0.75, "turns": 3.0})
        writer.flush()
        tile.get_by_text("75.0 %").wait_for()
        tile.get_by_text("step 101").wait_for()
        page.locator(".hacks").get_by_text("A sudden rise at 1 step: 7").wait_for()
        chart = page.locator(".chart", has=page.get_by_text("Solve rate", exact=True)).locator("canvas")
        box = chart.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
        page.locator(".chart-step", has_text="step").first.wait_for()
        shown = int(page.locator(".chart-step", has_text="step").first.inner_text().split()[1])
        assert 30 < shown < 70, "what was known before is still there"
    assert asked.count("") <= 2, "all of it, and again when the run's status is known"
    run.write_state(RunState(status="stopped", name="growing"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [480, 1360])
def test_no_page_scrolls_sideways(chromium: Any, address: str, runs: Any, scheme: str, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        for path, ready in (
            ("", ".runs tbody tr"),
            (f"/runs/{runs.finished}", ".rollouts tbody tr"),
            (f"/runs/{runs.hostile}/rollouts/hostile", "#outcome"),
        ):
            page.goto(address + path)
            page.locator(ready).first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    finally:
        page.close()
