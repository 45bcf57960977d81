"""A small API of resources, as most companies have them: PUT keeps what is sent under its path, DELETE removes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.harness.requests import Seen


class RestApi:
    """The API.

    Attributes:
        resources: what is there, by path as it was sent.
        requests: all requests, in order.
        answer: gives the status of a request, or None for what the API itself would say.
    """

    def __init__(self, answer: Callable[[Seen], int | None] = lambda _: None) -> None:
        self.resources: dict[str, bytes] = {}
        self.requests: list[Seen] = []
        self.answer = answer
        self._lock = threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                self.close_connection = True
                line = self.rfile.readline(65537)
                self.raw_requestline = line
                if not line or not self.parse_request():
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.wfile.write(f"HTTP/1.1 {api._take(Seen(self.command, path, query, headers, body))} X\r\n".encode())
                self.wfile.write(b"Content-Length: 0\r\n\r\n")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def _take(self, request: Seen) -> int:
        with self._lock:
            self.requests.append(request)
            status = self.answer(request)
            if status is not None:
                return status
            if request.method == "DELETE":
                return 204 if self.resources.pop(request.path, None) is not None else 404
            self.resources[request.path] = request.body
            return 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
