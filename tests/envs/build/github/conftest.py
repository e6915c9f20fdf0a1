from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Server:
    """Speaks as much of GitHub's REST API as is asked of it, over real HTTP."""

    url: str = ""
    objects: dict[str, Any] = field(default_factory=dict)
    before: list[Callable[[str], Answer | None]] = field(default_factory=list)
    """Each is heard first, and may answer in the place of the objects."""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    private: bool = False
    page: int = 100

    def answer(self, target: str, headers: dict[str, str]) -> Answer:
        self.asked.append((target, headers))
        for hook in self.before:
            if (found := hook(target)) is not None:
                return found
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if (self.private and headers.get("authorization") != "Bearer good") or path not in self.objects:
            return self.json({"message": "Not Found"}, 404)
        data = self.objects[path]
        if not isinstance(data, list):
            return self.json(data)
        number, size = int(query.get("page", ["1"])[0]), min(self.page, int(query["per_page"][0]))
        more = {"Link": f'<{self.url}{path}?per_page={size}&page={number + 1}>; rel="next"'} if len(data) > number * size else {}
        return self.json(data[(number - 1) * size : number * size], 200, more)

    @staticmethod
    def json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
        return status, headers or {}, json.dumps(data).encode()

    def once(self, *answers: Answer | None) -> None:
        """These answers, in order, before anything else."""
        waiting = list(answers)
        self.before.append(lambda _: waiting.pop(0) if waiting else None)


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = told.answer(self.path, {key.lower(): value for key, value in self.headers.items()})
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{listening.server_port}"
    yield told
    listening.shutdown()
    listening.server_close()
    thread.join()
