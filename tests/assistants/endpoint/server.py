"""A model on loopback: four wire protocols, one scripted mind, and a record of what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from assistants.endpoint import wire_anthropic, wire_chat, wire_gemini, wire_responses
from assistants.endpoint.mind import Mind, Task, task_of
from assistants.endpoint.sse import Reply, size
from assistants.endpoint.talk import Hang, Refuse, Talk

WIRES = (wire_anthropic, wire_responses, wire_chat, wire_gemini)
COUNTERS = (wire_anthropic, wire_gemini)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an answer, and the task in it."""

    talk: Talk
    task: Task | None


class Endpoint:
    """Listens from `__enter__` to `__exit__`, on a port that the system chose.

    `asked` grows with each request; `mistakes` are requests that it did not understand, which is a fault of the test.
    """

    def __init__(self, mind: Mind) -> None:
        self.mind = mind
        self.asked: list[Asked] = []
        self.mistakes: list[str] = []
        self.closing = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def tasks(self, role: str, component: str = "") -> list[Asked]:
        """The requests in that role, for that component; oldest first."""
        return [each for each in self.asked if each.task and (each.task.role, each.task.component) == (role, component)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that was killed leaves in mid-answer; all else is reported."""
        import sys
        import traceback

        del request, client_address
        if not isinstance(sys.exception(), ConnectionError):
            self.endpoint.mistakes.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Lists of models and other things that a program can do without."""
        self._send(404, {"error": {"message": "there is nothing here"}})

    def do_POST(self) -> None:
        endpoint, path = self.server.endpoint, urlsplit(self.path).path
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        for counter in COUNTERS:
            if counter.counts(path):
                return self._send(200, counter.count(size(body)))
        wire = next((wire for wire in WIRES if wire.matches(path)), None)
        if wire is None:
            return self._send(404, {"error": {"message": "there is nothing here"}})
        talk = wire.parse(path, body)
        endpoint.asked.append(Asked(talk, task_of(talk)))
        given = endpoint.mind.answer(talk)
        if isinstance(given, Hang):
            endpoint.closing.wait()
            return None
        if isinstance(given, Refuse):
            headers = dict(given.headers)
            if given.retry_after_s is not None:
                headers["retry-after"] = str(given.retry_after_s)
            return self._send(given.status, wire.refusal(given), headers)
        return self._reply(wire.answer(talk, given, len(endpoint.asked)))

    def _reply(self, reply: Reply) -> None:
        if reply.body is not None:
            return self._send(200, reply.body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in reply.events:
            self.wfile.write(event.encode())
        return None

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Nothing: what matters is in `asked`."""
