"""A TCP server that answers with exact bytes: for what no honest HTTP server does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Handler = Callable[[socket.socket, int], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class RawServer:
    """Calls ``handler(connection, number)`` in a thread of its own for each connection; numbers begin at 1.

    Attributes:
        requests: each whole request that :meth:`read_request` has read, in order.
        connections: how many connections were accepted.
        ended: released once for each connection that the server has closed.
        over: set when the server is closed; handlers wait for it instead of sleeping.
    """

    def __init__(self, handler: Handler | None = None, tls: ssl.SSLContext | None = None, backlog: int = 64) -> None:
        self.handler = handler or self.answer_all
        self.requests: list[bytes] = []
        self.connections = 0
        self.ended = threading.Semaphore(0)
        self.over = threading.Event()
        self._tls = tls
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/rows"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self.over.is_set():
                    connection.close()
                    return
                self.connections += 1
                self._open.append(connection)
            threading.Thread(target=self._handle, args=(connection, self.connections), daemon=True).start()

    def _handle(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.handler(connection, number)
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            self.ended.release()

    def read_request(self, connection: socket.socket) -> bytes | None:
        """The next request of a connection, head and body; None when the client has closed it."""
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return None
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            part = connection.recv(65536)
            if not part:
                return None
            body += part
        with self._lock:
            self.requests.append(head + b"\r\n\r\n" + body)
        return head + b"\r\n\r\n" + body

    def answer_all(self, connection: socket.socket, number: int) -> None:
        """Answer every request of a connection with 200."""
        self.answering(OK)(connection, number)

    def answering(self, answer: bytes) -> Handler:
        """A handler that answers every request with these bytes, and keeps the connection."""

        def handle(connection: socket.socket, number: int) -> None:
            while self.read_request(connection) is not None:
                connection.sendall(answer)

        return handle

    def once(self, answer: bytes) -> Handler:
        """A handler that answers one request with these bytes, and closes the connection."""

        def handle(connection: socket.socket, number: int) -> None:
            if self.read_request(connection) is not None:
                connection.sendall(answer)

        return handle

    def then_silence(self, answer: bytes) -> Handler:
        """A handler that answers one request with these bytes, and then keeps the connection open without a word."""

        def handle(connection: socket.socket, number: int) -> None:
            if self.read_request(connection) is not None:
                connection.sendall(answer)
                self.over.wait()

        return handle


def reset(connection: socket.socket) -> None:
    """End a connection with a reset instead of an orderly close."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
