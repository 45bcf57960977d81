"""An HTTP server that answers by a function: what stands in for a login, a vault or an API that checks credentials."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """A request as it came. ``certificate``: that which the client has shown, as Python's ssl tells it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    certificate: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Given:
    """An answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] | None = None


class HttpServer:
    """Answers each request with ``answer(request)``, in a thread for each connection.

    Attributes:
        asked: each request, in order.
        over: set when the server is closed; answers that shall not come wait for it.
    """

    def __init__(self, answer: Callable[[Asked], Given], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.over = threading.Event()
        server, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                if tls is not None:
                    self.request = tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                shown = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
                asked = Asked(self.command, self.path, self.headers, body, shown)
                with lock:
                    server.asked.append(asked)
                given = server.answer(asked)
                self.send_response(given.status)
                for name, value in (given.headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(given.body)))
                self.end_headers()
                self.wfile.write(given.body)

            do_GET = do_POST = do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients break off here, and do not trust: that is what is tested."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
