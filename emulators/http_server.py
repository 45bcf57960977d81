"""A small HTTP/1.1 server for emulators: keep-alive, one thread a connection, one function that answers.

:class:`HttpServer` hands every request to ``answer(request)``; :class:`Hangup`, raised there, ends the connection.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import signal
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import simplejson

from emulators.callers import refusal
from emulators.clock import Clock

_NO_LINGER = struct.pack("ii", 1, 0)


class Hangup(Exception):
    """Raised by an answering function: the connection is reset, the client gets no answer."""


class BadRequest(Exception):
    """Raised by an answering function: the text goes back with status 400."""


@dataclass(frozen=True)
class Request:
    """What arrived. ``path`` is without the query; header names are looked up in any case."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON, decoded from gzip; numbers with a fraction become ``Decimal``, so no digit is lost.

        Raises:
            BadRequest: the body is not JSON, or not encoded as it says.
        """
        return parsed(self.content())

    def content(self) -> bytes:
        """The body, decoded from gzip.

        Raises:
            BadRequest: it is not encoded as it says.
        """
        try:
            return gzip.decompress(self.body) if self.headers.get("Content-Encoding", "").lower() == "gzip" else self.body
        except (OSError, EOFError, zlib.error) as error:
            raise BadRequest(f"the body is not gzip: {error}") from None


def parsed(text: bytes) -> Any:
    """A JSON value; see :meth:`Request.json`."""
    try:
        return simplejson.loads(text.decode("utf-8"), use_decimal=True)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


@dataclass(frozen=True)
class Answer:
    """What goes back. ``body`` may be bytes, text, or anything else to send as JSON; None is an empty body."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else to_json(self.body).encode()


def to_json(value: Any) -> str:
    """JSON text of ``value``; a ``Decimal`` is written with exactly its digits."""
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, allow_nan=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one segment
    server: _Server

    def _serve(self) -> None:
        try:
            body = self._read_body()
        except ValueError:
            self.close_connection = True
            self._send(Answer(400, {"error": "the length of the body is not stated correctly"}))
            return
        if (why := refusal(self.headers)) is not None:
            self._send(Answer(403, {"error": why}))
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, parts.path, query, self.headers, body)
        try:
            answer = self.server.answer(request)
        except BadRequest as error:
            answer = Answer(400, {"error": str(error)})
        except Hangup:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.connection.close()
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():  # trailers
                pass
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, answer: Answer) -> None:
        body = answer.encoded()
        self.send_response(answer.status)
        if body:
            self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status >= 200 and answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.clock.now().timestamp() if timestamp is None else timestamp)

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client went away
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked is kept where tests and people can read it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], clock: Clock, answer: Callable[[Request], Answer]) -> None:
        super().__init__(address, _Handler)
        self.clock = clock
        self.answer = answer
        self.connections: set[socket.socket] = set()
        self.lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.lock:
            self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class HttpServer:
    """Serves from a thread of its own.

    Args:
        clock: dates the answers.
        answer: called for each request, from many threads at once.
        host: the address to listen on; in a container, 0.0.0.0.
    """

    def __init__(self, clock: Clock, answer: Callable[[Request], Answer], host: str = "127.0.0.1") -> None:
        self.clock = clock
        self.host = host
        self.port = 0
        self._answer = answer
        self._server: _Server | None = None

    def start(self, port: int = 0) -> int:
        """Listen on ``port`` (0: the port of the last time, or any free one); returns the port."""
        self._server = _Server((self.host, port or self.port), self.clock, self._answer)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self.port

    def stop(self) -> None:
        """Stop listening and end all connections: from now on clients are refused."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with server.lock:
            connections = list(server.connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def serve_until_terminated(start: Callable[[int], int], stop: Callable[[], None], port: int) -> None:
    """Body of an emulator's command line: prints the ready line, then serves until SIGTERM or SIGINT."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    chosen = start(port)
    print(json.dumps({"port": chosen, "control_port": chosen}), flush=True)
    over.wait()
    stop()


def command_line(module: str, description: str) -> argparse.ArgumentParser:
    """The options that the HTTP emulators share: ``--clock``, ``--host``, ``--port``, ``--data``."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--clock", default="real", help="specification of the clock, see emulators/clock.py")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on; in a container, 0.0.0.0")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--data", help="file that keeps what was accepted, so that a kill loses nothing")
    return parser
